//! File number types to f32, a row at a time; block types through candle's implementation of ggml's.

use std::borrow::Cow;

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use half::{bf16, f16};

use super::types::SourceType;
use crate::error::Result;
use crate::kernels::BLOCK;

/// Bytes of a Q8_0 block: a f16 scale, 32 signed bytes.
pub const Q8_BLOCK: usize = 34;
/// Bytes of a Q5_0 block: a f16 scale, the fifth bits of all values as a word, and what a Q4_0 block has.
pub const Q5_BLOCK: usize = 22;
/// Bytes of a Q4_0 block: a f16 scale, 16 bytes; byte j holds values j (low nibble) and j + 16.
pub const Q4_BLOCK: usize = 18;

/// A tensor's bytes in a type that [`decode_row`] reads: rare block types become f32 first.
pub fn simplify(dtype: SourceType, bytes: &[u8]) -> Result<(SourceType, Cow<'_, [u8]>)> {
    use SourceType::*;
    match dtype {
        F32 | F16 | BF16 | Q8_0 | Q5_0 | Q4_0 => Ok((dtype, Cow::Borrowed(bytes))),
        F64 => Ok((
            F32,
            bytes
                .as_chunks()
                .0
                .iter()
                .flat_map(|&eight| (f64::from_le_bytes(eight) as f32).to_le_bytes())
                .collect(),
        )),
        // Both have all their values among F16's.
        F8E4M3 => Ok((F16, bytes.iter().flat_map(|&byte| f16::from_f32(e4m3(byte)).to_le_bytes()).collect())),
        F8E5M2 => Ok((F16, bytes.iter().flat_map(|&byte| [0, byte]).collect())),
        Q4_1 | Q5_1 | Q2K | Q3K | Q4K | Q5K | Q6K => {
            let values = through_candle(dtype, bytes)?;
            Ok((F32, Cow::Owned(bytemuck::cast_slice(&values).to_vec())))
        }
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

/// Any block type to f32. candle wants the bytes aligned, so they are copied into words.
fn through_candle(dtype: SourceType, bytes: &[u8]) -> Result<Vec<f32>> {
    let mut words = vec![0u64; bytes.len().div_ceil(8)];
    let aligned: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    aligned[..bytes.len()].copy_from_slice(bytes);
    let count = bytes.len() / dtype.block_bytes() * dtype.block_len();
    let ggml = dtype.ggml().unwrap_or(GgmlDType::F32);
    let storage = QStorage::from_data(Cow::Borrowed(&aligned[..bytes.len()]), &Device::Cpu, ggml)?;
    Ok(QTensor::new(storage, count)?.dequantize(&Device::Cpu)?.to_vec1::<f32>()?)
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
                let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
                for (value, &q) in values.iter_mut().zip(&block[2..]) {
                    *value = scale * (q as i8) as f32;
                }
            }
        }
        SourceType::Q5_0 => {
            for (values, block) in out.chunks_mut(BLOCK).zip(bytes.as_chunks::<Q5_BLOCK>().0) {
                let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
                let high = u32::from_le_bytes([block[2], block[3], block[4], block[5]]);
                for (j, value) in values.iter_mut().enumerate() {
                    let byte = block[6 + j % 16];
                    let nibble = if j < 16 { byte & 15 } else { byte >> 4 };
                    *value = scale * ((u32::from(nibble) | (high >> j & 1) << 4) as i32 - 16) as f32;
                }
            }
        }
        SourceType::Q4_0 => {
            for (values, block) in out.chunks_mut(BLOCK).zip(bytes.as_chunks::<Q4_BLOCK>().0) {
                let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
                for (j, value) in values.iter_mut().enumerate() {
                    let byte = block[2 + j % 16];
                    let nibble = if j < 16 { byte & 15 } else { byte >> 4 };
                    *value = scale * (nibble as i32 - 8) as f32;
                }
            }
        }
        _ => debug_assert!(false, "simplify first"),
    }
}

/// A whole tensor as f32.
pub fn decode(dtype: SourceType, bytes: &[u8]) -> Result<Vec<f32>> {
    let (dtype, bytes) = simplify(dtype, bytes)?;
    let mut values = vec![0f32; bytes.len() / dtype.block_bytes() * dtype.block_len()];
    decode_row(dtype, &bytes, &mut values);
    Ok(values)
}

/// f32 values, a multiple of the block length of them, to a file type's bytes as candle's implementation of ggml's rounds
/// them: what [`super::blocks`] is held to.
#[cfg(test)]
pub fn encode(dtype: SourceType, values: &[f32]) -> Result<Vec<u8>> {
    let tensor = candle_core::Tensor::from_slice(values, values.len(), &Device::Cpu)?;
    Ok(QTensor::quantize(&tensor, dtype.ggml().unwrap_or(GgmlDType::F32))?.data()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that the formats' paper lists, <https://arxiv.org/abs/2209.05433>, table 1.
    #[test]
    fn eight_bit_floats() {
        let e4m3 = |byte: u8| decode(SourceType::F8E4M3, &[byte]).unwrap()[0];
        let e5m2 = |byte: u8| decode(SourceType::F8E5M2, &[byte]).unwrap()[0];
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
        assert_eq!(decode(SourceType::F64, &bytes).unwrap(), [1.0, -0.1, 0.0]);
    }
}
