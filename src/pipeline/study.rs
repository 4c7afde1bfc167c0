//! A run taken apart, for looking at: one step at a time with everything that goes in and comes out.
//!
//! Nothing here is on the way of an ordinary run. [`begin`] lays the path out, [`super::Pipeline::study_step`] takes
//! one step of it from latents that the caller holds.

use serde::Serialize;

use super::conditioning::MAX_STATES;
use super::layout::nchw_to_nhwc;
use super::limits::STEPS_RANGE;
use super::picture;
use super::request::{Request, check_numbers};
use super::start::{Draws, entering};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::image::Rgba;
use crate::kernels::{preview, rgba};
use crate::prompt::{
    Chunk, Component, Dialect, Reading, Steps, Tokenizer, components, timeline, without_comments,
    without_tags,
};
use crate::sample::{Forward, Linear2, SamplerKind, Shares, Step, Trajectory};

/// Where a studied run starts.
#[derive(Debug, Clone)]
pub enum Start {
    /// Pure noise, as any run.
    Noise,
    /// Clean latents `[batch, c, h, w]`, scaled, that were noised up to time `t` (0 to T).
    Noised { clean: Vec<f32>, t: usize },
}

/// A run laid out.
#[derive(Debug, Clone)]
pub struct Path {
    pub trajectory: Trajectory,
    /// The step it starts with: later than 0 where the start is less than pure noise.
    pub first: usize,
    /// What enters that step, `[batch, c, h, w]`, as the sampler keeps them.
    pub latents: Vec<f32>,
}

/// One step, looked into. All values are `[batch, c, h, w]`.
#[derive(Debug, Clone)]
pub struct StepTrace {
    pub step: Step,
    /// How much of what went in was picture and how much noise.
    pub shares: Shares,
    /// What the UNet saw: the latents that went in, scaled to unit variance.
    pub input: Vec<f32>,
    /// The noise the model sees in them, after guidance; where a step has several evaluations, in the first.
    pub noise: Vec<f32>,
    /// Its guess of the finished latents.
    pub clean: Vec<f32>,
    /// The latents after the step, as the sampler keeps them.
    pub next: Vec<f32>,
    /// The same, scaled as the next step's UNet will see them.
    pub next_input: Vec<f32>,
    /// Where cross attention looked at them, when asked.
    pub maps: Vec<AttentionMap>,
}

/// Where one cross attention looked for one picture: the probabilities, the mean over its heads.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionMap {
    /// The module's path, such as `unet.mid_block.attentions.0.transformer_blocks.0.attn2`.
    pub layer: String,
    pub h: usize,
    pub w: usize,
    /// Tokens of the first chunk up to its end token.
    pub tokens: usize,
    /// `[h, w, tokens]`; a row falls short of 1 by what padding got.
    pub values: Vec<f32>,
}

/// One token of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub id: u32,
    /// What it stands for; empty for the tokens that begin and end the text.
    pub text: String,
}

/// Lays a run out; [`Error::InvalidInput`] where the request or the start does not fit the model.
pub fn begin(config: &ModelConfig, request: &Request, start: &Start) -> Result<Path> {
    check(config, request)?;
    let trajectory = request.trajectory(config)?;
    let mut draws = Draws::of(request, config);
    let Start::Noised { clean, t } = start else {
        let latents = entering(&trajectory, 0, None, &mut draws, request.batch);
        return Ok(Path { trajectory, first: 0, latents });
    };
    if clean.len() != draws.noise.len() {
        let message = format!("{} values given, expected {}", clean.len(), draws.noise.len());
        return Err(Error::InvalidInput { field: "latents", message });
    }
    check_numbers("latents", clean)?;
    Forward::new(&config.scheduler)?.shares(*t)?; // refuses times there are not
    // The first step that removes no more noise than there is: timesteps count from 0, times from 1.
    let first = trajectory.steps.iter().position(|step| step.first().timestep < *t as f64);
    let first = first.unwrap_or(trajectory.steps.len() - 1);
    let latents = entering(&trajectory, first, Some(clean), &mut draws, request.batch);
    Ok(Path { trajectory, first, latents })
}

/// Refuses what [`Request::check`] refuses, and a picture: what a studied run begins from is the caller's, see [`Start`].
fn check(config: &ModelConfig, request: &Request) -> Result<()> {
    if request.latents.is_some() {
        let message =
            "steps are looked into from latents that are given with each; leave those of the request out";
        return Err(Error::InvalidInput { field: "latents", message: message.to_string() });
    }
    if request.picture.is_some() {
        let message =
            "steps are looked into from latents; encode the picture, and begin from what that gives";
        return Err(Error::InvalidInput { field: "image", message: message.to_string() });
    }
    request.check(config)
}

