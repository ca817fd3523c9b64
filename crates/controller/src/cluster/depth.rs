//! Keeps JSON that is nested deeper than it can be decoded from making a whole list or watch unreadable: anybody may
//! put such an object onto the cluster, and the API server takes and gives it (I9).

use axum::body::Bytes;

/// Deepest nesting that is let through; the decoder ends at 128.
const DEEPEST: usize = 100;

/// Where in a stream of JSON documents the last byte was.
#[derive(Debug, Default)]
pub struct Shallow {
    depth: usize,
    in_text: bool,
    is_escaped: bool,
}

impl Shallow {
    /// The next bytes of the stream, with `null` in the place of everything that is nested too deeply.
    pub fn pass(&mut self, bytes: Bytes) -> Bytes {
        let mut cut: Option<Vec<u8>> = None;
        for (at, byte) in bytes.iter().enumerate() {
            let (was, begins) = (self.depth, matches!(byte, b'{' | b'[') && !self.in_text);
            self.take(*byte);
            if was <= DEEPEST && self.depth <= DEEPEST {
                if let Some(kept) = &mut cut {
                    kept.push(*byte);
                }
                continue;
            }
            let kept = cut.get_or_insert_with(|| bytes.iter().take(at).copied().collect());
            if begins && was == DEEPEST {
                kept.extend_from_slice(b"null");
            }
        }
        cut.map_or(bytes, Bytes::from)
    }

    fn take(&mut self, byte: u8) {
        if self.in_text {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The text after it went through in chunks of that size.
    fn passed(text: &str, chunk: usize) -> String {
        let mut shallow = Shallow::default();
        let chunks = text.as_bytes().chunks(chunk);
        let passed: Vec<u8> = chunks
            .flat_map(|chunk| shallow.pass(Bytes::copy_from_slice(chunk)))
            .collect();
        String::from_utf8(passed).unwrap()
    }

    fn nested(depth: usize, innermost: &str) -> String {
        format!(
            "{}{innermost}{}",
            "{\"a\":[".repeat(depth),
            "]}".repeat(depth)
        )
    }

    #[test]
    fn what_can_be_decoded_is_let_through_as_it_is() {
        for text in [
            "",
            "1",
            "{\"a\": \"\\\"}]\"}\n[]\n",
            &nested(DEEPEST / 2, "\"[{\\\\\""),
        ] {
            for chunk in [1, 3, 1000] {
                assert_eq!(passed(text, chunk), text);
            }
        }
    }

    #[test]
    fn what_is_nested_too_deeply_becomes_null_and_all_around_it_stays() {
        for beyond in [1, 2, 1000] {
            let text = format!(
                "{{\"x\": 1, \"deep\": {}, \"y\": \"}}\"}}\n[2]\n",
                nested(DEEPEST / 2 + beyond, "\"]\\\"\"")
            );
            for chunk in [1, 7, 100_000] {
                let passed = passed(&text, chunk);
                let (first, second) = passed.split_once('\n').unwrap();
                let first: Value = serde_json::from_str(first).unwrap();
                assert_eq!((&first["x"], &first["y"]), (&1.into(), &"}".into()));
                assert!(first["deep"].is_object());
                assert_eq!(second, "[2]\n");
            }
        }
    }

    #[test]
    fn the_deepest_that_is_let_through_can_be_decoded() {
        let text = nested(DEEPEST, "1");
        assert!(serde_json::from_str::<Value>(&text).is_err());
        assert!(serde_json::from_str::<Value>(&passed(&text, 10)).is_ok());
    }
}
