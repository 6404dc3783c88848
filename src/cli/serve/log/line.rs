//! An event as a line of text: when, how grave, what, and its fields, as tracing-subscriber's own format has it, and with control characters
//! escaped in every value, not in the message alone: what is quoted from elsewhere must not steer the terminal of who reads it.
//!
//! A review is a line, and with that format it cost a twentieth of a pod's CPU: each value went through a chain of formatters. Here what needs no
//! escape is copied as it stands, and the second is put into words once.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Debug, Write};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// `2026-11-28T10:00:00.123456Z  INFO review webhook=mutate uid="…"`
pub(super) struct Line;

/// What a thread keeps at hand for its next line; the memory of a longer one is given back.
const ROOM: usize = 4 << 10;

thread_local! {
    /// The last second that was written, and its words: "2026-11-28T10:00:00".
    static SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };

    /// The memory of the last line. It is taken while one is put together: a value that is put into words may say something itself.
    static LINE: Cell<String> = const { Cell::new(String::new()) };
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        // Put together apart from `out`, to which every piece would be a call of its own.
        let mut line = LINE.take();
        line.clear();
        time(Timestamp::now(), &mut line)?;
        let (colour, level) = grave(*event.metadata().level());
        let (before, after) = if out.has_ansi_escapes() { (colour, "\u{1b}[0m ") } else { ("", " ") };
        line.extend([" ", before, level, after]);
        let mut is_bare = true;
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            is_bare = false;
            line.push_str(span.name());
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>().filter(|fields| !fields.is_empty()) {
                line.extend(["{", fields.as_str(), "}"]);
            }
            line.push(':');
        }
        if !is_bare {
            line.push(' ');
        }
        let mut fields = Fields { line: &mut line, is_first: true, outcome: Ok(()) };
        event.record(&mut fields);
        fields.outcome?;
        line.push('\n');
        out.write_str(&line)?;
        if line.capacity() <= ROOM {
            LINE.set(line);
        }
        Ok(())
    }
}

fn time(now: Timestamp, line: &mut String) -> fmt::Result {
    let (second, micros) = (now.as_second(), now.subsec_microsecond());
    SECOND.with_borrow_mut(|(known, words)| {
        if *known != second {
            *known = second;
            words.clear();
            let whole = Timestamp::from_second(second).unwrap_or_default();
            write!(words, "{whole}")?;
            // The Z comes after the fraction.
            words.pop();
        }
        line.push_str(words);
        fmt::Result::Ok(())
    })?;
    line.push('.');
    push_digits(micros.unsigned_abs().into(), 6, line);
    line.push('Z');
    Ok(())
}

/// The colour of a level, and its name as far to the right as the longest.
fn grave(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::ERROR => ("\u{1b}[31m", "ERROR"),
        Level::WARN => ("\u{1b}[33m", " WARN"),
        Level::INFO => ("\u{1b}[32m", " INFO"),
        Level::DEBUG => ("\u{1b}[34m", "DEBUG"),
        Level::TRACE => ("\u{1b}[35m", "TRACE"),
    }
}

/// Appends a number, with zeros in front where it has fewer digits than that.
fn push_digits(number: u64, least: usize, line: &mut String) {
    let mut digits = [b'0'; 20];
    let (mut rest, mut start) = (number, digits.len());
    while rest > 0 || digits.len() - start < least {
        start -= 1;
        digits[start] += (rest % 10) as u8;
        rest /= 10;
    }
    digits[start..].iter().for_each(|digit| line.push(char::from(*digit)));
}

/// Writes the message, which comes first, and then ` name=value` for each field.
struct Fields<'l> {
    line: &'l mut String,
    is_first: bool,
    outcome: fmt::Result,
}

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl FnOnce(&mut String) -> fmt::Result) {
        if self.outcome.is_err() {
            return;
        }
        if !std::mem::take(&mut self.is_first) {
            self.line.push(' ');
        }
        let name = field.name();
        if name != "message" {
            self.line.extend([name.strip_prefix("r#").unwrap_or(name), "="]);
        }
        self.outcome = value(self.line);
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        // What `Debug` would change: quotes, backslashes, and whatever is not plain ASCII.
        let is_plain = is_plain(value, |byte| byte != b'"' && byte != b'\\');
        self.put(field, |line| {
            if !is_plain {
                return write!(line, "{value:?}");
            }
            line.extend(["\"", value, "\""]);
            Ok(())
        });
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, |line| line.write_str(if value { "true" } else { "false" }));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, |line| {
            push_digits(value, 1, line);
            Ok(())
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, |line| write!(Harmless(line), "{value:?}"));
    }
}

