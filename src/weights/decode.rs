//! File number types to f32 and back, a row at a time; block types through candle's implementation of ggml's.

use std::borrow::Cow;

use candle_core::quantized::{QStorage, QTensor};
use candle_core::{Device, Tensor};
use half::{bf16, f16};

use super::types::SourceType;
use crate::error::Result;
use crate::kernels::BLOCK;

/// Bytes of a Q8_0 block: a f16 scale, 32 signed bytes.
pub const Q8_BLOCK: usize = 34;
/// Bytes of a Q4_0 block: a f16 scale, 16 bytes; byte j holds values j (low nibble) and j + 16.
pub const Q4_BLOCK: usize = 18;

/// A tensor's bytes in a type that [`decode_row`] reads: rare block types become f32 first.
pub fn simplify(dtype: SourceType, bytes: &[u8]) -> Result<(SourceType, Cow<'_, [u8]>)> {
    use SourceType::*;
    match dtype {
        F32 | F16 | BF16 | Q8_0 | Q4_0 => Ok((dtype, Cow::Borrowed(bytes))),
        Q4_1 | Q5_0 | Q5_1 | Q4K | Q5K | Q6K => {
            let values = through_candle(dtype, bytes)?;
            Ok((F32, Cow::Owned(bytemuck::cast_slice(&values).to_vec())))
        }
    }
}

/// Any block type to f32. candle wants the bytes aligned, so they are copied into words.
fn through_candle(dtype: SourceType, bytes: &[u8]) -> Result<Vec<f32>> {
    let mut words = vec![0u64; bytes.len().div_ceil(8)];
    let aligned: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    aligned[..bytes.len()].copy_from_slice(bytes);
    let count = bytes.len() / dtype.block_bytes() * dtype.block_len();
    let storage = QStorage::from_data(Cow::Borrowed(&aligned[..bytes.len()]), &Device::Cpu, dtype.ggml())?;
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

/// f32 values, a multiple of the block length of them, to a file type's bytes, exactly as ggml rounds.
pub fn encode(dtype: SourceType, values: &[f32]) -> Result<Vec<u8>> {
    match dtype {
        SourceType::F32 => Ok(bytemuck::cast_slice(values).to_vec()),
        SourceType::F16 => {
            let halves: Vec<f16> = values.iter().map(|&value| f16::from_f32(value)).collect();
            Ok(bytemuck::cast_slice(&halves).to_vec())
        }
        _ => {
            let tensor = Tensor::from_slice(values, values.len(), &Device::Cpu)?;
            Ok(QTensor::quantize(&tensor, dtype.ggml())?.data()?.into_owned())
        }
    }
}
