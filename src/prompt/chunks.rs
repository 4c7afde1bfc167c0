//! Chunks: tokens in portions that the text encoder takes, each between its begin and end tokens.

use std::ops::Range;

/// What the text encoder takes at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// `[max_length]`: begin, up to `max_length - 2` tokens, end, padding.
    pub ids: Vec<u32>,
    /// `[max_length]`: 1 for begin, end and padding.
    pub weights: Vec<f32>,
    /// Positions that no position sees, its own included; none where it is empty.
    pub hidden: Range<usize>,
    /// Its states are all the last one of the chunk before.
    pub repeats: bool,
    /// How much it counts beside those that are mixed with it; 1 where it is alone.
    pub share: f32,
    /// What is mixed with it once the text encoder has read each, by how much each counts.
    pub mixed: Vec<(f32, Chunk)>,
}

impl Chunk {
    /// Whether what the text encoder makes of it is changed.
    pub fn is_changed(&self) -> bool {
        self.repeats
            || self.share != 1.0
            || !self.mixed.is_empty()
            || self.weights.iter().any(|weight| *weight != 1.0)
    }
}

/// A prompt in tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// At least one.
    pub chunks: Vec<Chunk>,
    /// Tokens of the text itself, over all chunks.
    pub tokens: usize,
    /// Embeddings that are asked for by a name that none has.
    pub unknown: Vec<String>,
}

impl Encoded {
    /// Whether any weight differs from 1.
    pub fn is_weighted(&self) -> bool {
        self.chunks.iter().flat_map(|chunk| &chunk.weights).any(|weight| *weight != 1.0)
    }
}

/// The tokens that frame a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    pub begin: u32,
    pub end: u32,
    pub pad: u32,
    /// At least 3.
    pub max_length: usize,
}

impl Frame {
    /// `tokens` (id, weight), at most `max_length - 2`, as a chunk.
    pub fn chunk(&self, tokens: &[(u32, f32)]) -> Chunk {
        let mut ids = vec![self.pad; self.max_length];
        let mut weights = vec![1.0; self.max_length];
        ids[0] = self.begin;
        for (i, (id, weight)) in tokens.iter().enumerate() {
            ids[1 + i] = *id;
            weights[1 + i] = *weight;
        }
        ids[1 + tokens.len()] = self.end;
        Chunk { ids, weights, hidden: 0..0, repeats: false, share: 1.0, mixed: Vec::new() }
    }
}

/// Fills chunks one token at a time.
pub struct Chunker {
    frame: Frame,
    /// The comma's id, at which a full chunk is rather cut.
    comma: Option<u32>,
    chunks: Vec<Chunk>,
    open: Vec<(u32, f32)>,
    last_comma: Option<usize>,
    tokens: usize,
}

impl Chunker {
    /// A full chunk that has a comma among so many last tokens is cut after it (A1111's default).
    const BACKTRACK: usize = 20;

    pub fn new(frame: Frame, comma: Option<u32>) -> Self {
        Chunker { frame, comma, chunks: Vec::new(), open: Vec::new(), last_comma: None, tokens: 0 }
    }

    pub fn push(&mut self, id: u32, weight: f32) {
        self.make_room(id);
        self.open.push((id, weight));
        self.tokens += 1;
    }

    /// Ends a chunk that has no room for one more token.
    fn make_room(&mut self, id: u32) {
        let full = self.open.len() == self.frame.max_length - 2;
        if Some(id) == self.comma {
            if full {
                self.close();
            }
            self.last_comma = Some(self.open.len());
        } else if full {
            let near = |comma: &usize| self.open.len() - comma <= Self::BACKTRACK;
            let moved = match self.last_comma.filter(near) {
                Some(comma) => self.open.split_off(comma + 1),
                None => Vec::new(),
            };
            self.close();
            self.open = moved;
        }
    }

    /// Tokens that stand for the word that begins with `id`, in one chunk where they fit into any.
    pub fn push_together(&mut self, id: u32, tokens: &[u32], weight: f32) {
        self.make_room(id);
        if !self.open.is_empty() && self.open.len() + tokens.len() > self.frame.max_length - 2 {
            self.close();
        }
        for token in tokens.iter().take(self.frame.max_length - 2) {
            self.open.push((*token, weight));
            self.tokens += 1;
        }
    }

    /// Ends the open chunk, even an empty one.
    pub fn close(&mut self) {
        self.chunks.push(self.frame.chunk(&self.open));
        self.open.clear();
        self.last_comma = None;
    }

    pub fn finish(mut self) -> Encoded {
        if !self.open.is_empty() || self.chunks.is_empty() {
            self.close();
        }
        Encoded { chunks: self.chunks, tokens: self.tokens, unknown: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame { begin: 100, end: 101, pad: 102, max_length: 32 };
    const COMMA: u32 = 1;

    fn chunks(ids: impl IntoIterator<Item = u32>) -> Vec<Vec<u32>> {
        let mut chunker = Chunker::new(FRAME, Some(COMMA));
        ids.into_iter().for_each(|id| chunker.push(id, 1.0));
        let text = |chunk: &Chunk| chunk.ids.iter().copied().filter(|id| *id < 100).collect();
        chunker.finish().chunks.iter().map(text).collect()
    }

    #[test]
    fn framed_and_padded() {
        let chunk = FRAME.chunk(&[(7, 2.0), (8, 1.0)]);
        assert_eq!(chunk.ids[..6], [100, 7, 8, 101, 102, 102]);
        assert_eq!(chunk.weights[..4], [1.0, 2.0, 1.0, 1.0]);
        assert_eq!((chunk.ids.len(), chunk.weights.len()), (32, 32));
    }

    #[test]
    fn exactly_full_is_one_chunk() {
        assert_eq!(chunks(10..40).len(), 1);
        assert_eq!(chunks(10..41), [(10..40).collect::<Vec<_>>(), vec![40]]);
        assert_eq!(chunks([]), [Vec::<u32>::new()]);
    }

    #[test]
    fn a_near_comma_moves_the_cut() {
        let ids = |comma_at: usize| (0..31).map(move |i| if i == comma_at { COMMA } else { 10 + i as u32 });
        assert_eq!(chunks(ids(10)).iter().map(Vec::len).collect::<Vec<_>>(), [11, 20]);
        assert_eq!(chunks(ids(9)).iter().map(Vec::len).collect::<Vec<_>>(), [30, 1]);
        assert_eq!(chunks(ids(29)).iter().map(Vec::len).collect::<Vec<_>>(), [30, 1]);
        assert_eq!(chunks(ids(30)).iter().map(Vec::len).collect::<Vec<_>>(), [30, 1]);
    }
}
