//! Texts as YAML scalars.

/// A text as a YAML scalar in a block.
#[must_use]
pub fn in_block(text: &str) -> String {
    if is_plain(text, "{}()',=+&$!*%?;") { text.to_owned() } else { quoted(text) }
}

/// A text as a YAML scalar inside of brackets.
#[must_use]
pub fn in_flow(text: &str) -> String {
    if is_plain(text, "") { text.to_owned() } else { quoted(text) }
}

/// Whether YAML reads the text as it stands there, as a text.
fn is_plain(text: &str, more: &str) -> bool {
    let first = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_' || first == '/');
    let legal = |character: char| character.is_ascii_alphanumeric() || "_-./:@~ ".contains(character) || more.contains(character);
    let word = matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n");
    first && !word && text.chars().all(legal) && !text.contains(": ") && !text.ends_with([':', ' ']) && !text.contains("  ")
}

/// As JSON writes it, which YAML reads too, with everything escaped that is not to be seen.
fn quoted(text: &str) -> String {
    let mut made = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => made.extend(['\\', character]),
            '\u{20}'..='\u{7e}' | '\u{a1}'..='\u{2027}' | '\u{2030}'..='\u{d7ff}' => made.push(character),
            _ if u32::from(character) > 0xffff => made.push_str(&format!("\\U{:08x}", u32::from(character))),
            _ => made.push_str(&format!("\\u{:04x}", u32::from(character))),
        }
    }
    made.push('"');
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::diagnostic::Findings;
    use crate::policy::document;
    use proptest::prelude::*;

    #[test]
    fn what_needs_no_quotes_has_none() {
        for (text, block, flow) in [
            ("pets.read", "pets.read", "pets.read"),
            ("read:user", "read:user", "read:user"),
            ("GET /pets/{petId}", "GET /pets/{petId}", "\"GET /pets/{petId}\""),
            ("https://api.example.com/v1", "https://api.example.com/v1", "https://api.example.com/v1"),
            ("1.0", "\"1.0\"", "\"1.0\""),
            ("true", "\"true\"", "\"true\""),
            ("a, b", "a, b", "\"a, b\""),
            ("a: b", "\"a: b\"", "\"a: b\""),
            ("a #b", "\"a #b\"", "\"a #b\""),
            ("", "\"\"", "\"\""),
            ("é\n\u{1f600}", "\"é\\u000a\\U0001f600\"", "\"é\\u000a\\U0001f600\""),
        ] {
            assert_eq!((in_block(text).as_str(), in_flow(text).as_str()), (block, flow), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_text_is_read_back(text in any::<String>()) {
            let page = format!("a: {}\nb: [{}]\n", in_block(&text), in_flow(&text));
            let mut findings = Findings::new([]);
            let read = document::read(0, &page, &mut findings).unwrap().to_json().unwrap();
            prop_assert_eq!(findings.count(), 0);
            prop_assert_eq!(read, serde_json::json!({"a": text.clone(), "b": [text]}));
        }
    }
}
