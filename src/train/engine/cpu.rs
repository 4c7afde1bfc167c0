//! A learner on the processor.

use super::{Inputs, State};
use crate::cpu::{Executable, Memory, Weights};
use crate::error::Result;
use crate::plan::train::Learnt;
use crate::plan::{Graph, Outside};
use crate::train::learner::Text;
use crate::train::optimizer::{AdamW, clipping};

/// Graphs of several sizes on the processor, which learn the same, and what the optimizer remembers.
pub struct CpuLearner {
    executables: Vec<Executable>,
    memory: Memory,
    means: Vec<Vec<f32>>,
    squares: Vec<Vec<f32>>,
}

impl CpuLearner {
    /// Binds the graphs.
    pub fn new(weights: &Weights, graphs: Vec<Graph>, learnt: &Learnt) -> Result<CpuLearner> {
        let executables = Executable::all(graphs, weights)?;
        let memory = Memory::new(&executables.iter().collect::<Vec<_>>());
        let means: Vec<Vec<f32>> = learnt.lengths().map(|len| vec![0.0; len]).collect();
        Ok(CpuLearner { executables, memory, squares: means.clone(), means })
    }

    pub fn run(&mut self, inputs: &Inputs<'_>, cancelled: &dyn Fn() -> bool) -> Result<Vec<f32>> {
        self.memory.write_first(Outside::Sample, inputs.sample)?;
        self.memory.write_first(Outside::Target, inputs.target)?;
        self.memory.write(Outside::Time, inputs.time)?;
        match inputs.text {
            Text::Tokens(ids) => self.memory.write_ids(Outside::Tokens, ids)?,
            Text::Embeddings(states) => self.memory.write(Outside::Embeddings(0), states)?,
        }
        self.memory.write_first(Outside::LossWeights, inputs.weights)?;
        self.executables[inputs.graph].run(&mut self.memory, cancelled)?;
        Ok(self.memory.read(Outside::Prediction)?[..inputs.sample.len()].to_vec())
    }

    pub fn tensors(&self, state: State) -> Result<Vec<Vec<f32>>> {
        let outside: fn(usize) -> Outside = match state {
            State::Values => Outside::Trained,
            State::Gradients => Outside::Gradient,
            State::Means => return Ok(self.means.clone()),
            State::Squares => return Ok(self.squares.clone()),
        };
        (0..self.means.len()).map(|index| Ok(self.memory.read(outside(index))?.to_vec())).collect()
    }

    pub fn set(&mut self, state: State, tensors: &[Vec<f32>]) -> Result<()> {
        let mut all = tensors.iter().enumerate();
        match state {
            State::Values => {
                all.try_for_each(|(i, values)| self.memory.write(Outside::Trained(i), values))?
            }
            State::Gradients => {
                all.try_for_each(|(i, values)| self.memory.write(Outside::Gradient(i), values))?
            }
            State::Means => self.means.clone_from_slice(tensors),
            State::Squares => self.squares.clone_from_slice(tensors),
        }
        Ok(())
    }

    pub fn step(&mut self, optimizer: &mut AdamW, rates: &[f64], most: f64) -> Result<f64> {
        let gradients: Vec<&[f32]> = (0..self.means.len())
            .map(|index| self.memory.read(Outside::Gradient(index)))
            .collect::<Result<_>>()?;
        let (share, length) = clipping(gradients.into_iter(), most)?;
        optimizer.steps += 1;
        for (index, &rate) in rates.iter().enumerate().take(self.means.len()) {
            let mut values = self.memory.read(Outside::Trained(index))?.to_vec();
            let gradient = self.memory.read(Outside::Gradient(index))?;
            let state = [&mut values, &mut self.means[index], &mut self.squares[index]];
            optimizer.change(rate, (gradient, share), state.map(Vec::as_mut_slice));
            self.memory.write(Outside::Trained(index), &values)?;
        }
        self.forget();
        Ok(length)
    }

    pub fn forget(&mut self) {
        for index in 0..self.means.len() {
            drop(self.memory.clear(Outside::Gradient(index))); // each is there
        }
    }
}
