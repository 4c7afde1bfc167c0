//! Prompts that a graph puts together, where they can be written in the words of a dialect: averaged ones are parts of an `AND` with
//! regions, concatenated ones have `BREAK` between, mixed ones are compel's `.blend(…)`, such as take turns are `[one:other:12]`.

use super::super::{Placed, Rectangle, Settings};
use super::nodes::{Graph, Node};
use crate::config::ModelConfig;
use crate::pipeline::limits::MAX_REGION_WEIGHT;
use crate::prompt::Dialect;
use crate::sample::{KarrasOf, Told, late_trajectory};

/// Deeper than this no graph is followed.
const DEEPEST: usize = 16;
/// So many are drawn into one picture.
const MOST: usize = 8;
/// Texts of so many letters are read at once, in any dialect.
const LONGEST: usize = 250;

const EVERYWHERE: Rectangle = Rectangle { left: 0.0, top: 0.0, width: 1.0, height: 1.0 };

/// The last of the training's timesteps, of which ranges are shares.
const LAST: f64 = 999.0;

/// What a node has of words.
enum Words {
    Text(String),
    /// One behind the other.
    Concat(Vec<Words>),
    /// The first by this share, the second by the rest.
    Average(Box<[Words; 2]>, f64),
    /// Answers to each are averaged.
    Combined(Vec<Words>),
    /// By this strength somewhere.
    Placed(Box<Words>, Place, f64),
    /// From one share of the training's timesteps on to another.
    During(Box<Words>, [f64; 2]),
}

/// Where words count.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Everywhere,
    /// Where a mask is white.
    Mask,
    Area(Rectangle),
}

