//! Quantities of resources as the API writes them, such as `500m` and `2Gi`, as whole billionths.

/// Billionths in one.
const ONE: i128 = 1_000_000_000;
/// Thousandths as billionths.
const MILLI: i128 = 1_000_000;

/// A quantity in billionths; `None` when it is none, or too large to count with.
pub(super) fn parse(text: &str) -> Option<i128> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-'))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(end)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let decimals = u32::try_from(fraction.len()).ok()?;
    let (numerator, denominator) = factor(suffix)?;
    let denominator = denominator.checked_mul(10_i128.checked_pow(decimals)?)?;
    digits
        .checked_mul(numerator)?
        .checked_mul(ONE)?
        .checked_div(denominator)
}

/// What a suffix multiplies by, as a fraction.
fn factor(suffix: &str) -> Option<(i128, i128)> {
    let thousands = |power| Some((1000_i128.checked_pow(power)?, 1));
    let kibi = |power| Some((1024_i128.checked_pow(power)?, 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, ONE)),
        "u" => Some((1, MILLI)),
        "m" => Some((1, 1000)),
        "k" => thousands(1),
        "M" => thousands(2),
        "G" => thousands(3),
        "T" => thousands(4),
        "P" => thousands(5),
        "E" => thousands(6),
        "Ki" => kibi(1),
        "Mi" => kibi(2),
        "Gi" => kibi(3),
        "Ti" => kibi(4),
        "Pi" => kibi(5),
        "Ei" => kibi(6),
        _ => exponent(suffix),
    }
}

fn exponent(suffix: &str) -> Option<(i128, i128)> {
    let digits = suffix.strip_prefix(['e', 'E'])?;
    let power: i32 = digits.parse().ok()?;
    let scale = 10_i128.checked_pow(power.unsigned_abs())?;
    Some(if power < 0 { (1, scale) } else { (scale, 1) })
}

/// Billionths for people: whole, or rounded up to thousandths.
pub(super) fn show(billionths: i128) -> String {
    if billionths % ONE == 0 {
        (billionths / ONE).to_string()
    } else {
        format!("{}m", (billionths + MILLI - 1) / MILLI)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_the_api_takes_is_read() {
        let table = [
            ("2", 2 * ONE),
            ("0.5", ONE / 2),
            (".5", ONE / 2),
            ("500m", ONE / 2),
            ("100n", 100),
            ("7u", 7000),
            ("1.5k", 1500 * ONE),
            ("2Gi", 2_147_483_648 * ONE),
            ("1E", 1_000_000_000_000_000_000 * ONE),
            ("2e3", 2000 * ONE),
            ("5E-1", ONE / 2),
            ("-3", -3 * ONE),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for odd in ["", "Gi", "1Q", "1.2.3", "two", "9e99", "1e"] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn thousandths_are_shown_where_there_are_parts() {
        assert_eq!(show(2 * ONE), "2");
        assert_eq!(show(ONE / 2), "500m");
        assert_eq!(show(1), "1m");
    }
}
