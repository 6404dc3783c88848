//! Kubernetes quantities ("500m", "1Gi", "1e3"), exact: no floats. Knows nothing of what is counted.

use std::fmt;

const NANO: i128 = 1_000_000_000;

/// An amount in billionths of its unit (cores, bytes, pieces).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(i128);

/// The text is no quantity; it is quoted, cut to 40 characters, so that a message can show it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a quantity: write a number and at most one of n u m k M G T P E, Ki Mi Gi Ti Pi Ei or e<digits>")]
pub struct QuantityError(String);

/// Parses a quantity into exact nano-units.
///
/// Follows apimachinery's `resource.Quantity`: binary (Ki..Ei), decimal (n..E) and exponent suffixes; anything finer than a
/// billionth is rounded up, away from zero, and what 128 bits cannot hold is cut to the largest value they can.
pub fn parse(text: &str) -> Result<Quantity, QuantityError> {
    exact(text).ok_or_else(|| QuantityError(text.chars().take(40).collect()))
}

fn exact(text: &str) -> Option<Quantity> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let is_numeric = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let end = unsigned.bytes().position(|byte| !is_numeric(byte)).unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let point = number.bytes().position(|byte| byte == b'.');
    let (whole, fraction) = point.map_or((number, ""), |point| (&number[..point], &number[point + 1..]));
    if (whole.is_empty() && fraction.is_empty()) || fraction.bytes().any(|byte| byte == b'.') {
        return None;
    }
    let (binary, decimal) = scale(suffix)?;

    // digits × 1024^binary × 10^(decimal - fraction digits), in nano-units
    let digits = whole.bytes().chain(fraction.bytes()).map(|digit| u64::from(digit - b'0'));
    let mut amount = if number.len() <= FEW_DIGITS {
        i128::from(digits.fold(0, |amount, digit| amount * 10 + digit))
    } else {
        digits.fold(0_i128, |amount, digit| amount.saturating_mul(10).saturating_add(i128::from(digit)))
    };
    if binary > 0 {
        amount = amount.saturating_mul(1_i128 << (10 * binary));
    }
    let exponent = decimal.saturating_add(9).saturating_sub(i32::try_from(fraction.len()).ok()?);
    let factor = usize::try_from(exponent.unsigned_abs()).ok().and_then(|power| POWERS_OF_TEN.get(power));
    let factor = factor.copied().unwrap_or(i128::MAX);
    amount =
        if exponent >= 0 { amount.saturating_mul(factor) } else { amount / factor + i128::from(amount % factor != 0) };
    Some(Quantity(if negative { -amount } else { amount }))
}

/// So many fit into 64 bits, which are counted with in a tenth of the time of 128.
const FEW_DIGITS: usize = 18;

/// As many as 128 bits hold.
const POWERS_OF_TEN: [i128; 39] = {
    let mut powers = [1; 39];
    let mut power = 1;
    while power < powers.len() {
        powers[power] = 10 * powers[power - 1];
        power += 1;
    }
    powers
};

/// The power of 1024 and the power of ten that a suffix stands for.
fn scale(suffix: &str) -> Option<(u32, i32)> {
    Some(match suffix {
        "" => (0, 0),
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (1, 0),
        "Mi" => (2, 0),
        "Gi" => (3, 0),
        "Ti" => (4, 0),
        "Pi" => (5, 0),
        "Ei" => (6, 0),
        _ => {
            let digits = suffix.strip_prefix(['e', 'E'])?;
            let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
            if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            // Beyond ±99 the result is zero or the largest value anyway.
            (0, digits.parse::<i32>().map_or(99, |exponent| exponent.clamp(-99, 99)))
        }
    })
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Quantity = Quantity(0);

    /// One of its unit.
    pub const ONE: Quantity = Quantity(NANO);

    /// The sum, cut at what 128 bits hold.
    #[must_use]
    pub fn plus(self, other: Quantity) -> Quantity {
        Quantity(self.0.saturating_add(other.0))
    }

    /// Thousandths of the unit, rounded up as the scheduler counts cpu; nothing when negative, cut at what 64 bits hold.
    pub fn millis(self) -> u64 {
        self.in_units_of(NANO / 1000)
    }

    /// Whole units, rounded up as the scheduler counts memory; nothing when negative, cut at what 64 bits hold.
    pub fn units(self) -> u64 {
        self.in_units_of(NANO)
    }

    /// Billionths of the unit; nothing when negative.
    pub fn nanos(self) -> u128 {
        self.0.max(0).unsigned_abs()
    }

    fn in_units_of(self, unit: i128) -> u64 {
        let amount = self.0.max(0);
        u64::try_from(amount / unit + i128::from(amount % unit != 0)).unwrap_or(u64::MAX)
    }

    /// Rounded up to whole thousandths, as the API server stores what a container asks for.
    #[must_use]
    pub fn in_millis(self) -> Quantity {
        let milli = NANO / 1000;
        let over = self.0.rem_euclid(milli);
        if over == 0 { self } else { Quantity(self.0.saturating_add(milli - over)) }
    }

    /// Whether this can be counted out in parts of that size.
    pub fn is_multiple_of(self, part: Quantity) -> bool {
        self.0.checked_rem(part.0) == Some(0)
    }

    /// Whether this is less than nothing.
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }
}

