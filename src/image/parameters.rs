//! A1111's `parameters` text: what a picture was made with, in the form that its users' tools read.
//!
//! The prompt; `Negative prompt: …` where there is one; then one line of `Key: value` pairs.

use std::fmt;

/// What a picture was made with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameters {
    pub prompt: String,
    pub negative_prompt: String,
    /// `Steps`, `Sampler`, `CFG scale`, `Seed`, `Size`, `Model` and so on, in order.
    pub fields: Vec<(String, String)>,
}

impl Parameters {
    /// The PNG text chunk's keyword.
    pub const KEYWORD: &str = "parameters";

    /// Reads what A1111 and its relatives write. Never fails: what is not understood stays in the prompt.
    pub fn parse(text: &str) -> Self {
        const NEGATIVE: &str = "Negative prompt:";
        let mut lines: Vec<&str> = text.trim().split('\n').collect();
        // The last line holds the fields, unless it hardly has any: then it is prompt.
        let mut fields = fields_of(lines.last().copied().unwrap_or_default());
        if fields.len() < 3 {
            fields.clear();
        } else {
            lines.pop();
        }
        let (mut prompt, mut negative) = (Vec::new(), Vec::new());
        let mut in_negative = false;
        for line in lines {
            let mut line = line.trim();
            if let Some(rest) = line.strip_prefix(NEGATIVE) {
                in_negative = true;
                line = rest.trim();
            }
            if in_negative { &mut negative } else { &mut prompt }.push(line);
        }
        Parameters { prompt: prompt.join("\n"), negative_prompt: negative.join("\n"), fields }
    }

    /// The first field of that name.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.prompt)?;
        if !self.negative_prompt.is_empty() {
            write!(f, "\nNegative prompt: {}", self.negative_prompt)?;
        }
        for (i, (key, value)) in self.fields.iter().enumerate() {
            write!(f, "{}{key}: {}", if i == 0 { "\n" } else { ", " }, quoted(value))?;
        }
        Ok(())
    }
}

/// A value as JSON string where it would otherwise end early.
fn quoted(value: &str) -> String {
    let plain = !value.contains([',', ':', '\n', '\r']) && !value.starts_with('"') && value == value.trim();
    if plain { value.to_string() } else { serde_json::Value::from(value).to_string() }
}

/// The `Key: value` pairs of a line. Keys begin with a letter, digit or `_` and have at least two characters, of which
/// the others may be blank, `-` or `/`; values end at a comma or are JSON strings.
fn fields_of(line: &str) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut rest = line;
    // A quote that never ends is looked for once, not once per field.
    let mut quotes = true;
    while let Some((before, after)) = rest.split_once(':') {
        let (value, tail) = value_of(after.trim_start(), &mut quotes);
        match key_of(before) {
            Some(key) => fields.push((key.to_string(), value)),
            // No key: the colon belongs to some text, go on right after it.
            None => {
                rest = after;
                continue;
            }
        }
        rest = tail;
    }
    fields
}

/// The longest key that ends where `text` ends.
fn key_of(text: &str) -> Option<&str> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let start = text
        .char_indices()
        .rev()
        .take_while(|(_, c)| word(*c) || matches!(c, ' ' | '-' | '/'))
        .last()
        .map_or(text.len(), |(i, _)| i);
    let key = text[start..].trim_start_matches(|c| !word(c));
    (key.chars().count() >= 2).then_some(key)
}

