//! What of the prompts is refused, and what is said of them.

use super::{MAX_COMPONENTS, MAX_NAMED, Read};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::pipeline::request::Request;
use crate::prompt::{self, Dialect, Embeddings, MAX_PARTS, OWN};

/// Says which embeddings are asked for that there are not.
pub fn tell_unknown(read: &Read, notices: &mut Vec<String>) {
    let mut unknown: Vec<&String> = read.values().flatten().flat_map(|encoded| &encoded.unknown).collect();
    unknown.sort_unstable();
    unknown.dedup();
    let say = |name: &&String| format!("There is no embedding “{name}” here; it is left out.");
    notices.extend(unknown.iter().take(MAX_NAMED).map(say));
}

/// The embeddings that prompts use, by name and hash; refuses such as were made for another text encoder.
pub fn used(read: &Read, embeddings: &Embeddings, config: &ModelConfig) -> Result<Vec<(String, String)>> {
    let chunks = read.values().flatten().flat_map(|encoded| &encoded.chunks);
    let mut ids: Vec<u32> = chunks.flat_map(|chunk| &chunk.ids).copied().filter(|id| *id >= OWN).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut used = Vec::new();
    for embedding in ids.into_iter().filter_map(|id| embeddings.of_id(id)) {
        let named = (embedding.name.clone(), embedding.hash.clone());
        if used.last() == Some(&named) {
            continue;
        }
        let invalid = |message: String| Err(Error::InvalidInput { field: "embeddings", message });
        if config.texts.len() > 1 {
            return invalid(format!(
                "“{}” is for one text encoder, and this model has {}; leave it out",
                embedding.name,
                config.texts.len()
            ));
        }
        let width = config.texts.first().map_or(0, |text| text.hidden_size);
        if embedding.width != width {
            let made = match embedding.width {
                768 => ": it was made for Stable Diffusion 1",
                1024 => ": it was made for Stable Diffusion 2",
                1280 => ": it was made for Stable Diffusion XL",
                _ => "",
            };
            return invalid(format!(
                "“{}” has vectors of {} values, this model's text encoder has {width}{made}; leave it out",
                embedding.name, embedding.width
            ));
        }
        used.push(named);
    }
    Ok(used)
}

/// Refuses more prompts than can be drawn into one picture.
pub fn check_components(count: usize, config: &ModelConfig) -> Result<()> {
    let invalid = |message: String| Err(Error::InvalidInput { field: "prompt", message });
    if count > MAX_COMPONENTS {
        return invalid(format!(
            "{count} prompts joined by AND, at most {MAX_COMPONENTS} are drawn into one picture"
        ));
    }
    if count > 1 && config.denoiser.guidance_channels().is_some() {
        let message =
            "this model follows a guidance scale by itself, and so one prompt; write it without AND";
        return invalid(message.to_string());
    }
    Ok(())
}

/// Says what is read in parts, or not at all, and refuses what is too long.
pub fn check_parts(
    read: &Read,
    rows: usize,
    (request, config): (&Request, &ModelConfig),
    notices: &mut Vec<String>,
) -> Result<()> {
    let of =
        |field: &'static str| read.iter().filter(move |((of, _), _)| *of == field).flat_map(|(_, all)| all);
    let tokens = |field| of(field).map(|encoded| encoded.tokens).max().unwrap_or(0);
    let (tokens, negative_tokens) = (tokens("prompt"), tokens("negative_prompt"));
    // Encoders that pad with other tokens may count others.
    let parts = read.values().flatten().map(|encoded| encoded.chunks.len()).max().unwrap_or(1);
    let at_once = config.chunk_tokens() - 2;
    let cuts = [Dialect::Diffusers, Dialect::Compel].contains(&request.dialect);
    if cuts && tokens > at_once {
        let dialect = request.dialect;
        notices.push(format!(
            "The prompt has {tokens} tokens; {dialect} reads {at_once}, the rest was left out."
        ));
    } else if !cuts && parts > 1 {
        notices.push(format!(
            "The prompt has {tokens} tokens; the model reads {at_once} at a time, so it was read in {parts} parts."
        ));
    }
    if parts * rows > MAX_PARTS {
        let longer = if negative_tokens > tokens { "negative_prompt" } else { "prompt" };
        let most = MAX_PARTS / rows;
        let message = format!(
            "it fills {parts} parts of {at_once} tokens, at most {most} are read at once; make it shorter"
        );
        return Err(Error::InvalidInput { field: longer, message });
    }
    Ok(())
}

/// What of the prompts is not followed, each sentence once.
pub fn notices_of(dialect: Dialect, prompts: [&str; 2]) -> Vec<String> {
    let mut notices: Vec<String> = Vec::new();
    for notice in prompts.into_iter().flat_map(|text| prompt::notices(dialect, text)) {
        if !notices.contains(&notice) {
            notices.push(notice);
        }
    }
    notices
}
