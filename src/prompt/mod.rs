//! From text to weighted chunks of token ids, as A1111, ComfyUI, diffusers or compel reads a prompt.
//!
//! A prompt of any length becomes chunks of as many tokens as the text encoder takes; each is encoded by itself and
//! the embeddings are joined. Weights change what was encoded ([`Weighting`]).

mod chunks;
mod clean;
mod comfyui;
mod compel;
mod compose;
mod dynamic;
mod embedding;
mod networks;
mod schedule;
mod syntax;
mod tokenizer;
mod tokenizers;
mod unfollowed;
mod weighting;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub use chunks::{Chunk, Encoded};
pub use clean::without_comments;
pub use compose::{Component, components};
pub use dynamic::{Wildcards, expand};
pub use embedding::{Embedding, Embeddings, OWN};
pub use networks::{LoraTag, lora_tags, without_other_networks};
pub use schedule::{Steps, changes, timeline};
pub use tokenizer::Tokenizer;
pub use tokenizers::Tokenizers;
pub use unfollowed::{notices, without_networks, without_tags};
pub use weighting::Weighting;

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
    /// ComfyUI's: round brackets are weights, of which each counts from the empty prompt on; length makes parts, between words.
    ComfyUi,
    /// diffusers': every character is text, tokenized as transformers does; what is too long is left out.
    Diffusers,
    /// compel's, which people use with diffusers and InvokeAI reads: `word++`, `(phrase)1.3`, `.and()`, `.blend()`; weights count
    /// from the empty prompt on, what is too long is left out.
    Compel,
}

impl Dialect {
    pub const ALL: [Dialect; 4] = [Dialect::A1111, Dialect::ComfyUi, Dialect::Diffusers, Dialect::Compel];

    pub fn name(self) -> &'static str {
        match self {
            Dialect::A1111 => "a1111",
            Dialect::ComfyUi => "comfyui",
            Dialect::Diffusers => "diffusers",
            Dialect::Compel => "compel",
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

/// What A1111 does with brackets; its setting `Emphasis`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Emphasis {
    /// They weigh words, and the mean of all is restored.
    #[default]
    Original,
    /// They weigh words.
    NoNorm,
    /// They are read, and weigh nothing.
    Ignore,
    /// They are text, and so is `BREAK`.
    None,
}

impl Emphasis {
    pub const ALL: [Emphasis; 4] = [Emphasis::Original, Emphasis::NoNorm, Emphasis::Ignore, Emphasis::None];

    pub fn name(self) -> &'static str {
        match self {
            Emphasis::Original => "original",
            Emphasis::NoNorm => "no-norm",
            Emphasis::Ignore => "ignore",
            Emphasis::None => "none",
        }
    }

    /// As A1111 writes it into a picture's metadata.
    pub fn a1111_name(self) -> &'static str {
        match self {
            Emphasis::Original => "Original",
            Emphasis::NoNorm => "No norm",
            Emphasis::Ignore => "Ignore",
            Emphasis::None => "None",
        }
    }

    pub fn from_a1111_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|emphasis| emphasis.a1111_name().eq_ignore_ascii_case(name))
    }
}

impl FromStr for Emphasis {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|emphasis| emphasis.name() == text);
        found.ok_or_else(|| Error::InvalidInput {
            field: "emphasis",
            message: format!("there is no {text:?}; known are {}", Self::ALL.map(Self::name).join(", ")),
        })
    }
}

/// How prompts are read.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    pub dialect: Dialect,
    /// Of A1111's.
    pub emphasis: Emphasis,
    /// Words of one's own.
    pub embeddings: Embeddings,
}

impl Reading {
    /// What weights do.
    pub fn weighting(&self) -> Weighting {
        match (self.dialect, self.emphasis) {
            (Dialect::ComfyUi | Dialect::Compel, _) => Weighting::FromEmpty,
            (_, Emphasis::NoNorm) => Weighting::Times,
            _ => Weighting::TimesWithMean,
        }
    }
}

impl From<Dialect> for Reading {
    fn from(dialect: Dialect) -> Reading {
        Reading { dialect, ..Reading::default() }
    }
}

impl From<&Reading> for Reading {
    fn from(reading: &Reading) -> Reading {
        reading.clone()
    }
}

#[cfg(test)]
mod tests;
