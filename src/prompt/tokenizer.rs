//! CLIP's tokenizer, read from a `tokenizer.json`.

use super::chunks::{Chunk, Chunker, Encoded, Frame};
use super::clean::clean;
use super::{Dialect, MAX_CHARS, syntax, unfollowed};
use crate::error::{Error, Result};

/// Text to token ids, by the `tokenizers` crate.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    begin: u32,
    end: u32,
    pad: u32,
    comma: Option<u32>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`. Its `padding` names the pad token; without any, the end token pads.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        Tokenizer::padded(json, None)
    }

    /// Reads a `tokenizer.json` whose `padding` is not the one that counts: `pad` is, a token of its vocabulary.
    pub fn padded(json: &[u8], pad: Option<&str>) -> Result<Self> {
        let bad = |message: String| Error::Json { file: "tokenizer.json".to_string(), message };
        // The crate panics where a decoder breaks off.
        serde_json::from_slice::<serde::de::IgnoredAny>(json).map_err(|error| bad(error.to_string()))?;
        let mut inner = tokenizers::Tokenizer::from_bytes(json).map_err(|error| bad(error.to_string()))?;
        let named = inner.get_padding().map(|padding| (padding.pad_token.clone(), Some(padding.pad_id)));
        inner.with_padding(None);
        let mut padding = None;
        if let Some((token, id)) = pad.map(|pad| (pad.to_string(), None)).or(named) {
            let found = inner.token_to_id(&token);
            if found.is_none() || (id.is_some() && id != found) {
                let id = id.map_or("any id".to_string(), |id| format!("the id {id}"));
                return Err(bad(format!("the pad token {token:?} has not {id} in the vocabulary")));
            }
            padding = found;
            // As in transformers the pad token is a special one: with Stable Diffusion 2 a prompt's `!` is padding.
            inner
                .add_special_tokens([tokenizers::AddedToken::from(token, true)])
                .map_err(|error| bad(error.to_string()))?;
        }
        inner.with_truncation(None).map_err(|error| bad(error.to_string()))?;
        // What the post-processor puts around nothing are the begin and end tokens.
        let around = inner.encode("", true).map_err(|error| bad(error.to_string()))?;
        let (begin, end) = match around.get_ids() {
            [begin, end] => (*begin, *end),
            _ => {
                let id = |token: &str| {
                    inner.token_to_id(token).ok_or_else(|| bad(format!("no token {token}; not CLIP's kind")))
                };
                (id("<|startoftext|>")?, id("<|endoftext|>")?)
            }
        };
        let comma = inner.token_to_id(",</w>");
        Ok(Tokenizer { inner, begin, end, pad: padding.unwrap_or(end), comma })
    }

    /// How many ids there are: one more than the largest.
    pub fn vocab_size(&self) -> usize {
        let largest = self.inner.get_vocab(true).into_values().max();
        largest.map_or(0, |id| id as usize + 1)
    }

    /// What an id stands for, as people would read it.
    pub fn text_of(&self, id: u32) -> String {
        let decoded = self.inner.decode(&[id], false).unwrap_or_default();
        let token = || self.inner.id_to_token(id).unwrap_or_default();
        let text = if decoded.trim().is_empty() { token() } else { decoded };
        text.replace("</w>", "").trim().to_string()
    }

    /// How many ids of a chunk are begin, text and end; the rest is padding.
    pub fn framed_len(&self, chunk: &Chunk) -> usize {
        let text = chunk.ids.iter().skip(1).position(|id| *id == self.end);
        text.map_or(chunk.ids.len(), |text| text + 2)
    }

    /// A prompt as chunks of `max_length` ids (the text encoder's `max_position_embeddings`).
    pub fn encode(&self, dialect: Dialect, prompt: &str, max_length: usize) -> Result<Encoded> {
        self.encode_field("prompt", dialect, prompt, max_length)
    }

    /// As many chunks as `count`, empty ones behind those of a text.
    pub fn fill(&self, chunks: &mut Vec<Chunk>, count: usize, max_length: usize) -> Result<()> {
        chunks.resize(count, self.frame(max_length)?.chunk(&[]));
        Ok(())
    }

    /// The same of a field of a request, which errors name.
    pub(super) fn encode_field(
        &self,
        field: &'static str,
        dialect: Dialect,
        prompt: &str,
        max_length: usize,
    ) -> Result<Encoded> {
        let chars = prompt.chars().count();
        if chars > MAX_CHARS {
            let message = format!("{chars} characters, at most {MAX_CHARS} are taken");
            return Err(Error::InvalidInput { field, message });
        }
        let ids = |text: String| {
            let encoding = self.inner.encode(text, false);
            encoding.map_err(|error| Error::InvalidInput { field, message: error.to_string() })
        };
        let frame = self.frame(max_length)?;
        if dialect == Dialect::Diffusers {
            let encoding = ids(prompt.to_string())?;
            let tokens: Vec<(u32, f32)> = encoding.get_ids().iter().map(|id| (*id, 1.0)).collect();
            let read = tokens.len().min(max_length - 2);
            return Ok(Encoded { chunks: vec![frame.chunk(&tokens[..read])], tokens: tokens.len() });
        }
        let mut chunker = Chunker::new(frame, self.comma);
        for piece in syntax::parse(&unfollowed::without_networks(prompt).0) {
            match piece {
                syntax::Piece::Break => chunker.close(),
                syntax::Piece::Text { text, weight } => {
                    let encoding = ids(clean(&text))?;
                    encoding.get_ids().iter().for_each(|id| chunker.push(*id, weight as f32));
                }
            }
        }
        Ok(chunker.finish())
    }

    fn frame(&self, max_length: usize) -> Result<Frame> {
        if max_length < 3 {
            return Err(Error::Unsupported {
                what: format!("a text encoder of {max_length} positions"),
                message: "begin, end and one token need three".to_string(),
            });
        }
        Ok(Frame { begin: self.begin, end: self.end, pad: self.pad, max_length })
    }
}
