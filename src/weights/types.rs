//! The number types of weight files.

use candle_core::quantized::GgmlDType;

use crate::kernels::WeightType;

/// How a tensor's values are stored in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceType {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4K,
    Q5K,
    Q6K,
}

impl SourceType {
    /// Names for error messages, as the files' own documentation writes them.
    pub fn name(self) -> &'static str {
        match self {
            SourceType::F32 => "F32",
            SourceType::F16 => "F16",
            SourceType::BF16 => "BF16",
            SourceType::Q4_0 => "Q4_0",
            SourceType::Q4_1 => "Q4_1",
            SourceType::Q5_0 => "Q5_0",
            SourceType::Q5_1 => "Q5_1",
            SourceType::Q8_0 => "Q8_0",
            SourceType::Q4K => "Q4_K",
            SourceType::Q5K => "Q5_K",
            SourceType::Q6K => "Q6_K",
        }
    }

    /// A GGUF type number, `ggml_type` in
    /// <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>; `None` for those we cannot decode.
    pub fn from_ggml(code: u32) -> Option<Self> {
        Some(match code {
            0 => SourceType::F32,
            1 => SourceType::F16,
            2 => SourceType::Q4_0,
            3 => SourceType::Q4_1,
            6 => SourceType::Q5_0,
            7 => SourceType::Q5_1,
            8 => SourceType::Q8_0,
            12 => SourceType::Q4K,
            13 => SourceType::Q5K,
            14 => SourceType::Q6K,
            30 => SourceType::BF16,
            _ => return None,
        })
    }

    /// The GGUF type number.
    pub fn to_ggml(self) -> u32 {
        match self {
            SourceType::F32 => 0,
            SourceType::F16 => 1,
            SourceType::Q4_0 => 2,
            SourceType::Q4_1 => 3,
            SourceType::Q5_0 => 6,
            SourceType::Q5_1 => 7,
            SourceType::Q8_0 => 8,
            SourceType::Q4K => 12,
            SourceType::Q5K => 13,
            SourceType::Q6K => 14,
            SourceType::BF16 => 30,
        }
    }

    /// candle's name of the type.
    pub fn ggml(self) -> GgmlDType {
        match self {
            SourceType::F32 => GgmlDType::F32,
            SourceType::F16 => GgmlDType::F16,
            SourceType::BF16 => GgmlDType::BF16,
            SourceType::Q4_0 => GgmlDType::Q4_0,
            SourceType::Q4_1 => GgmlDType::Q4_1,
            SourceType::Q5_0 => GgmlDType::Q5_0,
            SourceType::Q5_1 => GgmlDType::Q5_1,
            SourceType::Q8_0 => GgmlDType::Q8_0,
            SourceType::Q4K => GgmlDType::Q4K,
            SourceType::Q5K => GgmlDType::Q5K,
            SourceType::Q6K => GgmlDType::Q6K,
        }
    }

    /// Values per block; 1 for plain floats.
    pub fn block_len(self) -> usize {
        self.ggml().block_size()
    }

    /// Bytes per block.
    pub fn block_bytes(self) -> usize {
        self.ggml().type_size()
    }

    /// Bytes of `values` values, a multiple of the block length.
    pub fn bytes(self, values: usize) -> usize {
        values / self.block_len() * self.block_bytes()
    }

    /// The packed type a matrix of this type becomes: the same, or the nearest one that loses little.
    pub fn weight_type(self) -> WeightType {
        match self {
            SourceType::F32 => WeightType::F32,
            SourceType::F16 | SourceType::BF16 => WeightType::F16,
            SourceType::Q8_0 | SourceType::Q5_0 | SourceType::Q5_1 => WeightType::Q8,
            SourceType::Q5K | SourceType::Q6K => WeightType::Q8,
            SourceType::Q4_0 | SourceType::Q4_1 | SourceType::Q4K => WeightType::Q4,
        }
    }

    /// The file type that holds a packed type's values exactly.
    pub fn of(weight_type: WeightType) -> Self {
        match weight_type {
            WeightType::F32 => SourceType::F32,
            WeightType::F16 => SourceType::F16,
            WeightType::Q8 => SourceType::Q8_0,
            WeightType::Q4 => SourceType::Q4_0,
        }
    }
}
