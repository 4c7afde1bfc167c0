//! Rounding floats to blocks of 32 in ggml's layouts.
//!
//! [`Rounding::Plain`] is ggml's reference, bit for bit: the scale is the one that just reaches the largest value. Files are
//! written with [`Rounding::Fitted`]: of a few scales near that one each block gets the one with the least squared error,
//! and what rounding has taken from a weight of a 3×3 kernel is given to those that follow it in the same channel, because
//! neighbouring pixels are much alike. [`Rounding::Dithered`] is for values that were in blocks before and have been changed by
//! little: a change of less than half a step, which the nearest code would lose everywhere alike, moves as many of them by a
//! whole step as keeps its mean. Layouts and kernels are the same for all. docs/quantization.md has the numbers.

use half::f16;

use super::types::SourceType;
use crate::kernels::blocks::{dithered, each, fitted, largest, whole_below};
use crate::kernels::{BLOCK, WeightType};

/// How scales and codes are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// As ggml's reference does: what the others are measured against.
    Plain,
    /// By the least squared error, with the errors of a row's kernel positions fed on.
    Fitted,
    /// Its scales, and up or down by chance, more likely to where is nearer: what is on a code stays. The same for the same
    /// seed.
    Dithered { seed: u32 },
}

impl Rounding {
    /// For a tensor whose values were read in a type and changed since.
    pub fn of_changed(dtype: SourceType, tensor: &str) -> Rounding {
        match dtype.block_len() {
            0 | 1 => Rounding::Fitted,
            _ => Rounding::Dithered { seed: crc32fast::hash(tensor.as_bytes()) },
        }
    }

    /// For what lies `values` further in the same tensor.
    pub fn from(self, values: usize) -> Rounding {
        match self {
            Rounding::Dithered { seed } => Rounding::Dithered { seed: seed.wrapping_add(values as u32) },
            other => other,
        }
    }
}

/// How much alike a kernel's neighbouring pixels are taken to be: a correlation, that falls with its power of the distance.
const ALIKE: f64 = 0.7;
/// Positions of the kernels whose errors are fed on: 3×3.
const TAPS: usize = 9;

/// What a row is of.
#[derive(Debug, Clone, Copy)]
pub struct RowShape {
    /// Values, in the order (position, channel).
    pub k: usize,
    /// Positions of the kernel; 1 for linear maps.
    pub taps: usize,
}

/// Appends whole rows in a type that files are written in.
pub fn encode(dtype: SourceType, values: &[f32], shape: RowShape, rounding: Rounding, out: &mut Vec<u8>) {
    match dtype {
        SourceType::F32 => out.extend_from_slice(bytemuck::cast_slice(values)),
        SourceType::F16 => out.extend(values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes())),
        SourceType::Q8_0 => {
            for (at, block) in (0u32..).step_by(BLOCK).zip(values.as_chunks::<BLOCK>().0) {
                match rounding {
                    Rounding::Dithered { seed } => {
                        let (scale, codes) = dithered(WeightType::Q8, block, seed.wrapping_add(at));
                        out.extend(scale.to_le_bytes());
                        out.extend(codes.map(|code| code.wrapping_sub(128)));
                    }
                    Rounding::Plain | Rounding::Fitted => q8(block, out),
                }
            }
        }
        SourceType::Q5_0 => rows::<16>(WeightType::Q5, values, shape, rounding, &mut |scale, codes| {
            let high = (0..).zip(codes).fold(0, |high, (i, code)| high | u32::from(code >> 4) << i);
            out.extend(scale.to_le_bytes());
            out.extend(high.to_le_bytes());
            out.extend(nibbles(codes));
        }),
        SourceType::Q4_0 => rows::<8>(WeightType::Q4, values, shape, rounding, &mut |scale, codes| {
            out.extend(scale.to_le_bytes());
            out.extend(nibbles(codes));
        }),
        _ => debug_assert!(false, "{} is not written", dtype.name()),
    }
}

/// Appends a Q8_0 block, as ggml rounds: 8 bits gain nothing by another scale.
fn q8(block: &[f32; BLOCK], out: &mut Vec<u8>) {
    let scale = largest(block).abs() / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    // The largest float below a half: halves go away from zero, and what is just below them does not.
    let codes = each(block, |x| {
        let x = x * inverse;
        whole_below(x.abs() + 0.499_999_97).copysign(x)
    });
    out.extend(f16::from_f32(scale).to_le_bytes());
    out.extend(codes);
}

/// Byte j holds the lower four bits of codes j and j + 16.
fn nibbles(codes: &[u8; BLOCK]) -> [u8; BLOCK / 2] {
    std::array::from_fn(|j| (codes[j] & 15) | (codes[j + BLOCK / 2] << 4))
}

