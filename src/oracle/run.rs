//! A whole run by candle, beside the same run by our engine.

use std::collections::HashMap;
use std::fmt;

use candle_core::{Device, Tensor};

use super::Oracle;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::image::{Rgba, psnr};
use crate::pipeline::study::picture;
use crate::pipeline::{Dump, Output, Request};
use crate::prompt::OWN;
use crate::sample::{self, Evaluation, Linear};
use crate::weights::{Manifest, unpack};

/// How far two sets of values are apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// |a - b|₂ / |b|₂.
    pub relative: f64,
    /// max |a - b| / max |b|.
    pub peak: f64,
}

impl Difference {
    /// Of `got` from `expected`.
    fn of(got: &[f32], expected: &[f32]) -> Difference {
        let (mut off, mut all, mut peak_off, mut peak) = (0.0f64, 0.0f64, 0.0f64, 0.0f64);
        for (got, expected) in got.iter().zip(expected) {
            let (difference, expected) = (f64::from(*got) - f64::from(*expected), f64::from(*expected));
            off += difference * difference;
            all += expected * expected;
            peak_off = if difference.is_nan() { f64::INFINITY } else { peak_off.max(difference.abs()) };
            peak = peak.max(expected.abs());
        }
        Difference { relative: (off / all).sqrt(), peak: peak_off / peak }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "relative {:.2e}, peak {:.2e}", self.relative, self.peak)
    }
}

/// How far our engine's run is from candle's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Differences {
    pub text_embeddings: Difference,
    pub latents: Difference,
    /// Of the first picture, in decibels.
    pub psnr: f64,
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "text embeddings  {}", self.text_embeddings)?;
        writeln!(f, "final latents    {}", self.latents)?;
        write!(f, "picture          {:.1} dB", self.psnr)
    }
}

/// Makes a request's pictures by candle from the same weights, ids and noise as our engine's run, whose intermediate
/// values are in `dump`; gives candle's pictures and how far ours are from them.
pub fn compare(
    (manifest, slabs): (&Manifest, &[Vec<u8>]),
    request: &Request,
    (output, dump): (&Output, &Dump),
) -> Result<(Vec<Rgba>, Differences)> {
    refuse_what_cannot_be_compared(request, manifest)?;
    let oracle = Oracle::new(&manifest.config, tensors(manifest, slabs)?)?;
    let config = &manifest.config;

    let (rows, ids) = dumped(dump, "tokens")?;
    let length = config.chunk_tokens();
    let chunks: Vec<Vec<u32>> =
        ids.chunks_exact(length).map(|chunk| chunk.iter().map(|id| *id as u32).collect()).collect();
    let embeddings = oracle.text_embeddings(&chunks)?;
    let (copies, tokens, width) = (rows[0], ids.len() / rows[0], config.denoiser.text_channels());
    let embeddings = embeddings.reshape((copies, tokens, width))?;
    // Our pictures of a batch share their text; candle wants a row for each.
    let each = embeddings.unsqueeze(1)?.broadcast_as((copies, request.batch, tokens, width))?;
    let each = each.reshape((copies * request.batch, tokens, width))?;

    let trajectory = request.trajectory(config)?;
    let (shape, noise) = dumped(dump, "latents.0")?;
    let mut latents = Tensor::from_slice(noise, shape, &Device::Cpu)?;
    let mut history = vec![latents.zeros_like()?; sample::HISTORY];
    for evaluation in trajectory.steps.iter().flat_map(|step| &step.evaluations) {
        let prediction = predict(&oracle, &latents, evaluation, &each, (request, config))?;
        let combine = |linear: &Linear| -> Result<Tensor> {
            let sum = ((&latents * linear.x)? + (&prediction * linear.model)?)?;
            history
                .iter()
                .zip(linear.history)
                .try_fold(sum, |sum, (kept, share)| Ok((sum + (kept * share)?)?))
        };
        let kept = evaluation.keep.iter().map(combine).collect::<Result<_>>()?;
        latents = combine(&evaluation.next)?;
        history = kept;
    }
    let image = oracle.vae_decode(&(&latents / config.vae.scaling_factor())?)?;
    let pictures = pictures(&image, request)?;

    let (_, our_embeddings) = dumped(dump, "text_embeddings")?;
    let (_, our_latents) = dumped(dump, &format!("latents.{}", trajectory.steps.len()))?;
    let differences = Differences {
        text_embeddings: Difference::of(our_embeddings, &values(&embeddings)?),
        latents: Difference::of(our_latents, &values(&latents)?),
        psnr: psnr(&output.images[0], &pictures[0]),
    };
    Ok((pictures, differences))
}