/// Whether step `index` of a request's run can be taken by itself.
pub fn check_step(trajectory: &Trajectory, request: &Request, index: usize) -> Result<()> {
    let step = trajectory.steps.get(index).ok_or_else(|| Error::InvalidInput {
        field: "step",
        message: format!("step {} of {} asked for", index + 1, trajectory.steps.len()),
    })?;
    if step.is_alone() {
        return Ok(());
    }
    Err(Error::InvalidInput {
        field: "sampler",
        message: format!(
            "{} remembers the steps before, so its steps cannot be taken alone; use {}",
            request.sampler,
            SamplerKind::list(SamplerKind::is_alone)
        ),
    })
}

/// Latents of a request's size, or an error with both counts.
pub fn check_latents(config: &ModelConfig, request: &Request, latents: &[f32]) -> Result<()> {
    check(config, request)?;
    let expected = request.latents_len(config);
    if latents.len() == expected {
        return check_numbers("latents", latents);
    }
    let message = format!("{} values given, expected {expected}", latents.len());
    Err(Error::InvalidInput { field: "latents", message })
}

/// The channels of latents `[c, h, w]`, or an error with both counts.
pub fn check_planes(config: &ModelConfig, latents: &[f32], h: usize, w: usize) -> Result<usize> {
    let channels = config.vae.latent_channels();
    if latents.len() == channels * h * w {
        return check_numbers("latents", latents).map(|()| channels);
    }
    let message = format!("{} values given, expected {channels}×{h}×{w}", latents.len());
    Err(Error::InvalidInput { field: "latents", message })
}

/// The trace of a run's step from what went in, what the model saw there (its prediction after guidance, and where it
/// looked) and what came out.
pub fn trace(
    config: &ModelConfig,
    (trajectory, index): (&Trajectory, usize),
    latents: &[f32],
    (prediction, maps): (Vec<f32>, Vec<AttentionMap>),
    next: Vec<f32>,
) -> StepTrace {
    let step = &trajectory.steps[index];
    let first = step.first();
    let of = |linear: Linear2| -> Vec<f32> {
        let both = latents.iter().zip(&prediction);
        both.map(|(x, m)| (linear.x * f64::from(*x) + linear.model * f64::from(*m)) as f32).collect()
    };
    let input_scale_next = trajectory.steps.get(index + 1).map_or(1.0, |next| next.first().input_scale);
    StepTrace {
        step: step.clone(),
        shares: Shares::at_sigma(first.sigma),
        input: latents.iter().map(|x| x * first.input_scale as f32).collect(),
        noise: of(first.noise_estimate(config.scheduler.prediction_type)),
        clean: of(first.denoised),
        next_input: next.iter().map(|x| x * input_scale_next as f32).collect(),
        next,
        maps,
    }
}

/// The first picture of latents `[batch, c, h, w]` in preview colours, as large as the latents.
pub fn latent_preview(config: &ModelConfig, latents: &[f32], h: usize, w: usize) -> Result<Rgba> {
    let channels = config.vae.latent_channels();
    if latents.len() < channels * h * w {
        let message = format!("{} values given, expected {channels}×{h}×{w}", latents.len());
        return Err(Error::InvalidInput { field: "latents", message });
    }
    let (factors, bias) = config.vae.latent_rgb();
    let latents = nchw_to_nhwc(&latents[..channels * h * w], 1, channels, h * w, channels);
    let pixels = preview::cpu::preview(&factors, bias, &latents);
    Rgba::new(w, h, pixels.into_iter().flat_map(u32::to_le_bytes).collect())
}

/// A picture as the autoencoder takes it: `[3, H, W]` in [-1, 1]; what is transparent shows white.
pub fn planes(config: &ModelConfig, image: &Rgba) -> Result<Vec<f32>> {
    let scale = config.vae.scale();
    if !image.width.is_multiple_of(scale) || !image.height.is_multiple_of(scale) {
        let message = format!("{}x{} pixels, expected multiples of {scale}", image.width, image.height);
        return Err(Error::InvalidInput { field: "image", message });
    }
    Ok(picture::planes(&picture::opaque(image)))
}

/// `[3, H, W]` around [-1, 1] as a picture.
pub fn picture(planes: &[f32], width: usize, height: usize) -> Result<Rgba> {
    let n = width * height;
    let pixel = |i: usize| rgba::cpu::rgba8([planes[i], planes[n + i], planes[2 * n + i]]);
    Rgba::new(width, height, (0..n).flat_map(|i| pixel(i).to_le_bytes()).collect())
}

/// The evaluations of a run of which a prompt's length is told: enough that each of its texts is read in one.
const LENGTH_STEPS: usize = 20;

