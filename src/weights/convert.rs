//! A checkpoint tensor in another type, convolutions in the order that the kernels read.

use super::blocks::{Rounding, RowShape, encode};
use super::decode::{decode_row, simplify};
use super::packed::Geometry;
use super::types::SourceType;
use crate::kernels::WeightType;
use crate::plan::{Part, WeightDecl, WeightKind};

/// A tensor about to be written.
#[derive(Debug, Clone)]
pub struct NewTensor {
    pub name: String,
    pub dtype: SourceType,
    /// Outermost first.
    pub shape: Vec<usize>,
}

impl NewTensor {
    /// Bytes of the data, without padding.
    pub fn len(&self) -> u64 {
        self.dtype.bytes(self.shape.iter().product()) as u64
    }
}

/// The type and shape a part is written in.
pub fn new_tensor(decl: &WeightDecl, part: &Part, wanted: WeightType) -> NewTensor {
    let blocked = Geometry::of(part).is_some_and(|geometry| geometry.is_blocked());
    let weight_type = match (decl.kind, wanted) {
        (WeightKind::Vector { .. } | WeightKind::GegluVector { .. }, _) => WeightType::F32,
        (WeightKind::Table { .. }, wanted) if wanted.is_quantized() => WeightType::F16,
        (WeightKind::Matrix { .. } | WeightKind::Geglu { .. }, wanted)
            if wanted.is_quantized() && !blocked =>
        {
            WeightType::F16
        }
        (_, wanted) => wanted,
    };
    let shape = match *part.shape {
        [o, i, kh, kw] => vec![o, kh * kw * i],
        _ => part.shape.clone(),
    };
    NewTensor { name: part.name.clone(), dtype: SourceType::of(weight_type), shape }
}

/// One tensor's bytes in the new type and order.
pub fn convert(
    part: &Part,
    dtype: SourceType,
    bytes: &[u8],
    is_ohwi: bool,
    to: &NewTensor,
    rounding: Rounding,
) -> Vec<u8> {
    let taps = Geometry::of(part).map_or(1, |geometry| geometry.taps);
    let reorder = taps > 1 && !is_ohwi;
    if dtype == to.dtype && !reorder {
        return bytes.to_vec();
    }
    let (dtype, bytes) = simplify(dtype, bytes);
    let mut values = vec![0f32; part.shape.iter().product()];
    decode_row(dtype, &bytes, &mut values);
    if reorder {
        let len = values.len() / part.shape.first().copied().unwrap_or(1).max(1);
        let mut row = vec![0f32; len];
        for values in values.chunks_exact_mut(len.max(1)) {
            row.copy_from_slice(values);
            for (i, taps_of_channel) in row.chunks_exact(taps).enumerate() {
                for (tap, &value) in taps_of_channel.iter().enumerate() {
                    values[tap * (len / taps) + i] = value;
                }
            }
        }
    }
    let k = to.shape.last().copied().unwrap_or(1);
    let mut out = Vec::with_capacity(to.len() as usize);
    encode(to.dtype, &values, RowShape { k, taps }, rounding, &mut out);
    out
}
