//! Codes and scales of blocks of 32 values: how floats are rounded to them, wherever that is done.

use half::f16;

use super::{BLOCK, WeightType};

/// The scales that are tried, by how many codes beyond the outermost the value furthest from zero would have. With 0 that
/// value has the outermost code itself, as in ggml; so blocks that are rounded again stay what they are,
/// as long as their scales are no subnormal halves.
const STEPS: [f32; 3] = [0.0, 0.5, 1.0];

/// What has been changed by little since it was in blocks of a type: its scale and codes, up or down by chance, more likely to
/// where is nearer, the same for the same seed. What is on a code stays. Codes count from the lowest: 128 is zero among those of Q8,
/// 16 of Q5, 8 of Q4.
pub(crate) fn dithered(weight: WeightType, block: &[f32; BLOCK], seed: u32) -> (f16, [u8; BLOCK]) {
    let (scale, bounds) = match weight {
        WeightType::Q5 => (fitted::<16>(block).0, [0.0, 31.0]),
        WeightType::Q4 => (fitted::<8>(block).0, [0.0, 15.0]),
        _ => (f16::from_f32(largest(block).abs() / 127.0), [1.0, 255.0]),
    };
    (scale, by_chance(block, (scale, bounds), seed))
}

/// The scale with the least squared error of those tried, and the nearest codes.
pub(crate) fn fitted<const HALF: i32>(block: &[f32; BLOCK]) -> (f16, [u8; BLOCK]) {
    let largest = largest(block);
    if largest == 0.0 {
        return (f16::ZERO, [HALF as u8; BLOCK]);
    }
    // With codes q the best scale is Σqx / Σqq, and the squared error is less by (Σqx)² / Σqq than that of zeros.
    let (mut best, mut scale) = (0.0, largest / -HALF as f32);
    for step in STEPS {
        let inverse = -(HALF as f32 + step) / largest;
        let mut codes = [0f32; BLOCK];
        for (code, x) in codes.iter_mut().zip(block) {
            *code = nearest::<HALF>(x * inverse);
        }
        let (qx, qq) = (product(&codes, block), product(&codes, &codes));
        if qx * qx > best * qq {
            (best, scale) = (qx * qx / qq, qx / qq);
        }
    }
    let scale = f16::from_f32(scale);
    let unit = scale.to_f32();
    let inverse = if unit == 0.0 { 0.0 } else { 1.0 / unit };
    (scale, each(block, |x| nearest::<HALF>(x * inverse) + HALF as f32))
}

/// Codes of a scale; half of the upper bound is zero. `bounds`: the lowest and the highest.
fn by_chance(block: &[f32; BLOCK], (scale, [low, high]): (f16, [f32; 2]), seed: u32) -> [u8; BLOCK] {
    /// What is so near a code is on it: nothing has changed it.
    const ON: f32 = 1e-3;
    let unit = scale.to_f32();
    let inverse = if unit == 0.0 { 0.0 } else { 1.0 / unit };
    let zero = ((high + 1.0) / 2.0).trunc();
    std::array::from_fn(|i| {
        let code = (block[i] * inverse + zero).clamp(low, high);
        let near = code.round();
        let code = if (code - near).abs() < ON {
            near
        } else {
            (code + chance(seed.wrapping_add(i as u32))).floor()
        };
        code.min(high) as u8
    })
}

/// A number from 0 to below 1 that looks like chance: `lowbias32` of Chris Wellons's hash prospector.
fn chance(of: u32) -> f32 {
    let mut x = of;
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    ((x ^ (x >> 16)) >> 8) as f32 / (1 << 24) as f32
}

/// The value that is furthest from zero.
pub(crate) fn largest(block: &[f32; BLOCK]) -> f32 {
    let (mut low, mut high) = ([0f32; 8], [0f32; 8]);
    for eight in block.as_chunks::<8>().0 {
        for i in 0..8 {
            low[i] = if eight[i] < low[i] { eight[i] } else { low[i] };
            high[i] = if eight[i] > high[i] { eight[i] } else { high[i] };
        }
    }
    let low = low.into_iter().fold(0.0, f32::min);
    let high = high.into_iter().fold(0.0, f32::max);
    if -low > high {
        low
    } else if high > -low {
        high
    } else {
        // As far on both sides: the first counts, as in ggml.
        block.iter().copied().find(|x| x.abs() == high).unwrap_or(0.0)
    }
}

/// Floats of this size have no fraction, and a whole number that is added to it is its last bits.
const WHOLE: f32 = 12_582_912.0;

/// Bytes of the whole numbers that values become, negative ones in two's complement.
#[inline(always)]
pub(crate) fn each(block: &[f32; BLOCK], code: impl Fn(f32) -> f32) -> [u8; BLOCK] {
    let mut words = [0u32; BLOCK];
    for (word, x) in words.iter_mut().zip(block) {
        *word = (code(*x) + WHOLE).to_bits();
    }
    words.map(|word| word as u8)
}

/// The next whole number that is not above; of values that are not negative and below 2²².
#[inline(always)]
pub(crate) fn whole_below(x: f32) -> f32 {
    let near = (x + WHOLE) - WHOLE;
    if near > x { near - 1.0 } else { near }
}

/// The sum of products, eight at a time.
#[inline(always)]
fn product(a: &[f32; BLOCK], b: &[f32; BLOCK]) -> f32 {
    let mut sums = [0f32; 8];
    for i in 0..BLOCK {
        sums[i % 8] += a[i] * b[i];
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// The nearest of the codes, as far from the middle as they go.
#[inline(always)]
fn nearest<const HALF: i32>(x: f32) -> f32 {
    let (low, high) = (-HALF as f32, HALF as f32 - 1.0);
    let x = if x < high { x } else { high };
    let x = if x > low { x } else { low };
    (x + WHOLE) - WHOLE
}
