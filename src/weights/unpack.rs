//! The inverse of packing: records as they lie, row by row, and the checkpoint tensors they were made of.

use half::f16;

use super::header::bad;
use super::packed::{Geometry, PackedRecord, Span};
use crate::error::Result;
use crate::kernels::{BLOCK, WeightType};
use crate::plan::WeightKind;

/// One checkpoint tensor, or those of its rows that a part takes: its name, the part's shape and values.
pub type Unpacked = (String, Vec<usize>, Vec<f32>);

/// Gives back a record's checkpoint tensors: name, checkpoint shape, values in checkpoint order.
pub fn unpack(record: &PackedRecord, slab: &[u8]) -> Result<Vec<Unpacked>> {
    let values = span(record, slab, record.values)?;
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
                matrix(record, geometry, first, &PackedRows::of(record, slab)?)?
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

/// The values of a record that is a vector, as they are packed.
pub fn vector(record: &PackedRecord, slab: &[u8]) -> Result<Vec<f32>> {
    let (WeightKind::Vector { len } | WeightKind::GegluVector { len }) = record.decl.kind else {
        return Err(bad(&record.decl.name, "is no vector".to_string()));
    };
    floats(record, WeightType::F32, span(record, slab, record.values)?, 0, len)
}

/// A record that is a matrix or a table, row by row.
pub struct PackedRows<'a> {
    record: &'a PackedRecord,
    values: &'a [u8],
    scales: &'a [u8],
    /// Rows.
    pub n: usize,
    /// Values of a row.
    pub k: usize,
}

impl<'a> PackedRows<'a> {
    /// The rows of a record in its slab; an error where it has none, or fewer than it says.
    pub fn of(record: &'a PackedRecord, slab: &'a [u8]) -> Result<PackedRows<'a>> {
        let values = span(record, slab, record.values)?;
        let scales = record.scales.map_or(Ok(&[][..]), |scales| span(record, slab, scales))?;
        let size = match record.decl.kind {
            WeightKind::Table { rows, cols } => Some((rows, cols)),
            _ => record.matrix(),
        };
        let (n, k) = size.ok_or_else(|| bad(&record.decl.name, "has no rows".to_string()))?;
        let is_whole = values.len() as u64 * 8 >= n as u64 * k as u64 * record.weight_type.bits() as u64
            && (!record.weight_type.is_quantized()
                || scales.len() as u64 >= (n as u64 * k as u64 / BLOCK as u64) * 2);
        if !is_whole {
            return Err(bad(&record.decl.name, format!("{} bytes for a matrix [{n}, {k}]", values.len())));
        }
        Ok(PackedRows { record, values, scales, n, k })
    }

    /// How its values are stored.
    pub fn weight_type(&self) -> WeightType {
        self.record.weight_type
    }

    /// The words of some of a matrix's rows side by side, in the order of their values.
    pub fn words_of<const R: usize>(&self, rows: &[usize; R], out: &mut Vec<[u32; R]>) {
        let kind = self.record.weight_type;
        let words = self.values.as_chunks::<4>().0.get(..self.n * self.k * kind.bits() / 32);
        let words = words.unwrap_or_default();
        match kind {
            WeightType::F32 => side_by_side::<4, 4, R, u32>(words, self.n, rows, u32::from_le_bytes, out),
            WeightType::F16 => side_by_side::<2, 4, R, u32>(words, self.n, rows, u32::from_le_bytes, out),
            _ => side_by_side::<1, 4, R, u32>(words, self.n, rows, u32::from_le_bytes, out),
        }
    }

    /// The scales of the blocks of some of a matrix's rows side by side, as the bits of f16s.
    pub fn scale_bits_of<const R: usize>(&self, rows: &[usize; R], out: &mut Vec<[u16; R]>) {
        let blocks = if self.record.weight_type.is_quantized() { self.k / BLOCK } else { 0 };
        let scales = self.scales.as_chunks::<2>().0.get(..self.n * blocks).unwrap_or_default();
        side_by_side::<1, 2, R, u16>(scales, self.n, rows, u16::from_le_bytes, out);
    }

    /// Writes the values of a row, of which there are `k`.
    pub fn read(&self, row: usize, out: &mut [f32]) {
        let kind = self.record.weight_type;
        match self.record.decl.kind {
            WeightKind::Table { .. } => {
                let size = kind.bits() / 8;
                plain(kind, &self.values[row * self.k * size..][..self.k * size], out);
            }
            _ => read_row(kind, self.values, self.scales, self.n, row, out),
        }
    }
}

