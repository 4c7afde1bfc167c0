//! One `tokenizer.json` from whatever tokenizer files a diffusers folder has.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// The texts of the files in a `tokenizer` folder, those that exist.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenizerFiles<'a> {
    /// `tokenizer.json`: complete but for the pad token.
    pub tokenizer: Option<&'a str>,
    /// `vocab.json` and `merges.txt`: what Stable Diffusion 1 and 2 come with.
    pub vocab: Option<&'a str>,
    pub merges: Option<&'a str>,
    /// `tokenizer_config.json`, for `pad_token`.
    pub config: Option<&'a str>,
    /// `special_tokens_map.json`, likewise; it is the older of the two.
    pub special_tokens: Option<&'a str>,
}

/// A complete `tokenizer.json` that also names the pad token, for [`super::Tokenizer::from_json`].
pub fn tokenizer_json(files: &TokenizerFiles) -> Result<String> {
    let mut tokenizer = match (files.tokenizer, files.vocab, files.merges) {
        (Some(text), _, _) => parse("tokenizer.json", text)?,
        (None, Some(vocab), Some(merges)) => clip(parse("vocab.json", vocab)?, merges)?,
        _ => {
            return Err(Error::BadFile {
                file: "tokenizer".to_string(),
                message: "has neither tokenizer.json nor vocab.json with merges.txt".to_string(),
            });
        }
    };
    if let Some(token) = pad_token(files)? {
        let id = id_of(&tokenizer, &token).ok_or_else(|| Error::BadFile {
            file: "tokenizer".to_string(),
            message: format!("pad_token {token:?} is not in the vocabulary"),
        })?;
        if let Some(fields) = tokenizer.as_object_mut() {
            let padding = json!({
                "strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": null,
                "pad_id": id, "pad_type_id": 0, "pad_token": token,
            });
            fields.insert("padding".to_string(), padding);
        }
    }
    Ok(tokenizer.to_string())
}

/// CLIP's byte-level BPE around a vocabulary: clean, lower-case, split into words, digits and signs.
fn clip(vocab: Value, merges: &str) -> Result<Value> {
    const BEGIN: &str = "<|startoftext|>";
    const END: &str = "<|endoftext|>";
    let words = "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";
    let id = |token: &str| {
        vocab.get(token).and_then(Value::as_u64).ok_or_else(|| Error::BadFile {
            file: "vocab.json".to_string(),
            message: format!("has no token {token}"),
        })
    };
    let (begin, end) = (id(BEGIN)?, id(END)?);
    let special = |token: &str, id: u64| {
        json!({ "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true })
    };
    let merges = merges
        .lines()
        .filter(|line| !line.starts_with("#version") && !line.trim().is_empty())
        .map(|line| match line.split_once(' ') {
            Some((left, right)) => Ok(json!([left, right.trim_end()])),
            None => Err(Error::BadFile {
                file: "merges.txt".to_string(),
                message: format!("{:?} is no pair", line.chars().take(40).collect::<String>()),
            }),
        })
        .collect::<Result<Vec<Value>>>()?;
    let byte_level = |prefix: bool| json!({ "type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true });
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [special(BEGIN, begin), special(END, end)],
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "NFC" },
            { "type": "Replace", "pattern": { "Regex": "\\s+" }, "content": " " },
            { "type": "Lowercase" },
        ] },
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
            { "type": "Split", "pattern": { "Regex": words }, "behavior": "Removed", "invert": true },
            byte_level(false),
        ] },
        "post_processor": { "type": "RobertaProcessing", "sep": [END, end], "cls": [BEGIN, begin],
                            "trim_offsets": false, "add_prefix_space": false },
        "decoder": byte_level(true),
        "model": { "type": "BPE", "dropout": null, "unk_token": END, "continuing_subword_prefix": "",
                   "end_of_word_suffix": "</w>", "fuse_unk": false, "byte_fallback": false,
                   "ignore_merges": false, "vocab": vocab, "merges": merges },
    }))
}

/// `pad_token` is a string or an object with `content`.
fn pad_token(files: &TokenizerFiles) -> Result<Option<String>> {
    let sources =
        [("tokenizer_config.json", files.config), ("special_tokens_map.json", files.special_tokens)];
    for (name, text) in sources {
        let Some(text) = text else { continue };
        let fields: Map<String, Value> = match parse(name, text)? {
            Value::Object(fields) => fields,
            _ => continue,
        };
        let token = fields.get("pad_token").map(|token| token.get("content").unwrap_or(token));
        if let Some(token) = token.and_then(Value::as_str) {
            return Ok(Some(token.to_string()));
        }
    }
    Ok(None)
}

fn id_of(tokenizer: &Value, token: &str) -> Option<u64> {
    let added = tokenizer.get("added_tokens").and_then(Value::as_array);
    let added = added.into_iter().flatten().find(|entry| entry.get("content") == Some(&json!(token)));
    let entry = added.and_then(|entry| entry.get("id"));
    entry.or_else(|| tokenizer.get("model")?.get("vocab")?.get(token)).and_then(Value::as_u64)
}

fn parse(file: &str, text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|error| Error::Json { file: file.to_string(), message: error.to_string() })
}
