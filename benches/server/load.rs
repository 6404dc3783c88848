//! Sends reviews over TLS keep-alive connections, as an API server does, and times the answers.
//!
//! One blocking thread a connection: nothing but the socket lies between the clock and the server. Knows HTTP/1.1 as far as
//! the two servers speak it; knows nothing of what the reviews ask.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Sleeping ends up to about 100 µs late, which is as long as an answer takes: the last bit is waited for awake.
const AWAKE: Duration = Duration::from_micros(200);

/// An HTTP request, ready to be sent.
pub struct Message {
    bytes: Vec<u8>,
    /// Whether its latency counts among the large ones.
    pub large: bool,
}

/// When requests are sent.
#[derive(Clone, Copy)]
pub enum Pace {
    /// Each connection sends when it has its answer.
    Closed,
    /// This many a second, at times that do not depend on the answers.
    Open(f64),
}

/// Where to send.
#[derive(Clone)]
pub struct Client {
    pub address: SocketAddr,
    pub tls: Arc<ClientConfig>,
}

/// What was sent and how long it took.
#[derive(Default)]
pub struct Timed {
    pub seconds: f64,
    /// Milliseconds from the intended send time to the last byte of the answer.
    pub small: Vec<f64>,
    pub large: Vec<f64>,
}

impl Message {
    /// A POST of `body` to `path`.
    pub fn post(path: &str, body: &[u8]) -> Self {
        let head = format!(
            "POST {path}?timeout=10s HTTP/1.1\r\nHost: supercargo.supercargo.svc:443\r\nUser-Agent: kube-apiserver-admission\r\n\
             Content-Length: {}\r\nAccept: application/json, */*\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n",
            body.len()
        );
        Message { bytes: [head.as_bytes(), body].concat(), large: body.len() > 500_000 }
    }
}

impl Timed {
    /// How many answers there were.
    pub fn count(&self) -> usize {
        self.small.len() + self.large.len()
    }
}

/// One keep-alive connection.
pub struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects; the handshake is done with the first message.
    pub fn open(client: &Client) -> Result<Self> {
        let socket = TcpStream::connect_timeout(&client.address, Duration::from_secs(5))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        let tls = ClientConnection::new(Arc::clone(&client.tls), ServerName::try_from("localhost")?)?;
        Ok(Connection { stream: StreamOwned::new(tls, socket), buffer: Vec::with_capacity(16 << 10) })
    }

    /// Sends a message and returns the body of its answer, which must be a 200.
    pub fn ask(&mut self, message: &Message) -> Result<&[u8]> {
        self.stream.write_all(&message.bytes)?;
        self.stream.flush()?;
        self.buffer.clear();
        let mut end = None;
        loop {
            let from = self.buffer.len();
            self.buffer.resize(from + (16 << 10), 0);
            let read = self.stream.read(&mut self.buffer[from..])?;
            self.buffer.truncate(from + read);
            ensure!(read > 0, "the server closed the connection");
            if end.is_none() {
                end = answer_end(&self.buffer)?;
            }
            if let Some((body, end)) = end.filter(|(_, end)| self.buffer.len() >= *end) {
                return Ok(&self.buffer[body..end]);
            }
        }
    }
}

/// Where the body of the answer begins and ends, once its head is complete.
fn answer_end(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(head) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..head])?;
    if !text.starts_with("HTTP/1.1 200 ") {
        bail!("not answered: {}", String::from_utf8_lossy(bytes));
    }
    let mut lines = text.lines().filter_map(|line| line.split_once(": "));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length")).context("no content-length")?;
    let body = head + 4;
    Ok(Some((body, body + length.1.parse::<usize>()?)))
}

/// Sends `messages` in turn over `connections` for `lasting`; `measured` is called when the first is sent and after the last
/// answer, with connections made and one answer had on each before.
pub fn run(
    client: &Client,
    messages: &[Arc<Message>],
    connections: usize,
    pace: Pace,
    lasting: Duration,
    mut measured: impl FnMut() -> Result<f64>,
) -> Result<(Timed, f64)> {
    let due = match pace {
        Pace::Closed => Vec::new(),
        Pace::Open(rate) => arrivals(rate, lasting),
    };
    let (next, begin, finished) = (AtomicUsize::new(0), Barrier::new(connections + 1), Barrier::new(connections + 1));
    let origin = Mutex::new(Instant::now());
    let turn = || -> Result<Timed> {
        let opened = Connection::open(client).and_then(|mut connection| {
            connection.ask(&messages[0])?;
            Ok(connection)
        });
        begin.wait();
        begin.wait();
        let start = *origin.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = opened.and_then(|mut connection| {
            let mut timed = Timed::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let intended = match pace {
                    Pace::Closed => Instant::now(),
                    Pace::Open(_) => match due.get(number) {
                        Some(offset) => wait_until(start + *offset),
                        None => break,
                    },
                };
                if intended >= start + lasting {
                    break;
                }
                let message = &messages[number % messages.len()];
                connection.ask(message)?;
                let took = intended.elapsed().as_secs_f64() * 1e3;
                if message.large { &mut timed.large } else { &mut timed.small }.push(took);
            }
            Ok((timed, connection))
        });
        // Closing is not part of the work that is measured.
        finished.wait();
        finished.wait();
        sent.map(|(timed, _)| timed)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(turn)).collect();
        begin.wait();
        let before = measured();
        let start = Instant::now();
        *origin.lock().unwrap_or_else(PoisonError::into_inner) = start;
        begin.wait();
        finished.wait();
        let seconds = start.elapsed().as_secs_f64();
        let after = measured();
        finished.wait();
        let mut all = Timed { seconds, ..Timed::default() };
        for thread in threads {
            let Ok(timed) = thread.join() else { bail!("a connection's thread panicked") };
            let timed = timed?;
            all.small.extend(timed.small);
            all.large.extend(timed.large);
        }
        Ok((all, after? - before?))
    })
}

/// Send times with exponential gaps, the same in every run: requests of an API server come in bunches, not on a beat.
fn arrivals(rate: f64, lasting: Duration) -> Vec<Duration> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut at = 0.0;
    let mut times = Vec::new();
    while at < lasting.as_secs_f64() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        #[expect(clippy::cast_precision_loss, reason = "a random number")]
        let uniform = ((state >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        times.push(Duration::from_secs_f64(at));
        at += -uniform.ln() / rate;
    }
    times
}

fn wait_until(due: Instant) -> Instant {
    let left = due.saturating_duration_since(Instant::now());
    if left > AWAKE {
        thread::sleep(left.saturating_sub(AWAKE));
    }
    while Instant::now() < due {
        std::hint::spin_loop();
    }
    due
}
