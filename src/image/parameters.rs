//! A1111's `parameters` text: what a picture was made with, in the form that its users' tools read.
//!
//! The prompt; `Negative prompt: …` where there is one; then one line of `Key: value` pairs.

use std::fmt;

use serde::de::IgnoredAny;

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
    ///
    /// The settings are the last line that begins with one of them. What stands under it are templates that the prompts
    /// were made from; they become fields too. Where all is on one line, the settings begin at the last `Steps:`.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let lines: Vec<&str> = text.split('\n').collect();
        let settings = lines.iter().rposition(|line| is_settings(line));
        let Some(at) = settings else {
            let (before, fields) = on_one_line(text).unwrap_or((text, Vec::new()));
            let (prompt, negative_prompt) = prompts(before, !fields.is_empty());
            return Parameters { prompt, negative_prompt, fields };
        };
        let mut fields = fields_of(lines[at]);
        for (i, line) in lines[at + 1..].iter().enumerate() {
            let Some((key, value)) = line.split_once(':') else { continue };
            if TEMPLATES.contains(&key) {
                // All that follows belongs to it, up to the negative one.
                let rest = lines[at + 1 + i..].join("\n");
                fields.extend(templates(&rest));
                break;
            }
            fields.extend(key_of(key).map(|key| (key.to_string(), value.trim().to_string())));
        }
        let (prompt, negative_prompt) = prompts(&lines[..at].join("\n"), false);
        Parameters { prompt, negative_prompt, fields }
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

/// What sd-dynamic-prompts calls what prompts were made of.
pub const TEMPLATES: [&str; 2] = ["Template", "Negative Template"];

const NEGATIVE: &str = "Negative prompt:";

/// `Template: …`, over any number of lines, and `Negative Template: …` behind it, or that alone.
fn templates(text: &str) -> Vec<(String, String)> {
    let [prompt, negative] = TEMPLATES.map(|name| format!("{name}:"));
    let both = text.strip_prefix(&negative).map(|text| ("", text));
    let both = both.or_else(|| text.split_once(&format!("\n{negative}"))).unwrap_or((text, ""));
    let texts = [both.0.strip_prefix(&prompt).unwrap_or(both.0), both.1];
    let named = TEMPLATES.into_iter().zip(texts).filter(|(_, text)| !text.trim().is_empty());
    named.map(|(name, text)| (name.to_string(), text.trim().to_string())).collect()
}

/// Prompt and negative prompt: a line that begins with the words for it, or, where all is on one line, those words.
fn prompts(text: &str, on_one_line: bool) -> (String, String) {
    let (mut prompt, mut negative) = (Vec::new(), Vec::new());
    let mut in_negative = false;
    for line in text.split('\n') {
        let mut line = line.trim();
        if let Some(rest) = line.strip_prefix(NEGATIVE) {
            in_negative = true;
            line = rest.trim();
        }
        if in_negative { &mut negative } else { &mut prompt }.push(line);
    }
    let (prompt, negative) = (prompt.join("\n"), negative.join("\n"));
    match prompt.rsplit_once(NEGATIVE).filter(|_| on_one_line && !in_negative) {
        Some((before, after)) => (before.trim().to_string(), after.trim().to_string()),
        None if on_one_line => (prompt.trim().to_string(), negative.trim().to_string()),
        None => (prompt, negative),
    }
}

/// Whether a line is one of settings: it begins with a setting's name and has at least three fields, or begins with a
/// number of steps.
fn is_settings(line: &str) -> bool {
    /// With which of their fields the tools of this family begin.
    const FIRST: [&str; 12] = [
        "Steps",
        "Sampler",
        "Schedule type",
        "Scheduler",
        "CFG scale",
        "Guidance scale",
        "Seed",
        "Size",
        "Model",
        "Model hash",
        "Denoising strength",
        "Clip skip",
    ];
    let Some((key, value)) = line.trim_start().split_once(':') else { return false };
    let counted = key == "Steps" && value.trim_start().starts_with(|c: char| c.is_ascii_digit());
    counted || (FIRST.contains(&key) && fields_of(line).len() >= 3)
}

/// The text before the last `Steps: ` and a number, and the fields from there on.
fn on_one_line(text: &str) -> Option<(&str, Vec<(String, String)>)> {
    let (before, _) = text.rsplit_once("Steps: ")?;
    let fields = fields_of(&text[before.len()..]);
    let is_settings = is_settings(&text[before.len()..]) && fields.len() >= 3;
    (is_settings && before.ends_with(char::is_whitespace)).then_some((before, fields))
}