impl Settings {
    /// Takes what is wired to a sampler where several prompts are put together, if a dialect has words for it and all of them mean
    /// there what they mean in ComfyUI; whether it was taken.
    pub(super) fn take_combined<'a>(&mut self, graph: &Graph<'a>, sampler: Node<'a>) -> bool {
        let mut heard = Vec::new();
        let size = self.width.zip(self.height).map(|(width, height)| [width, height].map(f64::from));
        let words = graph.start(sampler, "positive");
        let words = words.and_then(|node| Reading { graph, size, heard: &mut heard }.read(node, 0));
        let negative = self.negative_prompt.as_deref().unwrap_or_default();
        let Some(words) = words.filter(|words| !matches!(words, Words::Text(_)) && is_plain(negative)) else {
            return false;
        };
        let Some((prompt, dialect, parts)) = self.written(words) else { return false };
        self.tell_parts(&parts);
        let regions: Vec<Placed> = parts.iter().enumerate().map(|(at, part)| part.placed(at + 1)).collect();
        let is_whole = parts.iter().all(|part| part.place == Place::Everywhere && part.weight == 1.0);
        self.regions = if is_whole && parts.len() <= 1 { Vec::new() } else { regions };
        (self.prompt, self.dialect) = (Some(prompt), Some(dialect));
        heard.into_iter().for_each(|node| graph.hear(node));
        true
    }

    /// Says what became of the prompts.
    fn tell_parts(&mut self, parts: &[Part]) {
        self.notices.push(match parts.len() {
            0 | 1 => "Its prompts are put together in its graph; here they stand as one.".to_string(),
            several => {
                format!("Its {several} prompts are averaged, as the parts of an AND with a region each.")
            }
        });
        if parts.iter().any(|part| matches!(part.place, Place::Area(_))) {
            let text = "ComfyUI draws an area by itself, with soft borders; here it is a region of the whole: alike, not the same.";
            self.notices.push(text.to_string());
        }
        let masked = parts.iter().enumerate().filter(|(_, part)| part.place == Place::Mask);
        self.notices.extend(masked.map(|(at, _)| {
            let at = at + 1;
            format!("Part {at} of the prompt was where a mask is white, which its file does not hold.")
        }));
    }

    /// The prompt, the dialect that reads it so, and its parts, if there are.
    fn written(&self, words: Words) -> Option<(String, Dialect, Vec<Part>)> {
        if let Words::Average(both, share) = &words {
            let [Words::Text(to), Words::Text(from)] = both.as_ref() else { return None };
            let prompt = format!("(\"{to}\", \"{from}\").blend({share}, {})", round(1.0 - share));
            return (0.0..=1.0).contains(share).then_some((prompt, Dialect::Compel, Vec::new()));
        }
        let (mut parts, mut turns) = (Vec::new(), Vec::new());
        flatten(words, (Place::Everywhere, 1.0), &mut parts, &mut turns)?;
        if !turns.is_empty() {
            let text = self.in_turns(turns)?;
            parts.push(Part { text, place: Place::Everywhere, weight: 1.0 });
        }
        // Beside an area there is nothing, where it is the only one.
        let is_alone = matches!(parts.as_slice(), [Part { place: Place::Area(_), .. }]);
        if is_alone || parts.len() > MOST {
            return None;
        }
        let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
        Some((texts.join(" AND "), Dialect::A1111, parts))
    }

    /// Texts that take turns, one always, as A1111's brackets: each is read up to its last evaluation, counted from 0.
    fn in_turns(&self, mut turns: Vec<(String, [f64; 2])>) -> Option<String> {
        const NEAR: f64 = 1e-6;
        turns.sort_by(|(_, a), (_, b)| a[0].total_cmp(&b[0]));
        let meets = |pair: &[(String, [f64; 2])]| (pair[0].1[1] - pair[1].1[0]).abs() < NEAR;
        let is_all = turns.first()?.1[0] <= 0.0 && turns.last()?.1[1] >= 1.0;
        if !is_all || !turns.windows(2).all(meets) {
            return None;
        }
        let timesteps = self.timesteps()?;
        let (mut text, _) = turns.pop()?;
        for (before, [_, end]) in turns.into_iter().rev() {
            let is_read = |timestep: &&f64| end >= 1.0 || **timestep > LAST * (1.0 - end);
            let read = timesteps.iter().filter(is_read).count();
            text = match read {
                0 => text,
                all if all == timesteps.len() => before,
                // A1111's first number that has a text before it reads that twice.
                1 => return None,
                several => format!("[{before}:{text}:{}]", several - 1),
            };
        }
        Some(text)
    }

    /// The timesteps at which a run from nothing is evaluated.
    fn timesteps(&self) -> Option<Vec<f64>> {
        let scheduler = ModelConfig::builtin("sd15").ok()?.scheduler;
        let (sampler, schedule) = (self.sampler?.parse().ok()?, self.schedule?.parse().ok()?);
        let (options, steps) = (self.sampler_options.unwrap_or_default(), self.steps? as usize);
        if self.strength.is_some() {
            return None;
        }
        let told = Told { schedule, options: &options, karras: KarrasOf::KDiffusion };
        let run = late_trajectory(&scheduler, sampler, told, steps, 0).ok()?;
        let evaluations = run.steps.iter().flat_map(|step| &step.evaluations);
        Some(evaluations.map(|evaluation| evaluation.timestep).collect())
    }
}

/// What is read of a graph, for a picture of this size.
struct Reading<'r, 'a> {
    graph: &'r Graph<'a>,
    size: Option<[f64; 2]>,
    heard: &'r mut Vec<Node<'a>>,
}

