//! Durations as the resource writes them: `90s`, `10m` or `2h` in the spec, `1m30s` or `250ms` in the status. What a
//! duration is for, and which bounds it has, stands with the fields.

use std::fmt::Write as _;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseDurationError {
    /// The text is not digits followed by one unit.
    #[error(
        "failed to read duration {text:?}: write a whole number and one unit (s, m or h), such as 90s, 10m or 2h"
    )]
    ReadText {
        /// The text as it was written.
        text: String,
    },
    /// The number does not fit.
    #[error("failed to read duration {text:?}: it is too long, write at most 24h")]
    FitNumber {
        /// The text as it was written.
        text: String,
    },
}

/// Reads a duration of the form `^[0-9]+(s|m|h)$`.
pub fn parse(text: &str) -> Result<Duration, ParseDurationError> {
    let unreadable = || ParseDurationError::ReadText {
        text: text.to_owned(),
    };
    let (digits, seconds_per_unit) = [("s", 1), ("m", 60), ("h", 3600)]
        .into_iter()
        .find_map(|(unit, seconds)| text.strip_suffix(unit).map(|digits| (digits, seconds)))
        .ok_or_else(unreadable)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(unreadable());
    }
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(seconds_per_unit))
        .map(Duration::from_secs)
        .ok_or_else(|| ParseDurationError::FitNumber {
            text: text.to_owned(),
        })
}

/// Writes a duration the way the status shows it: `250ms`, `1.5s`, `45s`, `3m`, `1m30s`, `2h`, `1h0m5s`.
///
/// Below one second it counts milliseconds, below one minute seconds with tenths, from one minute on whole seconds;
/// what is finer is cut off.
#[must_use]
pub fn format(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    if seconds == 0 && millis > 0 {
        return format!("{millis}ms");
    }
    if seconds < 60 {
        let tenths = millis / 100;
        return if tenths == 0 {
            format!("{seconds}s")
        } else {
            format!("{seconds}.{tenths}s")
        };
    }
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = String::new();
    // Writing to a String cannot fail.
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if minutes > 0 || (hours > 0 && rest > 0) {
        let _ = write!(text, "{minutes}m");
    }
    if rest > 0 {
        let _ = write!(text, "{rest}s");
    }
    text
}

/// A duration of the spec: keeps the text as its author wrote it, so that writing the object back changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurationText {
    text: String,
    value: Duration,
}

impl DurationText {
    /// A duration of this many whole seconds.
    #[must_use]
    pub fn from_seconds(seconds: u32) -> Self {
        let seconds = u64::from(seconds);
        let text = match seconds {
            0 => "0s".to_owned(),
            _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
            _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
            _ => format!("{seconds}s"),
        };
        Self {
            text,
            value: Duration::from_secs(seconds),
        }
    }

    /// The text as its author wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How long it is.
    #[must_use]
    pub fn value(&self) -> Duration {
        self.value
    }
}

impl FromStr for DurationText {
    type Err = ParseDurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self {
            value: parse(text)?,
            text: text.to_owned(),
        })
    }
}

impl Serialize for DurationText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for DurationText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DurationText".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_a_unit_is_a_duration() {
        for (text, seconds) in [
            ("0s", 0),
            ("90s", 90),
            ("10m", 600),
            ("24h", 86_400),
            ("007s", 7),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_to_write_instead() {
        for text in [
            "", "s", "10", "10 m", "1.5h", "-1s", "+1s", "1m30s", "10min", "١s", "1S",
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(
                error,
                ParseDurationError::ReadText {
                    text: text.to_owned()
                }
            );
            assert!(
                error.to_string().ends_with("such as 90s, 10m or 2h"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_number_beyond_all_bounds_is_refused() {
        for text in ["99999999999999999999s", "18446744073709551615h"] {
            assert_eq!(
                parse(text),
                Err(ParseDurationError::FitNumber {
                    text: text.to_owned()
                })
            );
        }
    }

    #[test]
    fn durations_are_shown_as_the_printed_example_shows_them() {
        for (millis, text) in [
            (0, "0s"),
            (250, "250ms"),
            (1000, "1s"),
            (1550, "1.5s"),
            (45_000, "45s"),
            (90_999, "1m30s"),
            (180_000, "3m"),
            (7_200_000, "2h"),
            (3_605_000, "1h0m5s"),
            (3_660_000, "1h1m"),
        ] {
            assert_eq!(format(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn a_spec_keeps_the_text_of_its_author() {
        let duration: DurationText = serde_json::from_str("\"60s\"").unwrap();
        assert_eq!(duration.value(), Duration::from_mins(1));
        assert_eq!(serde_json::to_string(&duration).unwrap(), "\"60s\"");
    }

    #[test]
    fn whole_seconds_are_written_with_the_largest_unit_that_fits() {
        for (seconds, text) in [
            (0, "0s"),
            (30, "30s"),
            (90, "90s"),
            (600, "10m"),
            (7200, "2h"),
        ] {
            let duration = DurationText::from_seconds(seconds);
            assert_eq!(duration.as_str(), text);
            assert_eq!(parse(text), Ok(duration.value()));
        }
    }
}
