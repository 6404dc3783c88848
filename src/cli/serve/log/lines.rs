//! Lines on their way out: gathered in memory, written by a thread of their own.
//!
//! A system call for each line costs a request more than everything else that is done about its line, and a reader that has
//! stopped reading would stop every request with it. Lines that find no room are counted and left out, never waited for.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Some 4,000 lines.
const ROOM: usize = 1 << 20;

/// How long lines are gathered before they are written together: waking the thread for each costs as much as writing them.
const GATHER: Duration = Duration::from_millis(50);

/// What the process waits for at its end when nobody reads.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where lines are put.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

/// Ends the writing when it is dropped, after what was put before.
pub(in super::super) struct Flush(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    text: Vec<u8>,
    lost: u64,
    closing: bool,
    closed: bool,
}

impl Lines {
    /// Starts the thread that writes to `sink`; it tells `lost` how many lines found no room.
    pub(super) fn start<W>(sink: W, lost: fn(u64)) -> io::Result<(Lines, Flush)>
    where
        W: Write + Send + 'static,
    {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let writing = Arc::clone(&shared);
        thread::Builder::new().name("log".to_owned()).spawn(move || writing.write_to(sink, lost))?;
        Ok((Lines(Arc::clone(&shared)), Flush(shared)))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Bytes are appended or taken, so a panic leaves nothing half-done behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to<W: Write>(&self, mut sink: W, lost: fn(u64)) {
        let mut text = Vec::new();
        loop {
            let waiting = |state: &mut State| state.text.is_empty() && state.lost == 0 && !state.closing;
            let state = self.changed.wait_while(self.lock(), waiting).unwrap_or_else(PoisonError::into_inner);
            let gathered = self.changed.wait_timeout_while(state, GATHER, |state| !state.closing);
            let mut state = gathered.unwrap_or_else(PoisonError::into_inner).0;
            std::mem::swap(&mut text, &mut state.text);
            let count = std::mem::take(&mut state.lost);
            if text.is_empty() && count == 0 {
                state.closed = true;
                self.changed.notify_all();
                return;
            }
            drop(state);
            // A log that cannot be written has nowhere to complain.
            let _ = sink.write_all(&text).and_then(|()| sink.flush());
            text.clear();
            if count > 0 {
                lost(count);
            }
        }
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closing = true;
        self.0.changed.notify_all();
        let _ = self.0.changed.wait_timeout_while(state, FAREWELL, |state| !state.closed);
    }
}

impl Write for &Lines {
    /// Takes one whole line, as the subscriber writes it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let one = one_line(line);
        let mut state = self.0.lock();
        let idle = state.text.is_empty();
        if state.text.len() + one.len() <= ROOM {
            state.text.extend_from_slice(&one);
        } else {
            state.lost += 1;
        }
        drop(state);
        if idle {
            self.0.changed.notify_all();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An event as one line, whatever is quoted in it: a line of its own would read like an event of ours.
fn one_line(event: &[u8]) -> Cow<'_, [u8]> {
    let text = event.strip_suffix(b"\n").unwrap_or(event);
    if memchr::memchr2(b'\n', b'\r', text).is_none() {
        return Cow::Borrowed(event);
    }
    let mut line = Vec::with_capacity(event.len() + 8);
    for &byte in text {
        match byte {
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            _ => line.push(byte),
        }
    }
    line.push(b'\n');
    Cow::Owned(line)
}

impl<'l> MakeWriter<'l> for Lines {
    type Writer = &'l Lines;

    fn make_writer(&'l self) -> &'l Lines {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;

    use super::*;

    /// Writes nothing before it may.
    struct Gate {
        entered: mpsc::Sender<()>,
        open: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gate {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _ = self.entered.send(());
            let _ = self.open.recv();
            self.written.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// However long it takes: only `serve` gives up after a while.
    fn end(lines: &Lines, flush: Flush) {
        drop(flush);
        while !lines.0.lock().closed {
            thread::yield_now();
        }
    }

    #[test]
    fn what_was_put_before_the_end_is_written_in_order() {
        let ((entered, _), (open, opened)) = (mpsc::channel(), mpsc::channel());
        drop(open);
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Gate { entered, open: opened, written: Arc::clone(&written) };
        let (lines, flush) = Lines::start(sink, |_| {}).unwrap();
        for number in 0..100 {
            (&lines).write_all(format!("line {number}\n").as_bytes()).unwrap();
        }
        end(&lines, flush);
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let numbers: Vec<u32> = text.lines().map(|line| line["line ".len()..].parse().unwrap()).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn an_event_is_one_line_whatever_it_quotes() {
        assert_eq!(*one_line(b"INFO review\n"), *b"INFO review\n");
        assert_eq!(*one_line(b"WARN kind A\r\nINFO forged\n\n"), *b"WARN kind A\\r\\nINFO forged\\n\n");
    }

    #[test]
    fn a_reader_that_stands_still_costs_lines_and_never_a_wait() {
        static LOST: AtomicU64 = AtomicU64::new(0);
        let ((entered, has_entered), (open, opened)) = (mpsc::channel(), mpsc::channel());
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Gate { entered, open: opened, written: Arc::clone(&written) };
        let (lines, flush) = Lines::start(sink, |count| LOST.store(count, Ordering::SeqCst)).unwrap();
        (&lines).write_all(b"first\n").unwrap();
        has_entered.recv().unwrap();
        let line = vec![b'x'; ROOM / 8];
        for _ in 0..10 {
            (&lines).write_all(&line).unwrap();
        }
        drop(open);
        end(&lines, flush);
        assert_eq!(LOST.load(Ordering::SeqCst), 2);
        assert_eq!(written.lock().unwrap().len(), "first\n".len() + ROOM);
    }
}