/// Escapes control characters but for those that end a line, which is seen to where lines are gathered ([`super::lines`]).
struct Harmless<'l>(&'l mut String);

impl Write for Harmless<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let harmful = |character: char| character.is_control() && !matches!(character, '\t' | '\n' | '\r');
        if is_plain(text, |_| true) || !text.contains(harmful) {
            return self.0.write_str(text);
        }
        text.chars().try_for_each(|character| match u32::from(character) {
            _ if !harmful(character) => self.0.write_char(character),
            code @ ..0x80 => write!(self.0, "\\x{code:02x}"),
            code => write!(self.0, "\\u{{{code:x}}}"),
        })
    }
}

/// Whether all of it can be seen on any terminal, and `also` is true of each byte. (Not as a search, which would look at a byte after the other.)
fn is_plain(text: &str, also: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~') & also(byte))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for &Kept {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'k> MakeWriter<'k> for Kept {
        type Writer = &'k Kept;
        fn make_writer(&'k self) -> &'k Kept {
            self
        }
    }

    impl Kept {
        /// Without the times.
        fn lines(&self) -> Vec<String> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
        }
    }

    #[test]
    fn a_line_is_what_tracing_subscriber_makes_of_the_event() {
        let (ours, theirs) = (Kept::default(), Kept::default());
        let plain = tracing_subscriber::fmt::layer().with_target(false).with_ansi(false);
        let subscriber = tracing_subscriber::registry()
            .with(plain.with_writer(theirs.clone()))
            .with(tracing_subscriber::fmt::layer().with_ansi(false).with_writer(ours.clone()).event_format(Line));
        tracing::subscriber::with_default(subscriber, || {
            let name = "a \"b\"\\\n\u{1b}[2J\u{7f}ä";
            tracing::info!(webhook = %"mutate", uid = "u-1", name, dry_run = false, microseconds = 17_u64, "review");
            tracing::error!(reason = ?Some("x"), "two {}: {}", "words", 1);
            tracing::warn!(share = 0.5, less = -3, "careful");
            tracing::warn!("quoted: {}", "\u{1b}[2J\u{7}\u{9b}\u{7f}\tä");
            let span = tracing::debug_span!("review", webhook = %"validate", uid = name);
            span.in_scope(|| tracing::debug!("inside"));
            tracing::debug_span!("bare").in_scope(|| {
                tracing::trace!(lines = 3);
                tracing::debug_span!("inner", of = 2).in_scope(|| tracing::info!("deeper"));
            });
        });
        assert_eq!(ours.lines(), theirs.lines());
        assert_eq!(ours.lines().len(), 7);
    }

    #[test]
    fn words_have_no_quotes_and_numbers_all_their_digits() {
        let lines = Kept::default();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(lines.clone()).event_format(Line);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(webhook = %"mutate", name = "web", none = 0_u64, all = u64::MAX, "review");
            tracing::info!(decision = "a\nb");
        });
        let expected =
            [r#" INFO review webhook=mutate name="web" none=0 all=18446744073709551615"#, r#" INFO decision="a\nb""#];
        assert_eq!(lines.lines(), expected);
    }

    #[test]
    fn no_value_steers_a_terminal() {
        let lines = Kept::default();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(lines.clone()).event_format(Line);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let text = "\u{1b}]0;x\u{0}\u{9c}";
            tracing::warn!(reason = %text, "{text}");
        });
        assert_eq!(lines.lines(), [r" WARN \x1b]0;x\x00\u{9c} reason=\x1b]0;x\x00\u{9c}"]);
    }

    #[test]
    fn time_goes_on_within_a_second_and_beyond() {
        let mut text = String::new();
        for micros in [1_795_860_000_000_007, 1_795_860_000_123_456, 1_795_860_001_000_000, 1_795_860_000_999_999] {
            time(Timestamp::from_microsecond(micros).unwrap(), &mut text).unwrap();
            text.push(' ');
        }
        let expected = "2026-11-28T10:00:00.000007Z 2026-11-28T10:00:00.123456Z 2026-11-28T10:00:01.000000Z 2026-11-28T10:00:00.999999Z ";
        assert_eq!(text, expected);
    }
}
