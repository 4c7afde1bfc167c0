//! The tokenizers of a model's text encoders: one, read as often as their padding differs.

use std::sync::Arc;

use super::{Encoded, Reading, Tokenizer};
use crate::error::Result;

/// One tokenizer per text encoder; those that pad alike are one.
pub struct Tokenizers(Vec<Arc<Tokenizer>>);

impl Tokenizers {
    /// Reads a `tokenizer.json` for text encoders that pad with these tokens, each `None` as the file itself says.
    pub fn from_json<'a>(json: &[u8], pads: impl IntoIterator<Item = Option<&'a str>>) -> Result<Self> {
        let first = Arc::new(Tokenizer::from_json(json)?);
        let mut all = Vec::new();
        for pad in pads {
            all.push(match pad {
                Some(pad) => Arc::new(Tokenizer::padded(json, Some(pad))?),
                None => first.clone(),
            });
        }
        if all.is_empty() {
            all.push(first);
        }
        Ok(Tokenizers(all))
    }

    /// The first text encoder's, by which lengths are told.
    pub fn first(&self) -> &Tokenizer {
        &self.0[0]
    }

    /// A prompt as each text encoder takes it; errors name the request's field.
    pub fn encode(
        &self,
        (field, reading): (&'static str, &Reading),
        prompt: &str,
        max_length: usize,
    ) -> Result<Vec<Encoded>> {
        self.iter().map(|tokenizer| tokenizer.encode_field(field, reading, prompt, max_length)).collect()
    }

    /// All, in the text encoders' order.
    pub fn iter(&self) -> impl Iterator<Item = &Tokenizer> {
        self.0.iter().map(Arc::as_ref)
    }
}
