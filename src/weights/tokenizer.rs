//! The tokenizer files of a diffusers folder.

use std::path::Path;

use super::folder::io;
use super::header::bad;
use crate::error::{Error, Result};
use crate::prompt::{TokenizerFiles, tokenizer_json};

/// The largest tokenizer file read; CLIP's `tokenizer.json` has 3.6 MB when indented.
const MAX_BYTES: u64 = 16 << 20;

/// Reads `tokenizer/` and gives one complete `tokenizer.json` text.
pub fn from_folder(folder: &Path) -> Result<String> {
    let folder = folder.join("tokenizer");
    let names =
        ["tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"];
    let [tokenizer, vocab, merges, config, special_tokens] = names.map(|name| read(&folder, name));
    let (tokenizer, vocab, merges) = (tokenizer?, vocab?, merges?);
    if tokenizer.is_none() && (vocab.is_none() || merges.is_none()) {
        return Err(Error::Io {
            path: folder.display().to_string(),
            message: "no tokenizer.json, nor vocab.json with merges.txt".to_string(),
        });
    }
    tokenizer_json(&TokenizerFiles {
        tokenizer: tokenizer.as_deref(),
        vocab: vocab.as_deref(),
        merges: merges.as_deref(),
        config: config?.as_deref(),
        special_tokens: special_tokens?.as_deref(),
    })
}

/// A text file of the folder; `None` where there is none.
fn read(folder: &Path, name: &str) -> Result<Option<String>> {
    let path = folder.join(name);
    let file = path.display().to_string();
    let Ok(metadata) = std::fs::metadata(&path) else { return Ok(None) };
    if metadata.len() > MAX_BYTES {
        return Err(bad(&file, format!("{} bytes long, expected at most {MAX_BYTES}", metadata.len())));
    }
    std::fs::read_to_string(&path).map(Some).map_err(|error| io(&file, &error))
}
