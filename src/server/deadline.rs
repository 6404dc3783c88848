//! How long a request may take: `?timeout=` as the API server writes it, a Go duration.
//!
//! Knows text and durations only.

use std::borrow::Cow;
use std::time::Duration;

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
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let seconds = match &rest[..unit] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        rest = &rest[unit..];
        sum = sum.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
    }
    Some(sum)
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
