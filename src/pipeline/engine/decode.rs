//! Latents to pixels, and once more in f32 where the device's activations overflow: the autoencoders of some
//! checkpoints pass f16's 65,504. Whole runs and [`crate::pipeline::study`] both end here.

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::gpu::{Context, Executable, Memory, Readback, Weights};
use crate::kernels::{Circular, Elem, rgba};
use crate::model::autoencoder;
use crate::pipeline::layout::to_bytes;
use crate::pipeline::request::Cancel;
use crate::plan::{MemoryLimits, Outside, Target, lower};

/// What a decode needs to know of its surroundings.
pub(super) struct Decoder<'a> {
    pub context: &'a Context,
    pub config: &'a ModelConfig,
    pub weights: &'a Weights,
    pub cancel: &'a Cancel,
    /// Along which axes opposite borders of its pictures meet.
    pub circular: Circular,
}

/// Pixels in which every colour is a number.
pub(super) struct Decoded {
    /// RGBA8 `[n, H, W]`.
    pub bytes: Vec<u8>,
    /// The memory of the second decode, where one was needed.
    pub again: Option<Memory>,
}

impl Decoder<'_> {
    /// Decodes latents `[n, h, w, c]` of `n` pictures with activations of one type, in memory of its own.
    pub async fn alone(
        &self,
        latents: &[f32],
        [n, h, w]: [usize; 3],
        elem: Elem,
    ) -> Result<(Vec<u8>, Memory)> {
        let target = Target { elem, ..self.context.target() };
        let graph = autoencoder::decoder(&self.config.vae, n, h, w, MemoryLimits::default());
        let graph = graph.circular(self.circular);
        let plan = lower(&graph, target, &|decl| self.weights.stored_type(decl))?;
        let bound = || {
            let memory = Memory::new(self.context, &[&plan]);
            let decoder = Executable::new(self.context, &plan, self.weights, &memory)?;
            Ok((memory, decoder))
        };
        let (memory, decoder) = self.context.guarded(bound).await?;
        memory.write(Outside::Latents, &to_bytes(latents, Elem::F32))?;
        decoder.run(&|| self.cancel.is_cancelled()).await?;
        let scale = self.config.vae.scale();
        let readback = Readback::new(self.context, Outside::Rgba, (n * h * scale * w * scale * 4) as u64);
        Ok((readback.read(&memory).await?, memory))
    }

    /// What a decode gave, or where that was no picture what one in f32 gives of the `latents`.
    pub async fn settle(
        &self,
        bytes: Vec<u8>,
        latents: Option<Vec<f32>>,
        shape: [usize; 3],
    ) -> Result<Decoded> {
        if rgba::cpu::is_finite(&bytes) {
            return Ok(Decoded { bytes, again: None });
        }
        let (bytes, memory) = self.alone(&latents.ok_or(Error::NoNumbers)?, shape, Elem::F32).await?;
        if !rgba::cpu::is_finite(&bytes) {
            return Err(Error::NoNumbers);
        }
        Ok(Decoded { bytes, again: Some(memory) })
    }
}
