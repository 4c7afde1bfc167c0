//! What learning needs, computed: activations on their own, low-rank products, and the gradients of every op on the way back.

mod attention;
mod norm;
mod products;

use super::gemm::{TILES, by_blocks};
use super::norm::Channels;
use super::ops::{Run, activate, gated};
use super::simd::F4;
use crate::error::{Error, Result};
use crate::kernels::embed_grad;
use crate::kernels::gemm::Act;
use crate::plan::ValueId;
use crate::plan::train::TrainOp;

use products::{Pair, Side};

impl Run<'_> {
    /// Computes the node's output, or adds to it.
    pub(super) fn train(&self, op: &TrainOp, out: &mut [f32]) -> Result<()> {
        let graph = &self.executable.graph;
        let to = graph.shape(self.node.output);
        let width = |value: ValueId| graph.shape(value).c;
        match op {
            TrainOp::Activation { x, act } => {
                out.copy_from_slice(self.read(*x)?);
                by_blocks(out, to.c, TILES, |_, block| activate(*act, None, block));
            }
            TrainOp::Gated { x } => {
                let x = self.read(*x)?;
                by_blocks(out, to.c, TILES, |first, block| {
                    let mut both = x[2 * first * to.c..][..2 * block.len()].to_vec();
                    gated(&mut both, block, to.c);
                });
            }
            TrainOp::Difference { x, y, weights } => {
                let both = self.read(*x)?.iter().zip(self.read(*y)?);
                let weighed = both.zip(self.read(*weights)?);
                out.iter_mut().zip(weighed).for_each(|(out, ((x, y), weight))| *out = weight * (x - y));
            }
            TrainOp::ActivationGrad { x, act, grad } => {
                let (x, grad) = (self.read(*x)?, self.read(*grad)?);
                by_blocks(out, to.c, TILES, |first, block| {
                    let from = first * to.c;
                    slopes(*act, &x[from..], block);
                    block.iter_mut().zip(&grad[from..]).for_each(|(out, grad)| *out *= grad);
                });
            }
            TrainOp::GatedGrad { x, grad } => {
                let (x, grad) = (self.read(*x)?, self.read(*grad)?);
                by_blocks(out, to.c, TILES, |first, block| {
                    gated_grad(&x[first * to.c..], &grad[first * to.c / 2..], to.c, block)
                });
            }
            TrainOp::VectorSum { grad, tokens } => {
                let ids = self.executable.read_ids(self.memory, *tokens)?;
                let grad = self.read(*grad)?;
                let params =
                    embed_grad::Params { tokens: ids.len() as u32, c4: (to.c / 4) as u32, own: to.w as u32 };
                embed_grad::cpu::embed_grad(&params, ids, grad, out);
            }
            TrainOp::Columns { x, first } => {
                let (x, wide) = (self.read(*x)?, width(*x));
                let rows = out.chunks_exact_mut(to.c.max(1)).zip(x.chunks_exact(wide.max(1)));
                rows.for_each(|(out, x)| out.copy_from_slice(&x[*first..][..to.c]));
            }
            TrainOp::Spread { x } => spread(self.read(*x)?, graph.shape(*x).size(), to.size(), out),
            TrainOp::Pool { x } => pool(self.read(*x)?, graph.shape(*x).size(), to.size(), out),
            TrainOp::GroupNormGrad { norm, grad } => {
                let [gamma, beta] = [self.executable.vector(norm.gamma)?, self.executable.vector(norm.beta)?];
                let sources = [Some(norm.x), norm.x2].into_iter().flatten();
                let channels = |value| -> Result<Channels<'_>> {
                    Ok(Channels {
                        values: self.read(value)?,
                        width: width(value),
                        first: 0,
                        count: width(value),
                    })
                };
                let sources = sources.map(channels).collect::<Result<Vec<_>>>()?;
                let group =
                    super::norm::Group { gamma, beta, groups: norm.groups, eps: norm.eps, silu: norm.silu };
                norm::group_norm_grad(group, &sources, to.h * to.w, self.read(*grad)?, out);
            }
            TrainOp::LayerNormGrad { x, gamma, eps, grad } => {
                let gamma = self.executable.vector(*gamma)?;
                norm::layer_norm_grad((self.read(*x)?, gamma, *eps), self.read(*grad)?, out);
            }
            TrainOp::AttentionGrad { q, k, v, heads, head_dim, causal, grad, of } => {
                let counts = self.counts(*q, *k, [*heads, *head_dim], *causal);
                let parts = [self.part(*q)?, self.part(*k)?, self.part(*v)?];
                let wanted = [q, k, v].map(|slice| (slice.value == *of).then_some(slice.offset));
                attention::attention_grad(counts, parts, self.read(*grad)?, wanted, to.c, out);
            }
            TrainOp::Down { x, matrix, conv } => {
                let pair = self.pair(*matrix)?;
                products::down(Side::new(self.read(*x)?, graph.shape(*x), to, *conv), pair, out);
            }
            TrainOp::Up { x, matrix, first, scale } => {
                products::up(self.read(*x)?, self.pair(*matrix)?, (to.c, *first, *scale), out);
            }
            TrainOp::UpGrad { grad, matrix, first, scale } => {
                let columns = (width(*grad), *first, *scale);
                products::up_grad(self.read(*grad)?, self.pair(*matrix)?, columns, out);
            }
            TrainOp::DownGrad { grad, matrix, conv } => {
                let side = Side::new(self.read(*grad)?, graph.shape(*grad), to, *conv);
                products::down_grad(side, self.pair(*matrix)?, out);
            }
            TrainOp::UpSum { grad, x, first, scale } => {
                let columns = (width(*grad), *first, *scale);
                products::up_sum((self.read(*grad)?, columns), self.pair(*x)?, out);
            }
            TrainOp::DownSum { grad, x, conv } => {
                let side = Side::new(self.read(*x)?, graph.shape(*x), graph.shape(*grad), *conv);
                products::down_sum(self.pair(*grad)?, side, out);
            }
        }
        Ok(())
    }

    /// A value as a matrix.
    fn pair(&self, value: ValueId) -> Result<Pair<'_>> {
        let shape = self.executable.graph.shape(value);
        let values = self.read(value)?;
        if shape.c == 0 {
            return Err(Error::Cpu { message: format!("{}: a matrix without columns", self.node.path) });
        }
        Ok(Pair { values, columns: shape.c })
    }
}

