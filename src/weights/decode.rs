//! File number types to f32, a row at a time.

use std::borrow::Cow;

use half::{bf16, f16};

use super::k_quants;
use super::types::SourceType;
use crate::kernels::BLOCK;

/// Bytes of a Q8_0 block: a f16 scale, 32 signed bytes.
pub const Q8_BLOCK: usize = 34;
/// Bytes of a Q5_0 block: a f16 scale, the fifth bits of all values as a word, and what a Q4_0 block has.
pub const Q5_BLOCK: usize = 22;
/// Bytes of a Q4_0 block: a f16 scale, 16 bytes; byte j holds values j (low nibble) and j + 16.
pub const Q4_BLOCK: usize = 18;

/// A tensor's bytes in a type that [`decode_row`] reads: rare block types become f32 first.
pub fn simplify(dtype: SourceType, bytes: &[u8]) -> (SourceType, Cow<'_, [u8]>) {
    use SourceType::*;
    let floats = |values: Vec<f32>| (F32, Cow::Owned(bytemuck::cast_slice(&values).to_vec()));
    match dtype {
        F32 | F16 | BF16 | Q8_0 | Q5_0 | Q4_0 => (dtype, Cow::Borrowed(bytes)),
        F64 => (
            F32,
            bytes
                .as_chunks()
                .0
                .iter()
                .flat_map(|&eight| (f64::from_le_bytes(eight) as f32).to_le_bytes())
                .collect(),
        ),
        // Both have all their values among F16's.
        F8E4M3 => (F16, bytes.iter().flat_map(|&byte| f16::from_f32(e4m3(byte)).to_le_bytes()).collect()),
        F8E5M2 => (F16, bytes.iter().flat_map(|&byte| [0, byte]).collect()),
        Q4_1 => floats(blocks(bytes, q4_1)),
        Q5_1 => floats(blocks(bytes, q5_1)),
        Q2K => floats(blocks(bytes, k_quants::q2)),
        Q3K => floats(blocks(bytes, k_quants::q3)),
        Q4K => floats(blocks(bytes, k_quants::q4)),
        Q5K => floats(blocks(bytes, k_quants::q5)),
        Q6K => floats(blocks(bytes, k_quants::q6)),
    }
}

/// An F8_E4M3 value: exponents have a bias of 7, and all bits set are no number.
fn e4m3(byte: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(byte >> 3 & 15), f32::from(byte & 7));
    let size = match (exponent, byte & 7) {
        (15, 7) => f32::NAN,
        (0, _) => mantissa * (-9f32).exp2(),
        _ => (8.0 + mantissa) * ((exponent - 10) as f32).exp2(),
    };
    if byte & 0x80 == 0 { size } else { -size }
}

/// Whole blocks, each by `decode`.
fn blocks<const BYTES: usize, const VALUES: usize>(
    bytes: &[u8],
    decode: fn(&[u8; BYTES], &mut [f32; VALUES]),
) -> Vec<f32> {
    let (blocks, _) = bytes.as_chunks::<BYTES>();
    let mut values = vec![0f32; blocks.len() * VALUES];
    for (block, values) in blocks.iter().zip(values.as_chunks_mut().0) {
        decode(block, values);
    }
    values
}

/// A Q4_1 block: a f16 scale, a f16 minimum, and a Q4_0 block's nibbles.
fn q4_1(block: &[u8; 20], out: &mut [f32; BLOCK]) {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    for (j, value) in out.iter_mut().enumerate() {
        *value = f32::from(nibble(&block[4..], j)) * scale + minimum;
    }
}

/// A Q5_1 block: a f16 scale, a f16 minimum, and a Q5_0 block's bits.
fn q5_1(block: &[u8; 24], out: &mut [f32; BLOCK]) {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    let high = u32::from_le_bytes([block[4], block[5], block[6], block[7]]);
    for (j, value) in out.iter_mut().enumerate() {
        *value = (u32::from(nibble(&block[8..], j)) | (high >> j & 1) << 4) as f32 * scale + minimum;
    }
}

/// The f16 at a byte.
pub(super) fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Value `j` of 32 in 16 bytes: first the low nibbles of all, then the high ones.
fn nibble(bytes: &[u8], j: usize) -> u8 {
    let byte = bytes[j % 16];
    if j < 16 { byte & 15 } else { byte >> 4 }
}

/// Decodes `out.len()` values of a type [`simplify`] returns; `bytes` holds at least as many.
pub fn decode_row(dtype: SourceType, bytes: &[u8], out: &mut [f32]) {
    match dtype {
        SourceType::F32 => {
            for (value, four) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *value = f32::from_le_bytes(*four);
            }
        }
        SourceType::F16 => {
            for (value, two) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *value = f16::from_le_bytes(*two).to_f32();
            }
        }
        SourceType::BF16 => {
            for (value, two) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *value = bf16::from_le_bytes(*two).to_f32();
            }
        }
        SourceType::Q8_0 => {
            for (values, block) in out.chunks_mut(BLOCK).zip(bytes.as_chunks::<Q8_BLOCK>().0) {
                let scale = half_at(block, 0);
                for (value, &q) in values.iter_mut().zip(&block[2..]) {
                    *value = scale * (q as i8) as f32;
                }
            }
        }
        SourceType::Q5_0 => {
            for (values, block) in out.chunks_mut(BLOCK).zip(bytes.as_chunks::<Q5_BLOCK>().0) {
                let scale = half_at(block, 0);
                let high = u32::from_le_bytes([block[2], block[3], block[4], block[5]]);
                for (j, value) in values.iter_mut().enumerate() {
                    let code = u32::from(nibble(&block[6..], j)) | (high >> j & 1) << 4;
                    *value = scale * (code as i32 - 16) as f32;
                }
            }
        }
        SourceType::Q4_0 => {
            for (values, block) in out.chunks_mut(BLOCK).zip(bytes.as_chunks::<Q4_BLOCK>().0) {
                let scale = half_at(block, 0);
                for (j, value) in values.iter_mut().enumerate() {
                    *value = scale * (i32::from(nibble(&block[2..], j)) - 8) as f32;
                }
            }
        }
        _ => debug_assert!(false, "simplify first"),
    }
}

