//! The vectors of docs/behaviour.md, each held to what the engine does.

use crate::config::{ModelConfig, SchedulerConfig};
use crate::prompt::{Dialect, Emphasis, Encoded, Reading, Steps, Tokenizer, Weighting, components, timeline};
use crate::sample::{
    Generators, KarrasOf, NoiseSource, SamplerKind, SamplerOptions, ScheduleKind, Told, late_trajectory,
    slerp,
};

const PAGE: &str = include_str!("../../docs/behaviour.md");
const TOKENIZER: &str = include_str!("../../tests/data/tokenizer/tokenizer.json");

/// What the engine makes of a vector's input.
fn made(kind: &str, arguments: &[&str], input: &str) -> String {
    match kind {
        "words" => words(&encoded(arguments, input)),
        "chunks" => numbers(lengths(&encoded(arguments, input))),
        "mean" => numbers(weighed(arguments[0], input)),
        "turns" => turns(arguments, input),
        "and" => joined(components(input).into_iter().map(|one| (one.text, one.weight))),
        "noise" | "fresh" => numbers(drawn(arguments, input)),
        "arc" => arc(arguments, input),
        "eta" => {
            numbers([arguments[0].parse::<SamplerKind>().expect("a sampler").eta().expect("one with η")])
        }
        "levels" | "timesteps" | "begin" => numbers(levels(kind, arguments)),
        other => panic!("no such kind: {other}"),
    }
}

