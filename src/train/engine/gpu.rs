//! A learner on a device: what is learnt, its gradients and the optimizer's in f32, all else in f16 where the device draws in it.
//! Everything that is learnt lies in one buffer there, and so does each state of it.

use std::ops::Range;

use super::{Inputs, State};
use crate::error::{Error, Result};
use crate::gpu::{Context, Executable, Memory, Readback, Weights};
use crate::kernels::{Elem, adamw, squares};
use crate::pipeline::{from_bytes, to_bytes};
use crate::plan::train::Learnt;
use crate::plan::train::launch::places;
use crate::plan::{Dispatch, ElemKind, External, Graph, Outside, Plan, lower, padded};
use crate::train::learner::Text;
use crate::train::optimizer::{AdamW, LossScale, share_of};

/// Graphs of several sizes on a device, which learn the same, their optimizer, and how tensors lie there.
pub struct GpuLearner {
    memory: Memory,
    /// Forwards and back, of each size.
    graphs: Vec<Executable>,
    optimizer: Executable,
    /// Of the optimizer's dispatches: whose tensors.
    parts: Vec<Part>,
    squares: Executable,
    forget: Executable,
    prediction: Readback,
    sums: Readback,
    layout: Layout,
    /// Of activations.
    elem: Elem,
    /// Gradients lie there times this.
    scale: LossScale,
    context: Context,
}

/// Tensors that one dispatch of the optimizer changes: their first, and the groups of four values that they are.
struct Part {
    tensor: usize,
    groups: Range<usize>,
}

impl GpuLearner {
    /// Lowers and binds the graphs, whose ranks are multiples of 4.
    pub async fn new(
        context: &Context,
        weights: &Weights,
        graphs: &[Graph],
        learnt: &Learnt,
    ) -> Result<GpuLearner> {
        let layout = Layout::of(learnt);
        let target = context.target();
        let lowered = |graph| lower(graph, target, &|decl| weights.stored_type(decl));
        let plans = graphs.iter().map(lowered).collect::<Result<Vec<Plan>>>()?;
        let parts = layout.parts(learnt);
        let bytes = 4 * layout.len as u64;
        let optimizer = optimizer(&parts, bytes);
        let squares = square_sums(&layout);
        let gradients = External { outside: Outside::AllGradients, bytes };
        let forget = Plan { externals: vec![gradients], clears: vec![0], ..Plan::default() };
        let externals = plans.iter().flat_map(|plan| &plan.externals);
        let predictions = externals.filter(|external| external.outside == Outside::Prediction);
        let prediction = predictions.map(|external| external.bytes).max().unwrap_or(0);
        let bound = context.guarded(|| {
            let all = plans.iter().chain([&optimizer, &squares]);
            let memory = Memory::new(context, &all.collect::<Vec<_>>());
            let bind = |plan: &Plan, weights: &Weights| Executable::new(context, plan, weights, &memory);
            let none = Weights::none(context);
            Ok(GpuLearner {
                graphs: plans.iter().map(|plan| bind(plan, weights)).collect::<Result<_>>()?,
                optimizer: bind(&optimizer, &none)?,
                squares: bind(&squares, &none)?,
                forget: bind(&forget, &none)?,
                prediction: Readback::new(context, Outside::Prediction, prediction),
                sums: Readback::new(context, Outside::SquareSums, 4 * u64::from(squares::SUMS)),
                parts,
                memory,
                layout,
                elem: target.elem,
                scale: LossScale::of(target.elem),
                context: context.clone(),
            })
        });
        bound.await
    }

    pub async fn run(&mut self, inputs: &Inputs<'_>, cancelled: &dyn Fn() -> bool) -> Result<Vec<f32>> {
        let write = |outside: Outside, values: &[f32]| {
            self.memory.write(outside, &to_bytes(values, self.elem_of(outside)))
        };
        write(Outside::Sample, inputs.sample)?;
        write(Outside::Target, inputs.target)?;
        write(Outside::Time, inputs.time)?;
        match inputs.text {
            Text::Tokens(ids) => self.memory.write(Outside::Tokens, bytemuck::cast_slice(ids))?,
            Text::Embeddings(states) => write(Outside::Embeddings(0), states)?,
        }
        let scaled: Vec<f32> =
            inputs.weights.iter().map(|weight| weight * self.scale.factor() as f32).collect();
        write(Outside::LossWeights, &scaled)?;
        self.graphs[inputs.graph].run(cancelled).await?;
        let bytes = self.prediction.read(&self.memory).await?;
        let mut prediction = from_bytes(&bytes, self.elem_of(Outside::Prediction));
        prediction.truncate(inputs.sample.len());
        Ok(prediction)
    }