/// The value at the start of `text` and what follows its comma.
fn value_of<'a>(text: &'a str, quotes: &mut bool) -> (String, &'a str) {
    if *quotes && text.starts_with('"') {
        let mut strings = serde_json::Deserializer::from_str(text).into_iter::<String>();
        match strings.next() {
            Some(Ok(value)) => {
                let tail = &text[strings.byte_offset()..];
                if let Some(tail) = tail.strip_prefix(',').or(tail.is_empty().then_some("")) {
                    return (value, tail);
                }
            }
            _ => *quotes = false,
        }
    }
    let (value, tail) = text.split_once(',').unwrap_or((text, ""));
    (value.trim_end().to_string(), tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field(key: &str, value: &str) -> (String, String) {
        (key.to_string(), value.to_string())
    }

    #[test]
    fn written_as_a1111_does() {
        let parameters = Parameters {
            prompt: "a red apple, (shiny:1.2)\nsecond line".to_string(),
            negative_prompt: "blurry".to_string(),
            fields: vec![field("Steps", "20"), field("Sampler", "Euler a"), field("Model", "a, \"b\": c")],
        };
        let text = "a red apple, (shiny:1.2)\nsecond line\nNegative prompt: blurry\n\
                    Steps: 20, Sampler: Euler a, Model: \"a, \\\"b\\\": c\"";
        assert_eq!(parameters.to_string(), text);
        assert_eq!(Parameters::parse(text), parameters);
    }

    #[test]
    fn reads_a_strangers_text() {
        let text = "masterpiece, 1girl: looking, <lora:x:0.8>\n\nNegative prompt: (worst quality:1.4),\nlowres\n\
            Steps: 28, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 1234567890, Size: 512x768, Model hash: ab12, \
            Model: v1-5, Lora hashes: \"x: 1f2e, y: 3d4c\", ControlNet 0: \"Module: none, Weight: 1.0\", \
            Version: v1.9.4";
        let parameters = Parameters::parse(text);
        assert_eq!(parameters.prompt, "masterpiece, 1girl: looking, <lora:x:0.8>\n");
        assert_eq!(parameters.negative_prompt, "(worst quality:1.4),\nlowres");
        assert_eq!(parameters.fields.len(), 10);
        assert_eq!(parameters.get("Sampler"), Some("DPM++ 2M Karras"));
        assert_eq!(parameters.get("Lora hashes"), Some("x: 1f2e, y: 3d4c"));
        assert_eq!(parameters.get("ControlNet 0"), Some("Module: none, Weight: 1.0"));
        assert_eq!(parameters.get("Version"), Some("v1.9.4"));
        assert_eq!(parameters.get("Clip skip"), None);
    }

    #[test]
    fn a_bare_prompt_stays_one() {
        for text in ["", "a cat", "style: oil, mood: calm", "one\ntwo: three"] {
            let parameters = Parameters::parse(text);
            assert_eq!((parameters.prompt.as_str(), parameters.fields.len()), (text, 0));
        }
    }

    #[test]
    fn broken_quotes_end_at_the_comma() {
        let parameters = Parameters::parse("p\nSteps: 4, Model: \"open, Seed: 5, Size: 8x8");
        assert_eq!(parameters.get("Model"), Some("\"open"));
        assert_eq!(parameters.get("Size"), Some("8x8"));
    }

    /// Long hostile lines take no more than linear time.
    #[test]
    fn hostile_lines() {
        for unit in ["aa:\"\\\",", ":", "\"", "aa:", "a a", "aa:\"\",", "\\"] {
            let parameters = Parameters::parse(&unit.repeat(200_000));
            assert!(parameters.fields.len() <= 200_000);
        }
    }

    proptest! {
        #[test]
        fn round_trip(
            prompt in "[a-z(),\\. é🍎]{0,40}",
            negative in "[a-z(),é]{0,40}",
            values in proptest::collection::vec("\\PC{0,20}|[\"\\\\,:\n ]{0,6}", 3..8),
        ) {
            let fields = values.iter().enumerate().map(|(i, value)| (format!("Key {i}"), value.clone())).collect();
            let prompt = prompt.trim().to_string();
            let parameters = Parameters { prompt, negative_prompt: negative.trim().to_string(), fields };
            prop_assert_eq!(Parameters::parse(&parameters.to_string()), parameters);
        }

        #[test]
        fn any_text_is_read(text in "[\\PC\n]{0,200}") {
            let _ = Parameters::parse(&text);
        }
    }
}
