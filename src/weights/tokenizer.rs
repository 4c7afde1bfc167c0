//! The tokenizer of a diffusers folder as one `tokenizer.json` text.

use serde_json::{Map, Value};

use super::clip::{self, END};
use super::header::bad;
use crate::config::{self, Files};
use crate::error::{Error, Result};

/// The largest tokenizer file read; CLIP's `tokenizer.json` has 3.6 MB when indented.
const MAX_BYTES: u64 = 16 << 20;

/// A folder's tokenizer, and for each further text encoder the token that fills its chunks, where that is another.
pub struct Tokenizers {
    /// The text of `tokenizer.json`.
    pub text: String,
    pub others: Vec<Option<String>>,
}

/// Reads the tokenizers of a folder with so many text encoders. They have to read words alike, so that one is kept: only
/// their padding may differ.
pub fn from_files(folder: &dyn Files, encoders: usize) -> Result<Tokenizers> {
    let first = read_one(folder, "tokenizer")?;
    let mut others = Vec::new();
    for name in (2..=encoders).map(|number| format!("tokenizer_{number}")) {
        others.push(match config::folder_has(folder, &name)? {
            true => {
                let other = read_one(folder, &name)?;
                let pad = pad_token(&other);
                if words(&first, pad) != words(&other, pad) {
                    return Err(Error::Unsupported {
                        what: format!("{name} ({})", folder.place()),
                        message: "it reads words otherwise than tokenizer does, and all text encoders of a model are \
                                  given the same tokens; only the token that fills their chunks may differ"
                            .to_string(),
                    });
                }
                (pad != pad_token(&first)).then(|| pad.to_string())
            }
            false => None,
        });
    }
    Ok(Tokenizers { text: first.to_string(), others })
}

/// Reads `tokenizer.json`, or builds it from CLIP's older `vocab.json` and `merges.txt`.
///
/// The padding token stands in `tokenizer_config.json` or `special_tokens_map.json` (SD 2 pads with `!`, SD 1 with the
/// end token): it is added where the file says nothing of padding.
fn read_one(folder: &dyn Files, at: &str) -> Result<Value> {
    let mut tokenizer = match read(folder, &format!("{at}/tokenizer.json"))? {
        Some(tokenizer) => tokenizer,
        None => from_vocabulary(folder, at)?,
    };
    if tokenizer.get("padding").is_none_or(Value::is_null)
        && let Some(padding) = padding(folder, at, &tokenizer)?
    {
        tokenizer["padding"] = padding;
    }
    Ok(tokenizer)
}

fn pad_token(tokenizer: &Value) -> &str {
    tokenizer.pointer("/padding/pad_token").and_then(Value::as_str).unwrap_or(END)
}

/// All that decides how a tokenizer reads words, but that a token which only fills chunks may be a special one.
fn words<'a>(tokenizer: &'a Value, pad: &str) -> [Option<Vec<&'a Value>>; 5] {
    let part = |name: &str| tokenizer.get(name).filter(|part| !part.is_null());
    let one = |name: &str| part(name).map(|part| vec![part]);
    let added = part("added_tokens").and_then(Value::as_array).map(|tokens| {
        tokens.iter().filter(|token| token["content"] == END || token["content"] != pad).collect()
    });
    [one("normalizer"), one("pre_tokenizer"), one("post_processor"), one("model"), added]
}

/// A JSON file of the folder; `None` where there is none.
fn read(folder: &dyn Files, path: &str) -> Result<Option<Value>> {
    let Some(text) = folder.text(path, MAX_BYTES)? else { return Ok(None) };
    let file = folder.name(path);
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| Error::Json { file: file.clone(), message: error.to_string() })?;
    if value.is_object() { Ok(Some(value)) } else { Err(bad(&file, "expected a JSON object".to_string())) }
}

/// CLIP's byte-level BPE as transformers' `CLIPTokenizerFast` sets it up.
fn from_vocabulary(folder: &dyn Files, at: &str) -> Result<Value> {
    let vocab = format!("{at}/vocab.json");
    let missing = || Error::Io {
        path: folder.name(at),
        message: "no tokenizer.json, nor vocab.json and merges.txt".to_string(),
    };
    let vocabulary = read(folder, &vocab)?.ok_or_else(missing)?;
    let merges = folder.text(&format!("{at}/merges.txt"), MAX_BYTES)?.ok_or_else(missing)?;
    let merges: Vec<&str> =
        merges.lines().filter(|line| !line.is_empty() && !line.starts_with("#version")).collect();
    clip::tokenizer(vocabulary, &merges)
        .map_err(|token| bad(&folder.name(&vocab), format!("no token {token}")))
}

/// The `padding` section for the padding token the folder's other files name.
fn padding(folder: &dyn Files, at: &str, tokenizer: &Value) -> Result<Option<Value>> {
    for name in ["tokenizer_config.json", "special_tokens_map.json"] {
        let token = read(folder, &format!("{at}/{name}"))?
            .and_then(|mut config| config.get_mut("pad_token").map(Value::take));
        let content = match &token {
            Some(Value::String(content)) => content.as_str(),
            Some(Value::Object(token)) => token.get("content").and_then(Value::as_str).unwrap_or_default(),
            _ => continue,
        };
        let vocabulary = tokenizer.pointer("/model/vocab").and_then(Value::as_object);
        if let Some(id) = vocabulary.and_then(|vocabulary: &Map<String, Value>| vocabulary.get(content)) {
            return Ok(Some(clip::padding(content, id)));
        }
    }
    Ok(None)
}
