//! What a run reads of its prompts, and what is refused.

use super::*;
use crate::pipeline::common::tests::request;
use crate::prompt::{MAX_PARTS, OWN};

const TEN: Steps = Steps { all: 10, before: None };

fn conditioning(request: &Request) -> Result<Conditioning> {
    conditioned(request, &[None])
}

/// For text encoders that pad with these tokens.
fn conditioned(request: &Request, pads: &[Option<&str>]) -> Result<Conditioning> {
    let mut config = ModelConfig::builtin("sd15")?;
    config.texts[0].max_position_embeddings = 24;
    let json = include_bytes!("../../../tests/data/tokenizer/tokenizer.json");
    Conditioning::new(&Tokenizers::from_json(json, pads.iter().copied())?, &config, request, TEN)
}

/// From one limit, and at the field that is too long.
#[test]
fn long_prompts_are_refused_at_their_field() {
    let breaks = |count: usize| vec!["a"; count].join(" BREAK ");
    let asked = |prompt: String, negative_prompt: String, batch, guidance| {
        let request = Request { prompt, negative_prompt, guidance, ..request(batch, 0, None) };
        conditioning(&request).map(|conditioning| conditioning.chunks())
    };
    assert_eq!(asked(breaks(MAX_PARTS), String::new(), 1, 1.0).unwrap(), MAX_PARTS);
    // Pictures of a batch share their text.
    assert_eq!(asked(breaks(64), String::new(), 8, 2.0).unwrap(), 64);
    for (prompt, negative, batch, guidance, field, words) in [
        (breaks(MAX_PARTS + 1), String::new(), 1, 1.0, "prompt", "129 parts of 22 tokens, at most 128"),
        (breaks(65), String::new(), 1, 2.0, "prompt", "65 parts of 22 tokens, at most 64 are read"),
        ("a".to_string(), breaks(65), 1, 2.0, "negative_prompt", "at most 64"),
        (breaks(65), String::new(), 8, 2.0, "prompt", "at most 64 are read at once"),
        ("a AND ".repeat(8), String::new(), 1, 2.0, "prompt", "9 prompts joined by AND, at most 8"),
        (format!("{} AND b AND c", breaks(40)), String::new(), 1, 2.0, "prompt", "at most 32 are read"),
    ] {
        match asked(prompt, negative, batch, guidance) {
            Err(Error::InvalidInput { field: found, message }) => {
                assert!(found == field && message.contains(words), "{found}: {message}");
            }
            other => panic!("{words}: {other:?}"),
        }
    }
}

/// One vocabulary, but another token behind the end; where that counts words, all have as many chunks.
#[test]
fn each_text_encoder_is_padded_with_its_own_token() -> Result<()> {
    let prompt = "a red apple".to_string();
    let asked = conditioned(&Request { prompt, guidance: 2.0, ..request(1, 0, None) }, &[None, Some("!")])?;
    let asked = asked.first();
    let (first, second) = (asked.ids(0), asked.ids(1));
    assert_eq!((first.len(), second.len(), asked.rows(1).len()), (48, 48, 2));
    let end = first[47];
    let text = first[24..].iter().skip(1).position(|id| *id == end).unwrap() + 26;
    assert_eq!(first[24..text], second[24..text], "to the end token");
    assert!(first[text..].iter().all(|id| *id == end));
    let pad = second[47];
    assert!(pad != end && second[text..].iter().all(|id| *id == pad));

    // Of a row of `!` CLIP makes fewer tokens, where that is no special one.
    let prompt = format!("a cat{}", "!".repeat(40));
    let asked = conditioned(&Request { prompt, ..request(1, 0, None) }, &[None, Some("!")])?;
    assert_eq!(asked.first().rows(0)[0].len(), asked.first().rows(1)[0].len());
    assert_eq!(asked.chunks(), 2);
    assert!(conditioned(&request(1, 0, None), &[None, Some("no token")]).is_err());
    Ok(())
}

