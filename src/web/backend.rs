//! The pipeline in use: on the GPU, or on the CPU where there is none.

use std::future::Future;
use std::pin::Pin;

use crate::config::ModelConfig;
use crate::gpu::Context;
use crate::image::Rgba;
use crate::pipeline::study::{StepTrace, Token};
use crate::pipeline::{Cancel, CpuPipeline, Event, Output, Pipeline, Request};
use crate::weights::Manifest;
use crate::{Error, Result};

/// A model that is ready to run.
pub(super) enum Backend {
    Gpu(Box<Pipeline>),
    Cpu(Box<CpuPipeline>),
}

impl Backend {
    /// Makes pictures.
    pub(super) async fn generate(
        &mut self,
        request: &Request,
        on_event: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<Output> {
        match self {
            Backend::Gpu(pipeline) => pipeline.generate(request, on_event, cancel).await,
            Backend::Cpu(pipeline) => pipeline.generate(request, on_event, cancel).await,
        }
    }

    /// The model's configuration.
    pub(super) fn config(&self) -> &ModelConfig {
        match self {
            Backend::Gpu(pipeline) => pipeline.config(),
            Backend::Cpu(pipeline) => pipeline.config(),
        }
    }

    /// One step of a run, looked into.
    pub(super) async fn study_step(
        &mut self,
        request: &Request,
        index: usize,
        latents: &[f32],
        maps: bool,
        cancel: &Cancel,
    ) -> Result<StepTrace> {
        match self {
            Backend::Gpu(pipeline) => pipeline.study_step(request, index, latents, maps, cancel).await,
            Backend::Cpu(pipeline) => pipeline.study_step(request, index, latents, maps, cancel).await,
        }
    }

    /// A picture's latents.
    pub(super) async fn study_encode(&mut self, image: &Rgba) -> Result<Vec<f32>> {
        match self {
            Backend::Gpu(pipeline) => pipeline.study_encode(image).await,
            Backend::Cpu(pipeline) => pipeline.study_encode(image).await,
        }
    }

    /// The picture of latents of height `h` and width `w`.
    pub(super) async fn study_decode(&mut self, latents: &[f32], h: usize, w: usize) -> Result<Rgba> {
        match self {
            Backend::Gpu(pipeline) => pipeline.study_decode(latents, h, w).await,
            Backend::Cpu(pipeline) => pipeline.study_decode(latents, h, w).await,
        }
    }

    /// A prompt's tokens.
    pub(super) fn study_tokens(&self, prompt: &str) -> Result<Vec<Token>> {
        match self {
            Backend::Gpu(pipeline) => pipeline.study_tokens(prompt),
            Backend::Cpu(pipeline) => pipeline.study_tokens(prompt),
        }
    }
}

/// A model whose weights are arriving.
pub(super) enum Loader {
    Gpu(Box<Pipeline>),
    Cpu { manifest: Box<Manifest>, slabs: Vec<Vec<u8>> },
}

impl Loader {
    /// Makes room for the weights: on the GPU if there is a device, else in wasm memory.
    pub(super) fn new(context: Option<&Context>, manifest: Manifest) -> Result<Loader> {
        if let Some(context) = context {
            return Ok(Loader::Gpu(Box::new(Pipeline::new(context.clone(), manifest)?)));
        }
        let mut slabs = Vec::with_capacity(manifest.slabs.len());
        for &bytes in &manifest.slabs {
            let mut slab = Vec::new();
            let fits = usize::try_from(bytes).is_ok_and(|bytes| slab.try_reserve_exact(bytes).is_ok());
            if !fits {
                let message = format!("the model needs {} bytes of memory on the CPU path", manifest.bytes());
                return Err(Error::OutOfMemory { message });
            }
            slab.resize(bytes as usize, 0);
            slabs.push(slab);
        }
        Ok(Loader::Cpu { manifest: Box::new(manifest), slabs })
    }

    /// Takes bytes of a slab.
    pub(super) fn write(&mut self, slab: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        match self {
            Loader::Gpu(pipeline) => pipeline.write(slab, offset, bytes),
            Loader::Cpu { slabs, manifest } => {
                let place = slabs.get_mut(slab).and_then(|slab| {
                    let from = usize::try_from(offset).ok()?;
                    slab.get_mut(from..from.checked_add(bytes.len())?)
                });
                let Some(place) = place else {
                    let message = format!("{} bytes at {offset} lie outside slab {slab}", bytes.len());
                    return Err(Error::BadFile { file: manifest.name.clone(), message });
                };
                place.copy_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// All weights are there.
    pub(super) fn finish(self) -> Result<Backend> {
        match self {
            Loader::Gpu(pipeline) => Ok(Backend::Gpu(pipeline)),
            Loader::Cpu { manifest, slabs } => {
                let pause = || -> Pin<Box<dyn Future<Output = ()>>> {
                    Box::pin(gloo::timers::future::sleep(std::time::Duration::ZERO))
                };
                let pipeline = CpuPipeline::new(*manifest, slabs)?.with_pause(Box::new(pause));
                Ok(Backend::Cpu(Box::new(pipeline)))
            }
        }
    }
}
