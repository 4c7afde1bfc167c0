//! compel's prompt syntax, as version 2.5 of it reads one: `word++`, `word--`, `(phrase)1.3`, `"phrase"0.8`, `.attend(…)`;
//! `("one", "other").blend(0.7, 0.3)` mixes what the text encoder makes of prompts, `("one", "other").and()` reads one behind the
//! other. Words are joined by single blanks. `.swap(…)` and `withLora(…)` are read and not followed.
//!
//! Expressions are tried in its order, without going back into one that has matched.

mod reader;

use super::chunks::{Chunk, Frame};
use crate::error::{Error, Result};
use reader::{Node, Reader};

/// Weights stay finite.
const MAX_WEIGHT: f64 = 1000.0;

/// A prompt: parts that are read one behind the other.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parsed {
    pub parts: Vec<Part>,
    /// There was a `.swap(…)`, of which the words before are taken.
    pub swaps: bool,
    /// What `withLora(…)` named.
    pub loras: Vec<String>,
}

/// A part and how much it counts beside the empty prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub weight: f64,
    /// Texts that are mixed, by how much each counts; one in the ordinary case.
    pub mixed: Vec<(f64, Fragments)>,
}

/// Texts of one weight each.
pub type Fragments = Vec<(String, f64)>;

/// Reads a prompt. An error where its operator's weights are none, or text stands behind it.
pub fn parse(prompt: &str) -> Result<Parsed> {
    let mut parsed = Parsed::default();
    if prompt.trim().is_empty() {
        parsed.parts.push(Part { weight: 1.0, mixed: vec![(1.0, vec![(String::new(), 1.0)])] });
        return Ok(parsed);
    }
    let letters = spaced(prompt);
    let mut reader = Reader::new(&letters);
    let whole = |at: usize| letters[at..].iter().all(|c| c.is_whitespace());
    match reader.operator(0, &[".and", ".add"]) {
        // What stands behind it compel does not read.
        Some((_, _, end)) if !whole(end) => return Err(behind(".and")),
        Some((targets, weights, _)) => {
            let weights = weights_for(".and", &targets, weights.numbers)?;
            for (nodes, weight) in targets.into_iter().zip(weights) {
                let fragments = parsed.fragments(nodes);
                if !fragments.is_empty() {
                    parsed.parts.push(Part { weight, mixed: vec![(1.0, fragments)] });
                }
            }
        }
        None => {
            let from = reader.loras(0, &mut parsed.loras);
            match reader.operator(from, &[".blend"]) {
                Some((_, _, end)) if !whole(reader.loras(end, &mut Vec::new())) => {
                    return Err(behind(".blend"));
                }
                Some((targets, weights, end)) => {
                    reader.loras(end, &mut parsed.loras);
                    let shares = weights_for(".blend", &targets, weights.numbers)?;
                    let sum: f64 = if weights.normalize { shares.iter().sum() } else { 1.0 };
                    let mixed = targets.into_iter().zip(&shares);
                    let mixed = mixed.map(|(nodes, share)| (share / sum, parsed.fragments(nodes))).collect();
                    parsed.parts.push(Part { weight: 1.0, mixed });
                }
                None => {
                    let nodes = reader.prompt(0);
                    parsed.loras.clear(); // they are among the nodes
                    let fragments = parsed.fragments(nodes);
                    parsed.parts.push(Part { weight: 1.0, mixed: vec![(1.0, fragments)] });
                }
            }
        }
    }
    if parsed.parts.iter().flat_map(|part| &part.mixed).any(|(share, _)| !share.is_finite()) {
        let message =
            "the weights of .blend(…) add up to nothing; add no_normalize behind them, or change one"
                .to_string();
        return Err(Error::InvalidInput { field: "prompt", message });
    }
    Ok(parsed)
}

/// A blank behind every comma, as compel has it before it reads.
fn spaced(prompt: &str) -> Vec<char> {
    let mut letters = Vec::with_capacity(prompt.len());
    let mut chars = prompt.chars().peekable();
    // Of two commas the second is the letter behind the first, and not looked at again.
    let mut skip = false;
    while let Some(c) = chars.next() {
        letters.push(c);
        let apart = c == ',' && !skip && chars.peek().is_some_and(|next| !next.is_whitespace());
        if apart {
            letters.push(' ');
        }
        skip = apart;
    }
    letters
}

