//! The inverse of packing, for the CPU path and for tests.

use half::f16;

use super::header::bad;
use super::packed::{Geometry, PackedRecord, Span};
use crate::error::Result;
use crate::kernels::{BLOCK, WeightType};
use crate::plan::WeightKind;

/// One checkpoint tensor: its name, its shape there and its values.
pub type Unpacked = (String, Vec<usize>, Vec<f32>);

/// Gives back a record's checkpoint tensors: name, checkpoint shape, values in checkpoint order.
pub fn unpack(record: &PackedRecord, slab: &[u8]) -> Result<Vec<Unpacked>> {
    let values = span(record, slab, record.values)?;
    let scales = match record.scales {
        Some(scales) => span(record, slab, scales)?,
        None => &[],
    };
    let mut first = 0;
    let mut parts = Vec::new();
    for part in &record.decl.parts {
        let count: usize = part.shape.iter().product();
        let tensor = match record.decl.kind {
            WeightKind::Vector { .. } => floats(record, WeightType::F32, values, first, count)?,
            WeightKind::GegluVector { .. } => {
                let pairs = floats(record, WeightType::F32, values, 0, count)?;
                let (even, odd) = (pairs.iter().step_by(2), pairs.iter().skip(1).step_by(2));
                even.chain(odd).copied().collect()
            }
            WeightKind::Table { .. } => floats(record, record.weight_type, values, 0, count)?,
            WeightKind::Matrix { .. } | WeightKind::Geglu { .. } => {
                let geometry = Geometry::of(part);
                let geometry =
                    geometry.ok_or_else(|| bad(&record.decl.name, format!("shape {:?}", part.shape)))?;
                matrix(record, geometry, first, values, scales)?
            }
        };
        first += match record.decl.kind {
            WeightKind::Vector { .. } => count,
            _ => part.shape.first().copied().unwrap_or(0),
        };
        parts.push((part.name.clone(), part.shape.clone(), tensor));
    }
    Ok(parts)
}

/// Bytes of a span, or an error with both sides.
fn span<'a>(record: &PackedRecord, slab: &'a [u8], span: Span) -> Result<&'a [u8]> {
    let end = span.offset.checked_add(span.len).and_then(|end| usize::try_from(end).ok());
    let bytes = end.and_then(|end| slab.get(span.offset as usize..end));
    bytes.ok_or_else(|| {
        let message = format!("bytes {} + {} of a slab of {}", span.offset, span.len, slab.len());
        bad(&record.decl.name, message)
    })
}

/// `count` plain floats from element `first`.
fn floats(
    record: &PackedRecord,
    kind: WeightType,
    bytes: &[u8],
    first: usize,
    count: usize,
) -> Result<Vec<f32>> {
    let size = if kind == WeightType::F32 { 4 } else { 2 };
    let bytes = first.checked_add(count).and_then(|end| bytes.get(first * size..end.checked_mul(size)?));
    let bytes =
        bytes.ok_or_else(|| bad(&record.decl.name, format!("fewer than {first} + {count} values")))?;
    Ok(match kind {
        WeightType::F32 => bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect(),
        _ => bytes.as_chunks::<2>().0.iter().map(|two| f16::from_le_bytes(*two).to_f32()).collect(),
    })
}

/// One part of a matrix, in checkpoint order.
fn matrix(
    record: &PackedRecord,
    geometry: Geometry,
    first: usize,
    values: &[u8],
    scales: &[u8],
) -> Result<Vec<f32>> {
    let (n, k) = record.matrix().unwrap_or_default();
    let fits = values.len() * 8 >= n * k * record.weight_type.bits()
        && (!record.weight_type.is_quantized() || scales.len() >= n * k / BLOCK * 2)
        && geometry.k() == k
        && first + geometry.rows <= n;
    if !fits {
        return Err(bad(&record.decl.name, format!("{} bytes for a matrix [{n}, {k}]", values.len())));
    }
    let Geometry { rows, cin, taps } = geometry;
    let half = rows / 2;
    let mut out = vec![0f32; rows * cin * taps];
    let mut packed = vec![0f32; k];
    for (row, out) in out.chunks_exact_mut(cin * taps).enumerate() {
        let at = match record.decl.kind {
            WeightKind::Geglu { .. } if row < half => 2 * row,
            WeightKind::Geglu { .. } => 2 * (row - half) + 1,
            _ => first + row,
        };
        read_row(record.weight_type, values, scales, n, at, &mut packed);
        for (tap, packed) in packed.chunks_exact(geometry.cin_padded()).enumerate() {
            for (i, &value) in packed[..cin].iter().enumerate() {
                out[i * taps + tap] = value;
            }
        }
    }
    Ok(out)
}

/// One packed row as f32.
fn read_row(kind: WeightType, values: &[u8], scales: &[u8], n: usize, row: usize, out: &mut [f32]) {
    match kind {
        WeightType::F32 => {
            for (group, out) in out.chunks_exact_mut(4).enumerate() {
                let bytes = &values[(group * n + row) * 16..][..16];
                for (out, four) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    *out = f32::from_le_bytes(*four);
                }
            }
        }
        WeightType::F16 => {
            for (group, out) in out.chunks_exact_mut(4).enumerate() {
                let bytes = &values[(group * n + row) * 8..][..8];
                for (out, two) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                    *out = f16::from_le_bytes(*two).to_f32();
                }
            }
        }
        WeightType::Q8 => {
            for (group, out) in out.chunks_exact_mut(4).enumerate() {
                let scale = scale(scales, n, group * 4 / BLOCK, row);
                for (out, &q) in out.iter_mut().zip(&values[(group * n + row) * 4..]) {
                    *out = scale * (q as i8) as f32;
                }
            }
        }
        WeightType::Q4 => {
            for (group, out) in out.chunks_exact_mut(8).enumerate() {
                let scale = scale(scales, n, group * 8 / BLOCK, row);
                for (out, &byte) in out.chunks_exact_mut(2).zip(&values[(group * n + row) * 4..]) {
                    out[0] = scale * ((byte & 15) as i32 - 8) as f32;
                    out[1] = scale * ((byte >> 4) as i32 - 8) as f32;
                }
            }
        }
    }
}

fn scale(scales: &[u8], n: usize, block: usize, row: usize) -> f32 {
    let at = (block * n + row) * 2;
    f16::from_le_bytes([scales[at], scales[at + 1]]).to_f32()
}
