//! What a model's maker allows: as its files say it, or whoever brings it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The licence of a model, and what is known of how it came to be agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct License {
    /// As the file, or the catalogue that lists it, calls it.
    pub name: String,
    /// Its full text.
    #[serde(default)]
    pub url: Option<String>,
    /// The model's revision that it was read for.
    #[serde(default)]
    pub revision: Option<String>,
    /// When it was agreed to, as ISO 8601 writes it; `None` where nobody was asked.
    #[serde(default)]
    pub accepted: Option<String>,
}

/// Names of licences that ask for no more than to keep their notice.
const FREE: [&str; 3] = ["mit", "apache-2.0", "apache 2.0"];
/// The longest name or address that is believed, in characters.
const LONGEST: usize = 300;

impl License {
    /// What is said where nothing is known.
    pub const UNKNOWN: &str = "unknown: yours to check";
    /// Metadata key of the licence, as GGUF has it.
    pub const KEY: &str = "general.license";
    /// Metadata key of the address of its text, as GGUF has it.
    pub const LINK: &str = "general.license.link";
    /// Its name, where [`License::KEY`] only says "other".
    const NAME: &str = "general.license.name";
    /// What safetensors files have it under, <https://github.com/Stability-AI/ModelSpec>.
    pub const MODELSPEC: &str = "modelspec.license";

    /// The licence that a file's metadata states.
    pub fn stated(metadata: &BTreeMap<String, String>) -> Option<License> {
        let text = |key: &str| metadata.get(key).and_then(|text| line(text));
        let name = text(Self::NAME).or_else(|| text(Self::KEY)).or_else(|| text(Self::MODELSPEC))?;
        Some(License::new(name, text(Self::LINK)))
    }

    /// The licence that the front matter of a model's `README.md` states.
    pub fn of_readme(text: &str) -> Option<License> {
        let front = text.strip_prefix("---")?;
        let front: Vec<&str> = front.lines().skip(1).take_while(|line| line.trim_end() != "---").collect();
        let value = |key: &str| {
            let found = front.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            found.and_then(|value| line(value.trim().trim_matches(['"', '\''])))
        };
        let name = value("license_name").or_else(|| value("license"))?;
        Some(License::new(name, value("license_link")))
    }

    fn new(name: String, url: Option<String>) -> License {
        let url = url.filter(|url| url.starts_with("https://") || url.starts_with("http://"));
        License { name, url, revision: None, accepted: None }
    }

    /// Whether it asks for no more than to keep its notice: MIT or Apache-2.0, or the choice of one of them.
    pub fn is_free(&self) -> bool {
        self.name.to_lowercase().split(" or ").any(|name| FREE.contains(&name.trim()))
    }

    /// The metadata that states it in a GGUF.
    pub fn metadata(&self) -> Vec<(&'static str, String)> {
        let link = self.url.iter().map(|url| (Self::LINK, url.clone()));
        std::iter::once((Self::KEY, self.name.clone())).chain(link).collect()
    }
}

impl std::fmt::Display for License {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match &self.url {
            Some(url) => write!(f, "{} ({url})", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A text that can stand in a line; `None` where there is nothing in it.
fn line(text: &str) -> Option<String> {
    let line: String = text.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stated(pairs: &[(&str, &str)]) -> Option<String> {
        let metadata = pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        License::stated(&metadata).map(|license| license.to_string())
    }

    #[test]
    fn what_files_state() {
        for (pairs, expected) in [
            (&[("general.license", "openrail++")][..], Some("openrail++")),
            (&[("modelspec.license", " CreativeML Open RAIL-M\n")], Some("CreativeML Open RAIL-M")),
            (
                &[
                    ("general.license", "other"),
                    ("general.license.name", "sai-nc"),
                    ("general.license.link", "https://x.example/L"),
                ],
                Some("sai-nc (https://x.example/L)"),
            ),
            (&[("general.license", "mit"), ("general.license.link", "LICENSE.md")], Some("mit")),
            (&[("general.license", " \n"), ("general.name", "x")], None),
            (&[], None),
        ] {
            assert_eq!(stated(pairs).as_deref(), expected, "{pairs:?}");
        }
    }

    #[test]
    fn what_a_model_card_states() {
        for (text, expected) in [
            ("---\nlicense: creativeml-openrail-m\ntags:\n- x\n---\n# Hi", Some("creativeml-openrail-m")),
            (
                "---\r\nlicense: other\r\nlicense_name: \"sai-nc\"\r\nlicense_link: 'https://x.example/L'\r\n---\r\n",
                Some("sai-nc (https://x.example/L)"),
            ),
            ("---\ntags: [a]\n---\nlicense: mit", None),
            ("# A card\nlicense: mit", None),
            ("---\nlicense:\n- mit\n---", None),
            ("", None),
        ] {
            assert_eq!(
                License::of_readme(text).map(|license| license.to_string()).as_deref(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn only_those_are_free_that_ask_for_nothing() {
        for (name, free) in [
            ("MIT", true),
            ("apache-2.0", true),
            ("MIT OR Apache-2.0", true),
            ("openrail++", false),
            ("mit-like", false),
            (License::UNKNOWN, false),
        ] {
            assert_eq!(License::new(name.to_string(), None).is_free(), free, "{name}");
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let license = License::new("openrail++".to_string(), Some("https://x.example/L".to_string()));
        let metadata = license.metadata().into_iter().map(|(key, value)| (key.to_string(), value)).collect();
        assert_eq!(License::stated(&metadata), Some(license));
    }
}
