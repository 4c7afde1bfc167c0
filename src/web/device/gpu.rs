//! The GPU, through wgpu.

use std::sync::Arc;

use web_time::Duration;

use super::super::browser::navigator;
use super::super::values::Capabilities;
use crate::gpu::{Context, Options};
use crate::pipeline::{Pipeline, probe};
use crate::weights::Manifest;
use crate::{Error, Result};

/// A WebGPU device.
pub(in crate::web) struct Device(Context);

/// A model on the device.
pub(in crate::web) type Backend = Pipeline;

impl Device {
    /// Asks the browser for a device; [`Error::NoGpu`] where there is none.
    pub(in crate::web) async fn find() -> Result<Device> {
        if navigator("gpu").is_undefined() {
            return Err(Error::NoGpu { message: "this browser has no WebGPU".into() });
        }
        Ok(Device(Context::new(&Options::default()).await?))
    }

    /// What the page may say about it.
    pub(in crate::web) fn capabilities(&self) -> Capabilities {
        let found = self.0.capabilities();
        Capabilities {
            engine: "webgpu",
            adapter: found.adapter.clone(),
            backend: found.backend.clone(),
            is_fallback_adapter: found.is_cpu,
            f16: found.f16,
            max_buffer_bytes: found.max_buffer,
        }
    }

    /// How long a small piece of work takes.
    pub(in crate::web) async fn probe(&self) -> Result<Duration> {
        probe::on_gpu(&self.0).await
    }
}

/// A model whose weights are written to the device as they arrive.
pub(in crate::web) struct Loader(Box<Pipeline>);

impl Loader {
    /// Makes room for the weights.
    pub(in crate::web) async fn new(device: &Device, manifest: Arc<Manifest>) -> Result<Loader> {
        Ok(Loader(Box::new(Pipeline::new(device.0.clone(), manifest).await?)))
    }

    /// Takes bytes of a slab.
    pub(in crate::web) fn write(&mut self, slab: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        self.0.write(slab, offset, bytes)
    }

    /// All weights are there.
    pub(in crate::web) fn finish(self) -> Result<Backend> {
        Ok(*self.0)
    }
}
