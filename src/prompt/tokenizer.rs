//! CLIP's tokenizer, read from a `tokenizer.json`.

use super::chunks::{Chunk, Chunker, Encoded, Frame};
use super::clean::clean;
use super::embedding::Found;
use super::{Dialect, Emphasis, MAX_CHARS, Reading, comfyui, compel, syntax, unfollowed};
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
        // The crate panics where a decoder breaks off, or has an escape that is no character.
        let text = str::from_utf8(json).map_err(|error| bad(error.to_string()))?;
        serde_json::from_str::<serde_json::Value>(text).map_err(|error| bad(error.to_string()))?;
        let mut inner: tokenizers::Tokenizer = text.parse().map_err(|error| bad(format!("{error}")))?;
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
    pub fn encode(&self, reading: impl Into<Reading>, prompt: &str, max_length: usize) -> Result<Encoded> {
        self.encode_field("prompt", &reading.into(), prompt, max_length)
    }

    /// As many chunks as `count`: those of a text again and again where that comes out even, so that attention sees nothing else
    /// than the text, or empty ones behind them.
    pub fn fill(&self, chunks: &mut Vec<Chunk>, count: usize, max_length: usize) -> Result<()> {
        if !chunks.is_empty() && count.is_multiple_of(chunks.len()) {
            let own = chunks.clone();
            chunks.extend(own.iter().cycle().take(count - own.len()).cloned());
        }
        chunks.resize(count, self.frame(max_length)?.chunk(&[]));
        Ok(())
    }

    /// The chunk of no text.
    pub fn empty(&self, max_length: usize) -> Result<Chunk> {
        Ok(self.frame(max_length)?.chunk(&[]))
    }

    /// The same of a field of a request, which errors name.
    pub(super) fn encode_field(
        &self,
        field: &'static str,
        reading: &Reading,
        prompt: &str,
        max_length: usize,
    ) -> Result<Encoded> {
        let chars = prompt.chars().count();
        if chars > MAX_CHARS {
            let message = format!("{chars} characters, at most {MAX_CHARS} are taken");
            return Err(Error::InvalidInput { field, message });
        }
        let frame = self.frame(max_length)?;
        let named = |error: Error| match error {
            Error::InvalidInput { message, .. } => Error::InvalidInput { field, message },
            other => other,
        };
        let encoded = match reading.dialect {
            Dialect::A1111 => self.as_a1111(reading, prompt, frame),
            Dialect::ComfyUi => self.as_comfyui(reading, prompt, frame),
            Dialect::Diffusers => self.as_diffusers(reading, prompt, frame),
            Dialect::Compel => self.as_compel(reading, prompt, frame),
        };
        encoded.map_err(named)
    }

    /// The ids of a text as it stands.
    fn ids(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.inner.encode(text, false);
        let refused =
            |error: tokenizers::Error| Error::InvalidInput { field: "prompt", message: error.to_string() };
        Ok(encoding.map_err(refused)?.get_ids().to_vec())
    }

    /// The ids of an embedding's name, as A1111 finds them in a prompt.
    pub(super) fn ids_of_name(&self, name: &str) -> Result<Vec<u32>> {
        self.ids(&clean(name))
    }

    fn as_a1111(&self, reading: &Reading, prompt: &str, frame: Frame) -> Result<Encoded> {
        let names = reading.embeddings.tokenized(self)?;
        let mut chunker = Chunker::new(frame, self.comma);
        let prompt = unfollowed::without_networks(prompt).0;
        let pieces = match reading.emphasis {
            Emphasis::None => vec![syntax::Piece::Text { text: prompt, weight: 1.0 }],
            _ => syntax::parse(&prompt),
        };
        for piece in pieces {
            let syntax::Piece::Text { text, weight } = piece else {
                chunker.close();
                continue;
            };
            let weight = if reading.emphasis == Emphasis::Ignore { 1.0 } else { weight as f32 };
            let ids = self.ids(&clean(&text))?;
            let mut rest = ids.as_slice();
            while let Some((id, behind)) = rest.split_first() {
                match names.at_start(rest) {
                    Some(Found { embedding, length }) => {
                        let vectors: Vec<u32> = reading.embeddings.ids(embedding).collect();
                        chunker.push_together(*id, &vectors, weight);
                        rest = &rest[length..];
                    }
                    None => {
                        chunker.push(*id, weight);
                        rest = behind;
                    }
                }
            }
        }
        Ok(chunker.finish())
    }

    fn as_comfyui(&self, reading: &Reading, prompt: &str, frame: Frame) -> Result<Encoded> {
        let (mut words, mut unknown) = (Vec::new(), Vec::new());
        for (text, weight) in comfyui::parse(prompt) {
            let weighed = |ids: Vec<u32>| ids.into_iter().map(|id| (id, weight as f32)).collect();
            for word in comfyui::words(&text) {
                let (named, word) = comfyui::embedding(word, &reading.embeddings);
                match named {
                    Some(Ok(embedding)) => words.push(weighed(reading.embeddings.ids(embedding).collect())),
                    Some(Err(name)) => unknown.push(name.to_string()),
                    None => {}
                }
                if !word.is_empty() {
                    words.push(weighed(self.ids(word)?));
                }
            }
        }
        Ok(Encoded { unknown, ..comfyui::chunks(frame, words) })
    }

    fn as_diffusers(&self, reading: &Reading, prompt: &str, frame: Frame) -> Result<Encoded> {
        let ids = self.ids_with_tokens(reading, prompt)?;
        let tokens: Vec<(u32, f32)> = ids.into_iter().map(|id| (id, 1.0)).collect();
        let read = tokens.len().min(frame.max_length - 2);
        Ok(Encoded { chunks: vec![frame.chunk(&tokens[..read])], tokens: tokens.len(), unknown: Vec::new() })
    }

    fn as_compel(&self, reading: &Reading, prompt: &str, frame: Frame) -> Result<Encoded> {
        let (prompt, _) = unfollowed::without_tags(Dialect::Compel, prompt);
        let (mut chunks, mut tokens) = (Vec::new(), 0);
        for part in compel::parse(&prompt)?.parts {
            let mut mixed = Vec::new();
            for (share, fragments) in part.mixed {
                let ids =
                    |(text, weight): &(String, f64)| Ok((self.ids_with_tokens(reading, text)?, *weight));
                let fragments = fragments.iter().map(ids).collect::<Result<Vec<_>>>()?;
                let all: usize = fragments.iter().map(|(ids, _)| ids.len()).sum();
                tokens = tokens.max(all);
                let variants = compel::variants(&fragments, frame);
                mixed.extend(variants.into_iter().map(|(part, chunk)| ((share * part) as f32, chunk)));
            }
            chunks.push(compel::mixed(mixed, part.weight as f32, frame));
        }
        if chunks.is_empty() {
            chunks.push(frame.chunk(&[]));
        }
        Ok(Encoded { chunks, tokens, unknown: Vec::new() })
    }

    /// The ids of a text as it stands, with those of the embeddings whose `<token>` is in it.
    fn ids_with_tokens(&self, reading: &Reading, prompt: &str) -> Result<Vec<u32>> {
        let (mut ids, mut from, mut at) = (Vec::new(), 0, 0);
        while at < prompt.len() && !reading.embeddings.is_empty() {
            let rest = &prompt[at..];
            match reading.embeddings.at_start(rest) {
                Some(Found { embedding, length }) => {
                    ids.extend(self.ids(&prompt[from..at])?);
                    ids.extend(reading.embeddings.ids(embedding));
                    at += length;
                    from = at;
                }
                None => at += rest.chars().next().map_or(1, char::len_utf8),
            }
        }
        ids.extend(self.ids(&prompt[from..])?);
        Ok(ids)
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
