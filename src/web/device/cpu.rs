//! The CPU.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use js_sys::Promise;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::MessageChannel;
use web_time::Duration;

use super::super::values::Capabilities;
use crate::pipeline::engine::Pause;
use crate::pipeline::stock::Stock;
use crate::pipeline::{Engine, Enlarger, Pipeline, probe};
use crate::weights::{Bytes, Manifest};
use crate::{Error, Result};

/// How long a network runs before messages arrive, such as the one that cancels it.
const SLICE: Duration = Duration::from_millis(50);

/// The processor: one thread of it.
pub(in crate::web) struct Device;

/// A model in wasm memory.
pub(in crate::web) type Backend = Pipeline;

impl Device {
    /// It is always there.
    pub(in crate::web) async fn find(_: Option<u64>) -> Result<Device> {
        Ok(Device)
    }

    /// The memory is the host's, which has no limit of ours.
    pub(in crate::web) fn memory_limit(&self) -> Option<u64> {
        None
    }

    /// There is no model within a limit.
    pub(in crate::web) fn within(&self, _: Arc<Manifest>, _: Box<dyn Stock>) -> Result<Backend> {
        Err(Error::Unsupported { what: "a memory limit".into(), message: "the CPU path has none".into() })
    }

    /// What the page may say about it.
    pub(in crate::web) fn capabilities(&self) -> Capabilities {
        Capabilities {
            engine: "cpu",
            adapter: "processor".into(),
            backend: "wasm".into(),
            is_fallback_adapter: false,
            f16: false,
            max_buffer_bytes: 0,
            memory_limit: None,
        }
    }

    /// A network that enlarges pictures, from the bytes of its file.
    pub(in crate::web) async fn enlarger(&self, name: &str, bytes: &[u8]) -> Result<Enlarger> {
        let mut enlarger = Enlarger::on_cpu(name, bytes)?;
        enlarger.set_pause(pause());
        Ok(enlarger)
    }

    /// How long a small piece of work takes.
    pub(in crate::web) async fn probe(&self) -> Result<Duration> {
        Ok(probe::on_cpu())
    }
}

/// Lets the worker's event loop run, by a message to itself: a timer would make each of many turns wait for four milliseconds.
fn pause() -> Pause {
    let channel = MessageChannel::new().ok();
    Box::new(move || -> Pin<Box<dyn Future<Output = ()>>> {
        let Some(channel) = &channel else {
            return Box::pin(gloo::timers::future::sleep(std::time::Duration::ZERO));
        };
        let turn = Promise::new(&mut |resolve, _| {
            channel.port1().set_onmessage(Some(&resolve));
            let _ = channel.port2().post_message(&JsValue::NULL); // of nothing that cannot be sent
        });
        Box::pin(async move {
            let _ = JsFuture::from(turn).await; // it is never refused
        })
    })
}

/// ControlNets that join a model, whose weights are collected until all are there.
pub(in crate::web) struct Joiner<'a> {
    backend: &'a mut Backend,
    loader: Loader,
    first: usize,
}

impl<'a> Joiner<'a> {
    /// Makes room for what the manifest has more than the model.
    pub(in crate::web) async fn new(backend: &'a mut Backend, manifest: Arc<Manifest>) -> Result<Joiner<'a>> {
        let first = backend.manifest().slabs.len();
        let slabs = manifest.slabs.iter().skip(first).copied().collect();
        Ok(Joiner { backend, loader: Loader::of(manifest, slabs)?, first })
    }

    /// Takes bytes of one of the manifest's slabs.
    pub(in crate::web) fn write(&mut self, slab: usize, offset: u64, bytes: Bytes<'_>) -> Result<()> {
        self.loader.write(slab.wrapping_sub(self.first), offset, bytes)
    }

    /// All weights are there.
    pub(in crate::web) fn finish(self) -> Result<()> {
        self.backend.join_on_cpu(self.loader.manifest, self.loader.slabs)
    }

    /// They will not come.
    pub(in crate::web) async fn give_up(self) -> Result<()> {
        Ok(())
    }
}

/// A model whose weights are collected until all are there.
pub(in crate::web) struct Loader {
    manifest: Arc<Manifest>,
    slabs: Vec<Vec<u8>>,
}

impl Loader {
    /// Makes room for the weights.
    pub(in crate::web) async fn new(_: &Device, manifest: Arc<Manifest>) -> Result<Loader> {
        let slabs = manifest.slabs.clone();
        Loader::of(manifest, slabs)
    }

    /// Makes room for so many bytes of each of some slabs.
    fn of(manifest: Arc<Manifest>, sizes: Vec<u64>) -> Result<Loader> {
        let mut slabs = Vec::with_capacity(sizes.len());
        for bytes in sizes {
            let mut slab = Vec::new();
            let fits = usize::try_from(bytes).is_ok_and(|bytes| slab.try_reserve_exact(bytes).is_ok());
            if !fits {
                let message = format!("the model needs {} bytes of memory on the CPU path", manifest.bytes());
                return Err(Error::OutOfMemory { message });
            }
            slab.resize(bytes as usize, 0);
            slabs.push(slab);
        }
        Ok(Loader { manifest, slabs })
    }

    /// Takes bytes of a slab.
    pub(in crate::web) fn write(&mut self, slab: usize, offset: u64, bytes: Bytes<'_>) -> Result<()> {
        let place = self.slabs.get_mut(slab).and_then(|slab| {
            let from = usize::try_from(offset).ok()?;
            slab.get_mut(from..from.checked_add(bytes.len())?)
        });
        let Some(place) = place else {
            let message = format!("{} bytes at {offset} lie outside slab {slab}", bytes.len());
            return Err(Error::BadFile { file: self.manifest.name.clone(), message });
        };
        bytes.copy_to(place);
        Ok(())
    }

    /// All weights are there.
    pub(in crate::web) fn finish(self) -> Result<Backend> {
        let mut pipeline = Pipeline::on_cpu(self.manifest, self.slabs)?;
        let Engine::Cpu(engine) = pipeline.engine();
        engine.set_pause(pause(), SLICE);
        Ok(pipeline)
    }
}