/// Rounds rows block by block to codes from 0 to `2 · HALF - 1`, of which `HALF` is zero.
fn rows<const HALF: i32>(
    weight: WeightType,
    values: &[f32],
    RowShape { k, taps }: RowShape,
    rounding: Rounding,
    write: &mut impl FnMut(f16, &[u8; BLOCK]),
) {
    if rounding == Rounding::Plain || taps != TAPS {
        for (at, block) in (0..).step_by(BLOCK).zip(values.as_chunks::<BLOCK>().0) {
            let (scale, codes) = rounded::<HALF>(weight, block, rounding.from(at));
            write(scale, &codes);
        }
        return;
    }
    let shares = shares();
    let mut row = vec![0f32; k];
    for (at, values) in (0..).step_by(k).zip(values.chunks_exact(k.max(1))) {
        row.copy_from_slice(values);
        row_of_kernels::<HALF>(weight, &mut row, rounding.from(at), &shares, write);
    }
}

/// A block's scale and codes.
fn rounded<const HALF: i32>(
    weight: WeightType,
    block: &[f32; BLOCK],
    rounding: Rounding,
) -> (f16, [u8; BLOCK]) {
    match rounding {
        Rounding::Plain => plain::<HALF>(block),
        Rounding::Fitted => fitted::<HALF>(block),
        Rounding::Dithered { seed } => dithered(weight, block, seed),
    }
}

/// Rounds a row of 3×3 kernels, giving errors on. Nine times the channels is a multiple of 32, so the channels are: a block
/// is of one position.
fn row_of_kernels<const HALF: i32>(
    weight: WeightType,
    row: &mut [f32],
    rounding: Rounding,
    shares: &[[f32; TAPS]; TAPS],
    write: &mut impl FnMut(f16, &[u8; BLOCK]),
) {
    let channels = row.len() / TAPS;
    for at in (0..row.len()).step_by(BLOCK) {
        let (done, left) = row.split_at_mut(at + BLOCK);
        let Some(block) = done.last_chunk::<BLOCK>() else { return };
        let (scale, codes) = rounded::<HALF>(weight, block, rounding.from(at));
        write(scale, &codes);
        let unit = scale.to_f32();
        let errors: [f32; BLOCK] =
            std::array::from_fn(|i| block[i] - unit * (i32::from(codes[i]) - HALF) as f32);
        let tap = at / channels;
        for (later, share) in (1..).zip(&shares[tap][tap + 1..]) {
            let place = later * channels - BLOCK;
            for (value, error) in left[place..place + BLOCK].iter_mut().zip(&errors) {
                *value += share * error;
            }
        }
    }
}

/// ggml's scale and codes.
fn plain<const HALF: i32>(block: &[f32; BLOCK]) -> (f16, [u8; BLOCK]) {
    let scale = largest(block) / -HALF as f32;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let top = (2 * HALF - 1) as f32;
    let codes = each(block, |x| {
        let code = whole_below(x * inverse + (HALF as f32 + 0.5));
        if code < top { code } else { top }
    });
    (f16::from_f32(scale), codes)
}

