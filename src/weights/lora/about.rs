//! What a LoRA's file says of itself.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use super::super::header::Header;
use super::Factor;
use super::names::split;

/// Metadata keys of what a file was trained on: kohya's, and the standard of modelspec.
pub(super) const TRAINED_ON: [&str; 3] =
    ["ss_base_model_version", "modelspec.architecture", "ss_sd_model_name"];
/// Of what it is called, and of what is said of it.
const TITLE: [&str; 2] = ["modelspec.title", "ss_output_name"];
const DESCRIPTION: &str = "modelspec.description";
/// Of words that call it.
const PHRASE: [&str; 2] = ["modelspec.trigger_phrase", "modelspec.usage_hint"];
/// kohya's count of the words of its training pictures, as JSON: folder, word, pictures.
const TAGS: &str = "ss_tag_frequency";
/// How many of those words are told.
const WORDS: usize = 12;

/// What is told of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AboutLora {
    pub title: Option<String>,
    pub description: Option<String>,
    /// What it was trained on.
    pub base: Option<String>,
    /// Words that call it: those that it names, else the most frequent of its training pictures.
    pub words: Vec<String>,
    /// The ranks of its layers, from the smallest to the largest.
    pub ranks: [usize; 2],
}

impl AboutLora {
    pub(super) fn of(header: &Header) -> AboutLora {
        let said = |keys: &[&str]| {
            let found = keys.iter().filter_map(|key| header.metadata.get(*key)).map(|text| text.trim());
            found.into_iter().find(|text| !text.is_empty() && *text != "None").map(str::to_string)
        };
        let ranks = || {
            let downs = header.tensors.iter().filter(|info| {
                matches!(
                    split(&info.name, &HashSet::new()),
                    Some((_, Factor::Down | Factor::FirstDown | Factor::SecondDown))
                )
            });
            downs.filter_map(|info| info.shape.first().copied())
        };
        let words = match said(&PHRASE) {
            Some(phrase) => vec![phrase],
            None => header.metadata.get(TAGS).map(|json| frequent(json)).unwrap_or_default(),
        };
        AboutLora {
            title: said(&TITLE),
            description: said(&[DESCRIPTION]),
            base: said(&TRAINED_ON),
            words,
            ranks: [ranks().min().unwrap_or(0), ranks().max().unwrap_or(0)],
        }
    }
}

/// The most frequent words of kohya's count, those of all folders together.
fn frequent(json: &str) -> Vec<String> {
    let folders: BTreeMap<String, BTreeMap<String, u64>> = serde_json::from_str(json).unwrap_or_default();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (word, count) in folders.into_values().flatten() {
        let sum = counts.entry(word.trim().to_string()).or_default();
        *sum = sum.saturating_add(count);
    }
    let mut words: Vec<(String, u64)> = counts.into_iter().filter(|(word, _)| !word.is_empty()).collect();
    words.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
    words.into_iter().take(WORDS).map(|(word, _)| word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_over_all_folders() {
        let json = r#"{"10_cat": {"cat": 3, "a photo": 9, " ": 7}, "1_more": {"cat": 8, "dog": 1}}"#;
        assert_eq!(frequent(json), ["cat", "a photo", "dog"]);
        assert_eq!(frequent("no json"), [""; 0]);
    }
}
