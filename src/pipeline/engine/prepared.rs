//! The parts of a run on the device, each kept for as long as what it depends on stays.

use std::collections::BTreeMap;

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::gpu::{Context, Executable, Memory, Readback, Weights};
use crate::kernels::preview;
use crate::pipeline::graphs::{Key, Network, Shape, preview_size};
use crate::pipeline::plans::plan_of;
use crate::plan::{Outside, Plan};

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
    pub weights: &'a Weights,
}

impl Prepared {
    /// Whatever the device needs for runs of a shape. Of the `old` stays what has not changed: its plans, and where its
    /// memory stays in place its bind groups too.
    pub(super) fn new(
        maker: &Maker<'_>,
        shape: Shape,
        old: Option<Prepared>,
        built: &mut Built,
    ) -> Result<Prepared> {
        let (mut memory, mut kept) = match old {
            Some(Prepared { memory, parts, .. }) => (memory, parts),
            None => (Memory::empty(maker.context), BTreeMap::new()),
        };
        let keys = shape.keys(maker.config);
        kept.retain(|_, part| keys.contains(&part.key));
        let mut plans = BTreeMap::new();
        for key in keys.iter().filter(|key| !kept.contains_key(&key.network())) {
            plans.insert(key.network(), maker.plan(*key)?);
            built.entry(key.network()).or_default()[0] += 1;
        }
        let all: Vec<&Plan> = kept.values().map(|part| &part.plan).chain(plans.values()).collect();
        let misfits = memory.misfits(&all);
        drop(all);
        let (moved, mut parts): (BTreeMap<_, _>, BTreeMap<_, _>) =
            kept.into_iter().partition(|(_, part)| misfits.touch(&part.plan));
        plans.extend(moved.into_iter().map(|(network, part)| (network, part.plan)));
        let all: Vec<&Plan> = parts.values().map(|part| &part.plan).chain(plans.values()).collect();
        memory.refit(&misfits, &all);
        drop(all);
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
    fn plan(&self, key: Key) -> Result<Plan> {
        plan_of(self.config, key, self.context.target(), &|decl| self.weights.stored_type(decl))
    }

    fn part(&self, key: Key, plan: Plan, memory: &Memory) -> Result<Part> {
        let executable = Executable::new(self.context, &plan, self.weights, memory)?;
        let read = |outside, pixels: usize| Readback::new(self.context, outside, (pixels * 4) as u64);
        let readback = match key {
            Key::Preview { h, w } => {
                if self.config.preview.is_none() {
                    let (factors, bias) = self.config.vae.latent_rgb();
                    memory
                        .write(Outside::Colours, bytemuck::cast_slice(&preview::colours(&factors, bias)))?;
                }
                Some(read(Outside::Preview, preview_size(self.config, h, w).iter().product()))
            }
            Key::Decoder { batch, h, w } => {
                let scale = self.config.vae.scale();
                Some(read(Outside::Rgba, batch * h * scale * w * scale))
            }
            _ => None,
        };
        Ok(Part { key, plan, executable, readback })
    }
}
