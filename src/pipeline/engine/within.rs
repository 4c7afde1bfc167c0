//! A model that keeps within a limit of the device's memory: the phases of its runs, and its weights coming and leaving.

use std::collections::{BTreeMap, BTreeSet};

use crc32fast::Hasher;

use crate::error::{Error, Result};
use crate::gpu::{Context, Weights};
use crate::pipeline::graphs::{Key, Shape};
use crate::pipeline::request::Cancel;
use crate::pipeline::residency::Residency;
use crate::pipeline::stock::Stock;
use crate::plan::Plan;
use crate::weights::{Component, PackedRecord};

/// After so many bytes of weights the device is waited for, so that copies of them do not pile up on their way.
const FLUSHED: usize = 32 << 20;

/// A limit, and what it makes of runs.
pub(super) struct Limit {
    pub bytes: u64,
    stock: Box<dyn Stock>,
    /// CRC-32 of every component's bytes when it came first.
    sums: BTreeMap<Component, u32>,
    pub run: Option<PhasedRun>,
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
    pub fn new(bytes: u64, stock: Box<dyn Stock>) -> Limit {
        Limit { bytes, stock, sums: BTreeMap::new(), run: None }
    }

    /// Fills the buffers of components that have just been taken. What came before has to come again as it was.
    pub async fn fill(
        &mut self,
        context: &Context,
        weights: &Weights,
        components: &BTreeSet<Component>,
        cancel: &Cancel,
    ) -> Result<()> {
        if components.is_empty() {
            return Ok(());
        }
        let mut sums: BTreeMap<Component, Hasher> = BTreeMap::new();
        let mut waiting = 0;
        let mut sink = |slab: usize, offset: u64, bytes: &[u8]| {
            weights.write(slab, offset, bytes)?;
            for (component, bytes) in weights.parts(slab, offset, bytes)? {
                sums.entry(component).or_default().update(bytes);
            }
            waiting += bytes.len();
            if waiting >= FLUSHED {
                context.flush();
                waiting = 0;
            }
            Ok(())
        };
        let wanted = |record: &PackedRecord| components.contains(&Component::of(&record.decl.name));
        self.stock.fetch(&wanted, &mut sink, cancel).await?;
        for component in components {
            let sum = sums.remove(component).unwrap_or_default().finalize();
            let first = *self.sums.entry(*component).or_insert(sum);
            if sum != first {
                let message = format!("its {component} is not what it was when the model was loaded");
                return Err(Error::BadFile { file: "the model".to_string(), message });
            }
        }
        Ok(())
    }
}