impl<'a> Reading<'_, 'a> {
    /// What a node and those before it say; `None` where one of them does what is not known here.
    fn read(&mut self, node: Node<'a>, depth: usize) -> Option<Words> {
        if depth > DEEPEST {
            return None;
        }
        let graph = self.graph;
        let strength = graph.number(node, "strength").unwrap_or(1.0);
        // A mask's words are drawn with all of the picture in view, or with the mask's bounds alone.
        let sees_all = graph.plain(node, "set_cond_area").is_none_or(|area| area == "default");
        let area = self.area(node);
        let mut of = |input: &str| self.read(graph.wired(node, input)?, depth + 1);
        let words = match node.class {
            "ConditioningCombine" => Words::Combined(vec![of("conditioning_1")?, of("conditioning_2")?]),
            "ConditioningConcat" => Words::Concat(vec![of("conditioning_to")?, of("conditioning_from")?]),
            "ConditioningAverage" => {
                let both = [of("conditioning_to")?, of("conditioning_from")?];
                Words::Average(Box::new(both), graph.number(node, "conditioning_to_strength")?)
            }
            "ConditioningSetMask" if sees_all => {
                Words::Placed(Box::new(of("conditioning")?), Place::Mask, strength)
            }
            "ConditioningSetAreaStrength" => {
                Words::Placed(Box::new(of("conditioning")?), Place::Everywhere, strength)
            }
            "ConditioningSetArea" | "ConditioningSetAreaPercentage" => {
                let inner = Box::new(of("conditioning")?);
                Words::Placed(inner, Place::Area(area?), strength)
            }
            "ConditioningSetTimestepRange" => {
                let inner = Box::new(of("conditioning")?);
                let range = [("start", 0.0), ("end", 1.0)];
                Words::During(inner, range.map(|(name, usual)| graph.number(node, name).unwrap_or(usual)))
            }
            "CLIPTextEncode" => Words::Text(graph.text(node).filter(|text| is_plain(text))?),
            _ => return None,
        };
        self.heard.push(node);
        self.heard.extend(graph.wired(node, "mask"));
        Some(words)
    }

    /// An area in shares of the picture, as far as it lies in it: of pixels, or of shares.
    fn area(&self, node: Node<'a>) -> Option<Rectangle> {
        let [across, down] = if node.class.ends_with("Percentage") { [1.0; 2] } else { self.size? };
        let share = |input, whole: f64| Some(round(self.graph.number(node, input)? / whole));
        let (left, top) = (share("x", across)?, share("y", down)?);
        let (width, height) =
            (share("width", across)?.min(1.0 - left), share("height", down)?.min(1.0 - top));
        let is_in = left >= 0.0 && top >= 0.0 && width > 0.0 && height > 0.0;
        is_in.then(|| Rectangle { left, top, width: round(width), height: round(height) })
    }
}

/// Whether a text means the same in every dialect.
fn is_plain(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || " ,.'!?".contains(c);
    text.len() <= LONGEST && text.chars().all(known) && !text.contains("AND") && !text.contains("BREAK")
}

/// Without what binary fractions leave of a tenth.
fn round(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}

/// A prompt of several, where it counts and by how much.
struct Part {
    text: String,
    place: Place,
    weight: f64,
}

impl Part {
    /// Its region, as part number `part`.
    fn placed(&self, part: usize) -> Placed {
        let rect = match self.place {
            Place::Everywhere => Some(EVERYWHERE),
            Place::Mask => None,
            Place::Area(rect) => Some(rect),
        };
        Placed { part, rect, weight: Some(self.weight) }
    }
}

/// The prompts that count all the time, and those that take turns.
fn flatten(
    words: Words,
    (place, weight): (Place, f64),
    parts: &mut Vec<Part>,
    turns: &mut Vec<(String, [f64; 2])>,
) -> Option<()> {
    match words {
        Words::Combined(all) => {
            all.into_iter().try_for_each(|one| flatten(one, (place, weight), parts, turns))
        }
        Words::Placed(inner, Place::Everywhere, strength) => {
            flatten(*inner, (place, in_range(weight * strength)?), parts, turns)
        }
        Words::Placed(inner, there, strength) if place == Place::Everywhere => {
            flatten(*inner, (there, in_range(weight * strength)?), parts, turns)
        }
        Words::During(inner, range) if place == Place::Everywhere && weight == 1.0 => {
            let Words::Text(text) = *inner else { return None };
            turns.push((text.trim().to_string(), range));
            Some(())
        }
        Words::Placed(..) | Words::During(..) | Words::Average(..) => None,
        words => {
            parts.push(Part { text: text(words)?, place, weight });
            Some(())
        }
    }
}

/// A weight that a region may have.
fn in_range(weight: f64) -> Option<f64> {
    (0.0..=MAX_REGION_WEIGHT).contains(&weight).then_some(weight)
}

/// A text, or several one behind the other.
fn text(words: Words) -> Option<String> {
    match words {
        Words::Text(text) => Some(text.trim().to_string()),
        Words::Concat(all) => Some(all.into_iter().map(text).collect::<Option<Vec<_>>>()?.join(" BREAK ")),
        _ => None,
    }
}
