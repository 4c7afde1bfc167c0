//! The tokenizer of every CLIP: byte-level BPE, as transformers' `CLIPTokenizerFast` sets it up.

use serde_json::{Map, Value, json};

/// The merges that CLIP was trained with, a line each; see `THIRD_PARTY.md`. The page fetches them when a file needs them.
#[cfg(not(target_arch = "wasm32"))]
pub const MERGES: &str = include_str!("../../www/clip/merges.txt");

/// The start token.
const START: &str = "<|startoftext|>";
/// The end token, which fills chunks where nothing is said of padding.
pub const END: &str = "<|endoftext|>";
/// What fills the chunks of Stable Diffusion 2, <https://github.com/mlfoundations/open_clip>: the token with id 0.
pub const OPEN_CLIP_PAD: &str = "!";

/// Tokens of a vocabulary that are no merges: the bytes, the same at the end of a word, start and end.
const NOT_MERGED: usize = 2 * 256 + 2;

/// The text of `tokenizer.json`, from the merges that CLIP was trained with, for an encoder that knows so many tokens, and
/// what fills a chunk. A smaller vocabulary is the one of the first merges; what an encoder knows beyond all of them, words
/// cannot reach. An error says what is wrong with the encoder's number.
pub fn of_merges(merges: &str, tokens: usize, pad: &str) -> Result<String, String> {
    let fewest =
        || format!("its text encoder knows {tokens} tokens; CLIP's tokenizer has at least {NOT_MERGED}");
    let count = tokens.checked_sub(NOT_MERGED).ok_or_else(fewest)?;
    let merges: Vec<&str> = merges.lines().take(count).collect();
    let vocabulary = vocabulary(&merges);
    let padding = vocabulary.get(pad).filter(|_| pad != END).map(|id| padding(pad, id));
    let mut tokenizer = tokenizer(Value::Object(vocabulary), &merges)?;
    if let Some(padding) = padding {
        tokenizer["padding"] = padding;
    }
    Ok(tokenizer.to_string())
}

/// Ids as the reference implementation gives them (<https://github.com/openai/CLIP>, `simple_tokenizer.py`): the 256 bytes,
/// the same at the end of a word, what merges make, start and end.
fn vocabulary(merges: &[&str]) -> Map<String, Value> {
    let mut tokens: Vec<String> = byte_letters().map(String::from).collect();
    tokens.extend(byte_letters().map(|letter| format!("{letter}</w>")));
    tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    tokens.extend([START, END].map(String::from));
    tokens.into_iter().enumerate().map(|(id, token)| (token, Value::from(id))).collect()
}

/// The letter that stands for each byte: those that can be seen stand for themselves and come first, the others for what
/// follows from U+0100 on.
fn byte_letters() -> impl Iterator<Item = char> {
    let seen = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let themselves = (0..=u8::MAX).filter(seen).map(char::from);
    let others = (0..=u8::MAX).filter(move |byte| !seen(byte)).zip(0x100u32..);
    themselves.chain(others.filter_map(|(_, letter)| char::from_u32(letter)))
}

/// The tokenizer of a vocabulary and its merges; an error names the token that is missing.
pub fn tokenizer(vocabulary: Value, merges: &[&str]) -> Result<Value, &'static str> {
    let id = |token: &'static str| vocabulary.get(token).and_then(Value::as_u64).ok_or(token);
    let (start_id, end_id) = (id(START)?, id(END)?);
    let added = |token: &str, id: u64| {
        json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true})
    };
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [added(START, start_id), added(END, end_id)],
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
        "post_processor": {"type": "RobertaProcessing", "sep": [END, end_id], "cls": [START, start_id],
            "trim_offsets": false, "add_prefix_space": false},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": END, "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": merges},
    }))
}

/// The `padding` section for a token that fills chunks.
pub fn padding(token: &str, id: &Value) -> Value {
    json!({
        "strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": id, "pad_type_id": 0, "pad_token": token,
    })
}