#[test]
fn what_is_not_followed_is_said_when_drawing() -> Result<()> {
    let prompt = "a [red:green:0.5] apple AND a [cat|dog] <lora:shiny:0.8>".to_string();
    let typed = Request { prompt, ..request(1, 0, None) };
    let notices = conditioning(&typed)?.notices;
    assert_eq!(notices.len(), 1, "{notices:?}");
    let plain = Request { dialect: Dialect::Diffusers, ..typed };
    let notices = conditioning(&plain)?.notices;
    assert!(matches!(notices.as_slice(), [one] if one.contains("diffusers reads 22")), "{notices:?}");
    let twice = Request {
        negative_prompt: "<lora:x:1>".to_string(),
        prompt: "<lora:x:1>".to_string(),
        ..request(1, 0, None)
    };
    assert_eq!(conditioning(&Request { guidance: 2.0, ..twice })?.notices.len(), 1);
    Ok(())
}

/// Row by row what the texts are at each evaluation, with as many chunks throughout.
#[test]
fn what_changes_is_read_when_its_time_comes() -> Result<()> {
    let ask = |prompt: &str, negative: &str, guidance| {
        let (prompt, negative_prompt) = (prompt.to_string(), negative.to_string());
        conditioning(&Request { prompt, negative_prompt, guidance, ..request(1, 0, None) })
    };
    let changing = ask("a [red:green:3] apple AND a [cat|dog] :0.5", "[ugly:5]", 2.0)?;
    assert_eq!(changing.shares.as_deref(), Some([1.0, 0.5].as_slice()));
    for evaluation in 0..10 {
        // A1111 counts evaluations from 0, and reads a text up to its last one.
        let end = evaluation.max(1);
        let colour = if end <= 3 { "red" } else { "green" };
        let animal = if end % 2 == 1 { "cat" } else { "dog" };
        let negative = if end <= 5 { "" } else { "ugly" };
        let state = &changing.states[changing.at(evaluation)];
        let plain = ask(&format!("a {colour} apple AND a {animal} :0.5"), negative, 2.0)?.states.remove(0);
        assert_eq!(*state, plain, "{evaluation}");
    }
    // Each once: a cat or a dog, red or green, with and without the negative prompt.
    assert_eq!(changing.states.len(), 6);
    let same = ask("a [red|red] apple", "", 2.0)?;
    assert_eq!((same.states.len(), same.shares), (1, None));
    let longer = ask(&format!("a [{}:3]", "cat ".repeat(30)), "", 1.0)?;
    assert_eq!((longer.states.len(), longer.chunks()), (2, 2));
    let many: String = ["|a", "|b", "|c", "|d"].iter().map(|x| format!("[{}]", x.repeat(7))).collect();
    assert!(ask(&many, "", 2.0).is_ok(), "they take turns together");
    Ok(())
}

/// A shorter text is read as often as it takes, so that attention sees nothing that is not in it; only what would become too
/// long gets empty chunks.
#[test]
fn texts_have_as_many_chunks() -> Result<()> {
    let rows = |prompt: &str, negative: &str| -> Result<[Vec<Chunk>; 2]> {
        let (prompt, negative_prompt) = (prompt.to_string(), negative.to_string());
        let asked = conditioning(&Request { prompt, negative_prompt, guidance: 2.0, ..request(1, 0, None) })?;
        let rows = asked.first().rows(0);
        Ok([rows[0].clone(), rows[1].clone()])
    };
    let [negative, prompt] = rows("a BREAK b BREAK c", "d")?;
    assert_eq!((negative.len(), prompt.len()), (3, 3));
    assert!(negative.iter().all(|chunk| *chunk == negative[0]) && prompt[0] != prompt[1]);
    let [negative, prompt] = rows("a BREAK b", "c BREAK d BREAK e")?;
    assert_eq!((negative.len(), prompt.len(), prompt[4] == prompt[0]), (6, 6, true));
    let breaks = |count: usize| vec!["a"; count].join(" BREAK ");
    let [negative, prompt] = rows(&breaks(11), &breaks(12))?;
    assert_eq!((negative.len(), prompt.len()), (12, 12));
    assert_ne!(prompt[11], prompt[0], "empty");
    Ok(())
}

