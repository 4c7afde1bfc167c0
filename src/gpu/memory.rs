//! Buffers on the device: weights, the arena that plans share, and the values that outlive them.

use std::collections::HashMap;

use super::{Context, buffer_bytes};
use crate::error::{Error, Result};
use crate::kernels::WeightType;
use crate::plan::{Outside, Plan, Shared, WeightDecl};
use crate::weights::{Bytes, Component, Components, PackedRecord, Packing, Piece, Placement, Sizes, Wider};

/// A model's packed weights in device buffers, filled piece by piece. Those of a component can leave and come again.
pub struct Weights {
    context: Context,
    stored: Held,
    /// Records that lie in a wider type beside it, and are read there.
    wider: Box<Held>,
}

/// Records in buffers.
#[derive(Default)]
struct Held {
    placement: Placement,
    /// The placement's records by name.
    records: HashMap<String, usize>,
    /// The placement's buffers; `None` while the component is away.
    buffers: Vec<Option<wgpu::Buffer>>,
}

impl Held {
    /// All of them away.
    fn of<'a>(packing: impl Into<Packing<'a>>) -> Held {
        let placement = Placement::of(packing);
        let names = placement.records.iter().map(|record| record.decl.name.clone());
        let records = names.enumerate().map(|(index, name)| (name, index)).collect();
        let buffers = placement.buffers.iter().map(|_| None).collect();
        Held { placement, records, buffers }
    }

    /// A record by name.
    fn record(&self, name: &str) -> Option<&PackedRecord> {
        self.records.get(name).map(|index| &self.placement.records[*index])
    }

    /// The components that are there.
    fn resident(&self) -> impl Iterator<Item = Component> {
        let there = self.placement.buffers.iter().zip(&self.buffers).filter(|(_, buffer)| buffer.is_some());
        there.map(|((component, _), _)| *component)
    }

    fn take(&mut self, context: &Context, components: Components) {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        for ((component, bytes), buffer) in self.placement.buffers.iter().zip(&mut self.buffers) {
            if components.contains(*component) && buffer.is_none() {
                *buffer = Some(context.buffer("weights", *bytes, usage));
            }
        }
    }

    fn leave(&mut self, context: &Context, components: Components) {
        for ((component, _), buffer) in self.placement.buffers.iter().zip(&mut self.buffers) {
            if components.contains(*component)
                && let Some(buffer) = buffer.take()
            {
                context.forget(&buffer);
            }
        }
    }
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
        Weights { context: context.clone(), stored: Held::of(packing), wider: Box::default() }
    }

    /// No weights, for plans that read none.
    pub fn none(context: &Context) -> Weights {
        Weights { context: context.clone(), stored: Held::default(), wider: Box::default() }
    }

    /// Bytes of each component, there or away.
    pub fn sizes(&self) -> Sizes {
        self.stored.placement.sizes().and(&self.wider.placement.sizes())
    }

    /// The components that are there.
    pub fn resident(&self) -> Components {
        self.stored.resident().collect()
    }

    /// Empty buffers for components that are away.
    pub fn take(&mut self, components: Components) {
        self.stored.take(&self.context, components);
        self.wider.take(&self.context, components);
    }

    /// From now on these records are read in their wider type, which [`take`](Weights::take) makes room for and
    /// [`merge`](Weights::merge) fills; those before go. Nothing that is still to run may be bound to any of both.
    pub fn widen(&mut self, wider: &Wider) {
        self.wider.leave(&self.context, self.wider.placement.sizes().components());
        *self.wider = Held::of(wider);
    }

    /// Whether a record is read in its wider type.
    pub fn is_wider(&self, name: &str) -> bool {
        self.wider.records.contains_key(name)
    }

    /// Room for weights that begin as those before: what both have stays, what is new is empty, what only those before had
    /// goes.
    pub fn reshape<'a>(&mut self, packing: impl Into<Packing<'a>>) {
        let mut other = Held::of(packing);
        let before = self.stored.placement.sizes().components();
        let kept = self.stored.placement.buffers.iter().zip(&mut self.stored.buffers);
        for ((to, placed), (from, buffer)) in other.buffers.iter_mut().zip(&other.placement.buffers).zip(kept)
        {
            if placed == from {
                *to = buffer.take();
            }
        }
        other.take(&self.context, other.placement.sizes().components().without(before));
        self.stored.leave(&self.context, before);
        self.stored = other;
    }

    /// Lets go of components. Nothing that is still to run may be bound to them.
    pub fn leave(&mut self, components: Components) {
        self.stored.leave(&self.context, components);
        self.wider.leave(&self.context, components);
    }

    /// Bytes of the packed model, by component.
    pub fn parts<'a>(
        &'a self,
        slab: usize,
        offset: u64,
        bytes: &'a Bytes<'a>,
    ) -> Result<impl Iterator<Item = (Component, Bytes<'a>)>> {
        let pieces = self.pieces(slab, offset, bytes)?;
        Ok(pieces.map(move |(piece, bytes)| (self.stored.placement.buffers[piece.buffer].0, bytes)))
    }

    fn pieces<'a>(
        &'a self,
        slab: usize,
        offset: u64,
        bytes: &'a Bytes<'a>,
    ) -> Result<impl Iterator<Item = (Piece, Bytes<'a>)>> {
        let missing = || Error::Gpu { message: format!("weights have no slab {slab}") };
        let pieces = self.stored.placement.pieces(slab, offset, bytes.len() as u64).ok_or_else(missing)?;
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
            if let Some(buffer) = &self.stored.buffers[piece.buffer] {
                self.context.write_bytes(buffer, piece.to, &bytes)?;
            }
        }
        Ok(())
    }

    /// Writes a record's bytes where it is read; not where its component is away.
    pub(super) fn write_record(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let record = self.record(name)?;
        match self.buffer(record) {
            Ok(buffer) => self.context.write_bytes(buffer, record.values.offset, &Bytes::Slice(bytes)),
            Err(_) => Ok(()),
        }
    }

    /// A record by name as it is read, with its offsets in the buffer that it lies in.
    pub fn record(&self, name: &str) -> Result<&PackedRecord> {
        let missing = || Error::Gpu { message: format!("the model has no weight {name}") };
        self.wider.record(name).or_else(|| self.stored.record(name)).ok_or_else(missing)
    }

    /// The type a weight is read in, for [`lower`](crate::plan::lower); one that is missing fails when it is bound.
    pub fn stored_type(&self, decl: &WeightDecl) -> WeightType {
        self.record(&decl.name).map_or(WeightType::F32, |record| record.weight_type)
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// The buffer that a record lies in.
    pub(super) fn buffer(&self, record: &PackedRecord) -> Result<&wgpu::Buffer> {
        let name = &record.decl.name;
        let held = if self.is_wider(name) { &self.wider } else { &self.stored };
        let away = || Error::Gpu { message: format!("the weight {name} is not on the device") };
        held.buffers[record.slab].as_ref().ok_or_else(away)
    }
}

impl Drop for Weights {
    fn drop(&mut self) {
        let all = self.stored.buffers.iter().chain(&self.wider.buffers);
        all.flatten().for_each(|buffer| self.context.forget(buffer));
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

    pub(super) fn external(&self, outside: Outside) -> Result<&wgpu::Buffer> {
        self.externals
            .get(&outside)
            .ok_or_else(|| Error::Gpu { message: format!("no {outside} on the device") })
    }

    /// Of how many texts that take turns a value has keys and values: 1 where there is no other.
    pub(super) fn turns(&self, outside: Outside) -> usize {
        let has =
            |text: &usize| outside.waiting(*text).is_some_and(|other| self.externals.contains_key(&other));
        1 + (1..).take_while(has).count()
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
