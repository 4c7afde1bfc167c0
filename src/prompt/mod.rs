//! From text to weighted chunks of token ids, as A1111 or as diffusers reads a prompt.
//!
//! A prompt of any length becomes chunks of as many tokens as the text encoder takes; each is encoded by itself and
//! the embeddings are joined. Weights multiply the embeddings ([`apply_weights`]).

mod chunks;
mod clean;
mod compose;
mod networks;
mod schedule;
mod syntax;
mod tokenizer;
mod tokenizers;
mod unfollowed;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub use chunks::{Chunk, Encoded};
pub use compose::{Component, components};
pub use networks::{LoraTag, lora_tags, without_other_networks};
pub use schedule::{Steps, changes, timeline};
pub use tokenizer::Tokenizer;
pub use tokenizers::Tokenizers;
pub use unfollowed::{notices, without_networks};

/// The longest prompt that is taken, in characters.
pub const MAX_CHARS: usize = 20_000;

/// The most parts of a prompt, each as long as the text encoder takes, that are read for all pictures of a run together:
/// what fits a GPU's buffers with Stable Diffusion's text encoders.
pub const MAX_PARTS: usize = 128;

/// Whose way a prompt is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// A1111's: brackets are weights, `BREAK` and length make parts, the text is cleaned as original CLIP cleans it.
    #[default]
    A1111,
    /// diffusers': every character is text, tokenized as transformers does; what is too long is left out.
    Diffusers,
}

impl Dialect {
    pub const ALL: [Dialect; 2] = [Dialect::A1111, Dialect::Diffusers];

    pub fn name(self) -> &'static str {
        match self {
            Dialect::A1111 => "a1111",
            Dialect::Diffusers => "diffusers",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|dialect| dialect.name() == text);
        found.ok_or_else(|| Error::InvalidInput {
            field: "dialect",
            message: format!("there is no {text:?}; known are {}", Self::ALL.map(Self::name).join(", ")),
        })
    }
}

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
