//! The tokenizer against transformers' (recorded by `training/fixtures_prompts.py`), and whole prompts.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::error::Error;

const TOKENIZER: &str = include_str!("../../tests/data/tokenizer/tokenizer.json");

#[derive(Deserialize)]
struct Case {
    pad: String,
    max_length: usize,
    prompt: String,
    ids: Vec<u32>,
    tokens: usize,
}

#[derive(Deserialize)]
struct Fixtures {
    cases: Vec<Case>,
}

fn fixtures() -> Vec<Case> {
    let fixtures: Fixtures =
        serde_json::from_str(include_str!("../../tests/data/prompts.json")).expect("prompts.json");
    fixtures.cases
}

fn tokenizer() -> &'static Tokenizer {
    static ONCE: LazyLock<Tokenizer> =
        LazyLock::new(|| Tokenizer::from_json(TOKENIZER.as_bytes()).expect("tokenizer.json"));
    &ONCE
}

fn encode(tokenizer: &Tokenizer, prompt: &str, max_length: usize) -> Result<Encoded> {
    tokenizer.encode(Dialect::A1111, prompt, max_length)
}

/// The tokenizer with a `padding` section of this token, as the weights room writes it for a folder.
fn padded(pad: &str) -> Tokenizer {
    let mut json: serde_json::Value = serde_json::from_str(TOKENIZER).expect("tokenizer.json");
    let id = json["model"]["vocab"][pad].clone();
    json["padding"] = serde_json::json!({
        "strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": id, "pad_type_id": 0, "pad_token": pad,
    });
    Tokenizer::from_json(json.to_string().as_bytes()).expect("tokenizer.json with padding")
}

#[test]
fn diffusers_dialect_is_transformers_reading() {
    for pad in ["!", "<|endoftext|>"] {
        let tokenizer = padded(pad);
        for case in fixtures().into_iter().filter(|case| case.pad == pad) {
            let encoded =
                tokenizer.encode(Dialect::Diffusers, &case.prompt, case.max_length).expect("encodes");
            let what = format!("{:?} pad {} max_length {}", case.prompt, case.pad, case.max_length);
            assert_eq!(encoded.tokens, case.tokens, "{what}");
            assert_eq!((encoded.chunks.len(), &encoded.chunks[0].ids), (1, &case.ids), "{what}");
            assert!(!encoded.is_weighted());
        }
    }
    let read = |text| tokenizer().encode(Dialect::Diffusers, text, 24).expect("encodes");
    assert!(!read("a (red:1.3) [blue] BREAK").is_weighted(), "brackets are text");
    assert_ne!(read("(red)").chunks, read("red").chunks);
    assert_ne!(read("<lora:x:1> red").chunks, read("red").chunks);
    assert_ne!(read("it’s").chunks, read("it's").chunks);
}

/// Prompts in ASCII without brackets: both dialects read the same, but that A1111's goes on where the other's ends.
#[test]
fn plain_prompts_as_transformers() {
    let is_plain = |c: char| c.is_ascii_graphic() || c.is_ascii_whitespace();
    for pad in ["!", "<|endoftext|>"] {
        let tokenizer = padded(pad);
        for case in fixtures().into_iter().filter(|case| case.pad == pad && case.prompt.chars().all(is_plain))
        {
            let encoded = encode(&tokenizer, &case.prompt, case.max_length).expect("encodes");
            let what = format!("{:?} pad {} max_length {}", case.prompt, case.pad, case.max_length);
            assert_eq!(encoded.tokens, case.tokens, "{what}");
            assert_eq!(encoded.chunks.len(), case.tokens.div_ceil(case.max_length - 2).max(1), "{what}");
            // A longer prompt's first chunk is what others cut it to, unless a comma moves the cut.
            if case.tokens <= case.max_length - 2 || !case.prompt.contains(',') {
                assert_eq!(encoded.chunks[0].ids, case.ids, "{what}");
            }
            assert!(!encoded.is_weighted());
        }
    }
}

/// What original CLIP's cleaning makes of a text is read as if it had been typed so.
#[test]
fn a1111_dialect_cleans_as_original_clip() {
    for (typed, plain) in [
        ("it’s a dog’s life", "it's a dog's life"),
        ("a red apple， a dog", "a red apple, a dog"),
        ("ＡＢＣ", "abc"),
        ("&amp;", "&"),
        ("ﬁne", "fine"),
        ("“quoted”", "\"quoted\""),
        ("\u{feff}bom", "bom"),
        ("<|EndOfText|> cat", "<|endoftext|> cat"),
    ] {
        let ids = |text| encode(tokenizer(), text, 24).expect("encodes").chunks[0].ids.clone();
        assert_eq!(ids(typed), ids(plain), "{typed}");
        let plainly =
            tokenizer().encode(Dialect::Diffusers, plain, 24).expect("encodes").chunks[0].ids.clone();
        assert_eq!(ids(typed), plainly, "{typed}");
    }
}

