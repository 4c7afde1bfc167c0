//! What the store remembers of a model beside its chunks.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::chunks::ChunkMap;
use crate::weights::{Header, License, Manifest, Parse, READABLE_FORMATS};

/// Where a model's file comes from and how to tell whether it is still the same file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub url: String,
    /// Length of the file, when it is known.
    pub bytes: Option<u64>,
    /// Lower-case hexadecimal SHA-256 of the file, when it is known.
    pub sha256: Option<String>,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

impl Origin {
    /// What a conditional range request sends as `If-Range`: a strong ETag, else the date.
    pub fn validator(&self) -> Option<&str> {
        self.strong_etag().or(self.last_modified.as_deref())
    }

    /// Whether `other` proves the file to be this one's: a strong ETag, else the date, that both know and that is equal.
    pub fn is_proven_by(&self, other: &Origin) -> bool {
        match (self.strong_etag(), other.strong_etag()) {
            (Some(tag), Some(others)) => tag == others,
            _ => self.last_modified.is_some() && self.last_modified == other.last_modified,
        }
    }

    fn strong_etag(&self) -> Option<&str> {
        self.etag.as_deref().filter(|tag| !tag.starts_with("W/"))
    }

    /// Whether both may describe the same file: nothing that both know differs.
    pub fn agrees_with(&self, other: &Origin) -> bool {
        fn same<T: PartialEq>(a: &Option<T>, b: &Option<T>) -> bool {
            match (a, b) {
                (Some(a), Some(b)) => a == b,
                _ => true,
            }
        }
        let by_hash = self.sha256.is_some() && self.sha256 == other.sha256;
        same(&self.sha256, &other.sha256)
            && same(&self.bytes, &other.bytes)
            // A server that re-deploys an unchanged file gives it a new tag and date; the hash knows better.
            && (by_hash || (same(&self.etag, &other.etag) && same(&self.last_modified, &other.last_modified)))
    }
}

/// Behind a model's id: the autoencoder that it was given. Not a character of file names and addresses.
const PART: &str = "\u{1}autoencoder";

/// How far a stored model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Some chunks are there; the download goes on from them.
    Partial,
    /// Everything is there and was verified.
    Complete,
    /// A chunk was found damaged and removed; fetching again replaces only what is missing, and is held against the
    /// checksum that it had.
    Damaged,
}

/// What the store has of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Held {
    #[default]
    Nothing,
    /// The chunk, with this CRC-32.
    Chunk(u32),
    /// Only the CRC-32 that it had when the model was whole: its bytes were found damaged.
    Sum(u32),
}

/// A model in the store, without its chunks.
#[derive(Debug, Clone)]
pub struct StoredModel {
    pub id: String,
    /// What its chunks lie under: its id, or, after it was packed anew, another name.
    pub place: String,
    pub origin: Origin,
    /// What whoever brought it, or its file, said of its licence; `None` where neither did.
    pub license: Option<License>,
    pub state: State,
    /// The chunk size it was cut with.
    pub chunk_bytes: u64,
    /// The file's header as it came, to find the tensors that are still to be fetched. A GGUF's holds the tokenizer.
    pub header: Vec<u8>,
    /// Shared with whoever loads it.
    pub manifest: Arc<Manifest>,
}

impl StoredModel {
    /// The id under which an autoencoder is stored that was given to a model.
    pub fn part_of(id: &str) -> String {
        format!("{id}{PART}")
    }

    /// The model to which what is stored under an id was given, where it is such a part.
    pub fn model_of(id: &str) -> Option<&str> {
        id.strip_suffix(PART)
    }

    /// Both names under which chunks of a model may lie: those of a new layout come to the one that is free.
    pub fn places(id: &str) -> [String; 2] {
        [id.to_owned(), format!("{id}\u{1}anew")]
    }

    /// The manifest as it is stored beside the header, JSON. The tokenizer stands in one of both: in the header where the
    /// file brings it, else here.
    pub fn written_manifest(&self) -> serde_json::Result<String> {
        if tokenizer_in(&self.header).is_some_and(|text| text == self.manifest.tokenizer) {
            serde_json::to_string(&self.manifest.without_tokenizer())
        } else {
            serde_json::to_string(&*self.manifest)
        }
    }