    pub async fn tensors(&self, state: State) -> Result<Vec<Vec<f32>>> {
        let readback = Readback::new(&self.context, outside(state), 4 * self.layout.len as u64);
        let mut packed: Vec<f32> = bytemuck::pod_collect_to_vec(&readback.read(&self.memory).await?);
        let by = 1.0 / self.lies_times(state);
        packed.iter_mut().for_each(|value| *value *= by);
        Ok(self.layout.unpacked(&packed))
    }

    pub fn set(&mut self, state: State, tensors: &[Vec<f32>]) -> Result<()> {
        let mut packed = self.layout.packed(tensors);
        let by = self.lies_times(state);
        packed.iter_mut().for_each(|value| *value *= by);
        self.memory.write(outside(state), bytemuck::cast_slice(&packed))
    }

    /// What a value from outside is made of.
    fn elem_of(&self, outside: Outside) -> Elem {
        match outside.kind() {
            ElemKind::Activation => self.elem,
            ElemKind::F32 | ElemKind::U32 => Elem::F32,
        }
    }

    /// What a state is multiplied by where it lies: a power of two.
    fn lies_times(&self, state: State) -> f32 {
        match state {
            State::Gradients => self.scale.factor() as f32,
            State::Values | State::Means | State::Squares => 1.0,
        }
    }

    pub async fn step(&mut self, optimizer: &mut AdamW, rates: &[f64], most: f64) -> Result<f64> {
        self.squares.run(&|| false).await?;
        let sums: Vec<f32> = bytemuck::pod_collect_to_vec(&self.sums.read(&self.memory).await?);
        let factor = self.scale.factor();
        let squares = sums.into_iter().map(f64::from).sum::<f64>() / factor.powi(2);
        let (share, length) = match share_of(squares, most) {
            Err(Error::NoNumbers) if self.scale.overflowed() => {
                self.forget().await;
                return Ok(f64::INFINITY);
            }
            found => found?,
        };
        self.scale.held();
        optimizer.steps += 1;
        for (dispatch, part) in self.parts.iter().enumerate() {
            let params = params(part, optimizer, rates[part.tensor], share / factor);
            self.optimizer.set_params(dispatch, params.bytes());
        }
        self.optimizer.run(&|| false).await?;
        Ok(length)
    }

    pub async fn forget(&mut self) {
        drop(self.forget.run(&|| false).await); // what the device has against it, the next run says
    }
}

fn outside(state: State) -> Outside {
    match state {
        State::Values => Outside::AllTrained,
        State::Gradients => Outside::AllGradients,
        State::Means => Outside::GradientMeans,
        State::Squares => Outside::GradientSquares,
    }
}

fn params(part: &Part, optimizer: &AdamW, rate: f64, share: f64) -> adamw::Params {
    let AdamW { betas: [beta1, beta2], eps, weight_decay, steps } = *optimizer;
    let [lack1, lack2] = [beta1, beta2].map(|beta| 1.0 - beta.powf(steps.max(1) as f64));
    adamw::Params {
        first: part.groups.start as u32,
        groups: part.groups.len() as u32,
        share: share as f32,
        beta1: beta1 as f32,
        beta2: beta2 as f32,
        rate: (rate / lack1) as f32,
        square_scale: (1.0 / lack2) as f32,
        eps: eps as f32,
        kept: (1.0 - rate * weight_decay) as f32,
    }
}

/// The optimizer's plan: a dispatch for each part, whose parameters are each step's.
fn optimizer(parts: &[Part], bytes: u64) -> Plan {
    let outsides =
        [Outside::GradientMeans, Outside::GradientSquares, Outside::AllGradients, Outside::AllTrained];
    let externals = outsides.map(|outside| External { outside, bytes }).to_vec();
    let dispatches = parts.iter().map(|part| {
        let params = params(part, &AdamW::default(), 0.0, 0.0);
        let spec = adamw::Spec {};
        let workgroups = adamw::workgroups(&spec, &params);
        Dispatch::over("optimizer", spec.into(), params.bytes(), workgroups, &externals)
    });
    let dispatches = dispatches.collect();
    Plan { name: "optimizer".to_string(), dispatches, externals, ..Plan::default() }
}

fn square_sums(layout: &Layout) -> Plan {
    let (spec, params) = (squares::Spec {}, squares::Params { groups: (layout.len / 4) as u32 });
    let workgroups = squares::workgroups(&spec, &params);
    let externals = vec![
        External { outside: Outside::AllGradients, bytes: 4 * layout.len as u64 },
        External { outside: Outside::SquareSums, bytes: 4 * u64::from(squares::SUMS) },
    ];
    let dispatches = vec![Dispatch::over("squares", spec.into(), params.bytes(), workgroups, &externals)];
    Plan { name: "squares".to_string(), dispatches, externals, ..Plan::default() }
}

/// How tensors lie on the device: one behind the other, each `[K / 4, rows]` groups of four values along K, ranks filled up to a
/// multiple of 4 with zeros, which stay zeros.
struct Layout {
    tensors: Vec<Tensor>,
    /// Values in all.
    len: usize,
}

