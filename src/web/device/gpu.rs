//! The GPU, through wgpu.

use std::sync::Arc;

use web_time::Duration;

use super::super::browser::navigator;
use super::super::values::Capabilities;
use crate::gpu::{Context, Options};
use crate::pipeline::stock::Stock;
use crate::pipeline::{Enlarger, Pipeline, probe};
use crate::weights::{Bytes, Manifest};
use crate::{Error, Result};

/// A WebGPU device, and how much of its memory may be used.
pub(in crate::web) struct Device {
    context: Context,
    memory_limit: Option<u64>,
}

/// A model on the device.
pub(in crate::web) type Backend = Pipeline;

impl Device {
    /// Asks the browser for a device; [`Error::NoGpu`] where there is none.
    pub(in crate::web) async fn find(memory_limit: Option<u64>) -> Result<Device> {
        if navigator("gpu").is_undefined() {
            return Err(Error::NoGpu { message: "this browser has no WebGPU".into() });
        }
        Ok(Device { context: Context::new(&Options::default()).await?, memory_limit })
    }

    /// How many bytes of it may be used.
    pub(in crate::web) fn memory_limit(&self) -> Option<u64> {
        self.memory_limit
    }

    /// A model that keeps within the limit; its weights come from the stock when they are needed.
    pub(in crate::web) fn within(&self, manifest: Arc<Manifest>, stock: Box<dyn Stock>) -> Result<Backend> {
        Pipeline::within(self.context.clone(), manifest, self.memory_limit.unwrap_or(u64::MAX), stock)
    }

    /// What the page may say about it.
    pub(in crate::web) fn capabilities(&self) -> Capabilities {
        let found = self.context.capabilities();
        Capabilities {
            engine: "webgpu",
            adapter: found.adapter.clone(),
            backend: found.backend.clone(),
            is_fallback_adapter: found.is_cpu,
            f16: found.f16,
            max_buffer_bytes: found.max_buffer,
            memory_limit: self.memory_limit,
        }
    }

    /// A network that enlarges pictures, from the bytes of its file.
    pub(in crate::web) async fn enlarger(&self, name: &str, bytes: &[u8]) -> Result<Enlarger> {
        Enlarger::on_gpu(self.context.clone(), name, bytes).await
    }

    /// How long a small piece of work takes.
    pub(in crate::web) async fn probe(&self) -> Result<Duration> {
        probe::on_gpu(&self.context).await
    }
}

/// ControlNets that join a model, whose weights are written to the device as they arrive.
pub(in crate::web) struct Joiner<'a> {
    backend: &'a mut Backend,
    manifest: Arc<Manifest>,
}

impl<'a> Joiner<'a> {
    /// Makes room for what the manifest has more than the model.
    pub(in crate::web) async fn new(backend: &'a mut Backend, manifest: Arc<Manifest>) -> Result<Joiner<'a>> {
        backend.make_room(&manifest).await?;
        Ok(Joiner { backend, manifest })
    }

    /// Takes bytes of one of the manifest's slabs.
    pub(in crate::web) fn write(&mut self, slab: usize, offset: u64, bytes: Bytes<'_>) -> Result<()> {
        self.backend.write(slab, offset, bytes)
    }

    /// All weights are there.
    pub(in crate::web) fn finish(self) -> Result<()> {
        self.backend.joined(self.manifest);
        Ok(())
    }

    /// They will not come.
    pub(in crate::web) async fn give_up(self) -> Result<()> {
        let before = self.backend.manifest().clone();
        self.backend.make_room(&before).await
    }
}

/// A model whose weights are written to the device as they arrive.
pub(in crate::web) struct Loader(Box<Pipeline>);

impl Loader {
    /// Makes room for the weights.
    pub(in crate::web) async fn new(device: &Device, manifest: Arc<Manifest>) -> Result<Loader> {
        Ok(Loader(Box::new(Pipeline::new(device.context.clone(), manifest).await?)))
    }

    /// Takes bytes of a slab.
    pub(in crate::web) fn write(&mut self, slab: usize, offset: u64, bytes: Bytes<'_>) -> Result<()> {
        self.0.write(slab, offset, bytes)
    }

    /// All weights are there.
    pub(in crate::web) fn finish(self) -> Result<Backend> {
        Ok(*self.0)
    }
}
