//! Buffers on the device: weights, the arena that plans share, and the values that outlive them.

use std::collections::HashMap;

use super::Context;
use crate::error::{Error, Result};
use crate::kernels::WeightType;
use crate::plan::{External, Outside, Plan, WeightDecl, shared_slabs};
use crate::weights::{Manifest, PackedRecord};

/// A model's packed weights in device buffers, filled piece by piece.
pub struct Weights {
    context: Context,
    slabs: Vec<wgpu::Buffer>,
    records: HashMap<String, PackedRecord>,
}

impl Weights {
    /// Empty buffers for a manifest's slabs.
    pub fn new(context: &Context, manifest: &Manifest) -> Weights {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let slabs = manifest.slabs.iter().map(|bytes| context.buffer("weights", *bytes, usage)).collect();
        let records = manifest.records.iter().map(|r| (r.decl.name.clone(), r.clone())).collect();
        Weights { context: context.clone(), slabs, records }
    }

    /// No weights, for plans that read none.
    pub fn none(context: &Context) -> Weights {
        Weights { context: context.clone(), slabs: Vec::new(), records: HashMap::new() }
    }

    /// Writes packed bytes; offset and length are multiples of 4.
    pub fn write(&self, slab: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        let missing = || Error::Gpu { message: format!("weights have no slab {slab}") };
        self.context.write(self.slabs.get(slab).ok_or_else(missing)?, offset, bytes);
        Ok(())
    }

    /// A record by name.
    pub fn record(&self, name: &str) -> Result<&PackedRecord> {
        self.records
            .get(name)
            .ok_or_else(|| Error::Gpu { message: format!("the model has no weight {name}") })
    }

    /// The type a weight is stored in, for [`lower`](crate::plan::lower); one that is missing fails when it is bound.
    pub fn stored_type(&self, decl: &WeightDecl) -> WeightType {
        self.records.get(&decl.name).map_or(WeightType::F32, |record| record.weight_type)
    }

    pub(super) fn slab(&self, index: usize) -> &wgpu::Buffer {
        &self.slabs[index]
    }
}

impl Drop for Weights {
    fn drop(&mut self) {
        self.slabs.iter().for_each(|slab| self.context.forget(slab));
    }
}

/// The buffers that several plans, run one after the other, share.
pub struct Memory {
    context: Context,
    arena: Vec<wgpu::Buffer>,
    externals: HashMap<Outside, wgpu::Buffer>,
}

impl Memory {
    /// An arena large enough for each of `plans`, and one buffer for each value outside it.
    pub fn new(context: &Context, plans: &[&Plan]) -> Memory {
        let mut wanted: HashMap<Outside, u64> = HashMap::new();
        for plan in plans {
            for External { outside, bytes } in &plan.externals {
                let size = wanted.entry(*outside).or_default();
                *size = (*size).max(*bytes);
            }
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        let slabs = shared_slabs(plans).into_iter();
        let arena = slabs.map(|bytes| context.buffer("arena", bytes, usage)).collect();
        let buffer =
            |(outside, bytes): (Outside, u64)| (outside, context.buffer(&outside.to_string(), bytes, usage));
        let externals = wanted.into_iter().map(buffer);
        Memory { context: context.clone(), arena, externals: externals.collect() }
    }

    /// Fills an external value from the host.
    pub fn write(&self, outside: Outside, bytes: &[u8]) -> Result<()> {
        self.context.write(self.external(outside)?, 0, bytes);
        Ok(())
    }

    pub(super) fn external(&self, outside: Outside) -> Result<&wgpu::Buffer> {
        self.externals
            .get(&outside)
            .ok_or_else(|| Error::Gpu { message: format!("no {outside} on the device") })
    }

    pub(super) fn slab(&self, index: usize) -> &wgpu::Buffer {
        &self.arena[index]
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.arena.iter().chain(self.externals.values()).for_each(|buffer| self.context.forget(buffer));
    }
}
