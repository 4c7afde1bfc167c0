//! Models that can be had: the list that the page's view Models shows, read from the same file.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use opengen::weights::KEPT;

/// What `www/catalogue/entries.js` describes, field by field.
const LIST: &str = include_str!("../../../www/catalogue/entries.json");

/// A model that can be had.
#[derive(Debug, Deserialize)]
pub struct Entry {
    pub id: String,
    pub name: String,
    /// One sentence of what it is good at.
    pub about: String,
    pub family: String,
    license: OneOrMore,
    /// What the page lacks to fetch it.
    pub missing: Option<String>,
    pub sources: Vec<Source>,
    /// Bytes.
    pub download: u64,
    /// Bytes by type, under its name in a GGUF.
    pub stored: BTreeMap<String, u64>,
}

/// A file on the hub, or with no `path` a folder in diffusers' layout.
#[derive(Debug, Deserialize)]
pub struct Source {
    pub repo: String,
    pub path: Option<String>,
    /// A commit; without, the newest.
    pub revision: Option<String>,
    /// Which of the model's components come from it; without, all.
    pub parts: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Entry {
    /// Its licences by the names that docs/models.md explains; where there are several, all of them hold.
    pub fn license(&self) -> String {
        match &self.license {
            OneOrMore::One(name) => name.clone(),
            OneOrMore::More(names) => names.join(" and "),
        }
    }

    /// What is kept of it, in bytes, by the names that `opengen import --type` takes.
    pub fn kept(&self) -> impl Iterator<Item = (&'static str, u64)> {
        KEPT.iter().filter_map(|(_, short, ty)| Some((*short, *self.stored.get(&ty.name().to_lowercase())?)))
    }
}

impl Source {
    /// The page that shows it.
    pub fn page(&self) -> String {
        let page = format!("{}/{}", CATALOGUE.hub, self.repo);
        match (&self.path, &self.revision) {
            (Some(path), revision) => format!("{page}/blob/{}/{path}", revision.as_deref().unwrap_or("main")),
            (None, Some(revision)) => format!("{page}/tree/{revision}"),
            (None, None) => page,
        }
    }
}

/// The list: where models lie, and those that can be had, as they are written.
#[derive(Deserialize)]
pub struct Catalogue {
    hub: String,
    pub models: Vec<Value>,
}

pub static CATALOGUE: LazyLock<Catalogue> =
    LazyLock::new(|| serde_json::from_str(LIST).expect("a test reads it"));

/// All entries, in the page's order.
pub fn entries() -> impl Iterator<Item = Entry> {
    CATALOGUE.models.iter().map(|entry| Entry::deserialize(entry).expect("a test reads them all"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_entry_is_read() {
        let entries: Vec<Entry> = entries().collect();
        assert!(entries.len() >= 7);
        let ids: HashSet<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
        assert_eq!(ids.len(), entries.len());
        for entry in &entries {
            let kept: Vec<(&str, u64)> = entry.kept().collect();
            assert_eq!(kept.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["f16", "q8", "small", "q4"]);
            assert!(kept.windows(2).all(|pair| pair[0].1 > pair[1].1), "{}: {kept:?}", entry.id);
            assert_eq!(kept.len(), entry.stored.len(), "{}: a type that is none", entry.id);
            assert!(!entry.sources.is_empty() && entry.download > 0 && !entry.license().is_empty());
        }
    }

    #[test]
    fn pages_are_those_of_the_hub() {
        let page = |id: &str| entries().find(|entry| entry.id == id).expect("an entry").sources[0].page();
        assert!(
            page("sdxs-512").starts_with("https://huggingface.co/IDKiro/sdxs-512-dreamshaper/tree/76f72026")
        );
        assert!(page("sd-turbo").starts_with("https://huggingface.co/stabilityai/sd-turbo/tree/b261bac6"));
        let blob =
            "-archive/blob/9cfd069101959ca3828bf9c04a4419870832b74f/v1-5-pruned-emaonly-fp16.safetensors";
        assert!(page("sd-1.5").ends_with(blob));
    }
}
