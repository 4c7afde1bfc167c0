//! The twin of the kernel that merges low-rank products.

use bytemuck::cast_slice;
use half::f16;

use super::{Params, Spec};
use crate::kernels::blocks::dithered;
use crate::kernels::{BLOCK, WeightType};

/// Changes a packed weight, `values` and the `scales` of its blocks; the product is `left` `[rank, rows]` by `right`
/// `[rank, K]`.
pub fn low_rank_merge(
    spec: &Spec,
    params: &Params,
    [left, right]: [&[f32]; 2],
    [values, scales]: [&mut [u8]; 2],
) {
    let [rows, k] = [params.rows, 4 * params.k4].map(|n| n as usize);
    let width = if spec.weight.is_quantized() { BLOCK } else { 4 };
    for row in 0..rows {
        for from in (0..k).step_by(width) {
            let mut packed = Packed { spec, params, row, from, values: &mut *values, scales: &mut *scales };
            let mut run = packed.load();
            for (at, value) in (from..).zip(&mut run) {
                for r in 0..params.rank as usize {
                    *value += left[r * rows + row] * right[r * k + at];
                }
            }
            packed.store(&run);
        }
    }
}

/// A run of values along K of a row: four, or a block.
struct Packed<'a> {
    spec: &'a Spec,
    params: &'a Params,
    row: usize,
    from: usize,
    values: &'a mut [u8],
    scales: &'a mut [u8],
}

impl Packed<'_> {
    fn n(&self) -> usize {
        self.params.first as usize + self.row
    }

    /// The bytes of a word of `len`, by the number of its group along K.
    fn word(&mut self, group: usize, len: usize) -> &mut [u8] {
        let at = group * self.params.weight_n as usize + self.n();
        &mut self.values[at * len..][..len]
    }

    fn scale(&mut self) -> &mut [u8] {
        let at = self.from / BLOCK * self.params.weight_n as usize + self.n();
        &mut self.scales[2 * at..][..2]
    }

    /// Codes of the block, from the lowest.
    fn codes(&mut self) -> [u8; BLOCK] {
        let block = self.from / BLOCK;
        let mut codes = [0; BLOCK];
        match self.spec.weight {
            WeightType::Q8 => {
                for (group, four) in codes.chunks_mut(4).enumerate() {
                    four.copy_from_slice(self.word(8 * block + group, 4));
                    four.iter_mut().for_each(|code| *code = code.wrapping_add(128));
                }
            }
            kind => {
                let words = if kind == WeightType::Q5 { 5 } else { 4 };
                for (i, code) in codes.iter_mut().enumerate() {
                    let byte = self.word(words * block + i / 8, 4)[i % 8 / 2];
                    *code = if i % 2 == 0 { byte & 15 } else { byte >> 4 };
                    if words == 5 {
                        *code |= (self.word(5 * block + 4, 4)[i / 8] >> (i % 8) & 1) << 4;
                    }
                }
            }
        }
        codes
    }

    fn zero(&self) -> f32 {
        match self.spec.weight {
            WeightType::Q5 => 16.0,
            WeightType::Q4 => 8.0,
            _ => 128.0,
        }
    }

    fn load(&mut self) -> Vec<f32> {
        let group = self.from / 4;
        match self.spec.weight {
            WeightType::F32 => {
                let word = self.word(group, 16).as_chunks::<4>().0;
                word.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
            }
            WeightType::F16 => {
                let word = self.word(group, 8).as_chunks::<2>().0;
                word.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect()
            }
            _ => {
                let bytes = [self.scale()[0], self.scale()[1]];
                let (scale, zero) = (f16::from_le_bytes(bytes).to_f32(), self.zero());
                self.codes().iter().map(|code| scale * (f32::from(*code) - zero)).collect()
            }
        }
    }

    fn store(&mut self, run: &[f32]) {
        let group = self.from / 4;
        match self.spec.weight {
            WeightType::F32 => self.word(group, 16).copy_from_slice(cast_slice(run)),
            WeightType::F16 => {
                for (bytes, value) in self.word(group, 8).as_chunks_mut::<2>().0.iter_mut().zip(run) {
                    *bytes = f16::from_f32(*value).to_le_bytes();
                }
            }
            kind => {
                let Some(block) = run.first_chunk::<BLOCK>() else { return };
                let (scale, codes) = dithered(kind, block, self.seed());
                self.scale().copy_from_slice(&scale.to_le_bytes());
                self.store_codes(&codes);
            }
        }
    }

    /// What chance depends on at the block's first value.
    fn seed(&self) -> u32 {
        let Params { k4, half, seed, .. } = *self.params;
        let row = self.row as u32;
        let in_tensor = if half == 0 { row } else { row / 2 + row % 2 * half };
        seed.wrapping_add(in_tensor.wrapping_mul(4 * k4)).wrapping_add(self.from as u32)
    }

    fn store_codes(&mut self, codes: &[u8; BLOCK]) {
        let block = self.from / BLOCK;
        if self.spec.weight == WeightType::Q8 {
            for (group, four) in codes.as_chunks::<4>().0.iter().enumerate() {
                self.word(8 * block + group, 4).copy_from_slice(&four.map(|code| code.wrapping_sub(128)));
            }
            return;
        }
        let words = if self.spec.weight == WeightType::Q5 { 5 } else { 4 };
        for (word, eight) in codes.as_chunks::<8>().0.iter().enumerate() {
            let pair = |i: usize| eight[2 * i] & 15 | eight[2 * i + 1] << 4;
            self.word(words * block + word, 4).copy_from_slice(&std::array::from_fn::<u8, 4, _>(pair));
        }
        if words == 5 {
            let high = (0..).zip(codes).fold(0, |high, (i, code)| high | u32::from(code >> 4) << i);
            self.word(5 * block + 4, 4).copy_from_slice(&high.to_le_bytes());
        }
    }
}
