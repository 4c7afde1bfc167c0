//! What a GGUF of ours carries beside its tensors.

use super::header::{Header, bad};
use crate::config::ModelConfig;
use crate::error::Result;

/// The configuration and tokenizer in a GGUF's metadata.
pub fn embedded(header: &Header) -> Result<(ModelConfig, String)> {
    if !header.metadata.contains_key(Header::CONFIG) {
        return Err(header.other_model());
    }
    let text = |key: &str| {
        let missing =
            || bad(&header.file, format!("no {key} in its metadata; `opengen quantize` writes such files"));
        header.metadata.get(key).ok_or_else(missing)
    };
    let config = ModelConfig::from_json(&header.file, text(Header::CONFIG)?)?;
    Ok((config, text(Header::TOKENIZER)?.clone()))
}
