//! The parts of a run on the device, each kept for as long as what it depends on stays.

use std::collections::BTreeMap;

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::gpu::{Context, Executable, Memory, Readback, Weights};
use crate::kernels::preview;
use crate::pipeline::graphs::{Key, Network, Shape};
use crate::pipeline::plans::{plan_of, read_back};
use crate::plan::{Outside, Plan, Shared};
use crate::weights::Components;

/// A run's plans on the device, and their memory.
pub struct Prepared {
    pub shape: Shape,
    pub memory: Memory,
    parts: BTreeMap<Network, Part>,
}

/// One of them.
struct Part {
    key: Key,
    plan: Plan,
    executable: Executable,
    /// Where its result is read by the host at once.
    readback: Option<Readback>,
}

/// How often parts were planned, and how often bound to memory, since the model came.
pub type Built = BTreeMap<Network, [usize; 2]>;

/// What parts are made of.
pub(super) struct Maker<'a> {
    pub context: &'a Context,
    pub config: &'a ModelConfig,
    pub weights: &'a mut Weights,
    pub within: Option<Within<'a>>,
}

/// What is known of the parts of a phase that keeps within a limit.
pub(super) struct Within<'a> {
    /// All of the run's, planned.
    pub planned: &'a [(Key, Plan)],
    pub shared: &'a Shared,
    /// Components that come to the device once the memory of the phase before is gone.
    pub come: Components,
}

impl Prepared {
    /// Lets go of all parts but these.
    pub(super) fn keep(&mut self, keys: &[Key]) {
        self.parts.retain(|_, part| keys.contains(&part.key));
    }

    /// Whatever the device needs for these parts of runs of a shape. Of the `old` stays what has not changed: its plans, and
    /// where its memory stays in place its bind groups too.
    pub(super) fn new(
        maker: &mut Maker<'_>,
        shape: Shape,
        keys: Vec<Key>,
        old: Option<Prepared>,
        built: &mut Built,
    ) -> Result<Prepared> {
        // What reads the text is bound to that of every turn.
        let has_turned = old.as_ref().is_some_and(|old| old.shape.states != shape.states);
        let reads = |plan: &Plan| plan.externals.iter().any(|external| external.outside.waiting(1).is_some());
        let (mut memory, mut kept) = match old {
            Some(Prepared { memory, parts, .. }) => (memory, parts),
            None => (Memory::empty(maker.context), BTreeMap::new()),
        };
        kept.retain(|_, part| keys.contains(&part.key));
        let mut plans = BTreeMap::new();
        for key in keys.iter().filter(|key| !kept.contains_key(&key.network())) {
            plans.insert(key.network(), maker.plan(*key, built)?);
        }
        let all: Vec<&Plan> = kept.values().map(|part| &part.plan).chain(plans.values()).collect();
        let shared = maker.within.as_ref().map_or_else(|| Shared::of(&all), |within| within.shared.clone());
        drop(all);
        let misfits = memory.misfits(&shared, maker.within.is_some());
        let (moved, mut parts): (BTreeMap<_, _>, BTreeMap<_, _>) = kept
            .into_iter()
            .partition(|(_, Part { plan, .. })| misfits.touch(plan) || has_turned && reads(plan));
        plans.extend(moved.into_iter().map(|(network, part)| (network, part.plan)));
        // The old memory goes before the new is taken.
        memory.trim(&misfits);
        memory.grow(&shared);
        if let Some(within) = &maker.within {
            maker.weights.take(within.come);
        }
        for key in keys {
            if let Some(plan) = plans.remove(&key.network()) {
                built.entry(key.network()).or_default()[1] += 1;
                parts.insert(key.network(), maker.part(key, plan, &memory)?);
            }
        }
        Ok(Prepared { shape, memory, parts })
    }

    fn part(&self, network: Network) -> Result<&Part> {
        let missing = || Error::Gpu { message: format!("{network:?} is not prepared to run") };
        self.parts.get(&network).ok_or_else(missing)
    }

    /// A part, ready to run.
    pub fn executable(&self, network: Network) -> Result<&Executable> {
        Ok(&self.part(network)?.executable)
    }

    /// What a part made for the host.
    pub async fn read(&self, network: Network) -> Result<Vec<u8>> {
        let nothing = || Error::Gpu { message: format!("{network:?} makes nothing for the host") };
        self.part(network)?.readback.as_ref().ok_or_else(nothing)?.read(&self.memory).await
    }
}

impl Maker<'_> {
    fn plan(&self, key: Key, built: &mut Built) -> Result<Plan> {
        let planned = self.within.iter().flat_map(|within| within.planned);
        if let Some((_, plan)) = planned.into_iter().find(|(planned, _)| *planned == key) {
            return Ok(plan.clone());
        }
        built.entry(key.network()).or_default()[0] += 1;
        plan_of(self.config, key, self.context.target(), &|decl| self.weights.stored_type(decl))
    }

    fn part(&self, key: Key, plan: Plan, memory: &Memory) -> Result<Part> {
        let executable = Executable::new(self.context, &plan, self.weights, memory)?;
        if matches!(key, Key::Preview { .. }) && self.config.preview.is_none() {
            let (factors, bias) = self.config.vae.latent_rgb();
            memory.write(Outside::Colours, bytemuck::cast_slice(&preview::colours(&factors, bias)))?;
        }
        let readback = read_back(self.config, key);
        let readback = readback.map(|(outside, bytes)| Readback::new(self.context, outside, bytes));
        Ok(Part { key, plan, executable, readback })
    }
}