impl fmt::Display for Quantity {
    /// A plain decimal number, with no suffix.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / NANO, (self.0 % NANO).unsigned_abs());
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let sign = if self.0 < 0 && whole == 0 { "-" } else { "" };
        let fraction = format!("{rest:09}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_mean_what_apimachinery_says() {
        for (text, nanos) in [
            ("0", 0),
            ("500m", 500_000_000),
            ("1", NANO),
            ("1Gi", 1_073_741_824 * NANO),
            ("1.5Ki", 1536 * NANO),
            (".5", NANO / 2),
            ("5.", 5 * NANO),
            ("1e3", 1000 * NANO),
            ("1E3", 1000 * NANO),
            ("2E", 2_000_000_000_000_000_000 * NANO),
            ("12e-1", 1_200_000_000),
            ("-1k", -1000 * NANO),
            ("+1M", 1_000_000 * NANO),
            ("1n", 1),
        ] {
            assert_eq!(parse(text), Ok(Quantity(nanos)), "{text}");
        }
    }

    #[test]
    fn finer_than_a_billionth_rounds_up() {
        assert_eq!(parse("0.1n"), Ok(Quantity(1)));
        assert_eq!(parse("-0.0000000001"), Ok(Quantity(-1)));
        assert_eq!(parse("0.0000000000"), Ok(Quantity(0)));
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "-", ".", "1GB", "1 Gi", "Gi", "1..2", "1.2.3", "0x10", "1e", "1ki", "ten", "१"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn few_digits_and_many_mean_the_same() {
        for (text, same) in [
            ("123456789012345678", "0123456789012345678"),
            ("1.2345678901234567", "1.23456789012345670"),
            ("1e29", "100000000000000000000000000000"),
            ("-1e30", "-9e99"),
            ("1e-38", "0.00000000000000000000000000000000000001"),
            ("1e-99", "1n"),
        ] {
            assert_eq!(parse(text).unwrap(), parse(same).unwrap(), "{text}");
        }
        assert_eq!(parse("1234567890123456789").unwrap().units(), 1_234_567_890_123_456_789);
    }

    #[test]
    fn absurd_sizes_do_not_overflow() {
        let huge = parse(&"9".repeat(200)).unwrap();
        assert!(huge > parse("8Ei").unwrap());
        assert!(parse("1e999999999999").unwrap() > parse("8Ei").unwrap());
        assert_eq!(huge.plus(huge), Quantity(i128::MAX));
    }

    #[test]
    fn counted_as_the_scheduler_counts() {
        for (text, millis, units) in [
            ("500m", 500, 1),
            ("1.0001", 1001, 2),
            ("1n", 1, 1),
            ("2", 2000, 2),
            ("-1", 0, 0),
            ("1Ki", 1_024_000, 1024),
        ] {
            let quantity = parse(text).unwrap();
            assert_eq!((quantity.millis(), quantity.units()), (millis, units), "{text}");
        }
        assert_eq!(parse("1e99").unwrap().units(), u64::MAX);
    }

    #[test]
    fn stored_in_thousandths() {
        for (text, stored) in [("1", "1"), ("1n", "1m"), ("1500u", "2m"), ("-1500u", "-1m"), ("1Ki", "1024")] {
            assert_eq!(parse(text).unwrap().in_millis(), parse(stored).unwrap(), "{text}");
        }
        assert!(parse(&"9".repeat(200)).unwrap().in_millis() > parse("8Ei").unwrap());
    }

    #[test]
    fn counted_out_in_parts() {
        for (text, part, expected) in [
            ("3", "1", true),
            ("1500m", "1", false),
            ("1000m", "1", true),
            ("1Gi", "2Mi", true),
            ("1.5Gi", "1Gi", false),
            ("0", "2Mi", true),
            ("1", "0", false),
        ] {
            assert_eq!(parse(text).unwrap().is_multiple_of(parse(part).unwrap()), expected, "{text} in {part}");
        }
    }

    #[test]
    fn shown_as_a_plain_number() {
        assert_eq!(parse("1500m").unwrap().to_string(), "1.5");
        assert_eq!(parse("-500m").unwrap().to_string(), "-0.5");
        assert_eq!(parse("1Ki").unwrap().to_string(), "1024");
    }
}