fn behind(operator: &str) -> Error {
    let message =
        format!("text stands behind {operator}(…), where none is read; put it into one of its prompts");
    Error::InvalidInput { field: "prompt", message }
}

/// A weight for each target; 1 each where there are none.
fn weights_for(operator: &str, targets: &[Vec<Node>], numbers: Vec<Option<f64>>) -> Result<Vec<f64>> {
    let invalid = |message: String| Err(Error::InvalidInput { field: "prompt", message });
    if numbers.is_empty() {
        return Ok(vec![1.0; targets.len()]);
    }
    if numbers.len() != targets.len() {
        let (prompts, weights) = (targets.len(), numbers.len());
        return invalid(format!(
            "{operator}(…) has {weights} weights for {prompts} prompts; give as many, or none"
        ));
    }
    match numbers.into_iter().collect::<Option<Vec<f64>>>() {
        Some(weights) => {
            Ok(weights.into_iter().map(|weight| weight.clamp(-MAX_WEIGHT, MAX_WEIGHT)).collect())
        }
        None => invalid(format!("{operator}(…) has a weight that is no number")),
    }
}

impl Parsed {
    /// Fragments of one weight each; what is not followed is kept to be told.
    fn fragments(&mut self, nodes: Vec<Node>) -> Fragments {
        let mut fragments = Fragments::new();
        self.flatten(nodes, 1.0, &mut fragments);
        fragments
    }

    fn flatten(&mut self, nodes: Vec<Node>, scale: f64, fragments: &mut Fragments) {
        for node in nodes {
            match node {
                // Strokes go once more whenever texts are put together.
                Node::Text(text) => match fragments.last_mut().filter(|(_, weight)| *weight == scale) {
                    Some((last, _)) => *last = plain(&format!("{last} {}", plain(&text))),
                    None => fragments.push((plain(&text), scale)),
                },
                Node::Weighed(weight, nodes) => {
                    let weight = (scale * weight).clamp(-MAX_WEIGHT, MAX_WEIGHT);
                    self.flatten(nodes, weight, fragments);
                }
                Node::Swap(nodes) => {
                    self.swaps = true;
                    self.flatten(nodes, scale, fragments);
                }
                Node::Lora(name) => self.loras.push(name),
            }
        }
    }
}

/// What the text encoder reads of fragments, each ids of one weight, and by how much each reading counts: all of them, and for each
/// that counts less than 1 the same with it hidden, so that at 0 nothing has seen it. What does not fit into a chunk is left out; of
/// a fragment that fits in part compel hides the chunk's end, too.
pub fn variants(fragments: &[(Vec<u32>, f64)], frame: Frame) -> Vec<(f64, Chunk)> {
    /// A weight of 0 would leave nothing to divide by.
    const LEAST: f64 = 1e-5;
    let tokens = fragments.iter().flat_map(|(ids, weight)| ids.iter().map(|id| (*id, *weight as f32)));
    let tokens: Vec<(u32, f32)> = tokens.take(frame.max_length - 2).collect();
    let whole = frame.chunk(&tokens);
    let (mut variants, mut end) = (vec![(1.0, whole.clone())], 1);
    for (ids, weight) in fragments {
        let begin = end;
        end += ids.len();
        if *weight < 1.0 && begin < frame.max_length - 1 {
            let share = ((1.0 - weight.max(LEAST)) * std::f64::consts::FRAC_PI_2).tan();
            variants.push((share, Chunk { hidden: begin..end.min(frame.max_length), ..whole.clone() }));
        }
    }
    let sum: f64 = variants.iter().map(|(share, _)| share).sum();
    variants.into_iter().map(|(share, chunk)| (share / sum, chunk)).collect()
}

/// A chunk of what is mixed, which counts so much beside the empty prompt.
pub fn mixed(mut all: Vec<(f32, Chunk)>, weight: f32, frame: Frame) -> Chunk {
    all.iter_mut().for_each(|(share, _)| *share *= weight);
    if weight != 1.0 {
        all.push((1.0 - weight, frame.chunk(&[])));
    }
    let mut all = all.into_iter();
    let (share, first) = all.next().unwrap_or((1.0, frame.chunk(&[])));
    Chunk { share, mixed: all.collect(), ..first }
}

