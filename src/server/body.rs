//! Reading a body without letting it take the memory or the time of others.
//!
//! Small bodies are bounded by the number of requests in flight; larger ones draw on a budget of bytes over all requests and
//! wait for it, so that no sum of large bodies can exhaust memory. Those of a large Deployment have a budget apart from those of ConfigMaps
//! of a megabyte, which keep theirs for as long as they are judged. Knows bytes, not reviews.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::fault::Fault;
use super::metrics::{Held, Metrics};

/// A 1 MiB ConfigMap made of `<` is an UPDATE review of 12.58 MB, and an object may have 1.5 MiB (etcd's default) or more.
pub const MAX_BODY: usize = 32 << 20;

/// Bodies up to here are read without drawing on the budget; a Pod review has about 4 KB.
const SMALL: usize = 64 << 10;

/// Bodies up to here are judged where they were read: 256 KiB take less than a millisecond.
pub(super) const MEDIUM: usize = 256 << 10;

/// What an unread body may still send after its fault is decided, so that the client gets to read the fault: closing a
/// socket with unread bytes in it resets the connection, and the answer is lost.
const LEFTOVER_TIME: Duration = Duration::from_secs(1);
const LEFTOVER_BYTES: usize = 2 * MAX_BODY;

/// The bytes of bodies that may be held at once, but for small ones.
pub(super) struct Budget {
    medium: Share,
    large: Share,
}

/// Part of it. A body that is larger than all of it is read alone.
struct Share {
    bytes: u32,
    free: Arc<Semaphore>,
}

/// A body and its share of the budget.
pub(super) struct Read {
    pub bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
    _held: Held,
}

impl Budget {
    /// A budget of `bytes` for large bodies, and of half as many for medium ones.
    pub fn new(bytes: usize) -> Budget {
        Budget { medium: Share::new(bytes / 2), large: Share::new(bytes) }
    }

    async fn share(&self, bytes: usize, deadline: Instant) -> Result<OwnedSemaphorePermit, Fault> {
        let share = if bytes <= MEDIUM { &self.medium } else { &self.large };
        share.draw(bytes, deadline).await
    }

    /// Reads all of `body`, or says why it cannot.
    pub async fn read<B>(&self, body: Pin<&mut B>, deadline: Instant, metrics: &Metrics) -> Result<Read, Fault>
    where
        B: Body<Data = Bytes>,
    {
        let hint = body.size_hint();
        let declared = declared(&hint)?;
        let mut share = None;
        if let Some(size) = declared.filter(|size| *size > SMALL) {
            share = Some(self.share(size, deadline).await?);
        }
        let read = timeout_at(deadline, self.collect(body, declared, &mut share, deadline));
        let bytes = read.await.unwrap_or(Err(Fault::SlowBody))?;
        metrics.read(bytes.len());
        let held = Held::new(&metrics.body_bytes_in_flight, bytes.len());
        Ok(Read { bytes, _share: share, _held: held })
    }

    /// A body of one piece is passed on as it came; others are put together in one buffer.
    async fn collect<B>(
        &self,
        mut body: Pin<&mut B>,
        declared: Option<usize>,
        share: &mut Option<OwnedSemaphorePermit>,
        deadline: Instant,
    ) -> Result<Bytes, Fault>
    where
        B: Body<Data = Bytes>,
    {
        let mut first = Bytes::new();
        let mut whole = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.map_err(|_| Fault::BrokenBody)?.into_data() else { continue };
            let size = first.len().max(whole.len()) + piece.len();
            if size > MAX_BODY {
                return Err(Fault::TooLarge);
            }
            if size > SMALL && share.is_none() {
                // Nobody said how large it will be. Drawing bit by bit could leave two such bodies waiting for each other.
                *share = Some(self.share(MAX_BODY, deadline).await?);
            }
            if size == piece.len() {
                first = piece;
                continue;
            }
            if whole.is_empty() {
                whole.reserve_exact(declared.unwrap_or(size * 2));
                whole.extend_from_slice(&first);
                first = Bytes::new();
            }
            whole.extend_from_slice(&piece);
        }
        Ok(if whole.is_empty() { first } else { whole.into() })
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
        let share = timeout_at(deadline, Arc::clone(&self.free).acquire_many_owned(bytes)).await;
        share.ok().and_then(Result::ok).ok_or(Fault::Overloaded)
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
    use hyper::body::Frame;

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

    /// A body that never comes.
    struct Never;

    impl Body for Never {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn one_piece_is_not_copied_and_many_are_joined() {
        let (budget, metrics) = (Budget::new(0), Metrics::default());
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
        let (budget, metrics) = (Budget::new(0), Metrics::default());
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
        let (budget, metrics) = (Budget::new(MEDIUM), Metrics::default());
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
    async fn a_body_that_never_comes_ends_at_the_deadline() {
        let (budget, metrics) = (Budget::new(0), Metrics::default());
        assert!(matches!(budget.read(pin!(Never), soon(), &metrics).await, Err(Fault::SlowBody)));
        discard(pin!(Never)).await;
    }
}
