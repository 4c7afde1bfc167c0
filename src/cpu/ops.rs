//! One op of a graph, computed.

use super::attention::{self, Counts, Part};
use super::executable::{Executable, Product, Way};
use super::gemm::{Columns, Lines, Onto, TILES, by_blocks};
use super::matrix::Matrix;
use super::memory::Memory;
use super::norm::{self, Channels, Group};
use super::simd::{self, F4};
use crate::error::{Error, Result};
use crate::kernels::add;
use crate::kernels::embed;
use crate::kernels::gemm::Act;
use crate::kernels::pixel_shuffle;
use crate::plan::{Convert, Gemm, GroupNorm, Node, Op, Slice, ValueId, WeightId};

/// A node about to run.
pub struct Run<'a> {
    pub executable: &'a Executable,
    pub memory: &'a Memory,
    pub node: &'a Node,
}

impl Run<'_> {
    /// Computes the node's output; `room` is for a convolution's padded map.
    pub fn op(&self, product: Option<&Product>, out: &mut [f32], room: &mut [f32]) -> Result<()> {
        match &self.node.op {
            Op::Gemm(op) => {
                let missing = || Error::Cpu { message: format!("{}: no matrix", self.node.path) };
                let product = product.ok_or_else(missing)?;
                self.gemm(op, product, product.matrix().ok_or_else(missing)?, out, room)
            }
            Op::GroupNorm(op) => self.group_norm(op, out),
            Op::LayerNorm { x, gamma, beta, eps } => {
                let (gamma, beta) = (self.executable.vector(*gamma)?, self.executable.vector(*beta)?);
                norm::layer_norm(self.read(*x)?, gamma, beta, *eps, out);
                Ok(())
            }
            Op::Attention { q, k, v, heads, head_dim, causal, hidden } => {
                let counts = self.counts(*q, *k, [*heads, *head_dim], *causal);
                let ids = |hidden| self.executable.read_ids(self.memory, hidden);
                let hidden = hidden.map_or(Ok(&[][..]), ids)?;
                attention::attention(counts, [self.part(*q)?, self.part(*k)?, self.part(*v)?], hidden, out);
                Ok(())
            }
            Op::AttentionMap { q, k, heads, head_dim } => {
                let counts = self.counts(*q, *k, [*heads, *head_dim], false);
                attention::attention_map(counts, [self.part(*q)?, self.part(*k)?], out);
                Ok(())
            }
            Op::Embed { tokens, own, table, positions } => {
                self.embed((*tokens, *own), [*table, *positions], out)
            }
            Op::Convert { x, convert } => {
                let (width, channels) = (self.executable.graph.shape(*x).c, self.channels());
                converted(*convert, self.read(*x)?, width, out, channels);
                Ok(())
            }
            Op::PixelShuffle { x, base, factor } => {
                let shape = self.executable.graph.shape(*x);
                let base = base.map(|base| self.read(base)).transpose()?;
                let size = [shape.n, shape.h, shape.w, shape.c];
                pixel_shuffle::cpu::shuffle_into(self.read(*x)?, base, size, *factor, out);
                Ok(())
            }
            Op::PixelUnshuffle { x, factor } => {
                let to = self.executable.graph.shape(self.node.output);
                pixel_shuffle::cpu::unshuffle_into(self.read(*x)?, [to.n, to.h, to.w, to.c], *factor, out);
                Ok(())
            }
            Op::Add { x, y, factor } => {
                let (shape, other) = (self.executable.graph.shape(*x), self.executable.graph.shape(*y));
                let params = factor.params(shape, other);
                let factors = factor.value().map(|value| self.read(value)).transpose()?;
                add::cpu::add(&params, self.read(*x)?, self.read(*y)?, factors, out);
                Ok(())
            }
            #[cfg(feature = "train")]
            Op::Train(op) => self.train(op, out),
            // Pixels are no f32 values: the executable makes them.
            Op::Rgba { .. } => Ok(()),
        }
    }

    pub(super) fn read(&self, id: ValueId) -> Result<&[f32]> {
        self.executable.read(self.memory, id)
    }

    /// Channels of the output.
    fn channels(&self) -> usize {
        self.executable.graph.shape(self.node.output).c
    }

    fn gemm(
        &self,
        op: &Gemm,
        product: &Product,
        matrix: &Matrix,
        out: &mut [f32],
        room: &mut [f32],
    ) -> Result<()> {
        let (x, c) = (self.read(op.x)?, self.executable.graph.shape(op.x).c);
        let second = match op.x2 {
            Some(x2) => {
                Some(Lines { values: self.read(x2)?, width: self.executable.graph.shape(x2).c, first: c })
            }
            None => None,
        };
        let shifted = match op.time {
            Some((time, first)) => Some(plus(product.bias.as_ref(), &self.read(time)?[first..], matrix.n)),
            None => None,
        };
        let bias = shifted.as_ref().or(product.bias.as_ref());
        let residual = op.residual.map(|residual| self.read(residual)).transpose()?;
        let (map, weights) = room.split_at_mut(product.padded() as usize);
        if let Some(geometry) = product.geometry() {
            geometry.surround(x, map);
        }
        let map = &*map;
        // The activation stands between product and residual, or behind both.
        let added_later = residual.is_some() && (op.accumulate || (op.act != Act::None && !op.act_last));
        let width = self.channels();
        let onto = |first: usize, block: &[f32]| match residual {
            _ if op.accumulate => Onto::Stored,
            Some(residual) if !added_later => Onto::These(&residual[first * width..][..block.len()]),
            _ => Onto::Nothing,
        };
        let slope = match op.slope {
            Some(slope) => Some(self.executable.vector(slope)?),
            None => None,
        };
        let rest = |first: usize, block: &mut [f32]| {
            if let Some(second) = second {
                second.multiply(first, matrix, None, Onto::Stored, block);
            }
            if !op.act_last {
                activate(op.act, slope, block);
            }
            if let (Some(residual), true) = (residual, added_later) {
                block.iter_mut().zip(&residual[first * width..]).for_each(|(y, x)| *y += x);
            }
            if op.act_last {
                activate(op.act, slope, block);
            }
        };
        match &product.way {
            Way::Lines if op.geglu => by_blocks(out, width, TILES, |first, block| {
                let mut both = vec![0.0; 2 * block.len()];
                Lines { values: x, width: c, first: 0 }.multiply(
                    first,
                    matrix,
                    bias,
                    Onto::Nothing,
                    &mut both,
                );
                gated(&mut both, block, width);
            }),
            Way::Lines => by_blocks(out, width, TILES, |first, block| {
                let lines = Lines { values: x, width: c, first: 0 };
                lines.multiply(first, matrix, bias, onto(first, block), block);
                rest(first, block);
            }),
            Way::Patches(geometry) => by_blocks(out, width, TILES, |first, block| {
                geometry.multiply(map, first, matrix, bias, onto(first, block), block);
                rest(first, block);
            }),
            Way::Enlarged(enlarged) => by_blocks(out, width, enlarged.block(), |first, block| {
                enlarged.multiply(map, matrix, first, bias, onto(first, block), block);
                rest(first, block);
            }),
            Way::Winograd(winograd) => {
                for panels in winograd.passes() {
                    let weights = winograd.weights(matrix, panels.clone(), weights);
                    by_blocks(out, width, winograd.block(), |first, block| {
                        let onto = onto(first, block);
                        winograd.multiply(map, (panels.clone(), weights), first, bias, onto, block);
                        if winograd.is_last(&panels) {
                            rest(first, block);
                        }
                    });
                }
            }
        }
        Ok(())
    }

    fn group_norm(&self, op: &GroupNorm, out: &mut [f32]) -> Result<()> {
        let shape = self.executable.graph.shape(op.x);
        let (pixels, c) = (shape.h * shape.w, self.channels());
        let [gamma, beta] = [op.gamma, op.beta].map(|id| {
            let all = self.executable.vector(id)?;
            all.get(op.channel..op.channel + c).ok_or_else(|| Error::Cpu {
                message: format!(
                    "{}: {} parameters, expected {c} from {} on",
                    self.node.path,
                    all.len(),
                    op.channel
                ),
            })
        });
        let norm = Group { gamma: gamma?, beta: beta?, groups: op.groups, eps: op.eps, silu: op.silu };
        if op.x == self.node.output {
            norm::group_norm_in_place(norm, pixels, out);
            return Ok(());
        }
        let second = op.x2.map(|x2| (x2, self.executable.graph.shape(x2).c));
        let count = c - second.map_or(0, |(_, count)| count);
        let first = Channels { values: self.read(op.x)?, width: shape.c, first: op.first, count };
        match second {
            None => norm::group_norm(norm, &[first], pixels, out),
            Some((x2, width)) => {
                let second = Channels { values: self.read(x2)?, width, first: 0, count: width };
                norm::group_norm(norm, &[first, second], pixels, out);
            }
        }
        Ok(())
    }

    pub(super) fn counts(&self, q: Slice, k: Slice, [heads, size]: [usize; 2], causal: bool) -> Counts {
        let (queries, keys) = (self.executable.graph.shape(q.value), self.executable.graph.shape(k.value));
        Counts {
            images: queries.n,
            shared: keys.n,
            queries: queries.h * queries.w,
            keys: keys.h * keys.w,
            heads,
            size,
            causal,
        }
    }

    pub(super) fn part(&self, slice: Slice) -> Result<Part<'_>> {
        let width = self.executable.graph.shape(slice.value).c;
        Ok(Part { values: self.read(slice.value)?, width, column: slice.offset })
    }

    fn embed(
        &self,
        (tokens, own): (ValueId, Option<ValueId>),
        [table, positions]: [WeightId; 2],
        out: &mut [f32],
    ) -> Result<()> {
        let shape = self.executable.graph.shape(self.node.output);
        let (table, positions) =
            (self.executable.table(table)?.rows()?, self.executable.table(positions)?.rows()?);
        let ids = self.executable.read_ids(self.memory, tokens)?;
        let own = own.map_or(Ok(&[][..]), |own| self.read(own))?;
        let mut position = vec![0.0; shape.c];
        for ((i, id), out) in ids.iter().enumerate().zip(out.chunks_exact_mut(shape.c)) {
            match id.checked_sub(embed::OWN).and_then(|row| own.chunks_exact(shape.c).nth(row as usize)) {
                Some(row) => out.copy_from_slice(row),
                None => table.read((*id as usize).min(table.n.saturating_sub(1)), out),
            }
            positions.read((i % shape.w).min(positions.n.saturating_sub(1)), &mut position);
            out.iter_mut().zip(&position).for_each(|(x, position)| *x += position);
        }
        Ok(())
    }
}

