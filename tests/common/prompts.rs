//! Several prompts in one picture, and prompts that change on the way, against diffusers' UNet.

use opengen::pipeline::{Cancel, Dump, Pipeline, Request};
use pollster::block_on;
use serde::Deserialize;

use super::report::Report;
use super::{Golden, folder, mini_request};

/// A run of `tests/golden/make_prompts.py`.
#[derive(Debug, Deserialize)]
pub struct PromptCase {
    pub name: String,
    prompt: String,
    negative_prompt: String,
    sampler: String,
    steps: usize,
    guidance: f64,
    seed: u64,
    width: usize,
    height: usize,
}

/// All of them.
pub fn prompt_cases() -> Vec<PromptCase> {
    let text = std::fs::read_to_string(folder().join("prompts/runs.json")).expect("prompts/runs.json");
    serde_json::from_str(&text).expect("what the script writes")
}

impl PromptCase {
    pub fn request(&self) -> Request {
        Request {
            prompt: self.prompt.clone(),
            negative_prompt: self.negative_prompt.clone(),
            steps: self.steps,
            guidance: self.guidance,
            guidance_rescale: Some(0.0),
            seed: self.seed,
            sampler: self.sampler.parse().expect("sampler"),
            width: self.width,
            height: self.height,
            preview_every: 0,
            ..mini_request()
        }
    }
}

/// The latents that a request's run ends with.
pub fn last_latents(pipeline: &mut Pipeline, request: &Request) -> Vec<f32> {
    let (mut dump, mut ignore, cancel) = (Dump::default(), |_| (), Cancel::default());
    let run = pipeline.generate_with(request, &mut ignore, &cancel, Some(&mut dump));
    block_on(run).expect("a picture");
    dump.0[&format!("latents.{}", request.steps)].1.clone()
}

/// Holds a run of the tiny model sd1 to what diffusers draws.
pub fn compare_prompts(report: &mut Report, what: &str, pipeline: &mut Pipeline, case: &PromptCase) {
    let golden = Golden::open("prompts/runs.safetensors");
    let latents = last_latents(pipeline, &case.request());
    report.compare(
        &format!("{what} {}", case.name),
        &latents,
        &golden.values(&format!("{}.latents", case.name)),
    );
}

/// What is the same throughout is the plain prompt, to the bit, however it is written.
pub fn assert_same_throughout(pipeline: &mut Pipeline) {
    let drawn = |pipeline: &mut Pipeline, prompt: &str, negative: &str| {
        let (prompt, negative_prompt) = (prompt.to_string(), negative.to_string());
        let case = &prompt_cases()[2];
        last_latents(pipeline, &Request { prompt, negative_prompt, steps: 3, ..case.request() })
    };
    let plain = drawn(pipeline, "a red apple", "yellow");
    for (prompt, negative) in [
        ("a [red:red:2] apple", "yellow"),
        ("a [red:green:99] apple", "yellow"),
        // Other texts of the same words take turns.
        ("a [red:red :1] apple", "yellow"),
        ("a [red| red|red ] apple", "[yellow| yellow]"),
    ] {
        assert!(drawn(pipeline, prompt, negative) == plain, "{prompt:?}");
    }
    assert!(drawn(pipeline, "a [red:green:1] apple", "yellow") != plain);
    // What ran before is forgotten.
    assert!(drawn(pipeline, "a red apple", "yellow") == plain);
}