/// Of the parts of an `AND` the shorter end in their last state; what is read beside them is repeated.
#[test]
fn parts_of_unequal_length_end_alike() -> Result<()> {
    let repeats = |negative: &str| -> Result<Vec<Vec<bool>>> {
        let (prompt, negative_prompt) = ("a BREAK b BREAK c AND d".to_string(), negative.to_string());
        let asked = conditioning(&Request { prompt, negative_prompt, guidance: 2.0, ..request(1, 0, None) })?;
        let rows = asked.first().rows(0).iter();
        Ok(rows.map(|row| row.iter().map(|chunk| chunk.repeats).collect()).collect())
    };
    let (no, yes) = (false, true);
    assert_eq!(repeats("e")?, [[no; 3], [no; 3], [no, yes, yes]]);
    assert_eq!(repeats("e BREAK f")?, [[no; 6], [no; 6], [no, yes, yes, no, yes, yes]]);
    Ok(())
}

/// With `AND`, tags and brackets in them; in no other dialect.
#[test]
fn comments_are_passed_over() -> Result<()> {
    let ask = |dialect, prompt: &str| {
        let (prompt, negative_prompt) = (prompt.to_string(), format!("{prompt}!"));
        let asked = Request { prompt, negative_prompt, dialect, guidance: 2.0, ..request(1, 0, None) };
        conditioning(&asked).map(|asked| (asked.states, asked.shares, asked.notices))
    };
    let (commented, plain) =
        ("# one\na cat # AND <lora:x:1>\n(dog:1.2) #[b:c:3]\n", "\na cat \n(dog:1.2) \n");
    for dialect in Dialect::ALL {
        let same = ask(dialect, commented)? == ask(dialect, plain)?;
        assert_eq!(same, dialect == Dialect::A1111, "{dialect}");
    }
    Ok(())
}

/// The kernel's and the tokenizer's word for it are one.
#[test]
fn own_vectors_have_one_mark() {
    assert_eq!(OWN, crate::kernels::embed::OWN);
}

/// A weight alone guides, too; who follows a scale by itself takes one prompt.
#[test]
fn prompts_with_weights_are_guided() -> Result<()> {
    let composed = |prompt: &str| Request { prompt: prompt.to_string(), ..request(1, 0, None) };
    let rows = |request: &Request| conditioning(request).map(|c| (c.first().rows(0).len(), c.shares));
    assert_eq!(rows(&composed("a cat"))?, (1, None));
    assert_eq!(rows(&composed("a cat :0.5"))?, (2, Some(vec![0.5])));
    assert_eq!(rows(&composed("a AND b:-1 AND c"))?, (4, Some(vec![1.0, -1.0, 1.0])));
    let text = Request { dialect: Dialect::Diffusers, ..composed("a AND b :0.5") };
    assert_eq!(rows(&text)?, (1, None));
    Ok(())
}

#[test]
fn a_walk_needs_prompts_that_stay() -> Result<()> {
    let to = |here: &str, there: &str| {
        let walk = Walk { prompt: Some(there.to_string()), seed: None, share: 0.5 };
        conditioning(&Request { prompt: here.to_string(), walk: Some(walk), ..request(1, 0, None) })
    };
    assert!(to("a cat", "a dog")?.towards.is_some());
    for (here, there) in [("a [cat|dog]", "a dog"), ("a cat", "a AND b"), ("a", "b :0.5")] {
        let error = to(here, there).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("stay as they are"), "{here} {there}: {error}");
    }
    Ok(())
}
