//! Runs that begin from a picture: what is encoded of it, and what of it is kept.

use super::Run;
use crate::config::ModelConfig;
use crate::error::Result;
use crate::image::{Rgba, interpolate, resize_tile};
use crate::pipeline::canvas::Canvas;
use crate::pipeline::hires::{Enlarged, Hires};
use crate::pipeline::latents::Entry;
use crate::pipeline::layout::nchw_to_nhwc;
use crate::pipeline::picture::{opaque, planes};
use crate::pipeline::request::{Event, Request, Stage};
use crate::pipeline::start::{Draws, latents_of, noised};
use crate::plan::{Outside, padded};
use crate::sample::Trajectory;

/// What a pass begins from.
pub(super) enum Begin<'a> {
    Noise,
    Canvas(&'a Canvas<'a>),
    /// Clean latents `[batch, c, h, w]`, scaled.
    Latents(Vec<f32>),
    /// What enters the first step that is taken, `[batch, c, h, w]`.
    Entering(Vec<f32>),
    /// As many as the batch, each as large as the request.
    Pictures(Vec<Rgba>),
}

impl<'a> Begin<'a> {
    /// Of a request, whose picture lies on the canvas where it has one.
    pub fn of(request: &Request, config: &ModelConfig, canvas: Option<&'a Canvas<'a>>) -> Begin<'a> {
        match (canvas, &request.latents) {
            (Some(canvas), _) => Begin::Canvas(canvas),
            (None, Some(latents)) => {
                let values = latents.of_batch(request, config);
                match latents.entry {
                    Entry::Step(_) => Begin::Entering(values),
                    Entry::Clean { .. } => Begin::Latents(values),
                }
            }
            (None, None) => Begin::Noise,
        }
    }

    /// Whether there are pictures to encode.
    pub fn encodes(&self) -> bool {
        matches!(self, Begin::Canvas(_) | Begin::Pictures(_))
    }
}

/// The same as latents.
#[derive(Default)]
pub(super) struct Begun {
    /// Latents `[batch, c, h, w]` that enter the first step as they are.
    pub entering: Option<Vec<f32>>,
    /// Latents `[batch, c, h, w]`, scaled, that are noised up to the first step; where there are none, it begins from noise.
    pub clean: Option<Vec<f32>>,
    /// Those of the picture itself, of which a part is kept.
    pub original: Option<Vec<f32>>,
    /// What the denoiser reads beside the latents, `[batch, 1 + c, h, w]`: the mask and the latents of what is around it.
    pub around: Option<Vec<f32>>,
}

/// What is kept of a picture, at every step noised up to where the next one begins.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a> {
    pub canvas: &'a Canvas<'a>,
    pub original: &'a [f32],
    pub noise: &'a [f32],
}

