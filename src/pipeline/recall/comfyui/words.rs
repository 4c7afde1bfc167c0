//! Prompts that a graph puts together, where they can be written in the words of a dialect: averaged ones are parts of an `AND` with
//! regions, concatenated ones have `BREAK` between, mixed ones are compel's `.blend(…)`.

use super::super::{Placed, Rectangle, Settings};
use super::nodes::{Graph, Node};
use crate::pipeline::limits::MAX_REGION_WEIGHT;
use crate::prompt::Dialect;

/// Deeper than this no graph is followed.
const DEEPEST: usize = 16;
/// So many are drawn into one picture.
const MOST: usize = 8;
/// Texts of so many letters are read at once, in any dialect.
const LONGEST: usize = 250;

const EVERYWHERE: Rectangle = Rectangle { left: 0.0, top: 0.0, width: 1.0, height: 1.0 };

/// What a node has of words.
enum Words {
    Text(String),
    /// One behind the other.
    Concat(Vec<Words>),
    /// The first by this share, the second by the rest.
    Average(Box<[Words; 2]>, f64),
    /// Answers to each are averaged.
    Combined(Vec<Words>),
    /// Where a mask is white, by this strength.
    Masked(Box<Words>, f64),
}

impl Settings {
    /// Takes what is wired to a sampler where several prompts are put together, if a dialect has words for it and all of them mean
    /// there what they mean in ComfyUI; whether it was taken.
    pub(super) fn take_combined<'a>(&mut self, graph: &Graph<'a>, sampler: Node<'a>) -> bool {
        let mut heard = Vec::new();
        let words = graph.start(sampler, "positive").and_then(|node| read(graph, node, &mut heard, 0));
        let negative = self.negative_prompt.as_deref().unwrap_or_default();
        let Some(words) = words.filter(|words| !matches!(words, Words::Text(_)) && is_plain(negative)) else {
            return false;
        };
        let Some((prompt, dialect, regions)) = written(words) else { return false };
        self.notices.push(match regions.is_empty() {
            true => "Its prompts are put together in its graph; here they stand as one.".to_string(),
            false => format!(
                "Its {} prompts are averaged, as the parts of an AND with a region each.",
                regions.len()
            ),
        });
        let masked = regions.iter().filter(|region| region.rect.is_none());
        self.notices.extend(masked.map(|region| {
            format!(
                "Part {} of the prompt was where a mask is white, which its file does not hold.",
                region.part
            )
        }));
        (self.prompt, self.dialect, self.regions) = (Some(prompt), Some(dialect), regions);
        heard.into_iter().for_each(|node| graph.hear(node));
        true
    }
}

/// What a node and those before it say; `None` where one of them does what is not known here.
fn read<'a>(graph: &Graph<'a>, node: Node<'a>, heard: &mut Vec<Node<'a>>, depth: usize) -> Option<Words> {
    if depth > DEEPEST {
        return None;
    }
    let mut of = |input: &str| read(graph, graph.wired(node, input)?, heard, depth + 1);
    let words = match node.class {
        "ConditioningCombine" => Words::Combined(vec![of("conditioning_1")?, of("conditioning_2")?]),
        "ConditioningConcat" => Words::Concat(vec![of("conditioning_to")?, of("conditioning_from")?]),
        "ConditioningAverage" => {
            let both = [of("conditioning_to")?, of("conditioning_from")?];
            Words::Average(Box::new(both), graph.number(node, "conditioning_to_strength")?)
        }
        "ConditioningSetMask" if graph.plain(node, "set_cond_area").is_none_or(|area| area == "default") => {
            Words::Masked(Box::new(of("conditioning")?), graph.number(node, "strength").unwrap_or(1.0))
        }
        "CLIPTextEncode" => Words::Text(graph.text(node).filter(|text| is_plain(text))?),
        _ => return None,
    };
    heard.push(node);
    heard.extend(graph.wired(node, "mask"));
    Some(words)
}

/// Whether a text means the same in every dialect.
fn is_plain(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || " ,.'!?".contains(c);
    text.len() <= LONGEST && text.chars().all(known) && !text.contains("AND") && !text.contains("BREAK")
}

/// The prompt, the dialect that reads it so, and where its parts count.
fn written(words: Words) -> Option<(String, Dialect, Vec<Placed>)> {
    if let Words::Average(both, share) = &words {
        let [Words::Text(to), Words::Text(from)] = both.as_ref() else { return None };
        let prompt = format!("(\"{to}\", \"{from}\").blend({share}, {})", round(1.0 - share));
        return (0.0..=1.0).contains(share).then_some((prompt, Dialect::Compel, Vec::new()));
    }
    let mut parts = Vec::new();
    flatten(words, (false, 1.0), &mut parts)?;
    let texts: Vec<String> = parts.iter().map(|(text, ..)| text.clone()).collect();
    let is_whole = matches!(parts.as_slice(), [(_, false, weight)] if *weight == 1.0);
    let placed = parts.iter().enumerate().map(|(at, (_, masked, weight))| Placed {
        part: at + 1,
        rect: (!masked).then_some(EVERYWHERE),
        weight: Some(*weight),
    });
    let regions = if is_whole { Vec::new() } else { placed.collect() };
    (texts.len() <= MOST).then(|| (texts.join(" AND "), Dialect::A1111, regions))
}

/// Without what binary fractions leave of a tenth.
fn round(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}

/// Each prompt with whether it has a mask, and its weight.
fn flatten(words: Words, (masked, weight): (bool, f64), parts: &mut Vec<(String, bool, f64)>) -> Option<()> {
    match words {
        Words::Combined(all) => all.into_iter().try_for_each(|one| flatten(one, (masked, weight), parts)),
        Words::Masked(inner, strength) if !masked && (0.0..=MAX_REGION_WEIGHT).contains(&strength) => {
            flatten(*inner, (true, strength), parts)
        }
        Words::Masked(..) | Words::Average(..) => None,
        words => {
            parts.push((text(words)?, masked, weight));
            Some(())
        }
    }
}

/// A text, or several one behind the other.
fn text(words: Words) -> Option<String> {
    match words {
        Words::Text(text) => Some(text.trim().to_string()),
        Words::Concat(all) => Some(all.into_iter().map(text).collect::<Option<Vec<_>>>()?.join(" BREAK ")),
        _ => None,
    }
}