/// From lines of `n` rows, which have `TOGETHER` values of `W` bytes in each: those of `R` rows side by side.
fn side_by_side<const TOGETHER: usize, const W: usize, const R: usize, T>(
    values: &[[u8; W]],
    n: usize,
    rows: &[usize; R],
    of: impl Fn([u8; W]) -> T,
    out: &mut Vec<[T; R]>,
) {
    let first = rows[0];
    let is_run = rows.iter().enumerate().all(|(i, row)| *row == first + i);
    for line in values.chunks_exact(n * TOGETHER) {
        // Neighbours, as rows mostly are, are copied at once.
        if is_run {
            let line = &line[first * TOGETHER..(first + R) * TOGETHER];
            out.extend((0..TOGETHER).map(|at| std::array::from_fn(|i| of(line[i * TOGETHER + at]))));
        } else {
            out.extend((0..TOGETHER).map(|at| rows.map(|row| of(line[row * TOGETHER + at]))));
        }
    }
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
    let mut out = vec![0.0; count];
    plain(kind, bytes, &mut out);
    Ok(out)
}

/// Bytes of f32 or f16 values as f32.
fn plain(kind: WeightType, bytes: &[u8], out: &mut [f32]) {
    match kind {
        WeightType::F32 => {
            for (out, four) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *out = f32::from_le_bytes(*four);
            }
        }
        _ => {
            for (out, two) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *out = f16::from_le_bytes(*two).to_f32();
            }
        }
    }
}

/// One part of a matrix, in checkpoint order.
fn matrix(
    record: &PackedRecord,
    geometry: Geometry,
    first: usize,
    packed_rows: &PackedRows,
) -> Result<Vec<f32>> {
    let Geometry { rows, cin, taps } = geometry;
    if geometry.k() != packed_rows.k || first + rows > packed_rows.n {
        let PackedRows { n, k, .. } = packed_rows;
        return Err(bad(
            &record.decl.name,
            format!("{rows} rows of {} in a matrix [{n}, {k}]", geometry.k()),
        ));
    }
    let half = rows / 2;
    let mut out = vec![0f32; rows * cin * taps];
    let mut packed = vec![0f32; packed_rows.k];
    for (row, out) in out.chunks_exact_mut(cin * taps).enumerate() {
        let at = match record.decl.kind {
            WeightKind::Geglu { .. } if row < half => 2 * row,
            WeightKind::Geglu { .. } => 2 * (row - half) + 1,
            _ => first + row,
        };
        packed_rows.read(at, &mut packed);
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
        WeightType::Q5 => {
            for (block, out) in out.chunks_exact_mut(BLOCK).enumerate() {
                let scale = scale(scales, n, block, row);
                let word = |i: usize| {
                    values[((5 * block + i) * n + row) * 4..]
                        .first_chunk()
                        .map_or(0, |word| u32::from_le_bytes(*word))
                };
                let high = word(4);
                for (i, out) in out.iter_mut().enumerate() {
                    let code = (word(i / 8) >> (i % 8 * 4) & 15) | (high >> i & 1) << 4;
                    *out = scale * (code as i32 - 16) as f32;
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
    f16::from_bits(scale_bits(scales, n, block, row)).to_f32()
}

fn scale_bits(scales: &[u8], n: usize, block: usize, row: usize) -> u16 {
    let at = (block * n + row) * 2;
    u16::from_le_bytes([scales[at], scales[at + 1]])
}
