//! Values that are infinite or no numbers, found in a tensor's bytes as a file has them.

use super::types::SourceType;
use crate::error::{Error, Result};

/// Tensors of a file that have such values, and how many.
#[derive(Debug, Default)]
pub struct NonFinite(Vec<(String, u64)>);

impl NonFinite {
    /// Looks at a tensor's bytes.
    pub fn look(&mut self, tensor: &str, dtype: SourceType, bytes: &[u8]) {
        let count = non_finite(dtype, bytes);
        self.0.extend((count > 0).then(|| (tensor.to_string(), count)));
    }

    /// [`Error::NonFinite`] names those that were found until now.
    pub fn check(&self, file: &str) -> Result<()> {
        match self.0.as_slice() {
            [] => Ok(()),
            found => Err(Error::NonFinite { file: file.to_string(), tensors: found.to_vec() }),
        }
    }
}

/// How many of a tensor's values are infinite or no numbers; of a block type, how many of its blocks' scales and minima.
fn non_finite(dtype: SourceType, bytes: &[u8]) -> u64 {
    match dtype {
        SourceType::F64 => count(bytes, |value| !(f64::from_le_bytes(value) as f32).is_finite()), // what f32 cannot hold
        SourceType::F32 => count(bytes, |value| !f32::from_le_bytes(value).is_finite()),
        SourceType::F16 => count(bytes, is_infinite_half),
        SourceType::BF16 => count(bytes, |value| u16::from_le_bytes(value) & 0x7f80 == 0x7f80),
        SourceType::F8E4M3 => count(bytes, |[value]| value & 0x7f == 0x7f),
        SourceType::F8E5M2 => count(bytes, |[value]| value & 0x7c == 0x7c),
        blocks => {
            let (scales, blocks) = (scales(blocks), bytes.chunks_exact(blocks.block_bytes()));
            let halves = blocks.flat_map(|block| scales.iter().filter_map(|at| block.get(*at..at + 2)));
            halves.filter(|half| <[u8; 2]>::try_from(*half).is_ok_and(is_infinite_half)).count() as u64
        }
    }
}

/// Where the halves of a block type lie in a block, as ggml's `ggml-common.h` has them.
fn scales(blocks: SourceType) -> &'static [usize] {
    match blocks {
        SourceType::Q4_1 | SourceType::Q5_1 | SourceType::Q4K | SourceType::Q5K => &[0, 2],
        SourceType::Q2K => &[80, 82],
        SourceType::Q3K => &[108],
        SourceType::Q6K => &[208],
        _ => &[0],
    }
}

fn is_infinite_half(half: [u8; 2]) -> bool {
    u16::from_le_bytes(half) & 0x7c00 == 0x7c00
}

fn count<const N: usize>(bytes: &[u8], is_none: impl Fn([u8; N]) -> bool) -> u64 {
    bytes.as_chunks::<N>().0.iter().map(|value| u64::from(is_none(*value))).sum()
}

#[cfg(test)]
mod tests {
    use super::super::decode::decode;
    use super::*;

    const ALL: [SourceType; 16] = [
        SourceType::F64,
        SourceType::F32,
        SourceType::F16,
        SourceType::BF16,
        SourceType::F8E4M3,
        SourceType::F8E5M2,
        SourceType::Q4_0,
        SourceType::Q4_1,
        SourceType::Q5_0,
        SourceType::Q5_1,
        SourceType::Q8_0,
        SourceType::Q2K,
        SourceType::Q3K,
        SourceType::Q4K,
        SourceType::Q5K,
        SourceType::Q6K,
    ];

    #[test]
    fn what_decodes_to_no_numbers_is_found_in_every_type() {
        for dtype in ALL {
            let block = dtype.block_bytes();
            let healthy = vec![0x11; 3 * block];
            assert_eq!(non_finite(dtype, &healthy), 0, "{}", dtype.name());
            assert!(decode(dtype, &healthy).iter().all(|value| value.is_finite()));
            // Every byte of the second block in turn, and pairs of them, set to all ones.
            let mut found = 0;
            for at in 0..block {
                for len in [1, 2, 8] {
                    let mut broken = healthy.clone();
                    broken[block..2 * block][at..block.min(at + len)].fill(0xff);
                    let decoded = decode(dtype, &broken).iter().any(|value| !value.is_finite());
                    let said = non_finite(dtype, &broken) > 0;
                    assert_eq!(said, decoded, "{} with {len} bytes changed at {at}", dtype.name());
                    found += u64::from(said);
                }
            }
            assert!(found > 0, "{}: nothing was found", dtype.name());
        }
    }

    #[test]
    fn values_are_counted() {
        let values = [1.0f32, f32::NAN, -2.0, f32::INFINITY, f32::NEG_INFINITY, f32::MAX];
        assert_eq!(non_finite(SourceType::F32, bytemuck::cast_slice(&values)), 3);
        let halves: Vec<u8> =
            [0x7bffu16, 0x7c00, 0xfc00, 0x7e00].iter().flat_map(|half| half.to_le_bytes()).collect();
        assert_eq!(non_finite(SourceType::F16, &halves), 3);
    }
}
