//! Where a learner computes: the processor or a device, both behind the same few questions.

#[cfg(feature = "cpu")]
mod cpu;
#[cfg(feature = "gpu")]
mod gpu;

#[cfg(feature = "cpu")]
pub use cpu::CpuLearner;
#[cfg(feature = "gpu")]
pub use gpu::GpuLearner;

use super::learner::Text;
use super::optimizer::AdamW;
use crate::error::Result;
use crate::pipeline::Resident;
use crate::plan::Graph;
use crate::plan::train::Learnt;

/// What there is of each tensor that is learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Values,
    /// Added up since the last step.
    Gradients,
    /// The optimizer's running means of gradients.
    Means,
    /// And of their squares.
    Squares,
}

/// What a run reads, as the graph takes it.
pub struct Inputs<'a> {
    /// Which of the graphs: the one of its size.
    pub graph: usize,
    /// `[h, w, c]`, channels padded.
    pub sample: &'a [f32],
    pub target: &'a [f32],
    pub time: &'a [f32],
    pub text: Text<'a>,
    /// By what the prediction's error is multiplied, place by place.
    pub weights: &'a [f32],
}

/// Tensors in the order of [`Learnt`]: `[rank, columns]` and `[outputs, rank]` in turns, then vectors; row by row.
pub enum Engine {
    #[cfg(feature = "cpu")]
    Cpu(Box<CpuLearner>),
    #[cfg(feature = "gpu")]
    Gpu(Box<GpuLearner>),
}

impl Engine {
    /// Binds graphs that learn the same, of several sizes; so many pictures are computed at the same time.
    #[cfg_attr(
        not(feature = "cpu"),
        expect(unused_variables, reason = "a device takes one picture after the other")
    )]
    pub async fn new(
        on: Resident<'_>,
        graphs: Vec<Graph>,
        learnt: &Learnt,
        at_once: usize,
    ) -> Result<Engine> {
        Ok(match on {
            #[cfg(feature = "cpu")]
            Resident::Cpu(weights) => {
                Engine::Cpu(Box::new(CpuLearner::new(weights, graphs, learnt, at_once)?))
            }
            #[cfg(feature = "gpu")]
            Resident::Gpu(context, weights) => {
                Engine::Gpu(Box::new(GpuLearner::new(context, weights, &graphs, learnt).await?))
            }
        })
    }

    /// Adds the gradients of pictures; what was predicted of each, `[h, w, c]`, channels padded.
    pub async fn run(
        &mut self,
        inputs: &[Inputs<'_>],
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Vec<f32>>> {
        match self {
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => engine.run(inputs, cancelled),
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => {
                let mut predictions = Vec::with_capacity(inputs.len());
                for inputs in inputs {
                    predictions.push(engine.run(inputs, cancelled).await?);
                }
                Ok(predictions)
            }
        }
    }

    /// A state of all tensors.
    pub async fn tensors(&self, state: State) -> Result<Vec<Vec<f32>>> {
        match self {
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => engine.tensors(state),
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.tensors(state).await,
        }
    }

    /// Replaces it.
    pub fn set(&mut self, state: State, tensors: &[Vec<f32>]) -> Result<()> {
        match self {
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => engine.set(state, tensors),
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.set(state, tensors),
        }
    }

    /// Changes every tensor by its gradients, which together count as no longer than `most`, and begins new ones: tensor
    /// `i` at `rates[i]`, which is the same for all of a network's layers. Gives how long they were. Where one is no number nothing changes but that they are gone.
    pub async fn step(&mut self, optimizer: &mut AdamW, rates: &[f64], most: f64) -> Result<f64> {
        let stepped = match self {
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => engine.step(optimizer, rates, most),
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.step(optimizer, rates, most).await,
        };
        if stepped.is_err() {
            self.forget().await;
        }
        stepped
    }

    /// Lets go of the gradients.
    pub async fn forget(&mut self) {
        match self {
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => engine.forget(),
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.forget().await,
        }
    }
}
