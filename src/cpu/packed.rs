//! Panels of a matrix as its record has them: f16, or blocks of bytes, five or four bits. Whoever multiplies unpacks a panel at a
//! time, to the values that all of it unpacked would have, bit for bit.
//!
//! The words of a record stand in the order in which a panel is read, eight columns side by side; which bits of a word are which
//! value is as [`weights::packed`](crate::weights) says.

use std::ops::Range;

use half::f16;

use super::gemm::PANEL;
use crate::kernels::{BLOCK, WeightType};
use crate::weights::PackedRows;

/// A matrix `[k, n]` of some type but f32.
pub struct Packed {
    kind: WeightType,
    pub k: usize,
    pub n: usize,
    /// `[n/8][words of a column][8]`
    words: Vec<[u32; PANEL]>,
    /// `[n/8][k/32][8]`, f16; none of f16.
    scales: Vec<[u16; PANEL]>,
}

impl Packed {
    /// The matrix whose column `n` is the row `row_of(n)` of a record; `None` of f32, which would take no less.
    pub fn new(rows: &PackedRows, row_of: impl Fn(usize) -> usize) -> Option<Packed> {
        let kind = rows.weight_type();
        if kind == WeightType::F32 {
            return None;
        }
        let (k, n) = (rows.k, rows.n);
        let (words, blocks) = (k * kind.bits() / 32, if kind.is_quantized() { k / BLOCK } else { 0 });
        let panels = n.div_ceil(PANEL);
        let mut packed = Packed {
            kind,
            k,
            n,
            words: Vec::with_capacity(panels * words),
            scales: Vec::with_capacity(panels * blocks),
        };
        for first in (0..n).step_by(PANEL) {
            let rows_there = std::array::from_fn(|i| row_of((first + i).min(n - 1)));
            let (had_words, had_scales) = (packed.words.len(), packed.scales.len());
            rows.words_of(&rows_there, &mut packed.words);
            rows.scale_bits_of(&rows_there, &mut packed.scales);
            if let Some(beyond @ 1..) = (first + PANEL).checked_sub(n) {
                packed.words[had_words..].iter_mut().for_each(|words| words[PANEL - beyond..].fill(0));
                packed.scales[had_scales..].iter_mut().for_each(|scales| scales[PANEL - beyond..].fill(0));
            }
        }
        Some(packed)
    }

    /// How many values along k have to be unpacked together.
    pub fn unit(&self) -> usize {
        if self.kind.is_quantized() { BLOCK } else { 2 }
    }

    /// Writes some rows of a panel, whole units of them.
    pub fn unpack(&self, panel: usize, rows: Range<usize>, out: &mut [[f32; PANEL]]) {
        let bits = self.kind.bits();
        let words = &self.words[panel * (self.k * bits / 32)..][rows.start * bits / 32..rows.end * bits / 32];
        if !self.kind.is_quantized() {
            for (word, out) in words.iter().zip(out.as_chunks_mut::<2>().0) {
                *out = [word.map(|word| from_half(word & 0xffff)), word.map(|word| from_half(word >> 16))];
            }
            return;
        }
        let scales = &self.scales[panel * (self.k / BLOCK)..][rows.start / BLOCK..rows.end / BLOCK];
        let blocks = words.chunks_exact(bits).zip(scales).zip(out.as_chunks_mut::<BLOCK>().0);
        for ((words, scales), out) in blocks {
            let scales = scales.map(|bits| f16::from_bits(bits).to_f32());
            match self.kind {
                WeightType::Q8 => bytes(words, &scales, out),
                WeightType::Q5 => five_bits(words, &scales, out),
                _ => four_bits(words, &scales, out),
            }
        }
    }
}

/// Eight values and the scales of their columns.
#[inline(always)]
fn scaled(codes: [i32; PANEL], scales: &[f32; PANEL]) -> [f32; PANEL] {
    std::array::from_fn(|i| scales[i] * codes[i] as f32)
}

/// A block of signed bytes.
#[inline(always)]
fn bytes(words: &[[u32; PANEL]], scales: &[f32; PANEL], out: &mut [[f32; PANEL]; BLOCK]) {
    for (word, out) in words.iter().zip(out.as_chunks_mut::<4>().0) {
        for (i, out) in out.iter_mut().enumerate() {
            *out = scaled(word.map(|word| (word << (24 - 8 * i)) as i32 >> 24), scales);
        }
    }
}

/// A block of four bits each.
#[inline(always)]
fn four_bits(words: &[[u32; PANEL]], scales: &[f32; PANEL], out: &mut [[f32; PANEL]; BLOCK]) {
    for (word, out) in words.iter().zip(out.as_chunks_mut::<8>().0) {
        for (i, out) in out.iter_mut().enumerate() {
            *out = scaled(word.map(|word| (word >> (4 * i) & 15) as i32 - 8), scales);
        }
    }
}

/// A block of four bits each, and behind them the fifth of all.
#[inline(always)]
fn five_bits(words: &[[u32; PANEL]], scales: &[f32; PANEL], out: &mut [[f32; PANEL]; BLOCK]) {
    let Some((high, low)) = words.split_last() else { return };
    for (at, (word, out)) in low.iter().zip(out.as_chunks_mut::<8>().0).enumerate() {
        for (i, out) in out.iter_mut().enumerate() {
            let code = |n: usize| (word[n] >> (4 * i) & 15) | (high[n] >> (8 * at + i) & 1) << 4;
            *out = scaled(std::array::from_fn(|n| code(n) as i32 - 16), scales);
        }
    }
}

/// The value of a half float's bits, in operations that vectors have.
#[inline(always)]
fn from_half(bits: u32) -> f32 {
    /// 2 to the power of 112: what lies between the biases of both exponents.
    const REBIASED: f32 = f32::from_bits((127 + 112) << 23);
    let magnitude = (bits & 0x7fff) << 13;
    let value = (f32::from_bits(magnitude) * REBIASED).to_bits();
    let endless = if magnitude >= 31 << 23 { 0xff << 23 } else { 0 };
    f32::from_bits(value | endless | (bits & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_float_is_its_value() {
        for bits in 0..=u16::MAX {
            let expected = f16::from_bits(bits).to_f32();
            let got = from_half(u32::from(bits));
            assert!(got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan(), "{bits:x}");
        }
    }
}
