//! Where weights come from again after they left the device.

use std::future::Future;
use std::pin::Pin;

use super::request::Cancel;
use crate::error::Result;
#[cfg(not(target_arch = "wasm32"))]
use crate::weights::{Bytes, ControlPart, Manifest, ModelSource, stream_of};
use crate::weights::{PackedRecord, Sink};

/// What a [`Stock`] does: done, or what was in its way.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// A packed model's weights, to be had as often as they are needed, the same bytes every time.
pub trait Stock {
    /// Hands over every byte of the records that are `wanted`, and perhaps others beside them.
    fn fetch<'a>(
        &'a self,
        wanted: &'a dyn Fn(&PackedRecord) -> bool,
        sink: &'a mut Sink<'a>,
        cancel: &'a Cancel,
    ) -> Fetching<'a>;
}

/// A model's own files, which are packed anew each time.
#[cfg(not(target_arch = "wasm32"))]
pub struct Files {
    source: ModelSource,
    manifest: Manifest,
    controls: Vec<ControlPart>,
}

#[cfg(not(target_arch = "wasm32"))]
impl Files {
    /// Those of a source, packed as its own manifest says, and of ControlNets that joined it.
    pub fn new(source: ModelSource, manifest: Manifest, controls: Vec<ControlPart>) -> Files {
        Files { source, manifest, controls }
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Stock for Files {
    fn fetch<'a>(
        &'a self,
        wanted: &'a dyn Fn(&PackedRecord) -> bool,
        sink: &'a mut Sink<'a>,
        cancel: &'a Cancel,
    ) -> Fetching<'a> {
        let mut checked = move |slab: usize, offset: u64, bytes: Bytes<'_>| {
            cancel.check()?;
            sink(slab, offset, bytes)
        };
        let mut fetch = || {
            stream_of(&self.source, &self.manifest, wanted, &mut checked)?;
            self.controls.iter().try_for_each(|control| control.stream_of(wanted, &mut checked))
        };
        Box::pin(std::future::ready(fetch()))
    }
}
