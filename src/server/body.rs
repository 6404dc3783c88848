//! Reading a body without letting it take the memory or the time of others.
//!
//! Nothing is set aside for what was only announced: a body draws on a budget when that many bytes have come, the smallest never do,
//! and one that stops or drips ends long before its deadline. Those of a large Deployment have a budget apart from those of ConfigMaps of a
//! megabyte, which keep theirs for as long as they are judged. Knows bytes, not reviews.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::deadline::in_time;
use super::fault::Fault;
use super::metrics::{Held, Metrics};

/// A 1 MiB ConfigMap made of `<` is an UPDATE review of 12.58 MB, and an object may have 1.5 MiB (etcd's default) or more.
pub const MAX_BODY: usize = 32 << 20;

/// Bodies up to here draw on no budget: the number of connections bounds them. A Pod review has about 4 KB.
const FREE: usize = 16 << 10;

/// Bodies up to here draw on a budget of their own, and larger ones do until more than this has come.
const SMALL: usize = 64 << 10;

/// 512 of them.
const SMALL_BYTES: usize = 32 << 20;

/// Bodies up to here are judged where they were read: 256 KiB take less than a millisecond.
pub(super) const MEDIUM: usize = 256 << 10;

/// Bytes a second that a body must come with, on the whole: the API server writes it at once. 12 MB at this rate are later than any deadline, so
/// it ends those only that drip.
const LEAST_RATE: u64 = 64 << 10;

/// What an unread body may still send after its fault is decided, so that the client gets to read the fault: closing a
/// socket with unread bytes in it resets the connection, and the answer is lost.
const LEFTOVER_TIME: Duration = Duration::from_secs(1);
const LEFTOVER_BYTES: usize = 2 * MAX_BODY;

/// The bytes of bodies that may be held at once, but for the smallest.
pub(super) struct Budget {
    small: Share,
    medium: Share,
    large: Share,
    /// How long a body may stand still.
    patience: Duration,
}

/// Part of it. A body that is larger than all of it is read alone.
struct Share {
    bytes: u32,
    free: Arc<Semaphore>,
}

/// A body and its share of the budget.
pub(super) struct Read {
    pub bytes: Bytes,
    _drawn: Drawn,
    _held: Held,
}

/// What a body has drawn so far. Shares are drawn in one order, small before medium or large, and none is waited for that somebody holds who waits
/// for a smaller one: so there is no deadlock.
#[derive(Default)]
struct Drawn {
    small: Option<OwnedSemaphorePermit>,
    whole: Option<OwnedSemaphorePermit>,
}

/// Until when the next piece has to come.
struct Pace {
    began: Instant,
    last: Instant,
    received: u64,
    patience: Duration,
    deadline: Instant,
}

impl Budget {
    /// A budget of `bytes` for large bodies, and of half as many for medium ones; a body that stands still for `patience` is given up.
    pub fn new(bytes: usize, patience: Duration) -> Budget {
        let (small, medium, large) = (Share::new(SMALL_BYTES), Share::new(bytes / 2), Share::new(bytes));
        Budget { small, medium, large, patience }
    }

    /// Draws what a body of which `size` bytes have come needs. All that it may need is drawn at once: bit by bit, two of them could wait for each
    /// other. A body that does not say how large it is may be as large as can be.
    async fn draw(
        &self,
        drawn: &mut Drawn,
        size: usize,
        declared: Option<usize>,
        deadline: Instant,
    ) -> Result<(), Fault> {
        let whole = declared.unwrap_or(MAX_BODY);
        if size > FREE && drawn.small.is_none() && drawn.whole.is_none() {
            drawn.small = Some(self.small.draw(whole.min(SMALL), deadline).await?);
        }
        if size > SMALL && drawn.whole.is_none() {
            let share = if whole <= MEDIUM { &self.medium } else { &self.large };
            drawn.whole = Some(share.draw(whole, deadline).await?);
            drawn.small = None;
        }
        Ok(())
    }

