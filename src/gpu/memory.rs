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

/// What lives outside `plans`, and how many bytes the largest of them gives it.
fn externals(plans: &[&Plan]) -> HashMap<Outside, u64> {
    let mut wanted: HashMap<Outside, u64> = HashMap::new();
    for External { outside, bytes } in plans.iter().flat_map(|plan| &plan.externals) {
        let size = wanted.entry(*outside).or_default();
        *size = (*size).max(*bytes);
    }
    wanted
}

/// The buffers that several plans, run one after the other, share.
pub struct Memory {
    context: Context,
    arena: Vec<wgpu::Buffer>,
    externals: HashMap<Outside, wgpu::Buffer>,
}

/// Buffers that other plans need larger, or smaller.
#[derive(Debug, Default)]
pub struct Misfits {
    /// Slabs are counted from the first: those behind one that goes are taken anew with it.
    first_gone: Option<usize>,
    externals: Vec<Outside>,
}

impl Misfits {
    /// Whether a plan is bound to one of them.
    pub fn touch(&self, plan: &Plan) -> bool {
        self.first_gone.is_some_and(|slab| slab < plan.slabs.len())
            || plan.externals.iter().any(|external| self.externals.contains(&external.outside))
    }
}

impl Memory {
    /// No buffers yet.
    pub fn empty(context: &Context) -> Memory {
        Memory { context: context.clone(), arena: Vec::new(), externals: HashMap::new() }
    }

    /// What of the memory is not as `plans` need it. The arena's slabs may be up to twice as large.
    pub fn misfits(&self, plans: &[&Plan]) -> Misfits {
        let slabs = shared_slabs(plans);
        let fits = |slab: usize, held: u64| {
            slabs.get(slab).is_some_and(|wanted| (*wanted..=2 * wanted.next_multiple_of(4)).contains(&held))
        };
        let held = self.arena.iter().map(wgpu::Buffer::size).enumerate();
        let wanted = externals(plans);
        let first_gone = held.filter(|(slab, held)| !fits(*slab, *held)).map(|(slab, _)| slab).min();
        Misfits {
            first_gone,
            externals: self
                .externals
                .iter()
                .filter(|(outside, held)| {
                    wanted.get(*outside).is_none_or(|wanted| wanted.next_multiple_of(4) != held.size())
                })
                .map(|(outside, _)| *outside)
                .collect(),
        }
    }

    /// Lets go of what does not fit, and takes what `plans` need beside what is left. Nothing may be bound to the former
    /// any more, so that the old memory goes before the new is taken.
    pub fn refit(&mut self, misfits: &Misfits, plans: &[&Plan]) {
        for outside in &misfits.externals {
            if let Some(buffer) = self.externals.remove(outside) {
                self.context.forget(&buffer);
            }
        }
        for buffer in self.arena.drain(misfits.first_gone.unwrap_or(self.arena.len())..) {
            self.context.forget(&buffer);
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        let slabs = shared_slabs(plans).into_iter().skip(self.arena.len());
        let new: Vec<wgpu::Buffer> = slabs.map(|bytes| self.context.buffer("arena", bytes, usage)).collect();
        self.arena.extend(new);
        for (outside, bytes) in externals(plans) {
            let context = &self.context;
            let buffer = || context.buffer(&outside.to_string(), bytes, usage);
            self.externals.entry(outside).or_insert_with(buffer);
        }
    }

    /// An arena large enough for each of `plans`, and one buffer for each value outside it.
    pub fn new(context: &Context, plans: &[&Plan]) -> Memory {
        let mut memory = Memory::empty(context);
        memory.refit(&Misfits::default(), plans);
        memory
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
