//! Rows of tokens that are read at once.

use crate::prompt::{Chunk, Weighting};
use crate::sample::spherical;

/// What is read at once: a row of chunks without a prompt, where guided, and one with each, whatever the batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens {
    /// For each text encoder its rows, each with equally many chunks.
    pub(super) texts: Vec<Vec<Vec<Chunk>>>,
}

impl Tokens {
    /// The rows of a text encoder.
    pub fn rows(&self, encoder: usize) -> &[Vec<Chunk>] {
        self.texts.get(encoder).map_or(&[], Vec::as_slice)
    }

    /// The chunks of a text encoder, row after row.
    pub(super) fn of_encoder(&self, encoder: usize) -> impl Iterator<Item = &Chunk> {
        self.rows(encoder).iter().flatten()
    }

    /// Chunks per row.
    pub fn chunks(&self) -> usize {
        self.rows(0).first().map_or(1, Vec::len)
    }

    /// All ids of a text encoder, row after row.
    pub fn ids(&self, encoder: usize) -> Vec<u32> {
        self.of_encoder(encoder).flat_map(|chunk| chunk.ids.iter().copied()).collect()
    }

    /// For each of these ids whether no other sees it (1) or all behind it do.
    pub fn hidden(&self, encoder: usize) -> Vec<u32> {
        let of = |chunk: &Chunk| {
            let hidden = chunk.hidden.clone();
            (0..chunk.ids.len()).map(move |at| u32::from(hidden.contains(&at)))
        };
        self.of_encoder(encoder).flat_map(of).collect()
    }

    /// Whether a token is hidden from others in one of what is mixed.
    pub fn hides(&self) -> bool {
        let mut mixed = self.texts.iter().flatten().flatten().flat_map(|chunk| &chunk.mixed);
        mixed.any(|(_, chunk)| !chunk.hidden.is_empty())
    }

    /// Whether what a text encoder makes of it is changed: a token has a weight other than 1, or chunks are mixed.
    pub fn is_weighted(&self) -> bool {
        self.texts.iter().flatten().flatten().any(Chunk::is_changed)
    }

    /// How many chunks are mixed with one at most.
    pub fn mixed(&self, encoder: usize) -> usize {
        self.of_encoder(encoder).map(|chunk| chunk.mixed.len()).max().unwrap_or(0)
    }

    /// What is mixed with each chunk as number `number`, in the same rows; a chunk that has no such stands for itself, by a share of 0.
    pub fn beside(&self, number: usize) -> Tokens {
        let one = |chunk: &Chunk| match chunk.mixed.get(number) {
            Some((share, chunk)) => Chunk { share: *share, ..chunk.clone() },
            None => Chunk { share: 0.0, mixed: Vec::new(), ..chunk.clone() },
        };
        let row = |row: &Vec<Chunk>| row.iter().map(one).collect();
        let texts = self.texts.iter().map(|rows| rows.iter().map(row).collect());
        Tokens { texts: texts.collect() }
    }

    /// Embeddings on the way from this conditioning's to the other's, `[rows, chunks · tokens, hidden]`: an arc for
    /// each token.
    pub fn walk(from: &[f32], to: &[f32], share: f64, hidden: usize) -> Vec<f32> {
        from.chunks(hidden).zip(to.chunks(hidden)).flat_map(|(a, b)| spherical(a, b, share)).collect()
    }

    /// Applies the prompts' weights and shares to a text encoder's embeddings `[rows, chunks · tokens, hidden]`; `empty` `[tokens, hidden]` are
    /// those of no prompt, where they count.
    pub fn weigh(&self, encoder: usize, embeddings: &mut [f32], weighting: Weighting, empty: &[f32]) {
        let chunks = self.rows(encoder).len() * self.chunks();
        let len = embeddings.len() / chunks.max(1);
        let mut last = Vec::new();
        for (part, chunk) in embeddings.chunks_mut(len.max(1)).zip(self.of_encoder(encoder)) {
            let hidden = len / chunk.ids.len().max(1);
            if chunk.repeats {
                part.chunks_exact_mut(hidden.max(1)).for_each(|state| state.copy_from_slice(&last));
                continue;
            }
            weighting.apply(part, &chunk.weights, empty);
            if chunk.share != 1.0 {
                part.iter_mut().for_each(|value| *value *= chunk.share);
            }
            last = part[len - hidden..].to_vec();
        }
    }
}