#[test]
fn networks_are_no_words() {
    let read = |text| encode(tokenizer(), text, 24).expect("encodes");
    assert_eq!(read("a red apple <lora:shiny:0.8>"), read("a red apple"));
    assert_ne!(read("a < b"), read("a b"));
}

#[test]
fn dialects_by_name() {
    for dialect in Dialect::ALL {
        assert_eq!(dialect.name().parse::<Dialect>().expect("known"), dialect);
    }
    let error = "invoke".parse::<Dialect>().unwrap_err().to_string();
    assert!(error.contains("invoke") && error.contains("a1111, comfyui, diffusers, compel"), "{error}");
}

#[test]
fn without_a_pad_token_the_end_token_pads() {
    let ids = |tokenizer: &Tokenizer| encode(tokenizer, "a", 5).expect("encodes").chunks[0].ids.clone();
    let ids = ids(tokenizer());
    assert_eq!(ids[2..], [ids[2]; 3]);
    assert_eq!(tokenizer().vocab_size(), 1000);
}

#[test]
fn weights_follow_their_tokens() {
    let tokenizer = tokenizer();
    let plain = encode(tokenizer, "a red apple on a blue background", 77).expect("encodes");
    let weighted = encode(tokenizer, "a (red apple:1.3) on a [blue] background", 77).expect("encodes");
    assert_eq!(plain.chunks[0].ids, weighted.chunks[0].ids, "brackets are no tokens");
    assert!(weighted.is_weighted());
    let weights: Vec<f32> = weighted.chunks[0].weights.iter().copied().filter(|w| *w != 1.0).collect();
    assert!(weights.contains(&1.3) && weights.contains(&((1.0_f64 / 1.1) as f32)), "{weights:?}");
    let at = weighted.chunks[0].weights.iter().position(|w| *w == 1.3).expect("weighted");
    assert_eq!(at, 2, "begin, a, red");
}

#[test]
fn breaks_and_length_make_chunks() {
    let tokenizer = tokenizer();
    let encoded = encode(tokenizer, "a cat BREAK (a dog)", 24).expect("encodes");
    assert_eq!(encoded.chunks.len(), 2);
    assert_eq!(encoded.chunks[0], encode(tokenizer, "a cat", 24).expect("encodes").chunks[0]);
    assert_eq!(encoded.chunks[1], encode(tokenizer, "(a dog)", 24).expect("encodes").chunks[0]);
    let long = encode(tokenizer, &"яблоко 🍎 ".repeat(500), 77).expect("5,000 characters");
    assert_eq!(long.chunks.len(), long.tokens.div_ceil(75));
}

#[test]
fn too_long_prompts_name_the_field() {
    let tokenizer = tokenizer();
    let long = "é".repeat(MAX_CHARS + 1);
    let error = tokenizer.encode_field("negative_prompt", &Reading::default(), &long, 77).unwrap_err();
    assert!(matches!(error, Error::InvalidInput { field: "negative_prompt", .. }), "{error}");
    assert!(encode(tokenizer, &long, 77).unwrap_err().to_string().contains("20001 characters"));
    assert!(encode(tokenizer, &"é".repeat(MAX_CHARS), 77).is_ok());
    assert!(encode(tokenizer, "a", 2).is_err());
}