/// One of them.
struct Tensor {
    at: usize,
    rows: usize,
    columns: usize,
    /// Rows and columns there.
    held: [usize; 2],
    /// Rows are values, then gates; there they alternate.
    gated: bool,
}

impl Layout {
    fn of(learnt: &Learnt) -> Layout {
        let tensors = learnt.adapters.iter().flat_map(|adapter| {
            let (rank, held) = (adapter.rank, padded(adapter.rank));
            let (columns, rows) = (adapter.columns, adapter.outputs());
            [
                Tensor { at: 0, rows: rank, columns, held: [held, columns], gated: false },
                Tensor { at: 0, rows, columns: rank, held: [rows, held], gated: adapter.gated },
            ]
        });
        // A text encoder reads them as one row behind the other, which is one row of them all.
        let vectors = learnt.vectors.map(|[count, width]| count * width);
        let vectors =
            vectors.map(|len| Tensor { at: 0, rows: 1, columns: len, held: [1, len], gated: false });
        let mut tensors: Vec<Tensor> = tensors.chain(vectors).collect();
        let (at, len) = places(tensors.iter().map(|tensor| tensor.held[0] * tensor.held[1]));
        tensors.iter_mut().zip(at).for_each(|(tensor, at)| tensor.at = at);
        Layout { tensors, len }
    }

    /// Neighbouring tensors of one network's layers, or of its vectors.
    fn parts(&self, learnt: &Learnt) -> Vec<Part> {
        let kind = |layer: &str| (layer == Learnt::TABLE, layer.split('.').next().map(str::to_string));
        let mut parts: Vec<Part> = Vec::new();
        let mut last = None;
        for (tensor, layer) in learnt.layers().enumerate() {
            let end = self.tensors.get(tensor + 1).map_or(self.len, |next| next.at) / 4;
            let kind = kind(layer);
            match parts.last_mut() {
                Some(part) if last.as_ref() == Some(&kind) => part.groups.end = end,
                _ => parts.push(Part { tensor, groups: self.tensors[tensor].at / 4..end }),
            }
            last = Some(kind);
        }
        parts
    }

    fn packed(&self, tensors: &[Vec<f32>]) -> Vec<f32> {
        let mut packed = vec![0.0; self.len];
        for (tensor, values) in self.tensors.iter().zip(tensors) {
            for (i, value) in values.iter().enumerate() {
                packed[tensor.place(i)] = *value;
            }
        }
        packed
    }

    fn unpacked(&self, packed: &[f32]) -> Vec<Vec<f32>> {
        let values =
            |tensor: &Tensor| (0..tensor.rows * tensor.columns).map(|i| packed[tensor.place(i)]).collect();
        self.tensors.iter().map(values).collect()
    }
}

impl Tensor {
    /// Where its value number `i`, row by row, lies.
    fn place(&self, i: usize) -> usize {
        let (row, column) = (i / self.columns, i % self.columns);
        let half = self.rows / 2;
        let row = match self.gated {
            false => row,
            true if row < half => 2 * row,
            true => 2 * (row - half) + 1,
        };
        self.at + (column / 4 * self.held[0] + row) * 4 + column % 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::train::Adapter;

    #[test]
    fn tensors_come_back_as_they_were_packed() {
        let adapter = |name: &str, outputs: usize, gated: bool| Adapter {
            part: crate::plan::Part::whole(name, [outputs, 8]),
            rank: 3,
            scale: 1.0,
            columns: 8,
            side: 1,
            gated,
        };
        let adapters = [adapter("text.a", 4, false), adapter("unet.b", 8, true), adapter("unet.c", 4, false)];
        let learnt = Learnt { adapters: adapters.to_vec(), vectors: Some([3, 4]) };
        let layout = Layout::of(&learnt);
        let tensors: Vec<Vec<f32>> = learnt
            .lengths()
            .enumerate()
            .map(|(t, len)| (0..len).map(|i| (100 * t + i) as f32 + 1.0).collect())
            .collect();
        let packed = layout.packed(&tensors);
        assert_eq!(layout.unpacked(&packed), tensors);
        // Row 4 of the gated one, its first gate, is the second there; ranks come in fours.
        let gated = layout.tensors[3].at;
        assert_eq!(packed[gated + 4..][..4], [tensors[3][12], tensors[3][13], tensors[3][14], 0.0]);
        assert_eq!(packed[layout.tensors[6].at..][..12], tensors[6]);
        let parts = layout.parts(&learnt);
        let tensors: Vec<usize> = parts.iter().map(|part| part.tensor).collect();
        assert_eq!(tensors, [0, 2, 6]);
        let ends: Vec<usize> = parts.iter().map(|part| part.groups.end).collect();
        let starts = parts.iter().skip(1).map(|part| part.groups.start);
        assert_eq!(ends, starts.chain([layout.len / 4]).collect::<Vec<_>>());
    }
}
