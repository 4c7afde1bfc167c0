//! The tokenizer of a diffusers folder as one `tokenizer.json` text.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::folder::io;
use super::header::bad;
use crate::error::{Error, Result};

/// The largest tokenizer file read; CLIP's `tokenizer.json` has 3.6 MB when indented.
const MAX_BYTES: u64 = 16 << 20;

/// Reads `tokenizer/tokenizer.json`, or builds it from CLIP's older `vocab.json` and `merges.txt`.
///
/// The padding token stands in `tokenizer_config.json` or `special_tokens_map.json` (SD 2 pads with `!`, SD 1 with the
/// end token): it is added where the file says nothing of padding.
pub fn from_folder(folder: &Path) -> Result<String> {
    let folder = folder.join("tokenizer");
    let mut tokenizer = match read(&folder, "tokenizer.json")? {
        Some(tokenizer) => tokenizer,
        None => from_vocabulary(&folder)?,
    };
    if tokenizer.get("padding").is_none_or(Value::is_null)
        && let Some(padding) = padding(&folder, &tokenizer)?
    {
        tokenizer["padding"] = padding;
    }
    Ok(tokenizer.to_string())
}

/// A JSON file of the folder; `None` where there is none.
fn read(folder: &Path, name: &str) -> Result<Option<Value>> {
    let Some(text) = read_text(folder, name)? else { return Ok(None) };
    let file = folder.join(name).display().to_string();
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| Error::Json { file: file.clone(), message: error.to_string() })?;
    if value.is_object() { Ok(Some(value)) } else { Err(bad(&file, "expected a JSON object".to_string())) }
}

fn read_text(folder: &Path, name: &str) -> Result<Option<String>> {
    let path = folder.join(name);
    let file = path.display().to_string();
    let Ok(metadata) = std::fs::metadata(&path) else { return Ok(None) };
    if metadata.len() > MAX_BYTES {
        return Err(bad(&file, format!("{} bytes long, expected at most {MAX_BYTES}", metadata.len())));
    }
    std::fs::read_to_string(&path).map(Some).map_err(|error| io(&file, &error))
}

/// CLIP's byte-level BPE as transformers' `CLIPTokenizerFast` sets it up.
fn from_vocabulary(folder: &Path) -> Result<Value> {
    let missing = || Error::Io {
        path: folder.display().to_string(),
        message: "no tokenizer.json, nor vocab.json and merges.txt".to_string(),
    };
    let vocabulary = read(folder, "vocab.json")?.ok_or_else(missing)?;
    let merges = read_text(folder, "merges.txt")?.ok_or_else(missing)?;
    let merges: Vec<&str> =
        merges.lines().filter(|line| !line.is_empty() && !line.starts_with("#version")).collect();
    let id = |token: &str| {
        let id = vocabulary.get(token).and_then(Value::as_u64);
        id.ok_or_else(|| bad(&folder.join("vocab.json").display().to_string(), format!("no token {token}")))
    };
    let (start, end) = ("<|startoftext|>", "<|endoftext|>");
    let (start_id, end_id) = (id(start)?, id(end)?);
    let added = |token: &str, id: u64| {
        json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true})
    };
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [added(start, start_id), added(end, end_id)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "},
            {"type": "Lowercase"},
        ]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "behavior": "Removed", "invert": true,
                "pattern": {"Regex": "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"}},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        ]},
        "post_processor": {"type": "RobertaProcessing", "sep": [end, end_id], "cls": [start, start_id],
            "trim_offsets": false, "add_prefix_space": false},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": end, "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": merges},
    }))
}

/// The `padding` section for the padding token the folder's other files name.
fn padding(folder: &Path, tokenizer: &Value) -> Result<Option<Value>> {
    for name in ["tokenizer_config.json", "special_tokens_map.json"] {
        let token = read(folder, name)?.and_then(|mut config| config.get_mut("pad_token").map(Value::take));
        let content = match &token {
            Some(Value::String(content)) => content.as_str(),
            Some(Value::Object(token)) => token.get("content").and_then(Value::as_str).unwrap_or_default(),
            _ => continue,
        };
        let vocabulary = tokenizer.pointer("/model/vocab").and_then(Value::as_object);
        if let Some(id) = vocabulary.and_then(|vocabulary: &Map<String, Value>| vocabulary.get(content)) {
            return Ok(Some(json!({
                "strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": null,
                "pad_id": id, "pad_type_id": 0, "pad_token": content,
            })));
        }
    }
    Ok(None)
}
