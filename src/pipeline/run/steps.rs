//! Step by step less noise.

use super::Run;
use super::picture::Kept;
use crate::error::Result;
use crate::image::Rgba;
use crate::pipeline::common::{guidance_embedding, rescale_guided, threshold, time_embedding};
use crate::pipeline::conditioning::Conditioning;
use crate::pipeline::engine::Network;
use crate::pipeline::graphs::{Shape, prepare_params, preview_size, step_params};
use crate::pipeline::layout::nchw_to_nhwc;
use crate::pipeline::request::{Event, Stats};
use crate::plan::{Outside, padded};
use crate::sample::{Evaluation, Generators, Linear2, Trajectory};

impl Run<'_> {
    /// What the steps begin with: the latents `[batch, c, h, w]` that enter the first, and what is read beside them.
    pub(super) async fn begin_steps(
        &mut self,
        latents: Vec<f32>,
        around: Option<Vec<f32>>,
        trajectory: &Trajectory,
    ) -> Result<()> {
        if let Some(around) = around {
            self.write_around(&around)?;
        }
        self.write_latents(Outside::Latents, &latents)?;
        self.keep("latents.0", &self.latents_shape(), latents);

        self.first_input(trajectory.steps[0].first().input_scale).await
    }

    /// All steps.
    pub(super) async fn denoise(
        &mut self,
        trajectory: &Trajectory,
        (conditioning, kept): (&Conditioning, Option<Kept<'_>>),
        generators: &mut Generators,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Stats> {
        let steps = trajectory.steps.len();
        let mut after_first = self.engine.used();
        for i in 0..steps {
            self.turn_networks(i, conditioning).await?;
            self.step(trajectory, i, kept, generators).await?;
            let preview = if self.pass.previews(i + 1) { Some(self.preview().await?) } else { None };
            on_event(Event::Step { step: self.pass.before + i + 1, steps: self.pass.steps, preview });
            self.engine.pause().await;
            if i == 0 {
                after_first = self.engine.used();
            }
        }
        let end = self.engine.used();
        let per_step = |count: usize| count as f64 / (steps - 1).max(1) as f64;
        let most = trajectory.steps.iter().map(|step| step.evaluations.len()).max().unwrap_or_default();
        Ok(Stats {
            dispatches_per_step: most * end.dispatches_per_evaluation,
            new_buffers_per_step: per_step(end.buffers - after_first.buffers),
            new_bind_groups_per_step: per_step(end.bind_groups - after_first.bind_groups),
            gpu_bytes: end.bytes,
            gpu_peak_bytes: end.peak,
            widened_bytes: 0,
        })
    }

    /// The denoiser's first input from the latents.
    pub(super) async fn first_input(&mut self, input_scale: f64) -> Result<()> {
        let Shape { copies, .. } = self.shape;
        self.engine.first_input(prepare_params(self.config, [self.shape.pixels(), copies], input_scale)).await
    }

    /// Step `i` of the run, all evaluations of it.
    async fn step(
        &mut self,
        trajectory: &Trajectory,
        i: usize,
        kept: Option<Kept<'_>>,
        generators: &mut Generators,
    ) -> Result<()> {
        for (nth, (evaluation, input_scale_next)) in trajectory.evaluations(i).enumerate() {
            if nth > 0 {
                self.engine.pause().await;
            }
            self.cancel.check()?;
            if let Some(kept) = kept {
                self.write_kept(kept, trajectory, [i, nth])?;
            }
            self.evaluate((trajectory, evaluation, i), input_scale_next, generators).await?;
            self.keep_evaluation(trajectory, [i, nth]).await?;
        }
        Ok(())
    }

    /// One evaluation of the denoiser, in step `i` of a run, and what the sampler makes of it.
    pub(super) async fn evaluate(
        &mut self,
        (trajectory, evaluation, i): (&Trajectory, &Evaluation, usize),
        input_scale_next: f64,
        generators: &mut Generators,
    ) -> Result<()> {
        self.take_turn().await?;
        let time = time_embedding(self.config.denoiser.time(), evaluation.timestep);
        self.engine.write(Outside::Time, &time)?;
        if let Some(channels) = self.config.denoiser.guidance_channels() {
            self.engine
                .write(Outside::Guidance, &guidance_embedding(channels, self.pass.request.guidance))?;
        }
        if self.shape.ancestral {
            let each = self.pass.request.latents_len(self.config) / self.pass.request.batch;
            let noise = match evaluation.noise {
                0.0 => vec![0.0; each * self.pass.request.batch],
                _ => generators.fresh(trajectory, evaluation, each),
            };
            self.write_latents(Outside::Noise, &noise)?;
        }
        let steering = self.steer(i)?;
        self.predict(&steering).await?;
        if let Some(by) = self.pass.request.rescale(self.config) {
            let [n, _, h, w] = self.latents_shape();
            let len = self.shape.copies * n * h * w * padded(self.config.denoiser.out_channels());
            let mut all = self.engine.read(Outside::Prediction, len).await?;
            let scale = self.pass.request.scale();
            rescale_guided(&mut all, [self.shape.copies, n], (scale, &self.texts.shares), by);
            self.engine.write(Outside::Prediction, &all)?;
        }
        if let Some(bounds) = self.pass.request.sampling.thresholding() {
            self.threshold(evaluation, bounds).await?;
        }
        let sizes = [self.shape.pixels(), self.shape.copies];
        let params = step_params(self.config, sizes, self.pass.request.scale(), evaluation, input_scale_next);
        self.engine.step(params).await
    }

    /// Dynamic thresholding: the prediction becomes the one of a clean estimate within bounds, whatever the sampler makes of it.
    async fn threshold(&mut self, evaluation: &Evaluation, bounds: [f64; 2]) -> Result<()> {
        let (latents, predicted) = (self.latents().await?, self.prediction().await?);
        let Linear2 { x, model } = evaluation.denoised;
        if model == 0.0 {
            return Ok(());
        }
        let [n, c, h, w] = self.latents_shape();
        let clean = |(latent, predicted): (&f32, &f32)| {
            (x * f64::from(*latent) + model * f64::from(*predicted)) as f32
        };
        let mut values: Vec<f32> = latents.iter().zip(&predicted).map(clean).collect();
        values.chunks_mut(c * h * w).for_each(|one| threshold(one, bounds));
        for (value, latent) in values.iter_mut().zip(&latents) {
            *value = ((f64::from(*value) - x * f64::from(*latent)) / model) as f32;
        }
        let channels = padded(self.config.denoiser.out_channels());
        // The same without and with each prompt, so that guidance leaves it as it is.
        let all = nchw_to_nhwc(&values, n, c, h * w, channels).repeat(self.shape.copies);
        self.engine.write(Outside::Prediction, &all)
    }

    /// What the denoiser, steered by these control networks, makes of its input: at once, or of one window after the other, their
    /// mean in each cell.
    async fn predict(&mut self, steering: &[usize]) -> Result<()> {
        let Some(places) = self.shape.places(self.config) else {
            for slot in steering {
                self.engine.run(Network::Control(*slot), self.cancel).await?;
            }
            return self.engine.run(Network::Denoiser, self.cancel).await;
        };
        let scale = self.config.vae.scale();
        let pixels = places.enlarged(scale);
        let denoiser = &self.config.denoiser;
        let (inputs, outputs) = (padded(denoiser.in_channels()), padded(denoiser.out_channels()));
        let rows = self.shape.copies * self.shape.batch;
        let [high, wide] = places.size;
        let input =
            self.engine.read(Outside::Sample, self.shape.copies * self.shape.pixels() * inputs).await?;
        let mut mean = vec![0.0; self.shape.copies * self.shape.pixels() * outputs];
        for at in &places.at {
            let mut seen = places.seen(&input, inputs, *at);
            seen.resize(input.len(), 0.0);
            self.engine.write(Outside::Sample, &seen)?;
            for slot in steering {
                self.read_part(*slot, &pixels, [at[0] * scale, at[1] * scale]).await?;
                self.engine.run(Network::Control(*slot), self.cancel).await?;
            }
            self.engine.run(Network::Denoiser, self.cancel).await?;
            let answer = self.engine.read(Outside::Prediction, rows * high * wide * outputs).await?;
            places.add(&mut mean, &answer, outputs, *at);
            self.engine.pause().await;
            self.cancel.check()?;
        }
        places.mean(&mut mean, outputs);
        self.engine.write(Outside::Sample, &input)?;
        self.engine.write(Outside::Prediction, &mean)
    }

    async fn preview(&mut self) -> Result<Rgba> {
        let bytes = self.engine.preview().await?;
        let [width, height] = preview_size(self.config, self.shape.h, self.shape.w);
        Rgba::new(width, height, bytes)
    }
}
