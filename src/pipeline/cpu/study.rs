//! Looking into a run on the CPU; see [`crate::pipeline::study`].

use candle_core::{Device, Tensor};

use super::{CpuPipeline, LayerLooks};
use crate::error::Result;
use crate::image::Rgba;
use crate::pipeline::common::Conditioning;
use crate::pipeline::study::{self, AttentionMap, StepTrace, Token};
use crate::pipeline::{Cancel, Request};

impl CpuPipeline {
    /// Takes step `index` of a request's run from `latents` `[batch, c, h, w]`, and gives everything on the way.
    /// With `maps`, where the cross attentions looked too.
    pub async fn study_step(
        &mut self,
        request: &Request,
        index: usize,
        latents: &[f32],
        maps: bool,
        cancel: &Cancel,
    ) -> Result<StepTrace> {
        study::check_latents(self.config(), request, latents)?;
        let (step, input_scale_next) = study::step_of(self.config(), request, index)?;
        let mut generators = study::generators_at(self.config(), request, index)?;
        let conditioning = Conditioning::new(&self.tokenizer, self.config(), request)?;
        let tokens = conditioning.rows.last().and_then(|row| row.first());
        let tokens = tokens.map_or(0, |chunk| self.tokenizer.framed_len(chunk));
        let embeddings = self.encode_text(&conditioning)?;
        cancel.check()?;

        let shape = request.latents_shape(self.config());
        let x = Tensor::from_slice(latents, &shape, &Device::Cpu)?;
        let mut looks = maps.then(Vec::new);
        let prediction = self.predict(&x, &step, &embeddings, request, looks.as_mut())?;
        let each = latents.len() / request.batch;
        let noise = step.needs_noise.then(|| Tensor::from_vec(generators.randn(each), &shape, &Device::Cpu));
        let next = super::pipeline::advance(&x, &prediction, &x, noise.transpose()?.as_ref(), &step)?;
        let (prediction, next) = (values(&prediction)?, values(&next)?);
        let maps = looks.unwrap_or_default().into_iter().map(|looks| map_of(looks, tokens)).collect();
        Ok(study::trace(self.config(), (step, input_scale_next), latents, &prediction, next, maps))
    }

    /// A picture's latents `[c, h, w]`, scaled as the UNet knows them: the mean of the encoder's distribution.
    pub async fn study_encode(&mut self, image: &Rgba) -> Result<Vec<f32>> {
        let planes = study::planes(self.config(), image)?;
        let image = Tensor::from_vec(planes, (1, 3, image.height, image.width), &Device::Cpu)?;
        values(&(self.model.vae_encode(&image)? * self.config().vae.scaling_factor)?)
    }

    /// The picture of scaled latents `[c, h, w]`.
    pub async fn study_decode(&mut self, latents: &[f32], h: usize, w: usize) -> Result<Rgba> {
        let channels = study::check_planes(self.config(), latents, h, w)?;
        let latents = Tensor::from_slice(latents, (1, channels, h, w), &Device::Cpu)?;
        let image = self.model.vae_decode(&(latents / self.config().vae.scaling_factor)?)?;
        let scale = self.config().vae.scale();
        study::picture(&values(&image)?, w * scale, h * scale)
    }

    /// How long a prompt is, and how long it may be without another chunk.
    pub fn study_length(&self, prompt: &str) -> Result<[usize; 2]> {
        study::length(&self.tokenizer, self.config(), prompt)
    }

    /// The tokens of a prompt's first chunk, from its begin token to its end token.
    pub fn study_tokens(&self, prompt: &str) -> Result<Vec<Token>> {
        study::tokens(&self.tokenizer, self.config(), prompt)
    }
}

/// Where a layer looked for the last row, which has the prompt; `tokens` of the first chunk.
fn map_of(LayerLooks { layer, h, w, keys, looks }: LayerLooks, tokens: usize) -> AttentionMap {
    let last = &looks[looks.len() - h * w * keys..];
    let values = last.chunks_exact(keys).flat_map(|row| &row[..tokens.min(keys)]).copied().collect();
    AttentionMap { layer, h, w, tokens, values }
}

/// Row-major f32 values.
fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.flatten_all()?.to_vec1::<f32>()?)
}
