//! ggml's K types to f32: blocks of 256 values in 16 groups of 16, or 8 of 32, with scales of a few bits each.
//!
//! Layouts are those of `ggml-common.h` in <https://github.com/ggml-org/ggml>. Where bits of several values share bytes,
//! the 32 bytes of a run hold value l of each group of 32 at byte l.

use super::decode::half_at;

/// Values of a block.
const VALUES: usize = 256;

/// Q2_K: 16 bytes of a scale and a minimum each, 64 of two bits, then what scales and minima are counted in.
pub fn q2(block: &[u8; 84], out: &mut [f32; VALUES]) {
    let (scale, minimum) = (half_at(block, 80), half_at(block, 82));
    for (group, values) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let own = block[group];
        let (scale, minimum) = (scale * f32::from(own & 15), minimum * f32::from(own >> 4));
        for (value, byte) in values.iter_mut().zip(&block[16 + sixteen(group)..]) {
            *value = scale * f32::from(byte >> pair(group) & 3) - minimum;
        }
    }
}

/// Q3_K: 32 bytes of third bits, 64 of two bits, 16 scales of six bits in 12 bytes, then what scales are counted in.
pub fn q3(block: &[u8; 110], out: &mut [f32; VALUES]) {
    let whole = half_at(block, 108);
    let (third, scales) = (&block[..32], &block[96..108]);
    for (group, values) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let low = scales[group % 8] >> (4 * (group / 8)) & 15;
        let high = scales[8 + group % 4] >> (2 * (group / 4)) & 3;
        let scale = whole * (f32::from(low | high << 4) - 32.0);
        let bytes = block[32 + sixteen(group)..].iter().zip(&third[16 * (group % 2)..]);
        for (value, (byte, third)) in values.iter_mut().zip(bytes) {
            let code = byte >> pair(group) & 3 | (third >> (group / 2) & 1) << 2;
            *value = scale * (f32::from(code) - 4.0);
        }
    }
}

/// Q4_K: what scales and minima are counted in, 12 bytes of both, 128 of four bits.
pub fn q4(block: &[u8; 144], out: &mut [f32; VALUES]) {
    for (group, values) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, minimum) = scale_and_minimum(block, group);
        for (value, byte) in values.iter_mut().zip(&block[16 + 32 * (group / 2)..]) {
            *value = scale * f32::from(byte >> (4 * (group % 2)) & 15) - minimum;
        }
    }
}

/// Q5_K: Q4_K with 32 bytes of fifth bits before the others.
pub fn q5(block: &[u8; 176], out: &mut [f32; VALUES]) {
    for (group, values) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, minimum) = scale_and_minimum(block, group);
        let bytes = block[48 + 32 * (group / 2)..].iter().zip(&block[16..48]);
        for (value, (byte, fifth)) in values.iter_mut().zip(bytes) {
            let code = byte >> (4 * (group % 2)) & 15 | (fifth >> group & 1) << 4;
            *value = scale * f32::from(code) - minimum;
        }
    }
}

/// Q6_K: 128 bytes of four bits, 64 of the upper two, 16 signed scales, then what they are counted in.
pub fn q6(block: &[u8; 210], out: &mut [f32; VALUES]) {
    let whole = half_at(block, 208);
    for (group, values) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let scale = whole * f32::from(block[192 + group] as i8);
        // Of each half's 64 bytes the first 32 hold groups of 32 number 0 and 2, the others 1 and 3.
        let low = 64 * (group / 8) + 32 * (group / 2 % 2) + 16 * (group % 2);
        let bytes = block[low..].iter().zip(&block[128 + sixteen(group)..]);
        for (value, (low, high)) in values.iter_mut().zip(bytes) {
            let code = low >> (4 * (group / 4 % 2)) & 15 | (high >> pair(group) & 3) << 4;
            *value = scale * (f32::from(code) - 32.0);
        }
    }
}

/// Where a group of 16 begins among bytes that hold two bits of four values each.
fn sixteen(group: usize) -> usize {
    32 * (group / 8) + 16 * (group % 2)
}

/// The bit of such a byte at which the group's two begin.
fn pair(group: usize) -> usize {
    2 * (group / 2 % 4)
}

/// Of a Q4_K or Q5_K block: a group's scale and minimum, of six bits each.
fn scale_and_minimum(block: &[u8], group: usize) -> (f32, f32) {
    let packed = &block[4..16];
    let (scale, minimum) = match group {
        0..4 => (packed[group] & 63, packed[group + 4] & 63),
        _ => (
            packed[group + 4] & 15 | packed[group - 4] >> 6 << 4,
            packed[group + 4] >> 4 | packed[group] >> 6 << 4,
        ),
    };
    (half_at(block, 0) * f32::from(scale), half_at(block, 2) * f32::from(minimum))
}
