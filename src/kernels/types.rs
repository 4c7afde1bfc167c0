//! The element types kernels are specialised for.

use serde::{Deserialize, Serialize};

/// Values in one quantization block, along K.
pub const BLOCK: usize = 32;

/// How a weight is stored for the kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum WeightType {
    F32,
    F16,
    /// Blocks of 32 along K: signed bytes and one f16 scale (`w = scale · q`).
    Q8,
    /// Blocks of 32 along K: five bits and one f16 scale (`w = scale · (q − 16)`).
    Q5,
    /// Blocks of 32 along K: nibbles and one f16 scale (`w = scale · (q − 8)`).
    Q4,
}

impl WeightType {
    /// All of them, from wide to narrow.
    pub const ALL: [WeightType; 5] =
        [WeightType::F32, WeightType::F16, WeightType::Q8, WeightType::Q5, WeightType::Q4];

    /// Bits per value without the scales.
    pub fn bits(self) -> usize {
        match self {
            WeightType::F32 => 32,
            WeightType::F16 => 16,
            WeightType::Q8 => 8,
            WeightType::Q5 => 5,
            WeightType::Q4 => 4,
        }
    }

    /// Whether values come in blocks with a scale.
    pub fn is_quantized(self) -> bool {
        matches!(self, WeightType::Q8 | WeightType::Q5 | WeightType::Q4)
    }
}

/// Along which axes a map has no border: what a convolution reads beyond one end is the other end, PyTorch's circular padding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Circular {
    pub x: bool,
    pub y: bool,
}

impl Circular {
    /// Zeros around, on all sides.
    pub const NONE: Circular = Circular { x: false, y: false };
    /// Every choice.
    pub const ALL: [Circular; 4] = [
        Circular::NONE,
        Circular { x: true, y: false },
        Circular { x: false, y: true },
        Circular { x: true, y: true },
    ];

    /// Whether there is such an axis.
    pub fn any(self) -> bool {
        self.x || self.y
    }
}

/// The element type of activations on the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Elem {
    F32,
    F16,
}

impl Elem {
    /// Both of them.
    pub const ALL: [Elem; 2] = [Elem::F32, Elem::F16];

    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            Elem::F32 => 4,
            Elem::F16 => 2,
        }
    }

    /// The WGSL name of the type.
    pub fn wgsl(self) -> &'static str {
        match self {
            Elem::F32 => "f32",
            Elem::F16 => "f16",
        }
    }
}