fn number(text: &str) -> f64 {
    text.trim().parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

fn floats(text: &str) -> Vec<f32> {
    text.split_whitespace().map(|text| number(text) as f32).collect()
}

fn numbers(values: impl IntoIterator<Item = impl Into<f64>>) -> String {
    values.into_iter().map(|value| value.into().to_string()).collect::<Vec<_>>().join(" ")
}

/// Texts with a number each; blanks are shown, as outputs are told apart by them.
fn joined(pairs: impl IntoIterator<Item = (String, f64)>) -> String {
    let shown = |(text, value): (String, f64)| format!("{}={value}", text.replace(' ', "_"));
    pairs.into_iter().map(shown).collect::<Vec<_>>().join(" ")
}

/// That of a diffusers folder, which spaces its timesteps; no vector depends on it.
fn config() -> SchedulerConfig {
    ModelConfig::builtin("sd15").expect("a configuration").scheduler
}

/// `{60 cat}` is a word sixty times.
fn repeated(input: &str) -> String {
    let mut text = input.to_string();
    while let Some((before, rest)) = text.split_once('{') {
        let (inside, after) = rest.split_once('}').expect("a closing brace");
        let (count, word) = inside.split_once(' ').expect("a count and a word");
        text = format!("{before}{}{after}", vec![word; number(count) as usize].join(" "));
    }
    text
}

fn encoded(arguments: &[&str], input: &str) -> Encoded {
    let dialect: Dialect = arguments[0].parse().expect("a dialect");
    let named = |emphasis: &Emphasis| arguments.get(1) == Some(&emphasis.name());
    let emphasis = Emphasis::ALL.into_iter().find(named).unwrap_or_default();
    let reading = Reading { dialect, emphasis, ..Reading::default() };
    tokenizer().encode(&reading, &repeated(input), 77).expect("a prompt")
}

fn tokenizer() -> Tokenizer {
    Tokenizer::from_json(TOKENIZER.as_bytes()).expect("tokenizer.json")
}

/// Runs of tokens of one weight, without the blanks between them.
fn words(encoded: &Encoded) -> String {
    let tokenizer = tokenizer();
    let chunk = |chunk: &crate::prompt::Chunk| {
        let text = 1..tokenizer.framed_len(chunk) - 1;
        let mut runs: Vec<(String, f64)> = Vec::new();
        for (id, weight) in chunk.ids[text.clone()].iter().zip(&chunk.weights[text]) {
            let (text, weight) = (tokenizer.text_of(*id), f64::from(*weight));
            match runs.last_mut() {
                Some((run, same)) if *same == weight => run.push_str(&text),
                _ => runs.push((text, weight)),
            }
        }
        joined(runs)
    };
    encoded.chunks.iter().map(chunk).collect::<Vec<_>>().join(" / ")
}

fn lengths(encoded: &Encoded) -> Vec<u32> {
    let tokenizer = tokenizer();
    encoded.chunks.iter().map(|chunk| tokenizer.framed_len(chunk) as u32 - 2).collect()
}

/// `1 2 3 4 by 0.5 1 from 2 2 9 9`: states of as many tokens as there are weights, and those of the empty prompt.
fn weighed(mode: &str, input: &str) -> Vec<f32> {
    let (states, rest) = input.split_once(" by ").expect("weights");
    let (weights, empty) = rest.split_once(" from ").unwrap_or((rest, ""));
    let reading = match mode {
        "comfyui" => Reading::from(Dialect::ComfyUi),
        "no-norm" => Reading { emphasis: Emphasis::NoNorm, ..Reading::default() },
        _ => Reading::default(),
    };
    let weighting: Weighting = reading.weighting();
    let mut states = floats(states);
    weighting.apply(&mut states, &floats(weights), &floats(empty));
    states
}

fn turns(arguments: &[&str], input: &str) -> String {
    let all = number(arguments[0]) as usize;
    let before = arguments.get(1).map(|before| number(before) as usize);
    let texts = timeline(input, Steps { all, before });
    let shown = |(end, text): &(usize, String)| format!("{end}={}", text.replace(' ', "_"));
    texts.iter().map(shown).collect::<Vec<_>>().join(" ")
}

/// The first draws of a seed; what samplers draw with a delta of it.
fn drawn(arguments: &[&str], input: &str) -> Vec<f32> {
    let source = if arguments[0] == "nv" { NoiseSource::Philox } else { NoiseSource::Torch };
    let mut generators = Generators::new(source, number(arguments[1]) as u64, 1);
    if let Some(delta) = arguments.get(2) {
        generators.begin_at(number(delta) as u64);
    }
    // PyTorch draws fewer than sixteen numbers one by one.
    generators.randn(number(input) as usize)
}

fn arc(arguments: &[&str], input: &str) -> String {
    let (from, to) = input.split_once(" to ").expect("another");
    let (mut from, to) = (floats(from), floats(to));
    let size = [from.len(), 1];
    slerp(number(arguments[0]), &mut from, &to, size);
    numbers(from)
}

/// The levels of a run's steps, what the model is told of them, or by what the first noise is multiplied.
fn levels(kind: &str, arguments: &[&str]) -> Vec<f64> {
    let sampler: SamplerKind = arguments[0].parse().expect("a sampler");
    let schedule: ScheduleKind = arguments[1].parse().expect("a schedule");
    let has = |name: &str| arguments.contains(&name).then_some(true);
    let options = SamplerOptions {
        discard_next_to_last_sigma: has("discard"),
        sgm_noise_multiplier: has("sgm"),
        ..SamplerOptions::default()
    };
    let steps = number(arguments[2]) as usize;
    let told = Told { schedule, options: &options, karras: KarrasOf::KDiffusion };
    let run = late_trajectory(&config(), sampler, told, steps, 0).expect("a run");
    match kind {
        "begin" => vec![run.init_noise_sigma],
        "timesteps" => run.steps.iter().map(|step| step.evaluations[0].timestep).collect(),
        _ => run.steps.iter().map(|step| step.evaluations[0].sigma).collect(),
    }
}

/// The same words, and numbers that differ by no more than what five digits leave out.
fn alike(found: &str, expected: &str) -> bool {
    let near = |a: &str, b: &str| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() <= 1e-5 * b.abs().max(0.5),
        _ => a == b,
    };
    let same = |(a, b): (&str, &str)| match (a.rsplit_once('='), b.rsplit_once('=')) {
        (Some((a, x)), Some((b, y))) => near(a, b) && near(x, y),
        _ => near(a, b),
    };
    let [found, expected] = [found, expected].map(|text| text.split(' ').collect::<Vec<_>>());
    found.len() == expected.len() && found.into_iter().zip(expected).all(same)
}

#[test]
fn the_notes_hold() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for section in PAGE.split("\n### ").skip(1) {
        let title = section.lines().next().unwrap_or_default();
        let vectors: Vec<&str> = section.split("```vector\n").skip(1).collect();
        assert!(!vectors.is_empty() || title == "What is not followed", "{title} has no vector");
        for line in vectors.iter().flat_map(|block| block.lines().take_while(|line| *line != "```")) {
            let (what, expected) = line.split_once(" => ").expect(line);
            let (told, input) =
                what.split_once(": ").or_else(|| what.strip_suffix(':').map(|told| (told, ""))).expect(line);
            let mut told = told.split(' ');
            let kind = told.next().expect(line);
            let found = made(kind, &told.collect::<Vec<_>>(), input);
            count += 1;
            if !alike(&found, expected) {
                wrong.push(format!("{title}: {line}\n    found {found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 40, "{count} vectors were found");
    assert!(!alike("1=a 2=b", "1=a 2=c") && !alike("1 2", "1") && !alike("0.5", "0.5001"));
}