/// How long a prompt is: the tokens of its text over all chunks, and how many those chunks have room for; of several texts (`AND`, words
/// that change on the way) the longest.
pub fn length(
    tokenizer: &Tokenizer,
    config: &ModelConfig,
    (prompt, reading): (&str, &Reading),
) -> Result<[usize; 2]> {
    let read = understood(tokenizer, config, (prompt, reading), LENGTH_STEPS)?;
    let texts = read.prompts.iter().flat_map(|prompt| &prompt.texts);
    let longest = texts.max_by_key(|text| text.tokens);
    Ok(longest.map_or([0, config.chunk_tokens() - 2], |text| [text.tokens, text.room]))
}

/// A prompt as the engine reads it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Understood {
    /// One, or with `AND` several.
    pub prompts: Vec<UnderstoodPrompt>,
    /// Such as `<lora:name:1>`.
    pub networks: Vec<String>,
    /// Embeddings that are asked for, and are not there.
    pub unknown: Vec<String>,
}

/// A prompt and the weight by which it counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnderstoodPrompt {
    pub weight: f64,
    pub texts: Vec<UnderstoodText>,
}

/// What is read of it up to an evaluation of the denoiser, counted from 0, it included.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnderstoodText {
    pub until: usize,
    pub text: String,
    /// Of the text itself, and as many as its chunks have room for.
    pub tokens: usize,
    pub room: usize,
    /// The tokens of each chunk, without those that frame it.
    pub chunks: Vec<Vec<UnderstoodToken>>,
}

/// A token with its weight.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnderstoodToken {
    pub id: u32,
    pub text: String,
    pub weight: f32,
    /// The name of the embedding whose vector it is.
    pub embedding: Option<String>,
}

/// What is made of a prompt, in a run of so many evaluations.
pub fn understood(
    tokenizer: &Tokenizer,
    config: &ModelConfig,
    (prompt, reading): (&str, &Reading),
    all: usize,
) -> Result<Understood> {
    let all = all.clamp(1, 2 * *STEPS_RANGE.end());
    let is_a1111 = reading.dialect == Dialect::A1111;
    let read = if is_a1111 { without_comments(prompt) } else { prompt.to_string() };
    let (kept, tags) = without_tags(reading.dialect, &read);
    let components = match is_a1111 {
        true => components(&kept),
        false => vec![Component { text: kept.clone(), weight: 1.0 }],
    };
    let mut unknown = Vec::new();
    let mut prompts = Vec::new();
    for Component { text, weight } in components {
        let texts = if is_a1111 { timeline(&text, Steps { all, before: None }) } else { vec![(all, text)] };
        let mut read = Vec::new();
        for (until, text) in texts.into_iter().take(MAX_STATES) {
            let most = config.chunk_tokens();
            let encoded = tokenizer.encode(reading, &text, most)?;
            let token = |(id, weight): (&u32, &f32)| {
                let embedding = reading.embeddings.of_id(*id).map(|embedding| embedding.name.clone());
                let text = embedding.clone().unwrap_or_else(|| tokenizer.text_of(*id));
                UnderstoodToken { id: *id, text, weight: *weight, embedding }
            };
            let tokens = |chunk: &Chunk| {
                let inside = 1..tokenizer.framed_len(chunk).saturating_sub(1).max(1);
                chunk.ids[inside.clone()].iter().zip(&chunk.weights[inside]).map(token).collect()
            };
            let chunks: Vec<_> = encoded.chunks.iter().map(tokens).collect();
            let room = chunks.len() * (most - 2);
            unknown.extend(encoded.unknown);
            read.push(UnderstoodText { until, text, tokens: encoded.tokens, room, chunks });
        }
        prompts.push(UnderstoodPrompt { weight, texts: read });
    }
    unknown.sort_unstable();
    unknown.dedup();
    Ok(Understood { prompts, networks: tags.into_iter().map(str::to_string).collect(), unknown })
}

/// The tokens of a prompt's first chunk, from its begin token to its end token.
pub fn tokens(
    tokenizer: &Tokenizer,
    config: &ModelConfig,
    (prompt, reading): (&str, &Reading),
) -> Result<Vec<Token>> {
    let encoded = tokenizer.encode(reading, prompt, config.chunk_tokens())?;
    let chunk = &encoded.chunks[0];
    let len = tokenizer.framed_len(chunk);
    let name = |id: u32| reading.embeddings.of_id(id).map(|embedding| embedding.name.clone());
    let text = |id: u32| name(id).unwrap_or_else(|| tokenizer.text_of(id));
    let token = |(i, id): (usize, &u32)| Token {
        id: *id,
        text: if i == 0 || i + 1 == len { String::new() } else { text(*id) },
    };
    Ok(chunk.ids[..len].iter().enumerate().map(token).collect())
}