/// What of an error at one position of a 3×3 kernel goes to each later one: the errors that are left are then as good as
/// independent of it, where pixels are alike as [`ALIKE`] says (the same step as in <https://arxiv.org/abs/2210.17323>, with
/// this in the place of measured correlations).
fn shares() -> [[f32; TAPS]; TAPS] {
    let alike = |a: usize, b: usize| {
        let (dy, dx) = ((a / 3).abs_diff(b / 3) as f64, (a % 3).abs_diff(b % 3) as f64);
        ALIKE.powf((dy * dy + dx * dx).sqrt())
    };
    let mut shares = [[0f32; TAPS]; TAPS];
    for (tap, shares) in shares.iter_mut().enumerate() {
        // Solves alike(later, later) · share = alike(later, tap) by elimination; the matrix is positive definite.
        let mut matrix: [[f64; TAPS]; TAPS] = std::array::from_fn(|i| std::array::from_fn(|j| alike(i, j)));
        let mut right: [f64; TAPS] = std::array::from_fn(|i| alike(i, tap));
        for i in tap + 1..TAPS {
            let row = matrix[i];
            for below in i + 1..TAPS {
                let factor = matrix[below][i] / row[i];
                matrix[below].iter_mut().zip(row).for_each(|(value, above)| *value -= factor * above);
                right[below] -= factor * right[i];
            }
        }
        for i in (tap + 1..TAPS).rev() {
            let known: f64 = (i + 1..TAPS).map(|j| matrix[i][j] * right[j]).sum();
            right[i] = (right[i] - known) / matrix[i][i];
            shares[i] = right[i] as f32;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::decode::{decode, encode as reference};

    /// Of many sizes, with blocks of zeros, of one value, and of values as far on both sides.
    fn values(count: usize) -> Vec<f32> {
        let mut seed = 7u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let mut values: Vec<f32> =
            (0..count).map(|i| random() * random() * ((i / 288 % 12) as f32 - 6.0).exp2()).collect();
        values[..BLOCK].fill(0.0);
        values[BLOCK..2 * BLOCK].fill(-0.25);
        values[2 * BLOCK + 3] = 9.0;
        values[2 * BLOCK + 20] = -9.0;
        values
    }

    fn encoded(dtype: SourceType, values: &[f32], taps: usize, rounding: Rounding) -> Vec<u8> {
        let mut out = Vec::new();
        encode(dtype, values, RowShape { k: 288, taps }, rounding, &mut out);
        out
    }

    const WRITTEN: [SourceType; 3] = [SourceType::Q8_0, SourceType::Q5_0, SourceType::Q4_0];

    #[test]
    fn plain_blocks_are_ggmls_bit_for_bit() {
        let values = values(288 * 200);
        for dtype in WRITTEN {
            let got = encoded(dtype, &values, 1, Rounding::Plain);
            assert!(got == reference(dtype, &values).unwrap(), "{dtype:?}");
        }
    }

    /// As a stored model's are when it is packed anew.
    #[test]
    fn fitted_blocks_that_are_rounded_again_stay_what_they_are() {
        let values = values(288 * 200);
        for (dtype, taps) in WRITTEN.into_iter().flat_map(|dtype| [(dtype, 1), (dtype, 9)]) {
            let first = encoded(dtype, &values, taps, Rounding::Fitted);
            for rounding in [Rounding::Fitted, Rounding::Dithered { seed: 5 }] {
                let again = encoded(dtype, &decode(dtype, &first), taps, rounding);
                assert!(first == again, "{dtype:?} {taps} {rounding:?}");
            }
        }
    }

    /// A tenth of a step, all over: the nearest codes are those that were, by chance every tenth is the next one. Another seed
    /// moves others, the same the same.
    #[test]
    fn a_small_change_is_kept_by_chance() {
        for dtype in WRITTEN {
            let first = encoded(dtype, &values(288 * 200), 1, Rounding::Fitted);
            let before = decode(dtype, &first);
            let codes = if dtype == SourceType::Q8_0 {
                127.0
            } else if dtype == SourceType::Q5_0 {
                16.0
            } else {
                8.0
            };
            // Not what is furthest from zero, which the scale follows.
            let changed: Vec<f32> = before
                .chunks(BLOCK)
                .flat_map(|block| {
                    let most = block.iter().fold(0f32, |most, x| most.max(x.abs()));
                    block.iter().map(move |x| if x.abs() < 0.8 * most { x + 0.1 * most / codes } else { *x })
                })
                .collect();
            let sum = |values: &[f32]| -> f64 { values.iter().map(|x| f64::from(*x)).sum() };
            let wanted = sum(&changed) - sum(&before);
            let kept = |rounding| {
                let got = decode(dtype, &encoded(dtype, &changed, 1, rounding));
                (sum(&got) - sum(&before)) / wanted
            };
            let (near, by_chance) = (kept(Rounding::Fitted), kept(Rounding::Dithered { seed: 1 }));
            assert!(near.abs() < 0.2 && (by_chance - 1.0).abs() < 0.15, "{dtype:?}: {near} and {by_chance}");
            let all = [1, 1, 2].map(|seed| encoded(dtype, &changed, 1, Rounding::Dithered { seed }));
            assert!(all[0] == all[1] && all[0] != all[2], "{dtype:?}");
        }
    }

    #[test]
    fn fitted_scales_are_closer_than_plain_ones() {
        let values = values(288 * 200);
        let error = |dtype, rounding| -> f64 {
            let got = decode(dtype, &encoded(dtype, &values, 1, rounding));
            let of = |block: usize| {
                let range = block * BLOCK..(block + 1) * BLOCK;
                let pairs = values[range.clone()].iter().zip(&got[range]);
                let [error, size] = pairs.fold([0f64; 2], |[error, size], (x, y)| {
                    [error + f64::from(x - y).powi(2), size + f64::from(*x).powi(2)]
                });
                error / size.max(1e-30)
            };
            (3..values.len() / BLOCK).map(of).sum()
        };
        for dtype in [SourceType::Q5_0, SourceType::Q4_0] {
            let [plain, fitted] = [Rounding::Plain, Rounding::Fitted].map(|rounding| error(dtype, rounding));
            assert!(fitted < 0.95 * plain, "{dtype:?}: {fitted} of {plain}");
        }
    }

    /// What a map that is the same at all positions loses: the errors of a kernel's positions all but cancel out.
    #[test]
    fn errors_of_a_kernel_are_given_on() {
        let values = values(288 * 200);
        let lost = |taps| -> f64 {
            let got = decode(SourceType::Q4_0, &encoded(SourceType::Q4_0, &values, taps, Rounding::Fitted));
            let rows = values.chunks(288).zip(got.chunks(288));
            let sums = rows.flat_map(|(x, y)| {
                (0..32)
                    .map(move |c| (0..9).map(|tap| f64::from(x[tap * 32 + c] - y[tap * 32 + c])).sum::<f64>())
            });
            sums.map(|sum| sum * sum).sum()
        };
        assert!(lost(9) < 0.6 * lost(1), "{} of {}", lost(9), lost(1));
    }
}
