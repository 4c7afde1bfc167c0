//! What lies beside the weights in a model's folder.

use opengen::config::{Autoencoder, ClipTextConfig, ModelConfig, SchedulerConfig, UnetConfig};
use opengen::prompt::{Dialect, Tokenizer};

use super::{bytes_of, outcome};

pub const JSON_WORDS: [&str; 6] = ["null", "true", "[", "{", "\"", "NaN"];
pub const TOKENIZER_WORDS: [&str; 6] = ["null", "[", "{", "\"", "merges", "vocab"];

pub fn configuration(bytes: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(bytes);
    let results = [
        ModelConfig::from_json("m", &text).map(drop),
        UnetConfig::from_json("u", &text).map(drop),
        Autoencoder::from_json("v", &text).map(drop),
        ClipTextConfig::from_json("t", &text).map(drop),
        SchedulerConfig::from_json("s", &text).map(drop),
    ];
    results.iter().fold(0, |all, result| all.rotate_left(1) ^ outcome(result))
}

pub fn configurations() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [
        "unet/config.json",
        "vae/config.json",
        "text_encoder/config.json",
        "scheduler/scheduler_config.json",
    ]
    .map(|name| bytes_of(&format!("models/sd2/{name}")))
    .into();
    let whole = ModelConfig::builtin("sd15").expect("built in");
    seeds.push(serde_json::to_vec(&whole).expect("JSON"));
    seeds
}

pub fn tokenizer(bytes: &[u8]) -> u64 {
    match Tokenizer::from_json(bytes) {
        Ok(tokenizer) => outcome(&tokenizer.encode(Dialect::A1111, "a (cat:1.2) sat", 77).map(drop)),
        Err(error) => outcome::<()>(&Err(error)),
    }
}

/// Half a tokenizer is quicker than a whole one, and is one.
pub fn tokenizers() -> Vec<Vec<u8>> {
    vec![include_bytes!("../../data/tokenizer/tokenizer.json").to_vec()]
}