    /// Reads all of `body`, or says why it cannot.
    pub async fn read<B>(&self, mut body: Pin<&mut B>, deadline: Instant, metrics: &Metrics) -> Result<Read, Fault>
    where
        B: Body<Data = Bytes>,
    {
        let declared = declared(&body.size_hint())?;
        let mut pace = Pace::new(self.patience, deadline);
        let (mut drawn, mut held) = (Drawn::default(), Held::new(&metrics.body_bytes_in_flight, 0));
        let (mut first, mut whole) = (Bytes::new(), Vec::new());
        while !body.is_end_stream() {
            let Some(frame) = pace.next(body.as_mut()).await? else { break };
            let Ok(piece) = frame.into_data() else { continue };
            let size = first.len() + whole.len() + piece.len();
            if size > MAX_BODY {
                return Err(Fault::TooLarge);
            }
            held.grow(piece.len());
            if size > FREE {
                let before = Instant::now();
                self.draw(&mut drawn, size, declared, deadline).await?;
                pace.pause(before.elapsed());
            }
            // A body of one piece is passed on as it came; others are put together in one buffer.
            if size == piece.len() {
                first = piece;
                continue;
            }
            if whole.capacity() < size {
                // What was announced gets its place when it was drawn for, or is small.
                let certain = declared.filter(|declared| drawn.whole.is_some() || *declared <= SMALL);
                whole.reserve_exact(certain.unwrap_or(size * 2) - whole.len());
            }
            whole.extend_from_slice(&std::mem::take(&mut first));
            whole.extend_from_slice(&piece);
        }
        let bytes = if whole.is_empty() { first } else { whole.into() };
        metrics.read(bytes.len());
        Ok(Read { bytes, _drawn: drawn, _held: held })
    }
}

impl Pace {
    fn new(patience: Duration, deadline: Instant) -> Pace {
        let now = Instant::now();
        Pace { began: now, last: now, received: 0, patience, deadline }
    }

    /// The next piece, unless it comes too late. What has come is seen before the clock is, however late this is asked.
    async fn next<B: Body<Data = Bytes>>(&mut self, mut body: Pin<&mut B>) -> Result<Option<Frame<Bytes>>, Fault> {
        let steady = self.began + self.patience * 2 + Duration::from_millis(self.received * 1000 / LEAST_RATE);
        let until = steady.min(self.last + self.patience).min(self.deadline);
        let frame = in_time(until, body.frame()).await.ok_or(Fault::SlowBody)?;
        let frame = frame.transpose().map_err(|_| Fault::BrokenBody)?;
        self.last = Instant::now();
        self.received += frame.as_ref().and_then(Frame::data_ref).map_or(0, |piece| piece.len() as u64);
        Ok(frame)
    }

    /// It was not the client who took this long.
    fn pause(&mut self, time: Duration) {
        self.began += time;
        self.last += time;
    }
}

impl Share {
    fn new(bytes: usize) -> Share {
        // A semaphore gives out at most as many permits at a time as fit into 32 bits.
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX >> 3).max(1);
        Share { bytes, free: Arc::new(Semaphore::new(bytes as usize)) }
    }

    async fn draw(&self, bytes: usize, deadline: Instant) -> Result<OwnedSemaphorePermit, Fault> {
        let bytes = u32::try_from(bytes).map_or(self.bytes, |bytes| bytes.min(self.bytes));
        // Neither elapsed time nor a closed semaphore (it never is) leaves room for this body.
        let share = in_time(deadline, Arc::clone(&self.free).acquire_many_owned(bytes)).await;
        share.and_then(Result::ok).ok_or(Fault::Overloaded)
    }
}

/// The Content-Length, when there is one.
fn declared(hint: &SizeHint) -> Result<Option<usize>, Fault> {
    let limit = |size: u64| usize::try_from(size).ok().filter(|size| *size <= MAX_BODY).ok_or(Fault::TooLarge);
    limit(hint.lower())?;
    hint.exact().map(limit).transpose()
}

