//! Looking into a run; see [`crate::pipeline::study`].

use super::{Pass, Pipeline, Run, shape};
use crate::error::Result;
use crate::image::Rgba;
use crate::model::{autoencoder, denoiser};
use crate::pipeline::graphs::Shape;
use crate::pipeline::layout::nchw_to_nhwc;
use crate::pipeline::request::{Cancel, Request};
use crate::pipeline::start::generators_at;
use crate::pipeline::study::{self, AttentionMap, StepTrace, Token, Understood};
use crate::plan::Outside;
use crate::prompt::Reading;

impl Pipeline {
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
        study::check_latents(&self.config, request, latents)?;
        self.ask_prediction(cancel).await?;
        let trajectory = request.trajectory(&self.config)?;
        study::check_step(&trajectory, request, index)?;
        let mut generators = generators_at(&self.config, request, &trajectory, index);
        let conditioning = self.conditioning(request, request.taken(), None)?;
        let before = trajectory.evaluations_before(index);
        let tokens = conditioning.states[conditioning.at(before)].rows(0).last().and_then(|row| row.first());
        let tokens = tokens.map_or(0, |chunk| self.tokenizers.first().framed_len(chunk));

        let shape = shape(&self.config, request, &conditioning, &trajectory);
        // Where it looks, it is shown of the whole picture.
        let shape = Shape { maps, windows: shape.windows.filter(|_| !maps), ..shape };
        let mut run = self.run((shape, index), Pass::of(request, None), cancel, None).await?;
        run.read_maps().await?;
        run.encode_text(&conditioning).await?;
        run.texts.taken = before;
        cancel.check()?;
        run.write_latents(Outside::Latents, latents)?;
        run.first_input(trajectory.steps[index].first().input_scale).await?;

        // What the model makes of what went in, it says in the first evaluation; the others only make the step better.
        let mut seen = None;
        for (evaluation, input_scale_next) in trajectory.evaluations(index) {
            if seen.is_some() {
                run.engine.pause().await;
            }
            cancel.check()?;
            run.evaluate((&trajectory, evaluation, index), input_scale_next, &mut generators).await?;
            if seen.is_none() {
                let maps = if maps { run.attention_maps(tokens).await? } else { Vec::new() };
                seen = Some((run.prediction().await?, maps));
            }
        }
        let next = run.latents().await?;
        Ok(study::trace(&self.config, (&trajectory, index), latents, seen.unwrap_or_default(), next))
    }

    /// A picture's latents `[c, h, w]`, scaled as the UNet knows them: the mean of the encoder's distribution.
    pub async fn study_encode(&mut self, image: &Rgba) -> Result<Vec<f32>> {
        let planes = study::planes(&self.config, image)?;
        let shape = [1, 3, image.height, image.width];
        let (vae, [_, _, height, width]) = (&self.config.vae, shape);
        let graph = |limits| autoencoder::encoder(vae, 1, height, width, limits);
        self.engine.admit("encode", &graph, &Cancel::default()).await?;
        let latents = self.engine.stages().vae_encode(&self.config, &planes, shape).await?;
        let scale = self.config.vae.scaling_factor() as f32;
        Ok(latents.into_iter().map(|x| x * scale).collect())
    }

    /// The picture of scaled latents `[c, h, w]`.
    pub async fn study_decode(&mut self, latents: &[f32], h: usize, w: usize) -> Result<Rgba> {
        let channels = study::check_planes(&self.config, latents, h, w)?;
        let latents = nchw_to_nhwc(latents, 1, channels, h * w, channels);
        let bytes = self.engine.decode_alone(&latents, [h, w]).await?;
        let scale = self.config.vae.scale();
        Rgba::new(w * scale, h * scale, bytes)
    }

    /// How long a prompt is, and how long it may be without another chunk.
    pub fn study_length(&self, prompt: &str, reading: &Reading) -> Result<[usize; 2]> {
        study::length(self.tokenizers.first(), &self.config, (prompt, reading))
    }

    /// What is made of a prompt, in a run of so many evaluations.
    pub fn study_understood(&self, prompt: &str, reading: &Reading, all: usize) -> Result<Understood> {
        study::understood(self.tokenizers.first(), &self.config, (prompt, reading), all)
    }

    /// The tokens of a prompt's first chunk, from its begin token to its end token.
    pub fn study_tokens(&self, prompt: &str, reading: &Reading) -> Result<Vec<Token>> {
        study::tokens(self.tokenizers.first(), &self.config, (prompt, reading))
    }
}

impl Run<'_> {
    /// Where every cross attention looked for the last row, which has the prompt; `tokens` of the first chunk.
    async fn attention_maps(&mut self, tokens: usize) -> Result<Vec<AttentionMap>> {
        let Shape { batch, copies, h, w, chunks, .. } = self.shape;
        let rows = batch * copies;
        let keys = chunks * self.config.chunk_tokens();
        let mut graph = denoiser::denoiser(&self.config.denoiser, [rows, h, w], [copies, keys], 0);
        let mut maps = Vec::new();
        let exposed = denoiser::expose_cross_attentions(&mut graph, &self.config.denoiser);
        for (index, (layer, shape)) in exposed.into_iter().enumerate() {
            let all = self.engine.read(Outside::Map(index), shape.len() as usize).await?;
            let last = &all[(rows - 1) * shape.h * shape.w * keys..];
            let values = last.chunks_exact(keys).flat_map(|row| &row[..tokens.min(keys)]).copied().collect();
            maps.push(AttentionMap { layer, h: shape.h, w: shape.w, tokens, values });
        }
        Ok(maps)
    }
}
