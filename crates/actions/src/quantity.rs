//! Amounts of a resource, such as `500m` or `2Gi`: read, compared, added, and written in the one form in which the API server
//! gives them back. What they are amounts of does not belong here.

use std::fmt;

/// Powers of ten and their suffixes, the largest first.
const DECIMAL: [(u32, &str); 6] = [
    (18, "E"),
    (15, "P"),
    (12, "T"),
    (9, "G"),
    (6, "M"),
    (3, "k"),
];

/// Suffixes of the powers of 1024, from the first.
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// Thousandths in a unit: the API server keeps no finer amounts of a container's resources.
const MILLI: i128 = 1000;

/// Most units that the API server takes for what they are; it cuts off more.
const MOST: i128 = i64::MAX as i128;

/// An amount of at least zero, in thousandths, rounded up as the API server does.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    millis: i128,
    /// Whether it was written with a power of 1024.
    is_binary: bool,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self {
        millis: 0,
        is_binary: false,
    };

    /// Reads an amount; `None` for what is none, or is negative or beyond all bounds.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let end = text.find(|one: char| !one.is_ascii_digit() && one != '.');
        let (number, suffix) = text.split_at(end.unwrap_or(text.len()));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let places = u32::try_from(fraction.len()).ok()?;
        let (factor, divisor) = scale(suffix)?;
        let divisor = divisor.checked_mul(10_i128.checked_pow(places)?)?;
        let scaled = digits.checked_mul(factor)?.checked_mul(MILLI)?;
        let rounded_up = scaled.checked_add(divisor.checked_sub(1)?)?;
        let millis = rounded_up.checked_div(divisor)?;
        (millis / MILLI <= MOST).then_some(Self {
            millis,
            is_binary: BINARY.contains(&suffix),
        })
    }

    /// In thousandths of a unit.
    #[must_use]
    pub fn millis(self) -> i128 {
        self.millis
    }

    /// Whether it is less than another.
    #[must_use]
    pub fn is_less_than(self, other: Self) -> bool {
        self.millis < other.millis
    }

    /// Whether it is the same amount, however written.
    #[must_use]
    pub fn is_same_as(self, other: Self) -> bool {
        self.millis == other.millis
    }

    /// The sum, in the form of the first.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            millis: self.millis.saturating_add(other.millis),
            ..self
        }
    }

    /// What is more than the other; nothing when it is less.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            millis: self.millis.saturating_sub(other.millis).max(0),
            ..self
        }
    }

    /// So many times as much.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        Self {
            millis: self.millis.saturating_mul(i128::from(count)),
            ..self
        }
    }
}

/// What an amount with this suffix is multiplied with, and divided by.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    if suffix.is_empty() {
        return Some((1, 1));
    }
    if let Some(small) = ["m", "u", "n"].iter().position(|one| *one == suffix) {
        let power = u32::try_from(small).ok()?.checked_add(1)?;
        return Some((1, 1000_i128.checked_pow(power)?));
    }
    if let Some((power, _)) = DECIMAL.iter().find(|(_, one)| *one == suffix) {
        return Some((10_i128.checked_pow(*power)?, 1));
    }
    if let Some(index) = BINARY.iter().position(|one| *one == suffix) {
        let power = u32::try_from(index).ok()?.checked_add(1)?;
        return Some((1024_i128.checked_pow(power)?, 1));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    Some(if exponent < 0 { (1, power) } else { (power, 1) })
}

/// The form in which the API server gives it back: the largest suffix that leaves a whole number. An amount below 1024, or
/// one that is not whole, has none of the powers of 1024.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.millis / MILLI;
        if self.millis % MILLI != 0 {
            return write!(f, "{}m", self.millis);
        }
        if self.is_binary && whole >= 1024 {
            let (mut amount, mut suffix) = (whole, "");
            for next in BINARY {
                if amount % 1024 != 0 {
                    break;
                }
                (amount, suffix) = (amount / 1024, next);
            }
            return write!(f, "{amount}{suffix}");
        }
        let fits = |(power, _): &&(u32, &str)| whole != 0 && whole % 10_i128.pow(*power) == 0;
        match DECIMAL.iter().find(fits) {
            Some((power, suffix)) => write!(f, "{}{suffix}", whole / 10_i128.pow(*power)),
            None => write!(f, "{whole}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Option<String> {
        Quantity::parse(text).map(|quantity| quantity.to_string())
    }

    #[test]
    fn amounts_are_written_as_the_api_server_gives_them_back() {
        for (written, shown) in [
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("2", "2"),
            ("2.", "2"),
            ("12000", "12k"),
            ("1024Mi", "1Gi"),
            ("1536Mi", "1536Mi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("1Ki", "1Ki"),
            ("1024", "1024"),
            ("1e3", "1k"),
            ("5E", "5E"),
            ("100u", "1m"),
            ("1n", "1m"),
            ("0", "0"),
            ("0Mi", "0"),
        ] {
            assert_eq!(canonical(written).as_deref(), Some(shown), "{written}");
        }
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for odd in [
            "",
            "Mi",
            "1.2.3",
            "-1",
            "1mi",
            "1 Gi",
            "1e",
            "1eKi",
            "99999999999999999999999999999E",
            "9Ei",
        ] {
            assert_eq!(canonical(odd), None, "{odd}");
        }
    }

    #[test]
    fn amounts_are_compared_and_added_by_what_they_are_worth() {
        let of = |text: &str| Quantity::parse(text).expect("is an amount");
        assert!(of("1023Mi").is_less_than(of("1Gi")) && !of("1024Mi").is_less_than(of("1Gi")));
        assert!(of("1000m").is_same_as(of("1")) && !of("1001m").is_same_as(of("1")));
        assert_eq!(of("512Mi").plus(of("512Mi")).to_string(), "1Gi");
        assert_eq!(of("2").minus(of("500m")).to_string(), "1500m");
        assert_eq!(of("1").minus(of("2")).to_string(), "0");
        assert_eq!(of("250m").times(4).to_string(), "1");
    }
}