impl Run<'_> {
    /// What the pass begins from as latents.
    pub(super) async fn begun(
        &mut self,
        begin: Begin<'_>,
        draws: &Draws,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Begun> {
        let encodes = begin.encodes();
        let begun = match begin {
            Begin::Noise => Begun::default(),
            Begin::Canvas(canvas) => self.begun_on(canvas, draws).await?,
            Begin::Latents(latents) => self.begun_by(latents),
            Begin::Entering(latents) => Begun { entering: Some(latents), ..Begun::default() },
            Begin::Pictures(pictures) => {
                let latents = self.encode_each(&pictures, draws.sampling.as_deref()).await?;
                self.begun_by(latents)
            }
        };
        if encodes {
            on_event(Event::Stage(Stage::Text));
        }
        Ok(begun)
    }

    fn begun_by(&mut self, latents: Vec<f32>) -> Begun {
        self.keep("init_latents", &self.latents_shape(), latents.clone());
        Begun { clean: Some(latents), ..Begun::default() }
    }

    /// What is on a canvas, of which a part may be drawn anew.
    async fn begun_on(&mut self, canvas: &Canvas<'_>, draws: &Draws) -> Result<Begun> {
        let Some(picture) = &self.pass.request.picture else { return Ok(Begun::default()) };
        let batch = self.pass.request.batch;
        let mut begun = Begun::default();
        if picture.is_encoded(self.config) {
            let latents = self.encode(&canvas.planes(), draws.sampling.as_deref(), batch).await?;
            self.keep("init_latents", &self.latents_shape(), latents.clone());
            begun.clean = (!picture.is_noise()).then(|| canvas.content(&latents, &draws.noise));
            begun.original = Some(latents);
        }
        if let Some(mask) = canvas.mask() {
            self.keep("mask", &[1, 1, self.shape.h, self.shape.w], mask.to_vec());
        }
        if self.config.is_inpainting() {
            let latents =
                self.encode(&canvas.planes_around(), draws.sampling_around.as_deref(), batch).await?;
            let mask = canvas.told(self.config.vae.scale());
            let each = latents.len() / batch;
            begun.around =
                Some(latents.chunks(each).flat_map(|latents| mask.iter().chain(latents)).copied().collect());
            self.keep("masked_image_latents", &self.latents_shape(), latents);
        }
        Ok(begun)
    }

    /// Scaled latents `[batch, c, h, w]` of pictures of the request's size, each by its own of the noise `[batch, c, h, w]`.
    async fn encode_each(&mut self, pictures: &[Rgba], sampling: Option<&[f32]>) -> Result<Vec<f32>> {
        let each = self.pass.request.latents_len(self.config) / pictures.len().max(1);
        let mut latents = Vec::new();
        for (i, picture) in pictures.iter().enumerate() {
            let sampling = sampling.map(|noise| &noise[i * each..(i + 1) * each]);
            latents.extend(self.encode(&planes(&opaque(picture)), sampling, 1).await?);
        }
        Ok(latents)
    }

    /// What the pass drew, enlarged by hires fix to the size of another request.
    pub(super) async fn enlarged<'a>(
        &mut self,
        hires: &Hires,
        larger: &Request,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Begin<'a>> {
        let size = |request: &Request| [request.width, request.height];
        let scale = self.config.vae.scale();
        let tiling = larger.tiling;
        let network = self.enlarger.filter(|_| self.pass.request.hires_network.is_some());
        if let Some(network) = network {
            on_event(Event::Stage(Stage::Decode));
            self.engine.pause().await;
            self.cancel.check()?;
            let (mut pictures, mut quiet) = (Vec::new(), |_| {});
            for drawn in self.decode().await?.0 {
                let made = network.enlarge(&drawn, Some(size(larger)), tiling, &mut quiet, self.cancel);
                pictures.push(made.await?);
            }
            return Ok(Begin::Pictures(pictures));
        }
        match hires.upscaler.enlarges() {
            Enlarged::Latents(kind) => {
                let latents = self.latents().await?;
                let [from, to] =
                    [self.pass.request, larger].map(|request| size(request).map(|side| side / scale));
                Ok(Begin::Latents(interpolate(&latents, from, to, kind, tiling.wraps())))
            }
            Enlarged::Pixels(filter) => {
                on_event(Event::Stage(Stage::Decode));
                self.engine.pause().await;
                self.cancel.check()?;
                let [from, to] = [self.pass.request, larger].map(size);
                let larger = |drawn: Rgba| {
                    let pixels = resize_tile(&drawn.pixels, 4, from, to, filter, tiling.wraps());
                    Rgba::new(to[0], to[1], pixels)
                };
                Ok(Begin::Pictures(self.decode().await?.0.into_iter().map(larger).collect::<Result<_>>()?))
            }
        }
    }

    /// Scaled latents `[batch, c, h, w]` of one picture `[3, H, W]` in [-1, 1].
    async fn encode(&mut self, planes: &[f32], sampling: Option<&[f32]>, batch: usize) -> Result<Vec<f32>> {
        let pixels = nchw_to_nhwc(planes, 1, 3, planes.len() / 3, padded(3));
        let encoded = self.engine.encode(pixels, self.cancel).await?;
        self.engine.pause().await;
        let pixels = self.shape.h * self.shape.w;
        Ok(latents_of(self.config, &encoded, pixels, sampling, batch))
    }

    /// Fills the channels of the denoiser's input behind the latents, which the steps leave alone.
    pub(super) fn write_around(&mut self, around: &[f32]) -> Result<()> {
        let [n, c, h, w] = self.latents_shape();
        let (inputs, beside) = (self.config.denoiser.in_channels(), around.len() / (n * h * w));
        let pictures = around.chunks(beside * h * w).flat_map(|picture| {
            std::iter::repeat_n(&0.0, c * h * w).chain(picture).copied().collect::<Vec<f32>>()
        });
        let pictures: Vec<f32> = pictures.collect();
        let input = nchw_to_nhwc(&pictures, n, inputs, h * w, padded(inputs));
        self.engine.write(Outside::Sample, &input.repeat(self.shape.copies))
    }

    /// What of the picture is kept behind the `nth` evaluation of step `i`, at the level of the one that follows.
    pub(super) fn write_kept(
        &mut self,
        Kept { canvas, original, noise }: Kept<'_>,
        trajectory: &Trajectory,
        [i, nth]: [usize; 2],
    ) -> Result<()> {
        match trajectory.following(i, nth) {
            Some(next) => self.write_latents(Outside::Kept, &noised(next, original, noise))?,
            None => self.write_latents(Outside::Kept, original)?,
        }
        let drawn = canvas.drawn_after(i, trajectory.steps.len());
        let mut masks = drawn.repeat(self.shape.batch);
        masks.extend(&self.texts.shares);
        self.engine.write(Outside::Masks, &masks)
    }
}
