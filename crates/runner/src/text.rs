//! Text that came from elsewhere, made fit for a log or a status: no control or direction-changing characters, and
//! bounded. Nothing here knows what the text means.

use std::fmt::Write as _;

/// Longest text from elsewhere that is kept, in characters.
pub const MAX_TEXT_CHARS: usize = 4096;

/// Characters that change the order in which others are shown, or that show as nothing.
const INVISIBLE: [std::ops::RangeInclusive<char>; 6] = [
    '\u{061c}'..='\u{061c}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{feff}'..='\u{feff}',
    '\u{e0000}'..='\u{e007f}',
];

/// `text` with every control, bidi and invisible character escaped, cut to `max` characters.
#[must_use]
pub fn printable(text: &str, max: usize) -> String {
    // Escaping only makes text longer, so more than `max` characters of it never count.
    let mut shown = String::new();
    for character in text.chars().take(max.saturating_add(1)) {
        if character.is_control() || INVISIBLE.iter().any(|range| range.contains(&character)) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shorten(&shown, max)
}

/// The first `max` characters of `text`, the last three of them dots when some were left out.
#[must_use]
pub fn shorten(text: &str, max: usize) -> String {
    if text.chars().nth(max).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max.saturating_sub(3)).collect();
    format!("{kept}...")
}

/// `json` with every character outside ASCII as `\uXXXX`: the same document, since such characters stand only inside
/// its strings.
#[must_use]
pub fn ascii_json(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    let mut units = [0; 2];
    for character in json.chars() {
        if character.is_ascii() {
            ascii.push(character);
        } else {
            for unit in character.encode_utf16(&mut units) {
                // Writing to a string cannot fail.
                write!(ascii, "\\u{unit:04x}").ok();
            }
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_bidi_characters_are_escaped() {
        assert_eq!(
            printable("a\nb\u{1b}[31m\u{202e}c\u{7f}", 99),
            "a\\nb\\u{1b}[31m\\u{202e}c\\u{7f}"
        );
        assert_eq!(printable("größer → 日本", 99), "größer → 日本");
    }

    #[test]
    fn text_is_cut_at_characters_and_says_so() {
        assert_eq!(shorten("日本語日本語", 5), "日本...");
        assert_eq!(shorten("日本語", 3), "日本語");
        assert_eq!(printable(&"x".repeat(10_000_000), 10), "xxxxxxx...");
    }

    #[test]
    fn ascii_json_is_the_same_document() {
        let value = serde_json::json!({"ключ": "日本 😀 \" \\ \n"});
        let ascii = ascii_json(&value.to_string());
        assert!(ascii.is_ascii());
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&ascii).unwrap(),
            value
        );
    }
}
