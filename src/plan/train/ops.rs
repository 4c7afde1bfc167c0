//! Ops that only learning needs.

use super::super::graph::{Conv, GroupNorm, Slice, ValueId, WeightId};
use crate::kernels::gemm::Act;

/// One of them. Values of a low-rank pair are f32: `down` is `[rank, taps · channels]` in the order (ky, kx, channel), `up`
/// `[outputs, rank]`.
#[derive(Debug, Clone)]
pub enum TrainOp {
    /// `act(x)`.
    Activation { x: ValueId, act: Act },
    /// The first half of each row times GELU of the second.
    Gated { x: ValueId },
    /// `patches(x) · downᵀ`, `[rows, rank]`.
    Down { x: ValueId, matrix: ValueId, conv: Option<Conv> },
    /// Adds `scale · x · upᵀ` to the output's columns from `first` on.
    Up { x: ValueId, matrix: ValueId, first: usize, scale: f32 },
    /// `weights · (x − y)`, each a value for every place: the gradient of a weighed mean of squares.
    Difference { x: ValueId, y: ValueId, weights: ValueId },
    /// `grad · act′(x)`.
    ActivationGrad { x: ValueId, act: Act, grad: ValueId },
    /// The gradient of [`TrainOp::Gated`]'s `x`.
    GatedGrad { x: ValueId, grad: ValueId },
    /// The gradient of what a group norm reads, of both its sources side by side.
    GroupNormGrad { norm: GroupNorm, grad: ValueId },
    /// The gradient of what a layer norm reads.
    LayerNormGrad { x: ValueId, gamma: WeightId, eps: f32, grad: ValueId },
    /// The gradient of the value `of`, of which queries, keys or values are slices; 0 in what is none. Scores are computed again.
    AttentionGrad {
        q: Slice,
        k: Slice,
        v: Slice,
        heads: usize,
        head_dim: usize,
        causal: bool,
        grad: ValueId,
        of: ValueId,
    },
    /// Of [`TrainOp::Up`]'s `x`: `scale · grad[first ..] · up`, `[rows, rank]`.
    UpGrad { grad: ValueId, matrix: ValueId, first: usize, scale: f32 },
    /// Of [`TrainOp::Down`]'s `x` for a convolution of stride 1 (`conv` is the way back): `grad · down`, patches summed up.
    DownGrad { grad: ValueId, matrix: ValueId, conv: Option<Conv> },
    /// Adds `scale · grad[first ..]ᵀ · x` to the output, the gradient of `up`.
    UpSum { grad: ValueId, x: ValueId, first: usize, scale: f32 },
    /// Adds `gradᵀ · patches(x)` to the output, the gradient of `down`.
    DownSum { grad: ValueId, x: ValueId, conv: Option<Conv> },
    /// Adds to the output, the gradient of the run's own vectors, what `grad` has where `tokens` name one.
    VectorSum { grad: ValueId, tokens: ValueId },
    /// As many channels of `x` as the output has, from `first` on.
    Columns { x: ValueId, first: usize },
    /// Every pixel of `x` at twice its place, zeros between them: the way back through a stride of 2.
    Spread { x: ValueId },
    /// The sum of the pixels that nearest-neighbour enlargement makes of one: the way back through it.
    Pool { x: ValueId },
}

impl TrainOp {
    /// The same over other values and weights.
    pub(super) fn rename(
        &mut self,
        value: &dyn Fn(ValueId) -> ValueId,
        weight: &dyn Fn(WeightId) -> WeightId,
    ) {
        use TrainOp::*;
        let of = |ids: [&mut ValueId; 2]| ids.into_iter().for_each(|id| *id = value(*id));
        match self {
            Activation { x, .. } | Gated { x } | Columns { x, .. } | Spread { x } | Pool { x } => {
                *x = value(*x)
            }
            Down { x, matrix, .. } | Up { x, matrix, .. } => of([x, matrix]),
            Difference { x, y, weights } => {
                of([x, y]);
                *weights = value(*weights);
            }
            ActivationGrad { x, grad, .. } | GatedGrad { x, grad } => of([x, grad]),
            LayerNormGrad { x, gamma, grad, .. } => {
                of([x, grad]);
                *gamma = weight(*gamma);
            }
            GroupNormGrad { norm, grad } => {
                of([&mut norm.x, grad]);
                norm.x2 = norm.x2.map(value);
                of_weights([&mut norm.gamma, &mut norm.beta], weight);
            }
            AttentionGrad { q, k, v, grad, of: whose, .. } => {
                of([&mut q.value, &mut k.value]);
                of([&mut v.value, grad]);
                *whose = value(*whose);
            }
            UpGrad { grad, matrix, .. } | DownGrad { grad, matrix, .. } => of([grad, matrix]),
            UpSum { grad, x, .. } | DownSum { grad, x, .. } | VectorSum { grad, tokens: x } => of([grad, x]),
        }
    }

    /// The values it reads.
    pub fn reads(&self) -> Vec<ValueId> {
        use TrainOp::*;
        match self {
            Activation { x, .. } | Gated { x } | Columns { x, .. } | Spread { x } | Pool { x } => vec![*x],
            Down { x, matrix, .. } | Up { x, matrix, .. } => vec![*x, *matrix],
            Difference { x, y, weights } => vec![*x, *y, *weights],
            ActivationGrad { x, grad, .. } | GatedGrad { x, grad } | LayerNormGrad { x, grad, .. } => {
                vec![*x, *grad]
            }
            GroupNormGrad { norm, grad } => {
                [Some(norm.x), norm.x2, Some(*grad)].into_iter().flatten().collect()
            }
            AttentionGrad { q, k, v, grad, .. } => vec![q.value, k.value, v.value, *grad],
            UpGrad { grad, matrix, .. } | DownGrad { grad, matrix, .. } => vec![*grad, *matrix],
            UpSum { grad, x, .. } | DownSum { grad, x, .. } | VectorSum { grad, tokens: x } => {
                vec![*grad, *x]
            }
        }
    }
}

fn of_weights(ids: [&mut WeightId; 2], weight: &dyn Fn(WeightId) -> WeightId) {
    ids.into_iter().for_each(|id| *id = weight(*id));
}
