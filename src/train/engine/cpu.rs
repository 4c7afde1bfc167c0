//! A learner on the processor.

use super::{Inputs, State};
use crate::cpu::{Executable, Memory, Weights, threads};
use crate::error::Result;
use crate::plan::train::Learnt;
use crate::plan::{Graph, Outside};
use crate::train::learner::Text;
use crate::train::optimizer::{AdamW, clipping};

/// Graphs of several sizes on the processor, which learn the same, and what the optimizer remembers.
pub struct CpuLearner {
    executables: Vec<Executable>,
    /// One for each picture that is learnt at once; all have the same values of what is learnt.
    lanes: Vec<Lane>,
    /// Added up since the last step, picture by picture in their order, however many are learnt at once.
    gradients: Vec<Vec<f32>>,
    means: Vec<Vec<f32>>,
    squares: Vec<Vec<f32>>,
}

/// A picture's memory, and its prediction.
struct Lane {
    memory: Memory,
    prediction: Result<Vec<f32>>,
}

impl CpuLearner {
    /// Binds the graphs; so many pictures are learnt at once, each with a memory of its own.
    pub fn new(weights: &Weights, graphs: Vec<Graph>, learnt: &Learnt, at_once: usize) -> Result<CpuLearner> {
        let executables = Executable::all(graphs, weights)?;
        let memory = || Memory::new(&executables.iter().collect::<Vec<_>>());
        let lanes = (0..at_once).map(|_| Lane { memory: memory(), prediction: Ok(Vec::new()) }).collect();
        let zeros: Vec<Vec<f32>> = learnt.lengths().map(|len| vec![0.0; len]).collect();
        Ok(CpuLearner { executables, lanes, gradients: zeros.clone(), squares: zeros.clone(), means: zeros })
    }

    pub fn run(
        &mut self,
        inputs: &[Inputs<'_>],
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Vec<f32>>> {
        let mut predictions = Vec::with_capacity(inputs.len());
        let (executables, count) = (&self.executables, self.gradients.len());
        for inputs in inputs.chunks(self.lanes.len()) {
            let lanes = &mut self.lanes[..inputs.len()];
            threads::by_chunks(lanes, 1, |at, lane| {
                lane[0].prediction = lane[0].predict(executables, &inputs[at], count, cancelled);
            });
            for lane in lanes {
                predictions.push(std::mem::replace(&mut lane.prediction, Ok(Vec::new()))?);
                for (at, sum) in self.gradients.iter_mut().enumerate() {
                    let gradient = lane.memory.read(Outside::Gradient(at))?;
                    sum.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
                }
            }
        }
        Ok(predictions)
    }

    pub fn tensors(&self, state: State) -> Result<Vec<Vec<f32>>> {
        match state {
            State::Values => {
                let values =
                    (0..self.means.len()).map(|index| self.lanes[0].memory.read(Outside::Trained(index)));
                values.map(|values| Ok(values?.to_vec())).collect()
            }
            State::Gradients => Ok(self.gradients.clone()),
            State::Means => Ok(self.means.clone()),
            State::Squares => Ok(self.squares.clone()),
        }
    }

    pub fn set(&mut self, state: State, tensors: &[Vec<f32>]) -> Result<()> {
        match state {
            State::Values => {
                tensors.iter().enumerate().try_for_each(|(index, values)| self.write(index, values))?
            }
            State::Gradients => self.gradients.clone_from_slice(tensors),
            State::Means => self.means.clone_from_slice(tensors),
            State::Squares => self.squares.clone_from_slice(tensors),
        }
        Ok(())
    }

    /// Gives a tensor that is learnt its values, wherever it is read.
    fn write(&mut self, index: usize, values: &[f32]) -> Result<()> {
        self.lanes.iter_mut().try_for_each(|lane| lane.memory.write(Outside::Trained(index), values))
    }

    pub fn step(&mut self, optimizer: &mut AdamW, rates: &[f64], most: f64) -> Result<f64> {
        let (share, length) = clipping(self.gradients.iter().map(Vec::as_slice), most)?;
        optimizer.steps += 1;
        for (index, &rate) in rates.iter().enumerate().take(self.means.len()) {
            let mut values = self.lanes[0].memory.read(Outside::Trained(index))?.to_vec();
            let state = [&mut values, &mut self.means[index], &mut self.squares[index]];
            optimizer.change(rate, (&self.gradients[index], share), state.map(Vec::as_mut_slice));
            self.write(index, &values)?;
        }
        self.forget();
        Ok(length)
    }

    pub fn forget(&mut self) {
        self.gradients.iter_mut().for_each(|values| values.fill(0.0));
    }
}

impl Lane {
    /// A picture's prediction; its gradients, of so many tensors, stand in memory.
    fn predict(
        &mut self,
        executables: &[Executable],
        inputs: &Inputs<'_>,
        tensors: usize,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Vec<f32>> {
        let memory = &mut self.memory;
        (0..tensors).try_for_each(|index| memory.clear(Outside::Gradient(index)))?;
        memory.write_first(Outside::Sample, inputs.sample)?;
        memory.write_first(Outside::Target, inputs.target)?;
        memory.write(Outside::Time, inputs.time)?;
        match inputs.text {
            Text::Tokens(ids) => memory.write_ids(Outside::Tokens, ids)?,
            Text::Embeddings(states) => memory.write(Outside::Embeddings(0), states)?,
        }
        memory.write_first(Outside::LossWeights, inputs.weights)?;
        executables[inputs.graph].run(memory, cancelled)?;
        Ok(memory.read(Outside::Prediction)?[..inputs.sample.len()].to_vec())
    }
}