/// The derivative of an activation at each value.
fn slopes(act: Act, x: &[f32], out: &mut [f32]) {
    let whole = out.len() / 4 * 4;
    let (vectors, rest) = out.split_at_mut(whole);
    for (x, out) in x.as_chunks::<4>().0.iter().zip(vectors.as_chunks_mut::<4>().0) {
        *out = slope(act, F4::load(*x)).to_array();
    }
    for (x, out) in x[whole..].iter().zip(rest) {
        *out = slope(act, F4::splat(*x)).to_array()[0];
    }
}

/// The derivative of an activation.
#[inline(always)]
fn slope(act: Act, x: F4) -> F4 {
    let one = F4::splat(1.0);
    let zero = F4::splat(0.0);
    // d/dx x · σ(a · x) = σ + a · x · σ · (1 − σ)
    let gate = |a: f32| {
        let scaled = F4::splat(a) * x;
        let sigmoid = one / (one + (zero - scaled).exp());
        sigmoid + scaled * sigmoid * (one - sigmoid)
    };
    match act {
        Act::None | Act::Prelu => one,
        Act::Silu => gate(1.0),
        Act::QuickGelu => gate(1.702),
        Act::Gelu => x.gelu_slope(),
        Act::Relu => F4::load(x.to_array().map(|x| f32::from(x > 0.0))),
        Act::LeakyRelu => F4::load(x.to_array().map(|x| if x > 0.0 { 1.0 } else { 0.2 })),
    }
}

/// Rows of values and gates, `width` in all; a row of `grad` is half as long.
fn gated_grad(x: &[f32], grad: &[f32], width: usize, out: &mut [f32]) {
    let half = width / 2;
    let mut activated = vec![0.0; half];
    for ((out, x), grad) in
        out.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(grad.chunks_exact(half))
    {
        let ((value, gate), (to_value, to_gate)) = (x.split_at(half), out.split_at_mut(half));
        activated.copy_from_slice(gate);
        activate(Act::Gelu, None, &mut activated);
        slopes(Act::Gelu, gate, to_gate);
        for i in 0..half {
            to_value[i] = grad[i] * activated[i];
            to_gate[i] *= grad[i] * value[i];
        }
    }
}

/// Every pixel at twice its place.
fn spread(x: &[f32], [n, h, w, c]: [usize; 4], [_, tall, wide, _]: [usize; 4], out: &mut [f32]) {
    out.fill(0.0);
    for (pixel, x) in x.chunks_exact(c.max(1)).enumerate().take(n * h * w) {
        let (image, row, column) = (pixel / (h * w), pixel / w % h, pixel % w);
        let to = ((image * tall + 2 * row) * wide + 2 * column) * c;
        out[to..to + c].copy_from_slice(x);
    }
}

/// The sum of each block of two by two pixels, of which the last ones may be narrower.
fn pool(x: &[f32], [n, tall, wide, c]: [usize; 4], [_, h, w, _]: [usize; 4], out: &mut [f32]) {
    out.fill(0.0);
    for (pixel, x) in x.chunks_exact(c.max(1)).enumerate().take(n * tall * wide) {
        let (image, row, column) = (pixel / (tall * wide), pixel / wide % tall, pixel % wide);
        let to = ((image * h + row / 2) * w + column / 2) * c;
        out[to..to + c].iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
    }
}
