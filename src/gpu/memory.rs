//! Buffers on the device: weights, the arena that plans share, and the values that outlive them.

use std::collections::HashMap;

use super::{Context, buffer_bytes};
use crate::error::{Error, Result};
use crate::kernels::WeightType;
use crate::plan::{Outside, Plan, Shared, WeightDecl};
use crate::weights::{Bytes, Component, Components, PackedRecord, Packing, Piece, Placement, Sizes};

/// A model's packed weights in device buffers, filled piece by piece. Those of a component can leave and come again.
pub struct Weights {
    context: Context,
    placement: Placement,
    /// The placement's records by name.
    records: HashMap<String, usize>,
    /// The placement's buffers; `None` while the component is away.
    buffers: Vec<Option<wgpu::Buffer>>,
}

impl Weights {
    /// Empty buffers for packed weights.
    pub fn new<'a>(context: &Context, packing: impl Into<Packing<'a>>) -> Weights {
        let mut weights = Weights::away(context, packing);
        weights.take(weights.sizes().components());
        weights
    }

    /// The same while all of them are away.
    pub fn away<'a>(context: &Context, packing: impl Into<Packing<'a>>) -> Weights {
        Weights::placed(context, Placement::of(packing))
    }

    /// No weights, for plans that read none.
    pub fn none(context: &Context) -> Weights {
        Weights::placed(context, Placement::default())
    }

    fn placed(context: &Context, placement: Placement) -> Weights {
        let names = placement.records.iter().map(|record| record.decl.name.clone());
        let records = names.enumerate().map(|(index, name)| (name, index)).collect();
        let buffers = placement.buffers.iter().map(|_| None).collect();
        Weights { context: context.clone(), placement, records, buffers }
    }

    /// Bytes of each component, there or away.
    pub fn sizes(&self) -> Sizes {
        self.placement.sizes()
    }

    /// The components that are there.
    pub fn resident(&self) -> Components {
        let there = self.placement.buffers.iter().zip(&self.buffers).filter(|(_, buffer)| buffer.is_some());
        there.map(|((component, _), _)| *component).collect()
    }

    /// Empty buffers for components that are away.
    pub fn take(&mut self, components: Components) {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        for ((component, bytes), buffer) in self.placement.buffers.iter().zip(&mut self.buffers) {
            if components.contains(*component) && buffer.is_none() {
                *buffer = Some(self.context.buffer("weights", *bytes, usage));
            }
        }
    }

    /// Room for weights that begin as those before: what both have stays, what is new is empty, what only those before had
    /// goes.
    pub fn reshape<'a>(&mut self, packing: impl Into<Packing<'a>>) {
        let mut other = Weights::away(&self.context, packing);
        let kept = self.placement.buffers.iter().zip(&mut self.buffers);
        for ((to, placed), (from, buffer)) in other.buffers.iter_mut().zip(&other.placement.buffers).zip(kept)
        {
            if placed == from {
                *to = buffer.take();
            }
        }
        let new = other.sizes().components().without(self.sizes().components());
        other.take(new);
        *self = other;
    }

    /// Lets go of components. Nothing that is still to run may be bound to them.
    pub fn leave(&mut self, components: Components) {
        for ((component, _), buffer) in self.placement.buffers.iter().zip(&mut self.buffers) {
            if components.contains(*component)
                && let Some(buffer) = buffer.take()
            {
                self.context.forget(&buffer);
            }
        }
    }

    /// Bytes of the packed model, by component.
    pub fn parts<'a>(
        &'a self,
        slab: usize,
        offset: u64,
        bytes: &'a Bytes<'a>,
    ) -> Result<impl Iterator<Item = (Component, Bytes<'a>)>> {
        let pieces = self.pieces(slab, offset, bytes)?;
        Ok(pieces.map(move |(piece, bytes)| (self.placement.buffers[piece.buffer].0, bytes)))
    }

    fn pieces<'a>(
        &'a self,
        slab: usize,
        offset: u64,
        bytes: &'a Bytes<'a>,
    ) -> Result<impl Iterator<Item = (Piece, Bytes<'a>)>> {
        let missing = || Error::Gpu { message: format!("weights have no slab {slab}") };
        let pieces = self.placement.pieces(slab, offset, bytes.len() as u64).ok_or_else(missing)?;
        Ok(pieces.map(|piece| {
            let from = piece.from as usize;
            let taken = bytes.part(from..from + piece.len as usize);
            (piece, taken)
        }))
    }

    /// Writes bytes of the packed model; offset and length are multiples of 4. What belongs to components that are away is
    /// left out.
    pub fn write(&self, slab: usize, offset: u64, bytes: &Bytes<'_>) -> Result<()> {
        for (piece, bytes) in self.pieces(slab, offset, bytes)? {
            if let Some(buffer) = &self.buffers[piece.buffer] {
                self.context.write_bytes(buffer, piece.to, &bytes)?;
            }
        }
        Ok(())
    }

    /// A record by name, with its offsets in the buffer that it lies in.
    pub fn record(&self, name: &str) -> Result<&PackedRecord> {
        let missing = || Error::Gpu { message: format!("the model has no weight {name}") };
        self.records.get(name).map(|index| &self.placement.records[*index]).ok_or_else(missing)
    }

    /// The type a weight is stored in, for [`lower`](crate::plan::lower); one that is missing fails when it is bound.
    pub fn stored_type(&self, decl: &WeightDecl) -> WeightType {
        self.record(&decl.name).map_or(WeightType::F32, |record| record.weight_type)
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// The buffer that a record lies in.
    pub(super) fn buffer(&self, record: &PackedRecord) -> Result<&wgpu::Buffer> {
        let away = || Error::Gpu { message: format!("the weight {} is not on the device", record.decl.name) };
        self.buffers[record.slab].as_ref().ok_or_else(away)
    }
}

