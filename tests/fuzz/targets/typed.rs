//! What is typed.

use std::sync::LazyLock;

use opengen::prompt::{Dialect, MAX_CHARS, Steps, Tokenizer, Wildcards, components, expand, timeline};

use super::outcome;

pub const PROMPT_WORDS: [&str; 12] =
    ["(", ")", "[", "]", ":1.2)", "BREAK", "AND", "\\(", "<lora:a:1>", "&amp;", "\u{301}", "🍎"];
pub const TEMPLATE_WORDS: [&str; 8] = ["{", "|", "}", "2$$", "::", "__", "__a__", "\n"];

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
    Tokenizer::from_json(include_bytes!("../../data/tokenizer/tokenizer.json")).expect("tokenizer.json")
});

pub fn prompt(bytes: &[u8]) -> u64 {
    let text: String = String::from_utf8_lossy(bytes).chars().take(MAX_CHARS).collect();
    let read = |dialect| match TOKENIZER.encode(dialect, &text, 77) {
        Ok(encoded) => encoded.chunks.len() as u64,
        Err(error) => outcome::<()>(&Err(error)),
    };
    let texts = timeline(&text, Steps { all: 9, before: None }).len() + components(&text).len();
    let dialects = Dialect::ALL.into_iter().fold(0, |all: u64, dialect| all.rotate_left(1) ^ read(dialect));
    dialects ^ (texts as u64).rotate_left(40)
}

pub fn prompts() -> Vec<Vec<u8>> {
    [
        "a (red:1.3) [apple] on BREAK (((snow))) \\(not\\) <lora:a:1>",
        "🍎 ein Apfel, &amp; e\u{301}té",
        "[a:b:0.5] [a|b] AND c :2",
        "(a (b:1.2) embedding:c, \\(d",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

/// A template, and lists by the names of letters behind it, one to each blank line.
pub fn template(bytes: &[u8]) -> u64 {
    let text: String = String::from_utf8_lossy(bytes).chars().take(MAX_CHARS).collect();
    let mut parts = text.split("\n\n");
    let template = parts.next().unwrap_or_default();
    let mut lists = Wildcards::default();
    ('a'..='z').zip(parts).for_each(|(name, list)| lists.insert(name, list));
    match expand([template, "__a__"], &lists, 7) {
        Ok([prompt, other]) => {
            assert!(prompt.len().max(other.len()) <= 4 * MAX_CHARS, "longer than a prompt");
            (prompt.len().min(64) + other.len().min(64)) as u64
        }
        Err(error) => outcome::<()>(&Err(error)),
    }
}

pub fn templates() -> Vec<Vec<u8>> {
    [
        "{a|2::b|{c|d}} __a__, {2$$ and $$x|y|z}\n\nred\n# no\n{dark|light} __b__\n\nblue\n__c__\n\ngreen",
        "__a__ __b__\n\n__b__\n\n__a__",
        "{1-3$$__a__|b} {open\n\n{{{|}}}\n0.5::a",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
