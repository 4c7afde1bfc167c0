//! What a training asks of a model.

use std::sync::Arc;

use super::Pipeline;
use crate::error::{Error, Result};
use crate::pipeline::engine::Engine;
use crate::prompt::{Embedding, Embeddings, Emphasis, Reading};

/// Where a model is, all of it.
#[derive(Clone, Copy)]
pub enum Resident<'a> {
    #[cfg(feature = "cpu")]
    Cpu(&'a crate::cpu::Weights),
    #[cfg(feature = "gpu")]
    Gpu(&'a crate::gpu::Context, &'a crate::gpu::Weights),
}

impl Pipeline {
    /// Where the model is, with all of its weights. [`Error::Unsupported`] where a limit of memory keeps some of them away.
    pub fn learns_on(&self) -> Result<Resident<'_>> {
        match &self.engine {
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => Ok(Resident::Cpu(engine.weights())),
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => {
                engine.resident().map(|(context, weights)| Resident::Gpu(context, weights))
            }
        }
    }

    /// Lets whoever else waits run, between two steps.
    pub async fn pause(&self) {
        match &self.engine {
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => engine.pause().await,
            #[cfg(feature = "gpu")]
            Engine::Gpu(_) => {}
        }
    }

    /// The token ids of a caption, `[tokens of a chunk]`, whose brackets are text and in which a word of its own may stand; refused
    /// where it is longer than a chunk.
    pub fn caption_tokens(&self, caption: &str, word: Option<&Arc<Embedding>>) -> Result<Vec<u32>> {
        let most = self.config.chunk_tokens();
        let embeddings = Embeddings::new(word.map_or(&[], std::slice::from_ref));
        let reading = Reading { emphasis: Emphasis::None, embeddings, ..Reading::default() };
        let mut encoded = self.tokenizers.first().encode(reading, caption, most)?;
        if encoded.chunks.len() > 1 {
            let message =
                format!("{caption:?} has {} tokens, a caption may have {}", encoded.tokens, most - 2);
            return Err(Error::InvalidInput { field: "caption", message });
        }
        Ok(encoded.chunks.swap_remove(0).ids)
    }

    /// What the text encoder makes of token ids, `[tokens, channels]`.
    pub async fn caption_states(&self, ids: &[u32]) -> Result<Vec<f32>> {
        self.engine.stages().text_embeddings(&self.config, &[ids.to_vec()], 0).await
    }

    /// The vectors that the text encoder's table has of each token of some words.
    pub async fn token_vectors(&self, words: &str) -> Result<Vec<Vec<f32>>> {
        let reading = Reading { emphasis: Emphasis::None, ..Reading::default() };
        let encoded = self.tokenizers.first().encode(reading, words, self.config.chunk_tokens())?;
        let ids = encoded.chunks.first().map_or(&[][..], |chunk| &chunk.ids);
        let vectors = self.engine.stages().token_vectors(&self.config, ids).await?;
        let most = ids.len().saturating_sub(2); // between beginning and end
        Ok(vectors.into_iter().skip(1).take(encoded.tokens.min(most)).collect())
    }
}
