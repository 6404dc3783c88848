//! The socket: accept, TLS, HTTP/1.1, and the end of each connection.
//!
//! Knows bytes and time, not what is asked. Nothing that a client does or leaves undone holds a place for ever, and no error
//! of `accept` ends the loop: when file descriptors run out, the quiet give theirs back.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::connections::{Activity, Connections, Doing, Slot};
use super::expiry;
use super::lifecycle::Phase;
use super::metrics::Metrics;
use super::seldom::Seldom;
use super::tls::{Admitted, Tls};
use super::workers::Workers;

/// Heads are a few hundred bytes, and bodies are taken out piece by piece: a larger buffer would only be held longer. A TLS
/// record is 16 KiB.
const BUFFER: usize = 32 << 10;

/// Ciphertext is taken from the socket a whole TLS record at a time (16 KiB, a header and a tag); rustls by itself asks for 4 KiB,
/// which is two calls for a pod and 26 for a review of 100 KB.
const RECORD: usize = (16 << 10) + 256;

/// After an error that is not the client's, such as running out of file descriptors.
const BREATH: Duration = Duration::from_millis(20);

/// Such errors are logged this often at most.
const SAID: Duration = Duration::from_secs(1);

/// What a connection that has to go may take to write what it has.
const FAREWELL: Duration = Duration::from_secs(1);

/// Answers requests.
pub(super) trait Respond: Clone + Send + Sync + 'static {
    type Body: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static;
    /// The answer to one.
    fn respond(&self, request: Request<Arriving>) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// A listener and what stands behind it.
pub(super) struct Acceptor<R> {
    pub listener: TcpListener,
    /// `None` speaks plain HTTP.
    pub tls: Option<Arc<Tls>>,
    pub connections: Arc<Connections>,
    /// Where most of the process's connections are: a quiet one of them gives way when there is no file descriptor left.
    pub most: Arc<Connections>,
    pub respond: R,
    /// The threads that hold its connections; `None` leaves them to the thread that accepts.
    pub workers: Option<Arc<Workers>>,
    pub phase: watch::Receiver<Phase>,
    pub metrics: Arc<Metrics>,
}

impl<R: Respond> Acceptor<R> {
    /// Accepts until the phase is `Closing`.
    pub async fn run(self) {
        let mut phase = self.phase.clone();
        let mut closing = pin!(closing(&mut phase));
        let mut said: Option<Instant> = None;
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut closing => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    // The place is taken before the task runs: whoever waits for all connections to end must see this one.
                    if let Some(slot) = self.connections.admit(peer.ip()) {
                        self.spawn(stream, slot);
                    }
                }
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    if said.is_none_or(|said| said.elapsed() > SAID) {
                        said = Some(Instant::now());
                        tracing::error!("cannot accept connections for the moment: {error}");
                    }
                    self.most.relieve();
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }

    fn spawn(&self, stream: TcpStream, slot: Slot) {
        let (respond, phase) = (self.respond.clone(), self.phase.clone());
        let (tls, metrics) = (self.tls.as_ref().map(|tls| tls.current()), Arc::clone(&self.metrics));
        let limits = self.connections.limits;
        let hold = move |stream: TcpStream| async move {
            // Answers are one small write each; waiting to fill a packet only delays them.
            let _ = stream.set_nodelay(true);
            let Some((config, admitted)) = tls else {
                return Conversation { slot, limits, respond, phase, leave: None }.hold(stream).await;
            };
            let stream = BufReader::with_capacity(RECORD, stream);
            let handshake = timeout(limits.handshake, TlsAcceptor::from(config).accept(stream));
            let shaken = tokio::select! {
                shaken = handshake => shaken,
                () = slot.activity.must_give_way() => return,
            };
            match shaken {
                Ok(Ok(stream)) => {
                    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                    let leave = shown.map(|shown| Leave { admitted, end: expiry::end(shown) });
                    Conversation { slot, limits, respond, phase, leave }.hold(stream).await;
                }
                Ok(Err(error)) => {
                    metrics.handshake_failed("tls");
                    tracing::debug!("TLS handshake failed: {error}");
                }
                Err(_) => metrics.handshake_failed("timeout"),
            }
        };
        match &self.workers {
            Some(workers) => workers.hold(stream, hold),
            None => drop(tokio::spawn(hold(stream))),
        }
    }
}

/// One connection after its handshake.
struct Conversation<R> {
    slot: Slot,
    limits: super::Limits,
    respond: R,
    phase: watch::Receiver<Phase>,
    leave: Option<Leave>,
}

/// For how long a client that had to show a certificate may stay.
struct Leave {
    admitted: Admitted,
    /// In Unix seconds.
    end: Option<u64>,
}

