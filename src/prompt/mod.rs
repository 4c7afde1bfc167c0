//! From text to weighted chunks of token ids, with A1111's syntax.
//!
//! A prompt of any length becomes chunks of as many tokens as the text encoder takes; each is encoded by itself and
//! the embeddings are joined. Weights multiply the embeddings ([`apply_weights`]).

mod chunks;
mod syntax;
mod tokenizer;

pub use chunks::{Chunk, Encoded};
pub use tokenizer::Tokenizer;

/// The longest prompt that is taken, in characters.
pub const MAX_CHARS: usize = 20_000;

/// Multiplies each token's hidden state by its weight, then rescales all to their old mean, as A1111 does.
///
/// For one chunk: `embeddings` is `[tokens, hidden]`, `weights` is `[tokens]`.
pub fn apply_weights(embeddings: &mut [f32], weights: &[f32]) {
    if weights.is_empty() || weights.iter().all(|weight| *weight == 1.0) {
        return;
    }
    let mean = |values: &[f32]| values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64;
    let before = mean(embeddings);
    let hidden = embeddings.len() / weights.len();
    for (row, weight) in embeddings.chunks_exact_mut(hidden.max(1)).zip(weights) {
        row.iter_mut().for_each(|value| *value *= weight);
    }
    let scale = before / mean(embeddings);
    // A mean of nothing cannot be restored (all weights zero).
    if scale.is_finite() {
        embeddings.iter_mut().for_each(|value| *value = (f64::from(*value) * scale) as f32);
    }
}

#[cfg(test)]
mod tests;
