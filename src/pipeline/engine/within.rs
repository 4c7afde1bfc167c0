//! A model that keeps within a limit of the device's memory: the phases of its runs, its weights coming and leaving, and whether
//! there is room for those that are read in a wider type.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use crc32fast::Hasher;

use super::gpu::GpuEngine;
use crate::error::{Error, Result};
use crate::gpu::{Context, Weights};
use crate::pipeline::graphs::{Key, Shape};
use crate::pipeline::plans::plan_of;
use crate::pipeline::request::Cancel;
use crate::pipeline::residency::Residency;
use crate::pipeline::stock::Stock;
use crate::plan::{Plan, Target};
use crate::weights::{Bytes, Component, Components, Manifest, Merged, Merging, PackedRecord, Passing, Wider};

/// After so many bytes of weights the device is waited for, so that copies of them do not pile up on their way.
const FLUSHED: usize = 32 << 20;

/// A limit, and what it makes of runs.
pub(super) struct Limit {
    pub bytes: u64,
    /// What the model is called.
    model: String,
    stock: Box<dyn Stock>,
    /// CRC-32 of every component's bytes when it came first.
    sums: [Option<u32>; Component::COUNT],
    pub run: Option<PhasedRun>,
    /// What is merged into weights that come, and the model that they are of.
    pub merged: Option<(Rc<Merged>, Arc<Manifest>)>,
}

/// A run's parts and phases.
pub(super) struct PhasedRun {
    pub shape: Shape,
    pub planned: Vec<(Key, Plan)>,
    pub residency: Residency,
    /// The phase that is prepared.
    pub phase: Option<usize>,
}

impl PhasedRun {
    /// The parts of a phase.
    pub fn keys(&self, phase: usize) -> Vec<Key> {
        let networks = &self.residency.phases[phase].stage.networks;
        let keys = self.planned.iter().map(|(key, _)| *key);
        keys.filter(|key| networks.contains(&key.network())).collect()
    }
}

impl Limit {
    /// No run is planned yet.
    pub fn new(bytes: u64, model: &str, stock: Box<dyn Stock>) -> Limit {
        Limit {
            bytes,
            model: model.to_string(),
            stock,
            sums: [None; Component::COUNT],
            run: None,
            merged: None,
        }
    }

    /// Fills the buffers of components that have just been taken. What came before has to come again as it was.
    pub async fn fill(
        &mut self,
        context: &Context,
        weights: &Weights,
        components: Components,
        cancel: &Cancel,
    ) -> Result<()> {
        if components.is_empty() {
            return Ok(());
        }
        let mut sums: [Hasher; Component::COUNT] = std::array::from_fn(|_| Hasher::new());
        let mut waiting = 0;
        let merged = self.merged.as_ref();
        let mut merging = merged.map(|(merged, manifest)| {
            let whole = |record: &PackedRecord| merged.touches(record) || weights.is_wider(&record.decl.name);
            Merging::new(&**manifest, &whole)
        });
        let mut write = |passing: Passing<'_>| match (passing, merged) {
            (Passing::As(slab, offset, bytes), _) => weights.write(slab, offset, &bytes),
            (Passing::Record(record, bytes), Some((merged, _))) => weights.merge(merged, record, &bytes),
            (Passing::Record(..), None) => Ok(()),
        };
        let mut sink = |slab: usize, offset: u64, bytes: Bytes<'_>| {
            for (component, bytes) in weights.parts(slab, offset, &bytes)? {
                bytes.hash_into(&mut sums[component.index()]);
            }
            match &mut merging {
                Some(merging) => merging.pass(slab, offset, &bytes, &mut write)?,
                None => write(Passing::As(slab, offset, bytes.clone()))?,
            }
            waiting += bytes.len();
            if waiting >= FLUSHED {
                context.flush();
                waiting = 0;
            }
            Ok(())
        };
        let wanted = |record: &PackedRecord| components.contains(Component::of(&record.decl.name));
        self.stock.fetch(&wanted, &mut sink, cancel).await?;
        let sums = sums.map(Hasher::finalize);
        for component in components.iter() {
            let index = component.index();
            if *self.sums[index].get_or_insert(sums[index]) != sums[index] {
                let message = format!("its {component} is not what it was when it was loaded first");
                return Err(Error::BadFile { file: self.model.clone(), message });
            }
        }
        Ok(())
    }
}