impl<R: Respond> Conversation<R> {
    async fn hold<S>(mut self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let activity = Arc::clone(&self.slot.activity);
        activity.begin(Doing::Idle);
        let (respond, phase) = (self.respond.clone(), self.phase.clone());
        let admitted = self.leave.as_ref().map(|leave| leave.admitted.clone());
        let asked = AtomicBool::new(false);
        // Asked when an answer is there, as well as awaited below: what has come about may be seen there only after the answer was written.
        let ends = || {
            *phase.borrow() != Phase::Serving
                || asked.load(Ordering::Relaxed)
                || admitted.as_ref().is_some_and(Admitted::is_withdrawn)
        };
        let service = service_fn(|request: Request<Incoming>| {
            activity.begin(Doing::Work);
            let request = request.map(|body| Arriving { body, activity: Arc::clone(&activity) });
            let (respond, activity, ends) = (&respond, &activity, &ends);
            async move {
                let mut answer = respond.respond(request).await;
                if ends() {
                    // The client's next request comes on another connection, or finds another replica.
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                activity.begin(Doing::Idle);
                Ok::<_, Infallible>(answer)
            }
        });
        let watched = TokioIo::new(Watched { stream, activity: Arc::clone(&activity) });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // hyper's own timeout counts the time between two requests, too: both limits are kept below.
            .header_read_timeout(None)
            .max_buf_size(BUFFER)
            .serve_connection(watched, service);
        let mut connection = pin!(connection);

        let mut others =
            pin!(Seldom::new(others(&activity, self.limits, &mut self.phase, self.leave.as_mut(), &asked)));
        let mut is_told = false;
        let has_ended = std::future::poll_fn(|context| {
            // First, as a request may have come that is better answered than dropped. Errors are the client's: it went away, or spoke something
            // else than HTTP and was told so.
            if connection.as_mut().poll(context).is_ready() {
                return Poll::Ready(true);
            }
            if others.as_mut().poll(context).is_ready() {
                return Poll::Ready(false);
            }
            if !asked.load(Ordering::Relaxed) || std::mem::replace(&mut is_told, true) {
                return Poll::Pending;
            }
            // What is being answered is finished.
            connection.as_mut().graceful_shutdown();
            connection.as_mut().poll(context).map(|_| true)
        });
        if !has_ended.await {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(FAREWELL, connection).await;
        }
    }
}

/// What others want of a connection: resolves when it has to go, and sets `asked` when it should end with its next answer.
async fn others(
    activity: &Activity,
    limits: super::Limits,
    phase: &mut watch::Receiver<Phase>,
    leave: Option<&mut Leave>,
    asked: &AtomicBool,
) {
    let mut ticks = tokio::time::interval((limits.header / 2).max(Duration::from_millis(1)));
    let end = leave.as_ref().and_then(|leave| leave.end);
    let mut closing = pin!(closing(phase));
    let mut withdrawn = pin!(withdrawn(leave));
    let is_asked = || asked.load(Ordering::Relaxed);
    loop {
        tokio::select! {
            () = activity.must_give_way() => return,
            () = &mut closing, if !is_asked() => asked.store(true, Ordering::Relaxed),
            () = &mut withdrawn, if !is_asked() => asked.store(true, Ordering::Relaxed),
            _ = ticks.tick() => {
                if activity.overdue(&limits) {
                    return;
                }
                asked.fetch_or(end.is_some_and(|end| end < expiry::now()), Ordering::Relaxed);
            }
        }
    }
}

/// A body that notices when it has to be waited for.
pub(super) struct Arriving {
    body: Incoming,
    activity: Arc<Activity>,
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match (&polled, self.activity.doing()) {
            (Poll::Pending, Doing::Work) => self.activity.begin(Doing::Body),
            (Poll::Ready(_), Doing::Body) => self.activity.begin(Doing::Work),
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that notices when a request begins to arrive.
struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before && self.activity.doing() == Doing::Idle {
            self.activity.begin(Doing::Head);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Resolves when the server closes, or when nobody is left to say so.
async fn closing(phase: &mut watch::Receiver<Phase>) {
    let _ = phase.wait_for(|phase| *phase == Phase::Closing).await;
}

/// Resolves when the client CA is no longer the one that let the client in.
async fn withdrawn(leave: Option<&mut Leave>) {
    match leave {
        Some(leave) => leave.admitted.withdrawn().await,
        None => std::future::pending().await,
    }
}

/// The connection was gone before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_file_descriptors_is_not_the_clients_doing() {
        const EMFILE: i32 = 24;
        assert!(!is_the_clients(&io::Error::from_raw_os_error(EMFILE)));
        assert!(is_the_clients(&io::Error::from(io::ErrorKind::ConnectionAborted)));
    }
}