/// A whole tensor as f32.
pub fn decode(dtype: SourceType, bytes: &[u8]) -> Vec<f32> {
    let (dtype, bytes) = simplify(dtype, bytes);
    let mut values = vec![0f32; bytes.len() / dtype.block_bytes() * dtype.block_len()];
    decode_row(dtype, &bytes, &mut values);
    values
}

/// candle's name of the type, where it has it.
#[cfg(test)]
pub fn candle(dtype: SourceType) -> Option<candle_core::quantized::GgmlDType> {
    use candle_core::quantized::GgmlDType as Candle;
    Some(match dtype {
        SourceType::F64 | SourceType::F8E4M3 | SourceType::F8E5M2 => return None,
        SourceType::F32 => Candle::F32,
        SourceType::F16 => Candle::F16,
        SourceType::BF16 => Candle::BF16,
        SourceType::Q4_0 => Candle::Q4_0,
        SourceType::Q4_1 => Candle::Q4_1,
        SourceType::Q5_0 => Candle::Q5_0,
        SourceType::Q5_1 => Candle::Q5_1,
        SourceType::Q8_0 => Candle::Q8_0,
        SourceType::Q2K => Candle::Q2K,
        SourceType::Q3K => Candle::Q3K,
        SourceType::Q4K => Candle::Q4K,
        SourceType::Q5K => Candle::Q5K,
        SourceType::Q6K => Candle::Q6K,
    })
}

/// f32 values, a multiple of the block length of them, to a file type's bytes as candle's implementation of ggml's rounds
/// them: what [`super::blocks`] is held to.
#[cfg(test)]
pub fn encode(dtype: SourceType, values: &[f32]) -> crate::Result<Vec<u8>> {
    use candle_core::quantized::{GgmlDType, QTensor};
    let tensor = candle_core::Tensor::from_slice(values, values.len(), &candle_core::Device::Cpu)?;
    Ok(QTensor::quantize(&tensor, candle(dtype).unwrap_or(GgmlDType::F32))?.data()?.into_owned())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use candle_core::Device;
    use candle_core::quantized::{QStorage, QTensor};

    use super::*;
    use crate::weights::types::SourceType::*;

    /// Blocks of any bits are what candle's implementation of ggml's makes of them, bit for bit but for the order of a
    /// product of two; those that it rounds values to are too.
    #[test]
    fn blocks_are_candles() {
        let mut state = 7u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        for dtype in [Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2K, Q3K, Q4K, Q5K, Q6K] {
            let values: Vec<f32> = (0..1024).map(|_| next() as f32 / (1 << 23) as f32 - 1.0).collect();
            let mut bytes = encode(dtype, &values).unwrap();
            let any: Vec<u8> = (0..64 * dtype.block_bytes()).map(|_| next() as u8).collect();
            bytes.extend(any);
            let count = bytes.len() / dtype.block_bytes() * dtype.block_len();
            let storage =
                QStorage::from_data(Cow::Borrowed(&bytes), &Device::Cpu, candle(dtype).unwrap()).unwrap();
            let theirs = QTensor::new(storage, count).unwrap().dequantize(&Device::Cpu).unwrap();
            let (ours, theirs) = (decode(dtype, &bytes), theirs.to_vec1::<f32>().unwrap());
            assert_eq!(ours.len(), count);
            for (i, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
                assert!(ours == theirs || ours.is_nan() && theirs.is_nan(), "{dtype:?} {i}: {ours} {theirs}");
            }
            let far = ours.iter().zip(&values).map(|(ours, value)| (ours - value).abs()).fold(0.0, f32::max);
            assert!(far < 0.5, "{dtype:?}: {far}");
        }
    }

    /// The values that the formats' paper lists, <https://arxiv.org/abs/2209.05433>, table 1.
    #[test]
    fn eight_bit_floats() {
        let e4m3 = |byte: u8| decode(SourceType::F8E4M3, &[byte])[0];
        let e5m2 = |byte: u8| decode(SourceType::F8E5M2, &[byte])[0];
        assert_eq!(
            [0x00, 0x01, 0x07, 0x08, 0x38, 0x7e, 0xfe, 0xb8].map(e4m3),
            [0.0, 2f32.powi(-9), 0.875 * 2f32.powi(-6), 2f32.powi(-6), 1.0, 448.0, -448.0, -1.0]
        );
        assert!(e4m3(0x7f).is_nan() && e4m3(0xff).is_nan());
        assert_eq!(
            [0x01, 0x03, 0x04, 0x3c, 0x7b, 0x7c, 0xfb].map(e5m2),
            [2f32.powi(-16), 0.75 * 2f32.powi(-14), 2f32.powi(-14), 1.0, 57344.0, f32::INFINITY, -57344.0]
        );
        assert!(e5m2(0x7d).is_nan());
    }

    #[test]
    fn doubles() {
        let bytes: Vec<u8> = [1.0, -0.1, 1e-300].iter().flat_map(|value: &f64| value.to_le_bytes()).collect();
        assert_eq!(decode(SourceType::F64, &bytes), [1.0, -0.1, 0.0]);
    }
}
