//! Embeddings (textual inversion, Gal et al. 2022, <https://arxiv.org/abs/2208.01618>): words of one's own, each some vectors
//! that stand where a text encoder would look tokens up.

use std::sync::Arc;

use super::Tokenizer;
use crate::error::Result;

/// An id with this bit is a row of the run's own vectors, counted over all embeddings that it was given; the embed kernel's too.
pub const OWN: u32 = 1 << 31;

/// A word of one's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// What prompts call it: its file's name without the ending.
    pub name: String,
    /// What diffusers' prompts call it, such as `<cat-toy>`, where the file says so.
    pub token: Option<String>,
    /// `[vectors, width]`, finite.
    pub vectors: Vec<f32>,
    /// Of the text encoder that it was made for.
    pub width: usize,
    /// By which A1111 knows its file: the first twelve digits of its SHA-256.
    pub hash: String,
}

impl Embedding {
    /// How many tokens it stands for.
    pub fn vectors(&self) -> usize {
        self.vectors.len() / self.width.max(1)
    }
}

/// The embeddings of a run, ready to be found in prompts.
#[derive(Debug, Clone, Default)]
pub struct Embeddings {
    all: Vec<Arc<Embedding>>,
    /// The first row of each.
    rows: Vec<u32>,
}

/// Where one stands in a text, in bytes or tokens, and how long its name is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub embedding: usize,
    pub length: usize,
}

impl Embeddings {
    /// In the order in which a run was given them.
    pub fn new(all: &[Arc<Embedding>]) -> Embeddings {
        let mut next = 0;
        let mut row = |embedding: &Arc<Embedding>| {
            let row = next;
            next += embedding.vectors() as u32;
            row
        };
        Embeddings { rows: all.iter().map(&mut row).collect(), all: all.to_vec() }
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The ids of one's vectors.
    pub fn ids(&self, embedding: usize) -> impl Iterator<Item = u32> {
        let count = self.all.get(embedding).map_or(0, |embedding| embedding.vectors() as u32);
        let first = self.rows.get(embedding).copied().unwrap_or(0);
        (first..first + count).map(|row| OWN | row)
    }

    /// Which one an id is a vector of.
    pub fn of_id(&self, id: u32) -> Option<&Embedding> {
        let row = id.checked_sub(OWN)?;
        let after = self.rows.partition_point(|first| *first <= row);
        self.all.get(after.checked_sub(1)?).map(Arc::as_ref)
    }

    /// By the name of its file, with or without an ending or folders; capitals count as small letters.
    pub fn named(&self, name: &str) -> Option<usize> {
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let bare = file.strip_suffix(".safetensors").unwrap_or(file);
        self.all.iter().position(|embedding| embedding.name.eq_ignore_ascii_case(bare))
    }

    /// The longest diffusers' token at the beginning of a text.
    pub fn at_start(&self, text: &str) -> Option<Found> {
        let token = |embedding: &Embedding| {
            let token = embedding.token.as_ref().unwrap_or(&embedding.name);
            (!token.is_empty() && text.starts_with(token)).then_some(token.len())
        };
        let found = self.all.iter().enumerate();
        let found = found.filter_map(|(embedding, of)| Some(Found { embedding, length: token(of)? }));
        found.max_by_key(|found| found.length)
    }

    /// The names as tokens, by which A1111 finds them in a prompt.
    pub fn tokenized(&self, tokenizer: &Tokenizer) -> Result<Names> {
        let ids = |embedding: &Arc<Embedding>| tokenizer.ids_of_name(&embedding.name);
        Ok(Names(self.all.iter().map(ids).collect::<Result<_>>()?))
    }
}

/// What prompts call embeddings, in a tokenizer's tokens.
pub struct Names(Vec<Vec<u32>>);

impl Names {
    /// The longest name at the beginning of tokens.
    pub fn at_start(&self, tokens: &[u32]) -> Option<Found> {
        let names = self.0.iter().enumerate().filter(|(_, ids)| !ids.is_empty() && tokens.starts_with(ids));
        let found = names.map(|(embedding, ids)| Found { embedding, length: ids.len() });
        // Of two of one length the first.
        found.rev().max_by_key(|found| found.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedding(name: &str, token: Option<&str>, vectors: usize) -> Arc<Embedding> {
        Arc::new(Embedding {
            name: name.to_string(),
            token: token.map(str::to_string),
            vectors: vec![0.0; 4 * vectors],
            width: 4,
            hash: String::new(),
        })
    }

    #[test]
    fn rows_are_counted_over_all() {
        let all = Embeddings::new(&[embedding("a", None, 2), embedding("b", Some("<bee>"), 3)]);
        assert_eq!(all.ids(0).collect::<Vec<_>>(), [OWN, OWN | 1]);
        assert_eq!(all.ids(1).collect::<Vec<_>>(), [OWN | 2, OWN | 3, OWN | 4]);
        let name = |id| all.of_id(id).map(|embedding| embedding.name.as_str());
        assert_eq!([OWN, OWN | 1, OWN | 2, OWN | 4].map(name), [Some("a"), Some("a"), Some("b"), Some("b")]);
        assert_eq!(name(3), None);
        assert_eq!((all.ids(7).count(), Embeddings::default().is_empty()), (0, true));
    }

    #[test]
    fn by_name() {
        let all = Embeddings::new(&[
            embedding("Easy", None, 1),
            embedding("easyneg", None, 1),
            embedding("toy", Some("<cat-toy>"), 1),
        ]);
        assert_eq!(all.named("easy"), Some(0));
        assert_eq!(all.named("sd15/EasyNeg.safetensors"), Some(1));
        assert_eq!(all.named("eas"), None);
        assert_eq!(all.at_start("easyneg, x"), Some(Found { embedding: 1, length: 7 }));
        assert_eq!(all.at_start("<cat-toy> x"), Some(Found { embedding: 2, length: 9 }));
        assert_eq!(all.at_start("toy"), None, "its token is another");
        assert_eq!(all.at_start("é"), None);
        let names = Names(vec![vec![5], vec![5, 6], vec![5, 6], vec![]]);
        assert_eq!(names.at_start(&[5, 6, 7]), Some(Found { embedding: 1, length: 2 }));
        assert_eq!(names.at_start(&[5, 7]), Some(Found { embedding: 0, length: 1 }));
        assert_eq!(names.at_start(&[]), None);
    }
}
