//! A model that keeps within a limit of the device's memory: the phases of its runs, and its weights coming and leaving.

use std::rc::Rc;
use std::sync::Arc;

use crc32fast::Hasher;

use crate::error::{Error, Result};
use crate::gpu::{Context, Weights};
use crate::pipeline::graphs::{Key, Shape};
use crate::pipeline::request::Cancel;
use crate::pipeline::residency::Residency;
use crate::pipeline::stock::Stock;
use crate::plan::Plan;
use crate::weights::{Bytes, Component, Components, Manifest, Merged, Merging, PackedRecord, Passing};

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
        let mut merging =
            merged.map(|(merged, manifest)| Merging::new(&**manifest, &|record| merged.touches(record)));
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