/// Throws away what the client is still sending.
pub(super) async fn discard<B: Body<Data = Bytes>>(mut body: Pin<&mut B>) {
    let all = async {
        let mut size = 0;
        while let Some(Ok(frame)) = body.frame().await {
            size += frame.data_ref().map_or(0, Bytes::len);
            if size > LEFTOVER_BYTES {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(LEFTOVER_TIME, all).await;
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::pin;
    use std::task::{Context, Poll};

    use http_body_util::Full;

    use tokio::sync::mpsc;

    use super::*;

    /// A body that does not say how long it is.
    struct Chunks(VecDeque<Bytes>);

    impl Body for Chunks {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    /// A body that declares its length, and of which pieces come when the test sends them.
    struct Sent {
        left: u64,
        pieces: mpsc::UnboundedReceiver<Bytes>,
    }

    impl Sent {
        fn new(declared: usize) -> (mpsc::UnboundedSender<Bytes>, Sent) {
            let (sender, pieces) = mpsc::unbounded_channel();
            (sender, Sent { left: declared as u64, pieces })
        }
    }

    impl Body for Sent {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let piece = std::task::ready!(self.pieces.poll_recv(context));
            self.left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
            Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
        }
        fn is_end_stream(&self) -> bool {
            self.left == 0
        }
        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.left)
        }
    }

    fn spaces(bytes: usize) -> Bytes {
        vec![b' '; bytes].into()
    }

    /// A body that never comes.
    struct Never;

    impl Body for Never {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    const PATIENCE: Duration = Duration::from_secs(1);

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn one_piece_is_not_copied_and_many_are_joined() {
        let (budget, metrics) = (Budget::new(0, PATIENCE), Metrics::default());
        let text = Bytes::from_static(b"all at once");
        let read = budget.read(pin!(Full::new(text.clone())), soon(), &metrics).await.unwrap();
        assert_eq!(read.bytes.as_ptr(), text.as_ptr());
        drop(read);

        let pieces = Chunks((0..5).map(|i| Bytes::from(vec![b'0' + i; 30_000])).collect());
        let read = budget.read(pin!(pieces), soon(), &metrics).await.unwrap();
        assert_eq!(read.bytes.len(), 150_000);
        assert_eq!((read.bytes[0], read.bytes[30_000], read.bytes[149_999]), (b'0', b'1', b'4'));
        assert_eq!(metrics.body_bytes_in_flight.get(), 150_000);
        drop(read);
        assert_eq!(metrics.body_bytes_in_flight.get(), 0);
    }

    #[tokio::test]
    async fn one_byte_more_is_too_large_declared_or_not() {
        let (budget, metrics) = (Budget::new(0, PATIENCE), Metrics::default());
        let limit = Bytes::from(vec![b' '; MAX_BODY]);
        assert!(budget.read(pin!(Full::new(limit.clone())), soon(), &metrics).await.is_ok());
        let more = Bytes::from(vec![b' '; MAX_BODY + 1]);
        let declared = budget.read(pin!(Full::new(more)), soon(), &metrics).await;
        assert!(matches!(declared, Err(Fault::TooLarge)));
        let chunks = Chunks([limit, Bytes::from_static(b" ")].into());
        assert!(matches!(budget.read(pin!(chunks), soon(), &metrics).await, Err(Fault::TooLarge)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_waits_for_its_share_and_smaller_ones_do_not() {
        let (budget, metrics) = (Budget::new(MEDIUM, PATIENCE), Metrics::default());
        let large = || Full::new(Bytes::from(vec![b' '; MEDIUM + 1]));
        let first = budget.read(pin!(large()), soon(), &metrics).await.unwrap();
        let second = budget.read(pin!(large()), soon(), &metrics).await;
        assert!(matches!(second, Err(Fault::Overloaded)));
        for size in [2, SMALL + 1, MEDIUM] {
            let read = budget.read(pin!(Full::new(Bytes::from(vec![b' '; size]))), soon(), &metrics).await;
            assert!(read.is_ok(), "{size} bytes wait for nobody");
        }
        drop(first);
        assert!(budget.read(pin!(large()), soon(), &metrics).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_only_announced_takes_no_room_from_others() {
        let (budget, metrics) = (Arc::new(Budget::new(8 << 20, PATIENCE)), Arc::new(Metrics::default()));
        let mut stalled = Vec::new();
        for (declared, sent) in [(8 << 20, 1), (8 << 20, SMALL), (MEDIUM, 1), (MEDIUM, FREE), (1000, 1)] {
            for _ in 0..40 {
                let (pieces, body) = Sent::new(declared);
                pieces.send(spaces(sent)).unwrap();
                let (budget, metrics) = (Arc::clone(&budget), Arc::clone(&metrics));
                let reading = tokio::spawn(async move { budget.read(pin!(body), soon(), &metrics).await.map(drop) });
                stalled.push((pieces, reading));
            }
        }
        let began = Instant::now();
        tokio::time::sleep(PATIENCE / 4).await;
        assert_eq!(metrics.body_bytes_in_flight.get(), i64::try_from(40 * (SMALL + FREE + 3)).unwrap());
        for size in [2, FREE + 1, SMALL + 1, MEDIUM + 1, 8 << 20] {
            let read = budget.read(pin!(Full::new(spaces(size))), soon(), &metrics).await;
            assert!(read.is_ok(), "{size} bytes wait for nobody");
        }
        for (_pieces, reading) in stalled {
            assert!(matches!(reading.await.unwrap(), Err(Fault::SlowBody)));
        }
        assert!(began.elapsed() < PATIENCE * 4);
        assert_eq!(metrics.body_bytes_in_flight.get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_steady_body_may_take_until_its_deadline_and_one_that_drips_may_not() {
        let (budget, metrics) = (Budget::new(4 << 20, PATIENCE), Metrics::default());
        for (size, piece, pause, good) in [
            // 12 MB in 26 s, and 100 KB in two halves.
            (12 << 20, 64 << 10, 140, true),
            (100 << 10, 50 << 10, 900, true),
            (100, 1, 900, false),
            (1 << 20, 16 << 10, 300, false),
        ] {
            let (pieces, body) = Sent::new(size);
            let sending = async {
                for _ in 0..size / piece {
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    if pieces.send(spaces(piece)).is_err() {
                        return;
                    }
                }
            };
            let deadline = Instant::now() + Duration::from_secs(30);
            let (read, ()) = tokio::join!(async { budget.read(pin!(body), deadline, &metrics).await }, sending);
            assert_eq!(read.is_ok(), good, "{size} bytes, {piece} every {pause} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_room_is_not_the_clients_slowness() {
        let (budget, metrics) = (Arc::new(Budget::new(MEDIUM, PATIENCE)), Arc::new(Metrics::default()));
        let first = budget.read(pin!(Full::new(spaces(MEDIUM + 1))), soon(), &metrics).await.unwrap();
        let (pieces, body) = Sent::new(2 * MEDIUM);
        pieces.send(spaces(MEDIUM)).unwrap();
        let reading = tokio::spawn({
            let (budget, metrics) = (Arc::clone(&budget), Arc::clone(&metrics));
            async move { budget.read(pin!(body), soon(), &metrics).await }
        });
        tokio::time::sleep(PATIENCE * 10).await;
        drop(first);
        tokio::time::sleep(PATIENCE / 2).await;
        pieces.send(spaces(MEDIUM)).unwrap();
        assert_eq!(reading.await.unwrap().unwrap().bytes.len(), 2 * MEDIUM);
    }

    /// Two bodies that grow in turn: each needs what the other has, if they drew bit by bit.
    #[tokio::test(start_paused = true)]
    async fn bodies_that_grow_together_do_not_wait_for_each_other() {
        let (budget, metrics) = (Arc::new(Budget::new(MEDIUM, PATIENCE)), Arc::new(Metrics::default()));
        let (sizes, mut readings) = (2 * MEDIUM, Vec::new());
        let mut senders = Vec::new();
        for _ in 0..3 {
            let (pieces, body) = Sent::new(sizes);
            senders.push(pieces);
            let (budget, metrics) = (Arc::clone(&budget), Arc::clone(&metrics));
            readings.push(tokio::spawn(async move { budget.read(pin!(body), soon(), &metrics).await.map(drop) }));
        }
        for _ in 0..sizes / FREE {
            for sender in &senders {
                sender.send(spaces(FREE)).unwrap();
            }
            tokio::task::yield_now().await;
        }
        for reading in readings {
            reading.await.unwrap().unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_is_given_up() {
        let (budget, metrics) = (Budget::new(0, PATIENCE), Metrics::default());
        let began = Instant::now();
        assert!(matches!(budget.read(pin!(Never), soon(), &metrics).await, Err(Fault::SlowBody)));
        assert!(began.elapsed() < PATIENCE * 2);
        discard(pin!(Never)).await;
    }
}
