//! How long a request may take: `?timeout=` as the API server writes it, a Go duration; and waiting no longer than that.
//!
//! Knows text, durations and futures only.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// What a request without `?timeout=` gets: the API server's own default for a webhook.
const UNSAID: Duration = Duration::from_secs(10);

/// The API server allows a webhook no more; a client that asks for more gets this.
const LONGEST: Duration = Duration::from_secs(30);

/// The answer has to travel, so it leaves a tenth of the time early, but at most this much.
const HEAD_START: Duration = Duration::from_millis(200);

/// The time until an answer must leave; `None` when `?timeout=` is there and is no duration above zero.
pub(super) fn allowance(query: Option<&str>) -> Option<Duration> {
    let mut pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let Some((_, text)) = pairs.find(|(key, _)| *key == "timeout") else {
        return Some(UNSAID);
    };
    // "µs" is the one unit that does not survive a query as it is.
    let text = if text.contains('%') { Cow::Owned(text.replace("%C2%B5s", "us")) } else { Cow::Borrowed(text) };
    let timeout = go_duration(&text)?.min(LONGEST);
    (!timeout.is_zero()).then(|| timeout.saturating_sub((timeout / 10).min(HEAD_START)))
}

/// What comes of `coming` until then. No timer is set for what need not be waited for, as nearly everything in a review need not.
pub(super) async fn in_time<T>(deadline: Instant, coming: impl Future<Output = T>) -> Option<T> {
    let mut coming = pin!(coming);
    match poll_fn(|context| Poll::Ready(coming.as_mut().poll(context))).await {
        Poll::Ready(came) => Some(came),
        Poll::Pending => timeout_at(deadline, coming).await.ok(),
    }
}

/// Reads what Go's `time.Duration` prints: "2s", "1m30s", "500ms", "1.5s"; no sign.
fn go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut sum = Duration::ZERO;
    if rest.is_empty() || rest.len() > 64 {
        return None;
    }
    while !rest.is_empty() {
        let is_numeric = |byte: u8| byte.is_ascii_digit() || byte == b'.';
        let (number, after) = rest.split_at(rest.bytes().position(|byte| !is_numeric(byte))?);
        let (unit, after) = after.split_at(after.bytes().position(is_numeric).unwrap_or(after.len()));
        let nanos = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3_600 * SECOND,
            _ => return None,
        };
        sum = sum.checked_add(Duration::from_nanos(times(number, nanos)?))?;
        rest = after;
    }
    Some(sum)
}

/// A second, in nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// A decimal number times `unit`, of which nine digits behind the point are looked at.
fn times(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok() };
    let fraction = &fraction[..fraction.len().min(9)];
    let parts = u128::from(digits(fraction)?) * u128::from(unit) / 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    digits(whole)?.checked_mul(unit)?.checked_add(u64::try_from(parts).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_prints() {
        let cases = [
            ("2s", Some(2_000)),
            ("1m30s", Some(90_000)),
            ("500ms", Some(500)),
            ("1.5s", Some(1_500)),
            ("1h0m0.5s", Some(3_600_500)),
            ("1.0000000009999s", Some(1_000)),
            (".5s", Some(500)),
            (".s", None),
            ("0", Some(0)),
            ("1000us", Some(1)),
            ("", None),
            ("5", None),
            ("s", None),
            ("-1s", None),
            ("1.2.3s", None),
            ("1y", None),
            ("99999999999999999999999h", None),
        ];
        for (text, millis) in cases {
            assert_eq!(go_duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn an_answer_leaves_before_the_api_server_gives_up() {
        assert_eq!(allowance(Some("timeout=1s")), Some(Duration::from_millis(900)));
        assert_eq!(allowance(Some("a=b&timeout=10s")), Some(Duration::from_millis(9_800)));
        assert_eq!(allowance(Some("timeout=900h")), Some(LONGEST.saturating_sub(HEAD_START)));
        assert_eq!(allowance(None), Some(UNSAID));
        assert_eq!(allowance(Some("timeout")), Some(UNSAID));
        assert_eq!(allowance(Some("timeout=0s")), None);
        assert_eq!(allowance(Some("timeout=soon")), None);
    }
}