    /// The manifest that was stored beside this header, by this version of the engine or by one that wrote the tokenizer
    /// into both; `None` where it cannot be read.
    pub fn read_manifest(written: &str, header: &[u8]) -> Option<Manifest> {
        let manifest: Manifest = serde_json::from_str(written).ok()?;
        if !manifest.tokenizer.is_empty() {
            return Some(manifest);
        }
        Some(Manifest { tokenizer: tokenizer_in(header)?, ..manifest })
    }

    /// How its slabs are cut.
    pub fn chunk_map(&self) -> ChunkMap {
        ChunkMap::new(&self.manifest.slabs, self.chunk_bytes)
    }
}

/// The tokenizer that a file's header brings.
fn tokenizer_in(header: &[u8]) -> Option<String> {
    parsed(header)?.metadata.remove(Header::TOKENIZER)
}

/// The licence that a file's header states.
pub fn license_in(header: &[u8]) -> Option<License> {
    License::stated(&parsed(header)?.metadata)
}

fn parsed(header: &[u8]) -> Option<Header> {
    match Header::parse("the stored header", header, None) {
        Ok(Parse::Done(header)) => Some(header),
        _ => None,
    }
}

/// Whether records written with this format number can be read by this version of the engine.
pub fn format_ok(format: u32) -> bool {
    READABLE_FORMATS.contains(&format)
}

/// A `Content-Range` header, `bytes 100-999/1000`, as the first byte and the file's length (100, 1000).
pub fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let from = range.split_once('-')?.0.trim().parse().ok()?;
    Some((from, total.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        assert_eq!(content_range("bytes 100-999/1000"), Some((100, Some(1000))));
        assert_eq!(content_range(" bytes 0-0/*"), Some((0, None)));
        for nonsense in ["", "bytes */1000", "bytes 1/2", "items 0-1/2", "bytes a-b/c"] {
            assert_eq!(content_range(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_weak_tag_is_no_validator() {
        let date = Some("Mon, 23 Nov 2026 00:00:00 GMT".to_owned());
        let origin =
            Origin { etag: Some("W/\"1\"".into()), last_modified: date.clone(), ..Origin::default() };
        assert_eq!(origin.validator(), date.as_deref());
        let origin = Origin { etag: Some("\"1\"".into()), ..origin };
        assert_eq!(origin.validator(), Some("\"1\""));
    }

    #[test]
    fn a_strong_tag_or_a_date_proves_a_file_to_be_the_same() {
        let of = |etag: Option<&str>, date: Option<&str>| Origin {
            etag: etag.map(str::to_owned),
            last_modified: date.map(str::to_owned),
            ..Origin::default()
        };
        for (one, other, proven) in [
            (of(Some("\"1\""), None), of(Some("\"1\""), None), true),
            (of(Some("\"1\""), Some("Monday")), of(Some("\"2\""), Some("Monday")), false),
            (of(Some("W/\"1\""), None), of(Some("W/\"1\""), None), false),
            (of(Some("W/\"1\""), Some("Monday")), of(Some("W/\"1\""), Some("Monday")), true),
            (of(None, Some("Monday")), of(Some("\"1\""), Some("Monday")), true),
            (of(None, Some("Monday")), of(None, Some("Tuesday")), false),
            (of(Some("\"1\""), None), of(None, None), false),
            (of(None, None), of(None, None), false),
        ] {
            assert_eq!(one.is_proven_by(&other), proven, "{one:?} {other:?}");
        }
    }

    #[test]
    fn the_hash_decides_before_tag_and_date() {
        let a = Origin { sha256: Some("aa".into()), etag: Some("\"1\"".into()), ..Origin::default() };
        let b = Origin { etag: Some("\"2\"".into()), ..a.clone() };
        assert!(a.agrees_with(&b));
        assert!(!a.agrees_with(&Origin { sha256: Some("bb".into()), ..Origin::default() }));
        let unhashed = Origin { sha256: None, ..a.clone() };
        assert!(!unhashed.agrees_with(&b));
        assert!(unhashed.agrees_with(&Origin::default()));
        assert!(!Origin { bytes: Some(1), ..a }.agrees_with(&Origin { bytes: Some(2), ..b }));
    }
}
