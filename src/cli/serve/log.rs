//! The log: stderr, one line an event, and what a panic may say.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use self::line::Line;
use self::lines::{Flush, Lines};
use super::{LogFormat, LogLevel};

mod line;
mod lines;

/// Sends events to stderr from now on, until what it returns is dropped.
pub(super) fn start(format: LogFormat, level: LogLevel) -> anyhow::Result<Flush> {
    let lost = |count| tracing::warn!(lines = count, "log lines were left out: nobody read stderr");
    let (lines, flush) = Lines::start(std::io::stderr(), lost).context("cannot start the log's thread")?;
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // Other people's crates say at their lower levels what was sent to them, and that is nobody's business.
    let filter = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        // Its warnings quote the answers that it cannot read.
        .with_target("kube_client", LevelFilter::ERROR)
        .with_target("supercargo", level);
    let lines = fmt::layer().with_writer(lines).with_target(false);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).event_format(Line).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    };
    // Fails when there is a subscriber already, and then that one serves as well.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
    quiet_panics();
    Ok(flush)
}

/// A panic says where it happened, and not what it held: the message of a failed slice quotes the text that was sliced.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(%place, thread = thread.name().unwrap_or_default(), "panicked; please report the place");
    }));
}
