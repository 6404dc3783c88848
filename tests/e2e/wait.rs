//! Waiting for a condition: nothing in these tests sleeps for a guessed time.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep, timeout_at};

/// How often a condition is looked at. The API server answers in a few milliseconds, so this is the resolution of the
/// times that the runner prints.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks `probe` again and again until it gives a value; an error of `probe` means "not yet" as `Ok(None)` does.
///
/// Fails when `deadline` has passed, naming `what` and the last error of the probe.
pub async fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut probe: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    let mut last = String::from("the condition was false");
    loop {
        match timeout_at(end, probe()).await {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Ok(None)) => last = String::from("the condition was false"),
            Ok(Err(error)) => last = format!("{error:#}"),
            Err(_) => bail!("waited {deadline:?} for {what}: the last look did not end (the one before: {last})"),
        }
        if Instant::now() + PAUSE >= end {
            bail!("waited {deadline:?} for {what}: {last}");
        }
        sleep(PAUSE).await;
    }
}