impl Drop for Weights {
    fn drop(&mut self) {
        self.buffers.iter().flatten().for_each(|buffer| self.context.forget(buffer));
    }
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

    /// What of the memory is not as plans need it that share these buffers. Unless they have to be `exact`, the arena's may
    /// be up to twice as large.
    pub fn misfits(&self, shared: &Shared, exact: bool) -> Misfits {
        let fits = |slab: usize, held: u64| {
            shared.slabs.get(slab).map(|wanted| buffer_bytes(*wanted)).is_some_and(|wanted| {
                let most = if exact { wanted } else { 2 * wanted };
                (wanted..=most).contains(&held)
            })
        };
        let held = self.arena.iter().map(wgpu::Buffer::size).enumerate();
        let first_gone = held.filter(|(slab, held)| !fits(*slab, *held)).map(|(slab, _)| slab).min();
        let wanted = |outside: &Outside| shared.externals.get(outside).copied().map(buffer_bytes);
        let gone = self.externals.iter().filter(|(outside, held)| wanted(outside) != Some(held.size()));
        Misfits { first_gone, externals: gone.map(|(outside, _)| *outside).collect() }
    }

    /// Lets go of what does not fit. Nothing may be bound to it any more.
    pub fn trim(&mut self, misfits: &Misfits) {
        for outside in &misfits.externals {
            if let Some(buffer) = self.externals.remove(outside) {
                self.context.forget(&buffer);
            }
        }
        for buffer in self.arena.drain(misfits.first_gone.unwrap_or(self.arena.len())..) {
            self.context.forget(&buffer);
        }
    }

    /// Takes what plans need that share these buffers, beside what is there.
    pub fn grow(&mut self, shared: &Shared) {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        let slabs = shared.slabs.iter().skip(self.arena.len());
        let new: Vec<wgpu::Buffer> = slabs.map(|bytes| self.context.buffer("arena", *bytes, usage)).collect();
        self.arena.extend(new);
        for (outside, bytes) in &shared.externals {
            let context = &self.context;
            let buffer = || context.buffer(&outside.to_string(), *bytes, usage);
            self.externals.entry(*outside).or_insert_with(buffer);
        }
    }

    /// An arena large enough for each of `plans`, and one buffer for each value outside it.
    pub fn new(context: &Context, plans: &[&Plan]) -> Memory {
        let mut memory = Memory::empty(context);
        memory.grow(&Shared::of(plans));
        memory
    }

    /// Fills an external value from the host.
    pub fn write(&self, outside: Outside, bytes: &[u8]) -> Result<()> {
        self.context.write(self.external(outside)?, 0, bytes);
        Ok(())
    }

    /// Bytes of an external value; `None` for one that is not there.
    pub fn size(&self, outside: Outside) -> Option<u64> {
        self.externals.get(&outside).map(wgpu::Buffer::size)
    }

    /// Every external value.
    pub fn outsides(&self) -> impl Iterator<Item = Outside> {
        self.externals.keys().copied()
    }

    /// Copies external values, from one to the other of each pair.
    pub fn copy(&self, pairs: impl Iterator<Item = (Outside, Outside)>) -> Result<()> {
        let mut encoder = self.context.encoder();
        for (from, to) in pairs {
            let (from, to) = (self.external(from)?, self.external(to)?);
            encoder.copy_buffer_to_buffer(from, 0, to, 0, from.size().min(to.size()));
        }
        self.context.submit(encoder);
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