/// The `Key: value` pairs of a line. Keys begin with a letter, digit or `_` and have at least two characters, of which
/// the others may be blank, `-` or `/`; values end at a comma or are JSON strings, lists or objects.
fn fields_of(line: &str) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut rest = line;
    // So much may be read in vain: JSON that never ends is looked for a few times, not once per field.
    let mut patience = 4 * line.len();
    while let Some((before, after)) = rest.split_once(':') {
        rest = after;
        // Without a key the colon belongs to some text.
        if let Some(key) = key_of(before) {
            let (value, tail) = value_of(after.trim_start(), &mut patience);
            fields.push((key.to_string(), value));
            rest = tail;
        }
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
fn value_of<'a>(text: &'a str, patience: &mut usize) -> (String, &'a str) {
    if text.starts_with(['"', '[', '{'])
        && let Some((value, tail)) = json_of(text, patience)
        && let Some(tail) = tail.strip_prefix(',').or(tail.is_empty().then_some(""))
    {
        return (value, tail);
    }
    let (value, tail) = text.split_once(',').unwrap_or((text, ""));
    (value.trim_end().to_string(), tail)
}

/// A JSON value at the start of `text`, a string as what it says, and what follows it.
fn json_of<'a>(text: &'a str, patience: &mut usize) -> Option<(String, &'a str)> {
    if *patience == 0 {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    match values.next()? {
        Ok(_) => {
            let (value, tail) = text.split_at(values.byte_offset());
            let value =
                if value.starts_with('"') { serde_json::from_str(value).ok()? } else { value.to_string() };
            Some((value, tail))
        }
        Err(error) => {
            *patience = patience.saturating_sub(error.column());
            None
        }
    }
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

    /// What sd-dynamic-prompts adds under the settings.
    #[test]
    fn templates_are_no_settings() {
        let text = "a red apple\nNegative prompt: ugly\nSteps: 12, Sampler: Euler a, Seed: 42\n\
            Template: a {red|green} apple\nmood: calm\nNegative Template: ugly";
        let parameters = Parameters::parse(text);
        assert_eq!(
            (parameters.prompt.as_str(), parameters.negative_prompt.as_str()),
            ("a red apple", "ugly")
        );
        assert_eq!(parameters.get("Seed"), Some("42"));
        assert_eq!(parameters.get("Template"), Some("a {red|green} apple\nmood: calm"));
        assert_eq!(parameters.get("Negative Template"), Some("ugly"));
        assert_eq!((parameters.fields.len(), parameters.get("mood")), (5, None));
        let negative = Parameters::parse("p\nSteps: 4\nNegative Template: {a|b}");
        assert_eq!((negative.get("Template"), negative.get("Negative Template")), (None, Some("{a|b}")));
        let more = Parameters::parse("p\nSteps: 4\nWildcard prompt: __colour__, shiny: yes");
        assert_eq!(more.get("Wildcard prompt"), Some("__colour__, shiny: yes"));
    }

    #[test]
    fn all_on_one_line() {
        let fields = "Steps: 12, Sampler: Euler a, Seed: 42";
        for (text, prompt, negative) in [
            ("a red apple Negative prompt: ugly ", "a red apple", "ugly"),
            ("a red apple ", "a red apple", ""),
            ("a red apple\nNegative prompt: ugly ", "a red apple", "ugly"),
            ("Steps to heaven: a red apple ", "Steps to heaven: a red apple", ""),
        ] {
            let parameters = Parameters::parse(&format!("{text}{fields}"));
            assert_eq!((parameters.prompt.as_str(), parameters.negative_prompt.as_str()), (prompt, negative));
            assert_eq!(parameters.fields.len(), 3, "{text}");
        }
        let bare = "Footsteps: 12 of them, seen: from above, mood: calm";
        assert_eq!(Parameters::parse(bare).prompt, bare);
    }

    /// Civitai lists resources without quotes; what stands in their names is no setting.
    #[test]
    fn lists_are_values() {
        let list = r#"[{"modelName":"Foo: Bar, Seed: 9, Steps: 3"}, [1]]"#;
        let parameters = Parameters::parse(&format!(
            "p\nSteps: 25, Seed: 42, Civitai resources: {list}, Civitai metadata: {{}}"
        ));
        assert_eq!(parameters.fields.len(), 4);
        assert_eq!(parameters.get("Civitai resources"), Some(list));
        assert_eq!((parameters.get("Seed"), parameters.get("Civitai metadata")), (Some("42"), Some("{}")));
        let broken = Parameters::parse("p\nSteps: 25, List: [a: 1, bb: 2], Seed: 42");
        assert_eq!((broken.get("List"), broken.get("Seed")), (Some("[a: 1"), Some("42")));
    }

    #[test]
    fn a_bare_prompt_stays_one() {
        for text in [
            "",
            "a cat",
            "style: oil, mood: calm",
            "one\ntwo: three",
            "style: oil painting, mood: calm, light: soft",
            "Size: matters, a cat",
            "Model: one, and two",
        ] {
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
        for unit in [
            "aa:\"\\\",",
            ":",
            "\"",
            "aa:",
            "a a",
            "aa:\"\",",
            "\\",
            "aa:[",
            "aa:[\"",
            "aa:{\"\":",
            "Steps: 1",
            "Steps: 1\n",
            "\n",
            "Negative prompt:",
            "aa:[[1,2],",
        ] {
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
            let key = |i: usize| if i == 0 { "Sampler".to_string() } else { format!("Key {i}") };
            let fields = values.iter().enumerate().map(|(i, value)| (key(i), value.clone())).collect();
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