impl GpuEngine {
    /// See [`Engine::widen`](super::Engine::widen). Within a limit each run decides whether there is room.
    pub(super) async fn widen(&mut self, wider: Wider) -> Result<BTreeSet<String>> {
        if self.wider == wider {
            return Ok(BTreeSet::new());
        }
        let before = std::mem::replace(&mut self.wider, wider);
        self.prepared = None;
        let GpuEngine { context, weights, wider, limit, .. } = self;
        let changed: BTreeSet<String> = before.names().chain(wider.names()).map(str::to_string).collect();
        if let Some(limit) = limit {
            limit.run = None;
            weights.leave(changed.iter().map(|name| Component::of(name)).collect());
            weights.widen(wider);
        } else {
            let taken = context.guarded(|| {
                weights.widen(wider);
                let there = weights.resident();
                weights.take(there);
                Ok(())
            });
            if let Err(error) = taken.await {
                weights.widen(&Wider::default());
                if !matches!(error, Error::OutOfMemory { .. }) {
                    return Err(error);
                }
            }
        }
        Ok(changed)
    }

    /// See [`Engine::widened`](super::Engine::widened).
    pub(super) fn widened(&self) -> (&Wider, bool) {
        (&self.wider, self.wider.names().all(|name| self.weights.is_wider(name)))
    }

    /// Within a limit: whether records that are to be read in a wider type are. Where that changes, their components leave, and what
    /// is bound to them goes.
    pub(super) fn settle(&mut self, is_wider: bool) {
        if self.widened().1 == is_wider {
            return;
        }
        self.prepared = None;
        let GpuEngine { weights, wider, limit, .. } = self;
        if let Some(limit) = limit {
            limit.run = None;
        }
        weights.leave(wider.names().map(Component::of).collect());
        let none = Wider::default();
        weights.widen(if is_wider { wider } else { &none });
    }

    /// Decides the phases of runs of a shape, with records in a wider type where that keeps the limit; refuses a shape that does not
    /// keep it.
    pub(super) fn plan_phases(&mut self, shape: Shape) -> Result<()> {
        let run = self.limit.as_ref().and_then(|limit| limit.run.as_ref());
        if self.limit.is_none() || run.is_some_and(|run| run.shape == shape) {
            return Ok(());
        }
        let mut kept = Ok(());
        for is_wider in if self.wider.is_empty() { [true].as_slice() } else { &[true, false] } {
            self.settle(*is_wider);
            for target in self.context.target().from_fast_to_small() {
                let run = self.phased(shape, target)?;
                kept = run.residency.check();
                if kept.is_ok() {
                    for (key, _) in &run.planned {
                        self.built.entry(key.network()).or_default()[0] += 1;
                    }
                    if let Some(limit) = &mut self.limit {
                        limit.run = Some(run);
                    }
                    return kept;
                }
            }
        }
        kept
    }

    /// A run's parts and phases, whether they keep the limit or not.
    fn phased(&self, shape: Shape, target: Target) -> Result<PhasedRun> {
        let GpuEngine { config, weights, limit, .. } = self;
        let plan = |key| Ok((key, plan_of(config, key, target, &|decl| weights.stored_type(decl))?));
        let planned = shape.keys(config).into_iter().map(plan).collect::<Result<Vec<_>>>()?;
        let parts: Vec<_> = planned.iter().map(|(key, plan)| (*key, plan)).collect();
        let bytes = limit.as_ref().map_or(u64::MAX, |limit| limit.bytes);
        let residency = Residency::of_run(config, &parts, &weights.sizes(), bytes);
        Ok(PhasedRun { shape, planned, residency, phase: None })
    }
}