/// A text without the strokes that made letters of its brackets and quotation marks.
fn plain(text: &str) -> String {
    text.replace("\\(", "(").replace("\\)", ")").replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    /// A part as `tests/golden/make_compel.py` writes it.
    type Golden = (f64, Vec<(f64, Fragments)>);

    #[derive(Deserialize)]
    struct Cases {
        parsed: Vec<(String, Option<Vec<Golden>>)>,
    }

    fn fragments(fragments: &Fragments) -> String {
        let show = |(text, weight): &(String, f64)| format!("{text:?}={weight:.5} ");
        fragments.iter().map(show).collect()
    }

    fn show<'a>(parts: impl IntoIterator<Item = (f64, &'a Vec<(f64, Fragments)>)>) -> String {
        let mixed = |all: &Vec<(f64, Fragments)>| -> String {
            all.iter().map(|(share, texts)| format!("{share:.5}[{}] ", fragments(texts))).collect()
        };
        parts.into_iter().map(|(weight, all)| format!("{weight:.5}({})", mixed(all))).collect()
    }

    /// Prompts by hand and put together by chance, as compel itself reads them.
    #[test]
    fn as_compel() {
        let cases: Cases =
            serde_json::from_str(include_str!("../../tests/golden/prompts/compel.json")).expect("cases");
        assert!(cases.parsed.len() > 600);
        for (prompt, expected) in cases.parsed {
            let parsed = parse(&prompt);
            let Some(expected) = expected else {
                assert!(parsed.is_err(), "{prompt:?}: {parsed:?}");
                continue;
            };
            let parsed = match parsed {
                // What stands behind `.and()` it passes over in silence.
                Err(error) if error.to_string().contains("behind .and") => continue,
                parsed => parsed.expect(&prompt),
            };
            let filled =
                parsed.parts.iter().filter(|part| part.mixed.iter().any(|(_, texts)| !texts.is_empty()));
            let found = show(filled.map(|part| (part.weight, &part.mixed)));
            let expected = show(expected.iter().map(|(weight, mixed)| (*weight, mixed)));
            assert_eq!(found, expected, "{prompt:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for (prompt, words) in [
            ("(\"a\", \"b\").blend(1, 2, 3)", ".blend(…) has 3 weights for 2 prompts"),
            ("(\"a\", \"b\").blend(1, 2) more", "text stands behind .blend(…)"),
            ("(\"a\", \"b\").and() more", "text stands behind .and(…)"),
            ("(\"a\", \"b\").and(x, 1)", ".and(…) has a weight that is no number"),
            ("(\"a\", \"b\").blend(1, -1)", "add up to nothing"),
        ] {
            let error = parse(prompt).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(words), "{prompt}: {error}");
        }
    }

    #[test]
    fn what_weighs_little_is_hidden_in_what_it_is_mixed_with() {
        const FRAME: Frame = Frame { begin: 100, end: 101, pad: 102, max_length: 8 };
        let all = variants(&[(vec![1, 2], 1.0), (vec![3], 0.5), (vec![4], 0.0)], FRAME);
        assert!(all.iter().all(|(_, chunk)| chunk.ids[1..6] == [1, 2, 3, 4, 101]));
        let hidden: Vec<Range<usize>> = all.iter().map(|(_, chunk)| chunk.hidden.clone()).collect();
        assert_eq!(hidden, [0..0, 3..4, 4..5]);
        let shares: Vec<f64> = all.iter().map(|(share, _)| *share).collect();
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9 && shares[2] > 0.999, "{shares:?}");
        assert!((shares[0] - shares[1]).abs() < 1e-9, "half is half");
        let long = variants(&[(vec![1; 4], 0.5), (vec![2; 4], 0.5), (vec![3], 0.5)], FRAME);
        let hidden: Vec<Range<usize>> = long.into_iter().map(|(_, chunk)| chunk.hidden).collect();
        assert_eq!(hidden, [0..0, 1..5, 5..8], "with the end, and nothing of what does not fit");
    }

    proptest! {
        #[test]
        fn any_text_is_parsed(prompt in "(\\PC|[()\\\\\"+.,=\\- 0-9]|\\.blend\\(|\\.and\\(\\)|\\.swap\\(|withLora\\(){0,60}") {
            let _ = parse(&prompt);
        }
    }

    /// Long hostile prompts take no more than a moment.
    #[test]
    fn hostile_prompts() {
        for unit in [
            "(",
            "((a)",
            "\"",
            "(\"",
            "a+",
            "(a)+(",
            "a.swap(",
            ".blend(",
            "(a,",
            "\\",
            "withLora(",
            "(\\\"",
            "+-",
        ] {
            let _ = parse(&unit.repeat(20_000 / unit.len()));
        }
    }
}
