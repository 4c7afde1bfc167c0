//! The number types of weight files.

use crate::error::{Error, Result};
use crate::kernels::WeightType;

/// How a tensor's values are stored in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceType {
    F64,
    F32,
    F16,
    BF16,
    /// Eight bits with four of exponent and no infinities, <https://arxiv.org/abs/2209.05433>.
    F8E4M3,
    /// Eight bits with five of exponent: the upper half of an F16.
    F8E5M2,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
}

/// Every type: its name as the files' own documentation writes it, GGUF's number for it (`ggml_type` in
/// <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>), the values of a block, and its bytes.
const TYPES: [(SourceType, &str, Option<u32>, usize, usize); 16] = [
    (SourceType::F64, "F64", Some(28), 1, 8),
    (SourceType::F32, "F32", Some(0), 1, 4),
    (SourceType::F16, "F16", Some(1), 1, 2),
    (SourceType::BF16, "BF16", Some(30), 1, 2),
    (SourceType::F8E4M3, "F8_E4M3", None, 1, 1),
    (SourceType::F8E5M2, "F8_E5M2", None, 1, 1),
    (SourceType::Q4_0, "Q4_0", Some(2), 32, 18),
    (SourceType::Q4_1, "Q4_1", Some(3), 32, 20),
    (SourceType::Q5_0, "Q5_0", Some(6), 32, 22),
    (SourceType::Q5_1, "Q5_1", Some(7), 32, 24),
    (SourceType::Q8_0, "Q8_0", Some(8), 32, 34),
    (SourceType::Q2K, "Q2_K", Some(10), 256, 84),
    (SourceType::Q3K, "Q3_K", Some(11), 256, 110),
    (SourceType::Q4K, "Q4_K", Some(12), 256, 144),
    (SourceType::Q5K, "Q5_K", Some(13), 256, 176),
    (SourceType::Q6K, "Q6_K", Some(14), 256, 210),
];

impl SourceType {
    /// The type's line of the table.
    fn line(self) -> &'static (SourceType, &'static str, Option<u32>, usize, usize) {
        TYPES.iter().find(|(ty, ..)| *ty == self).unwrap_or(&TYPES[1])
    }

    pub fn name(self) -> &'static str {
        self.line().1
    }

    /// The type by GGUF's number; `None` for those that cannot be decoded.
    pub fn from_ggml(code: u32) -> Option<Self> {
        TYPES.iter().find(|(_, _, number, ..)| *number == Some(code)).map(|(ty, ..)| *ty)
    }

    /// The type by safetensors' name, where values stand one after the other.
    pub fn from_safetensors(name: &str) -> Option<Self> {
        TYPES.iter().find(|(ty, known, ..)| *known == name && ty.block_len() == 1).map(|(ty, ..)| *ty)
    }

    /// GGUF's number; `None` for those that it has not.
    pub fn to_ggml(self) -> Option<u32> {
        self.line().2
    }

    /// Values per block; 1 for plain floats.
    pub fn block_len(self) -> usize {
        self.line().3
    }

    /// Bytes per block.
    pub fn block_bytes(self) -> usize {
        self.line().4
    }

    /// Bytes of `values` values, a multiple of the block length.
    pub fn bytes(self, values: usize) -> usize {
        values / self.block_len() * self.block_bytes()
    }

    /// The packed type a matrix of this type becomes: the same, or the nearest one that loses little.
    pub fn weight_type(self) -> WeightType {
        match self {
            SourceType::F64 | SourceType::F32 => WeightType::F32,
            SourceType::F16 | SourceType::BF16 => WeightType::F16,
            SourceType::F8E4M3 | SourceType::F8E5M2 => WeightType::F16,
            SourceType::Q5_0 => WeightType::Q5,
            SourceType::Q8_0 | SourceType::Q5_1 => WeightType::Q8,
            SourceType::Q5K | SourceType::Q6K => WeightType::Q8,
            SourceType::Q4_0 | SourceType::Q4_1 | SourceType::Q4K => WeightType::Q4,
            SourceType::Q2K | SourceType::Q3K => WeightType::Q4,
        }
    }

    /// The file type that holds a packed type's values exactly.
    pub fn of(weight_type: WeightType) -> Self {
        KEPT.iter().find(|(ty, ..)| *ty == weight_type).map_or(SourceType::F32, |(.., file_type)| *file_type)
    }
}

