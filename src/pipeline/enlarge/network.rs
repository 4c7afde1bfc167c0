//! The parts of a network on what computes them.

use super::Made;
#[cfg(all(feature = "gpu", feature = "cpu"))]
use crate::error::Error;
use crate::error::Result;
use crate::kernels::Elem;
#[cfg(feature = "gpu")]
use crate::pipeline::layout::{from_bytes, to_bytes};
use crate::pipeline::request::Cancel;
use crate::plan::{Graph, Outside};
use crate::weights::PackedUpscaler;

/// What computes, with a network's weights.
pub(super) enum On {
    #[cfg(feature = "gpu")]
    Gpu { context: crate::gpu::Context, weights: crate::gpu::Weights },
    #[cfg(feature = "cpu")]
    Cpu { weights: crate::cpu::Weights, pause: crate::pipeline::engine::Pause },
}

/// A graph of one size, ready to run.
pub(super) enum Bound {
    #[cfg(feature = "gpu")]
    Gpu { executable: crate::gpu::Executable, memory: crate::gpu::Memory, elem: Elem, lens: Lens },
    #[cfg(feature = "cpu")]
    Cpu { executable: crate::cpu::Executable, memory: crate::cpu::Memory },
}

/// Elements of what lives outside a graph.
#[cfg(feature = "gpu")]
pub(super) type Lens = std::collections::BTreeMap<Outside, usize>;

impl On {
    /// A network's weights on a device.
    #[cfg(feature = "gpu")]
    pub async fn gpu(context: crate::gpu::Context, packed: &PackedUpscaler) -> Result<On> {
        let empty = || Ok(crate::gpu::Weights::new(&context, packed.packing()));
        let weights = context.guarded(empty).await?;
        for (slab, bytes) in packed.slabs.iter().enumerate() {
            weights.write(slab, 0, &crate::weights::Bytes::Slice(bytes))?;
        }
        Ok(On::Gpu { context, weights })
    }

    /// In ordinary memory.
    #[cfg(feature = "cpu")]
    pub fn cpu(packed: PackedUpscaler) -> Result<On> {
        let weights = crate::cpu::Weights::new(packed.packing(), packed.slabs.clone())?;
        Ok(On::Cpu { weights, pause: Box::new(|| Box::pin(std::future::ready(()))) })
    }

    #[cfg(feature = "cpu")]
    pub fn set_pause(&mut self, new: crate::pipeline::engine::Pause) {
        match self {
            #[cfg(feature = "gpu")]
            On::Gpu { .. } => {}
            On::Cpu { pause, .. } => *pause = new,
        }
    }

    /// Lets the host's event loop run; whoever waits for a device does that anyway.
    pub async fn pause(&self) {
        match self {
            #[cfg(feature = "gpu")]
            On::Gpu { .. } => {}
            #[cfg(feature = "cpu")]
            On::Cpu { pause, .. } => pause().await,
        }
    }

    /// The type of activations.
    pub fn elem(&self) -> Elem {
        match self {
            #[cfg(feature = "gpu")]
            On::Gpu { context, .. } => context.target().elem,
            #[cfg(feature = "cpu")]
            On::Cpu { .. } => Elem::F32,
        }
    }

    /// Makes a graph ready, on a device with activations of this type.
    pub async fn bind(&self, graph: &Graph, elem: Elem) -> Result<Bound> {
        match self {
            #[cfg(feature = "gpu")]
            On::Gpu { context, weights } => {
                let target = crate::plan::Target { elem, ..context.target() };
                let plan = crate::plan::lower(graph, target, &|decl| weights.stored_type(decl))?;
                let bound = || {
                    let memory = crate::gpu::Memory::new(context, &[&plan]);
                    let executable = crate::gpu::Executable::new(context, &plan, weights, &memory)?;
                    Ok((executable, memory))
                };
                let (executable, memory) = context.guarded(bound).await?;
                let outside = graph
                    .values
                    .iter()
                    .filter_map(|value| Some((value.external?, value.shape.len() as usize)));
                Ok(Bound::Gpu { executable, memory, elem, lens: outside.collect() })
            }
            #[cfg(feature = "cpu")]
            On::Cpu { weights, .. } => {
                let _ = elem; // the processor has one type
                let executable = crate::cpu::Executable::new(graph.clone(), weights)?;
                let memory = crate::cpu::Memory::new(&[&executable]);
                Ok(Bound::Cpu { executable, memory })
            }
        }
    }
}

impl Bound {
    /// Runs it over a value, and gives one of those that it makes.
    pub async fn run(
        &mut self,
        (outside, values): (Outside, Vec<f32>),
        wanted: Outside,
        on: &On,
        cancel: &Cancel,
    ) -> Result<Made> {
        cancel.check()?;
        match (self, on) {
            #[cfg(feature = "gpu")]
            (Bound::Gpu { executable, memory, elem, lens }, On::Gpu { context, .. }) => {
                let elem_of = |outside: Outside| match outside.kind() {
                    crate::plan::ElemKind::Activation => *elem,
                    crate::plan::ElemKind::F32 | crate::plan::ElemKind::U32 => Elem::F32,
                };
                memory.write(outside, &to_bytes(&values, elem_of(outside)))?;
                executable.run(&|| cancel.is_cancelled()).await?;
                let len = lens.get(&wanted).copied().unwrap_or(0) * elem_of(wanted).size();
                let bytes = crate::gpu::Readback::new(context, wanted, len as u64).read(memory).await?;
                Ok(match wanted {
                    Outside::Rgba => Made::Rgba(bytes),
                    _ => Made::Numbers(from_bytes(&bytes, elem_of(wanted))),
                })
            }
            #[cfg(feature = "cpu")]
            (Bound::Cpu { executable, memory }, _) => {
                memory.write(outside, &values)?;
                executable.run(memory, &|| cancel.is_cancelled())?;
                Ok(match wanted {
                    Outside::Rgba => Made::Rgba(
                        memory.read_ids(wanted)?.iter().flat_map(|pixel| pixel.to_le_bytes()).collect(),
                    ),
                    _ => Made::Numbers(memory.read(wanted)?.to_vec()),
                })
            }
            #[cfg(all(feature = "gpu", feature = "cpu"))]
            (Bound::Gpu { .. }, On::Cpu { .. }) => {
                Err(Error::Gpu { message: "a network of the device without its device".to_string() })
            }
        }
    }
}