/// A bias of `n` columns with something added.
fn plus(bias: Option<&Columns>, more: &[f32], n: usize) -> Columns {
    let mut sum = bias.cloned().unwrap_or_else(|| super::gemm::columns(&vec![0.0; n]));
    sum.as_flattened_mut()[..n].iter_mut().zip(more).for_each(|(sum, x)| *sum += x);
    sum
}

/// The first half of each row times GELU of the second.
pub(super) fn gated(both: &mut [f32], out: &mut [f32], width: usize) {
    for (row, out) in both.chunks_exact_mut(2 * width).zip(out.chunks_exact_mut(width)) {
        let (value, gate) = row.split_at_mut(width);
        simd::map(gate, F4::gelu);
        out.iter_mut().zip(value).zip(gate).for_each(|((out, value), gate)| *out = *value * *gate);
    }
}

/// Whole rows activated; `slope` is PReLU's, a value per column.
pub(super) fn activate(act: Act, slope: Option<&[f32]>, values: &mut [f32]) {
    if let Some(slope) = slope {
        for row in values.chunks_exact_mut(slope.len().max(1)) {
            row.iter_mut().zip(slope).for_each(|(x, slope)| *x = x.max(0.0) + slope * x.min(0.0));
        }
        return;
    }
    match act {
        Act::None | Act::Prelu => {}
        Act::Silu => simd::map(values, F4::silu),
        Act::Gelu => simd::map(values, F4::gelu),
        Act::QuickGelu => simd::map(values, F4::quick_gelu),
        Act::Relu => simd::map(values, F4::relu),
        Act::LeakyRelu => simd::map(values, F4::leaky_relu),
    }
}

/// The first channels of each pixel, converted; zeros where there are more than the input has.
fn converted(convert: Convert, x: &[f32], width: usize, out: &mut [f32], channels: usize) {
    let one = |x: f32| match convert {
        Convert::Affine { scale, shift } => x * scale + shift,
        Convert::TanhClamp => (x / 3.0).tanh() * 3.0,
    };
    for (x, out) in x.chunks_exact(width.max(1)).zip(out.chunks_exact_mut(channels.max(1))) {
        out.fill(0.0);
        out.iter_mut().zip(x).for_each(|(out, x)| *out = one(*x));
    }
}