/// The types that weights are kept in, from wide to narrow: what people call each, and the file type that holds its values
/// exactly.
pub const KEPT: [(WeightType, &str, SourceType); 5] = [
    (WeightType::F32, "f32", SourceType::F32),
    (WeightType::F16, "f16", SourceType::F16),
    (WeightType::Q8, "q8", SourceType::Q8_0),
    (WeightType::Q5, "small", SourceType::Q5_0),
    (WeightType::Q4, "q4", SourceType::Q4_0),
];

/// A type that weights are kept in by its name in [`KEPT`], or as GGUF has it (`q8_0`).
pub fn kept_as(name: &str) -> Result<WeightType> {
    let is_called = |short: &str, file: SourceType| short == name || file.name().eq_ignore_ascii_case(name);
    let found = KEPT.iter().find(|(_, short, file)| is_called(short, *file)).map(|(ty, ..)| *ty);
    found.ok_or_else(|| {
        let known: Vec<&str> = KEPT.iter().map(|(_, short, _)| *short).collect();
        let message = format!("{name:?} is no type of weights; known are {}", known.join(", "));
        Error::InvalidInput { field: "type", message }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_types_have_short_and_long_names() {
        let kept: Vec<WeightType> = KEPT.iter().map(|(ty, ..)| *ty).collect();
        assert_eq!(kept, WeightType::ALL);
        for (ty, short, file) in KEPT {
            assert_eq!(kept_as(short).unwrap(), ty);
            assert_eq!(kept_as(&file.name().to_lowercase()).unwrap(), ty);
            assert_eq!((SourceType::of(ty), file.weight_type()), (file, ty));
        }
        let error = kept_as("q6").unwrap_err().to_string();
        assert!(error.contains("\"q6\"") && error.contains("f32, f16, q8, small, q4"), "{error}");
    }

    /// Sizes as ggml's `static_assert`s and safetensors' documentation give them, and as candle's blocks have them.
    #[test]
    fn every_type_has_its_line() {
        for (row, (ty, name, ..)) in TYPES.iter().enumerate() {
            assert_eq!((ty.name(), *ty as usize), (*name, row));
            assert_eq!(ty.to_ggml().and_then(SourceType::from_ggml), ty.to_ggml().map(|_| *ty));
            let (len, bytes) = match name.split_once('_') {
                Some(("F8", _)) => (1, 1),
                Some((bits, "K")) => (
                    256,
                    [("Q2", 84), ("Q3", 110), ("Q4", 144), ("Q5", 176), ("Q6", 210)]
                        .into_iter()
                        .find(|(known, _)| *known == bits)
                        .map_or(0, |(_, bytes)| bytes),
                ),
                Some(("Q4", "0")) => (32, 18),
                Some(("Q4", _)) => (32, 20),
                Some(("Q5", "0")) => (32, 22),
                Some(("Q5", _)) => (32, 24),
                Some(_) => (32, 34),
                None => (1, name.trim_start_matches("BF").trim_start_matches('F').parse().unwrap_or(0) / 8),
            };
            assert_eq!((ty.block_len(), ty.block_bytes()), (len, bytes), "{name}");
            if let Some(candle) = super::super::decode::candle(*ty) {
                assert_eq!((len, bytes), (candle.block_size(), candle.type_size()), "{name}");
            }
            assert_eq!(SourceType::from_safetensors(name).is_some(), len == 1, "{name}");
        }
        assert_eq!(SourceType::from_ggml(26), None);
    }
}