/// Candle's text encoder knows no weights of words, and there is no second source of a step's fresh noise.
fn refuse_what_cannot_be_compared(request: &Request, manifest: &Manifest) -> Result<()> {
    let refuse = |field, message: &str| Err(Error::InvalidInput { field, message: message.to_string() });
    let tokenizer = crate::prompt::Tokenizer::from_json(manifest.tokenizer.as_bytes())?;
    let length = manifest.config.chunk_tokens();
    for text in [&request.prompt, &request.negative_prompt] {
        let encoded = tokenizer.encode(request.reading(), text, length)?;
        if encoded.chunks.iter().flat_map(|chunk| &chunk.ids).any(|id| *id >= OWN) {
            return refuse("embeddings", "candle's text encoder knows no words of one's own");
        }
        if encoded.chunks.iter().any(|chunk| chunk.weights.iter().any(|weight| *weight != 1.0)) {
            return refuse(
                "prompt",
                "candle's text encoder knows no weights; leave out brackets such as (word:1.2)",
            );
        }
    }
    if !request.is_plain() {
        return refuse(
            "prompt",
            "candle's run reads one prompt throughout; leave out AND, regions and brackets that change",
        );
    }
    if manifest.config.denoiser.guidance_channels().is_some() {
        return refuse(
            "model",
            "candle's UNet knows no embedding of the guidance scale (time_cond_proj_dim)",
        );
    }
    if request.clip_skip != 1 {
        return refuse("clip_skip", "candle's text encoder reads its last layer; leave it out");
    }
    if request.rescale(&manifest.config).is_some() {
        return refuse("guidance_rescale", "candle's run would not have it; set it to 0");
    }
    if request.sampling.thresholding().is_some() {
        return refuse("dynamic_thresholding_ratio", "candle's run would not have it; leave it out");
    }
    let trajectory = request.trajectory(&manifest.config)?;
    if trajectory.draws_noise() {
        return refuse(
            "sampler",
            "it draws noise at every step, which candle's run would not have; use ddim or euler",
        );
    }
    Ok(())
}

fn predict(
    oracle: &Oracle,
    latents: &Tensor,
    evaluation: &Evaluation,
    embeddings: &Tensor,
    (request, config): (&Request, &ModelConfig),
) -> Result<Tensor> {
    let input = (latents * evaluation.input_scale)?;
    if !request.guided(config) {
        return oracle.unet(&input, evaluation.timestep, embeddings);
    }
    let both = oracle.unet(&Tensor::cat(&[&input, &input], 0)?, evaluation.timestep, embeddings)?;
    let (without, with) = (both.narrow(0, 0, request.batch)?, both.narrow(0, request.batch, request.batch)?);
    Ok((&without + ((with - &without)? * request.guidance)?)?)
}

/// A model's checkpoint tensors out of its packed records.
fn tensors(manifest: &Manifest, slabs: &[Vec<u8>]) -> Result<HashMap<String, Tensor>> {
    let mut tensors = HashMap::new();
    for record in &manifest.records {
        let slab = slabs.get(record.slab).map_or(&[][..], Vec::as_slice);
        for (name, shape, values) in unpack(record, slab)? {
            tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu)?);
        }
    }
    Ok(tensors)
}

fn pictures(image: &Tensor, request: &Request) -> Result<Vec<Rgba>> {
    let Request { width, height, batch, .. } = *request;
    (0..batch).map(|i| picture(&values(&image.get(i)?)?, width, height)).collect()
}

fn dumped<'a>(dump: &'a Dump, name: &str) -> Result<(&'a [usize], &'a [f32])> {
    let missing = || Error::Cpu { message: format!("the run kept no {name}") };
    let (shape, values) = dump.0.get(name).ok_or_else(missing)?;
    Ok((shape, values))
}

fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.flatten_all()?.to_vec1::<f32>()?)
}