#[test]
fn bad_files_are_errors() {
    for json in ["", "{}", "[1]", "<!doctype html>", r#"{"version":"1.0","model":{"type":"BPE"}}"#] {
        let error = Tokenizer::from_json(json.as_bytes()).err().map(|error| error.to_string());
        assert!(error.as_deref().is_some_and(|text| text.contains("tokenizer.json")), "{json}: {error:?}");
    }
    let padding = r#""padding":{"strategy":"BatchLongest","direction":"Right","pad_to_multiple_of":null,"pad_id":9999,"pad_type_id":0,"pad_token":"nonsense"}"#;
    let json = TOKENIZER.replacen(r#""padding":null"#, padding, 1);
    let error = Tokenizer::from_json(json.as_bytes()).err().map(|error| error.to_string());
    assert!(error.as_deref().is_some_and(|text| text.contains("nonsense")), "{error:?}");
}

fn embeddings(vectors: &[(&str, usize)]) -> Embeddings {
    let of = |(name, count): &(&str, usize)| {
        let (name, vectors) = ((*name).to_string(), vec![0.0; 4 * count]);
        Arc::new(Embedding { name, token: None, vectors, width: 4, hash: String::new() })
    };
    Embeddings::new(&vectors.iter().map(of).collect::<Vec<_>>())
}

/// As A1111 finds them: by tokens, the longest name first, kept together where a chunk ends.
#[test]
fn embeddings_stand_for_their_names() {
    let reading = Reading { embeddings: embeddings(&[("cat", 1), ("cat dog", 2)]), ..Reading::default() };
    let tokenizer = tokenizer();
    let ids = |prompt: &str| tokenizer.encode(&reading, prompt, 24).expect("encodes").chunks[0].ids.clone();
    let plain = |prompt: &str| encode(tokenizer, prompt, 24).expect("encodes").chunks[0].ids.clone();
    let own =
        |prompt: &str| ids(prompt).into_iter().filter(|id| *id >= OWN).map(|id| id - OWN).collect::<Vec<_>>();
    assert_eq!(own("a CAT"), [0]);
    assert_eq!(own("a cat dog, cat"), [1, 2, 0]);
    assert_eq!(own("a (cat) dog"), [0], "weights cut a text");
    assert_eq!(ids("a cats"), plain("a cats"));
    assert_eq!(ids("embedding:nothing"), plain("embedding:nothing"));

    let long = Reading { embeddings: embeddings(&[("zebra", 5)]), ..Reading::default() };
    let lengths = |prompt: &str| {
        let encoded = tokenizer.encode(&long, prompt, 12).expect("encodes");
        encoded.chunks.iter().map(|chunk| tokenizer.framed_len(chunk) - 2).collect::<Vec<_>>()
    };
    assert_eq!(lengths("a a a a a zebra a"), [10, 1]);
    assert_eq!(lengths("a a a a a a zebra a"), [6, 6]);
    let most = Reading { embeddings: embeddings(&[("zebra", 75)]), ..Reading::default() };
    assert_eq!(tokenizer.encode(&most, "zebra", 12).expect("encodes").chunks.len(), 1, "cut to what fits");
}

#[test]
fn comfyui_reads_words() {
    let reading =
        Reading { dialect: Dialect::ComfyUi, embeddings: embeddings(&[("cat", 2)]), ..Reading::default() };
    let read = |prompt: &str| tokenizer().encode(&reading, prompt, 24).expect("encodes");
    let own = |prompt: &str| read(prompt).chunks[0].ids.iter().filter(|id| **id >= OWN).count();
    assert_eq!(
        [own("a cat"), own("a embedding:cat"), own("a (embedding:cat, embedding:CAT:1.2)")],
        [0, 2, 4]
    );
    assert_eq!(read("a embedding:dog, embedding:,é,").unknown, ["dog", "é"]);
    assert_eq!(read("embedding:cat,").tokens, 3, "the comma is text");
    assert_eq!(read("[a] BREAK").chunks.len(), 1);
    assert!(!read("[a]").is_weighted() && read("(a)").is_weighted());
}

proptest! {
    #[test]
    fn any_prompt_is_encoded_with_embeddings(prompt in "(\\PC|[()\\[\\]:\\\\ ,\n]|embedding:|cat|a,){0,60}") {
        for dialect in Dialect::ALL {
            let reading = Reading { dialect, embeddings: embeddings(&[("cat", 3), ("a,", 9)]), ..Reading::default() };
            let encoded = tokenizer().encode(&reading, &prompt, 12).unwrap();
            for chunk in &encoded.chunks {
                prop_assert_eq!((chunk.ids.len(), chunk.weights.len()), (12, 12));
                prop_assert!(chunk.weights.iter().all(|weight| weight.is_finite()));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_prompt_is_encoded(prompt in "(\\PC|[()\\[\\]:\\\\ ,\n]|BREAK|apple){0,120}") {
        let tokenizer = tokenizer();
        let encoded = encode(tokenizer, &prompt, 12).unwrap();
        prop_assert!(!encoded.chunks.is_empty());
        for chunk in &encoded.chunks {
            prop_assert_eq!((chunk.ids.len(), chunk.weights.len()), (12, 12));
            prop_assert!(chunk.ids.iter().all(|id| *id < 1000));
            prop_assert!(chunk.weights.iter().all(|weight| weight.is_finite()));
        }
        prop_assert_eq!(encode(tokenizer, &prompt, 12).unwrap(), encoded);
    }
}
