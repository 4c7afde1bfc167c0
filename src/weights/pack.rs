//! Packing: checkpoint tensors, one at a time, become records in the order the kernels read.

use std::borrow::Cow;
use std::collections::HashMap;

use bytemuck::{Pod, cast_slice, cast_slice_mut};
use half::f16;

use super::blocks::{Rounding, RowShape, encode};
use super::bytes::Bytes;
use super::decode::{Q4_BLOCK, Q5_BLOCK, Q8_BLOCK, decode, decode_row, simplify};
use super::finite::NonFinite;
use super::header::{Header, TensorInfo, bad};
use super::packed::{Geometry, PackedRecord, Packing};
use super::types::SourceType;
use crate::error::Result;
use crate::kernels::{BLOCK, WeightType};
use crate::plan::{Part, WeightKind};

/// Rows packed together, so that writes fill cache lines: 16 words of four bytes.
const TILE: usize = 16;

/// Takes bytes of a packed model: slab, offset in it, bytes.
pub type Sink<'a> = dyn FnMut(usize, u64, Bytes<'_>) -> Result<()> + 'a;

/// Bytes for a slab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedBytes {
    pub slab: usize,
    pub offset: u64,
    pub bytes: Vec<u8>,
}

/// Takes a file's tensors in any order and gives back finished records: all of them, or those that are asked for.
///
/// Holds the records of which some but not all parts have come, and nothing else.
pub struct Packer {
    file: String,
    is_ohwi: bool,
    records: Vec<PackedRecord>,
    tensors: HashMap<String, TensorInfo>,
    /// What is still to come: tensor name to the places it goes.
    uses: HashMap<String, Vec<Use>>,
    pending: HashMap<usize, Pending>,
    non_finite: NonFinite,
}

/// A place a tensor goes: its record, its part there, and the first packed row (or vector element).
struct Use {
    record: usize,
    part: usize,
    first: usize,
}

/// A record some parts of which have come.
struct Pending {
    bytes: Vec<u8>,
    parts_left: usize,
}

impl Packer {
    /// For every record.
    pub fn new<'a>(packing: impl Into<Packing<'a>>, header: &Header) -> Self {
        Packer::of(packing, header, &|_| true)
    }

    /// For the `wanted` records, by their place in the manifest.
    pub fn of<'a>(packing: impl Into<Packing<'a>>, header: &Header, wanted: &dyn Fn(usize) -> bool) -> Self {
        let packing = packing.into();
        let mut uses: HashMap<String, Vec<Use>> = HashMap::new();
        let records = packing.records.iter().enumerate();
        for (record, packed) in records.filter(|(record, _)| wanted(*record)) {
            let mut first = 0;
            for (part, declared) in packed.decl.parts.iter().enumerate() {
                uses.entry(declared.name.clone()).or_default().push(Use { record, part, first });
                first += match packed.decl.kind {
                    WeightKind::Vector { .. } => declared.shape.iter().product(),
                    _ => declared.shape.first().copied().unwrap_or(0),
                };
            }
        }
        Packer {
            file: header.file.clone(),
            is_ohwi: header.is_ohwi(),
            records: packing.records.to_vec(),
            tensors: header.tensors.iter().map(|info| (info.name.clone(), info.clone())).collect(),
            uses,
            pending: HashMap::new(),
            non_finite: NonFinite::default(),
        }
    }

    /// [`Error::NonFinite`](crate::Error::NonFinite) names what came until now that has values which are infinite or no numbers.
    pub fn check_finite(&self) -> Result<()> {
        self.non_finite.check(&self.file)
    }

    /// Bytes of the records of which some but not all parts have come.
    pub fn pending_bytes(&self) -> u64 {
        self.pending.values().map(|pending| pending.bytes.len() as u64).sum()
    }

    /// Those records: the place in the manifest, how many parts are still to come, and the bytes.
    pub fn pending(&self) -> impl Iterator<Item = (usize, usize, &[u8])> {
        self.pending.iter().map(|(&record, pending)| (record, pending.parts_left, pending.bytes.as_slice()))
    }

    /// Such a record of another packer of the same manifest, whose tensors that have come do not come again. False where it
    /// cannot be one.
    pub fn put_back(&mut self, record: usize, parts_left: usize, bytes: Vec<u8>) -> bool {
        let fits = self.records.get(record).is_some_and(|packed| {
            packed.len() == bytes.len() as u64 && (1..packed.decl.parts.len()).contains(&parts_left)
        });
        if fits {
            self.pending.insert(record, Pending { bytes, parts_left });
        }
        fits
    }

    /// Whether a record is still waiting for this tensor.
    pub fn wants(&self, tensor: &str) -> bool {
        self.uses.contains_key(tensor)
    }

    /// The shape that a tensor has in the model, outermost first, if a record is still waiting for it.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn shape(&self, tensor: &str) -> Option<Vec<usize>> {
        let place = self.uses.get(tensor)?.first()?;
        Some(self.records[place.record].decl.parts[place.part].tensor().shape)
    }

    /// Packs one tensor's bytes as they are in the file; gives back the records that this completes. Bytes that are owned
    /// become the record where it has the same ones: the largest tensor is a table, which else would be there twice.
    pub fn push<'a>(&mut self, tensor: &str, bytes: impl Into<Cow<'a, [u8]>>) -> Result<Vec<PackedBytes>> {
        let bytes = bytes.into();
        let info = self.tensors.get(tensor);
        let info = info.ok_or_else(|| bad(&self.file, format!("tensor {tensor} is not in the header")))?;
        if bytes.len() as u64 != info.len {
            let message = format!("tensor {tensor} came with {} bytes, expected {}", bytes.len(), info.len);
            return Err(bad(&self.file, message));
        }
        let dtype = info.dtype;
        self.non_finite.look(tensor, dtype, &bytes);
        let uses = self.take_uses(tensor)?;
        if let [place] = uses.as_slice()
            && is_record(&self.records[place.record], dtype)
        {
            let PackedRecord { slab, values, .. } = &self.records[place.record];
            return Ok(vec![PackedBytes { slab: *slab, offset: values.offset, bytes: bytes.into_owned() }]);
        }
        let (dtype, bytes) = simplify(dtype, &bytes);
        self.pack(tensor, uses, (dtype, Rounding::Fitted), &bytes)
    }

    /// The same for a tensor whose values were changed since they were read; they come in the file's order.
    pub fn push_values(
        &mut self,
        tensor: &str,
        values: &[f32],
        rounding: Rounding,
    ) -> Result<Vec<PackedBytes>> {
        let uses = self.take_uses(tensor)?;
        self.pack(tensor, uses, (SourceType::F32, rounding), cast_slice(values))
    }

    fn take_uses(&mut self, tensor: &str) -> Result<Vec<Use>> {
        let uses = self.uses.remove(tensor);
        uses.ok_or_else(|| bad(&self.file, format!("tensor {tensor} came twice")))
    }

    fn pack(
        &mut self,
        tensor: &str,
        uses: Vec<Use>,
        how: (SourceType, Rounding),
        bytes: &[u8],
    ) -> Result<Vec<PackedBytes>> {
        let mut done = Vec::new();
        for place in uses {
            let record = &self.records[place.record];
            let pending = self.pending.entry(place.record).or_insert_with(|| Pending {
                bytes: vec![0; record.len() as usize],
                parts_left: record.decl.parts.len(),
            });
            let part = &record.decl.parts[place.part];
            let taken = rows_of(part, bytes)
                .ok_or_else(|| bad(&self.file, format!("tensor {tensor} has no whole rows for {part:?}")))?;
            pack_part(record, &place, how, taken, self.is_ohwi, &mut pending.bytes);
            pending.parts_left -= 1;
            if pending.parts_left == 0 {
                let bytes =
                    self.pending.remove(&place.record).map(|pending| pending.bytes).unwrap_or_default();
                done.push(PackedBytes { slab: record.slab, offset: record.values.offset, bytes });
            }
        }
        Ok(done)
    }

    /// Ends packing; an error names what never came.
    pub fn finish(self) -> Result<()> {
        let Some(name) = self.uses.keys().min() else { return Ok(()) };
        Err(bad(
            &self.file,
            format!("truncated: {} tensors never came, the first is {name}", self.uses.len()),
        ))
    }
}

/// Whether a tensor's bytes are all of its record's.
fn is_record(record: &PackedRecord, dtype: SourceType) -> bool {
    let [Part { rows: None, .. }] = record.decl.parts.as_slice() else { return false };
    let same = matches!(
        (dtype, record.weight_type),
        (SourceType::F32, WeightType::F32) | (SourceType::F16, WeightType::F16)
    );
    same && matches!(record.decl.kind, WeightKind::Table { .. })
}

/// The bytes of a part's rows among its tensor's.
fn rows_of<'a>(part: &Part, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let Some(rows) = part.rows else { return Some(bytes) };
    let row = bytes.len().checked_div(rows.of).filter(|row| row * rows.of == bytes.len())?;
    let end = rows.first.checked_add(*part.shape.first()?)?;
    bytes.get(rows.first * row..end.checked_mul(row)?)
}

/// Writes one part's bytes into its record's.
fn pack_part(
    record: &PackedRecord,
    place: &Use,
    (dtype, rounding): (SourceType, Rounding),
    bytes: &[u8],
    is_ohwi: bool,
    out: &mut [u8],
) {
    let part = &record.decl.parts[place.part];
    match record.decl.kind {
        WeightKind::Vector { .. } => {
            let values = decode(dtype, bytes);
            out[4 * place.first..][..4 * values.len()].copy_from_slice(cast_slice(&values));
        }
        WeightKind::GegluVector { .. } => {
            let values = decode(dtype, bytes);
            let (value, gate) = values.split_at(values.len() / 2);
            for ((pair, value), gate) in out.as_chunks_mut::<8>().0.iter_mut().zip(value).zip(gate) {
                pair[..4].copy_from_slice(&value.to_le_bytes());
                pair[4..].copy_from_slice(&gate.to_le_bytes());
            }
        }
        WeightKind::Table { cols, .. } => pack_table(record.weight_type, cols, dtype, bytes, out),
        WeightKind::Matrix { .. } | WeightKind::Geglu { .. } => {
            let Some((geometry, (n, _))) = Geometry::of(part).zip(record.matrix()) else { return };
            let in_order = is_ohwi || geometry.taps == 1;
            let rows = Rows { dtype, rounding, bytes, geometry, in_order };
            let scales_at = record.scales.map_or(record.len(), |scales| scales.offset - record.values.offset);
            let (values, scales) = out.split_at_mut(scales_at as usize);
            let mut target = Target { weight_type: record.weight_type, n, values, scales };
            let half = geometry.rows / 2;
            let segments: &[Segment] = match record.decl.kind {
                WeightKind::Geglu { .. } => &[
                    Segment { from: 0, rows: half, to: 0, step: 2 },
                    Segment { from: half, rows: half, to: 1, step: 2 },
                ],
                _ => &[Segment { from: 0, rows: geometry.rows, to: place.first, step: 1 }],
            };
            for segment in segments {
                pack_rows(&rows, segment, &mut target);
            }
        }
    }
}

/// An embedding table, row-major.
fn pack_table(to: WeightType, cols: usize, dtype: SourceType, bytes: &[u8], out: &mut [u8]) {
    match (dtype, to) {
        (SourceType::F32, WeightType::F32) | (SourceType::F16, WeightType::F16) => {
            out[..bytes.len()].copy_from_slice(bytes);
        }
        _ => {
            let mut values = vec![0f32; cols];
            let size = if to == WeightType::F32 { 4 } else { 2 };
            for (row, out) in bytes.chunks_exact(dtype.bytes(cols)).zip(out.chunks_exact_mut(size * cols)) {
                decode_row(dtype, row, &mut values);
                write_floats(to, &values, out);
            }
        }
    }
}

/// f32 values as F32 or F16 bytes.
fn write_floats(to: WeightType, values: &[f32], out: &mut [u8]) {
    if to == WeightType::F32 {
        out.copy_from_slice(cast_slice(values));
    } else {
        for (two, &value) in out.as_chunks_mut::<2>().0.iter_mut().zip(values) {
            *two = f16::from_f32(value).to_le_bytes();
        }
    }
}

/// A matrix part as it is in the file.
struct Rows<'a> {
    dtype: SourceType,
    /// How they are rounded where that is asked for.
    rounding: Rounding,
    bytes: &'a [u8],
    geometry: Geometry,
    /// Whether a row's values already are in the order (ky, kx, i).
    in_order: bool,
}

impl<'a> Rows<'a> {
    fn row(&self, row: usize) -> &'a [u8] {
        let len = self.dtype.bytes(self.geometry.k_source());
        &self.bytes[row * len..(row + 1) * len]
    }

    /// Source order to (ky, kx, i), leaving padding as it is.
    fn gather<T: Copy>(&self, from: &[T], to: &mut [T]) {
        let Geometry { cin, taps, .. } = self.geometry;
        let padded = self.geometry.cin_padded();
        if self.in_order {
            for (to, from) in to.chunks_exact_mut(padded).zip(from.chunks_exact(cin)) {
                to[..cin].copy_from_slice(from);
            }
        } else {
            for (i, from) in from.chunks_exact(taps).enumerate() {
                for (tap, &value) in from.iter().enumerate() {
                    to[tap * padded + i] = value;
                }
            }
        }
    }

    /// A tile of rows moved without looking at the values.
    fn gather_tile<T: Pod>(&self, first: usize, tile: &mut [u8]) {
        let row_bytes = self.geometry.k() * size_of::<T>();
        for (r, out) in tile.chunks_exact_mut(row_bytes).enumerate() {
            self.gather::<T>(cast_slice(self.row(first + r)), cast_slice_mut(out));
        }
    }

    /// A tile of rows as f32.
    fn decode_tile(&self, first: usize, row: &mut [f32], tile: &mut [f32]) {
        for (r, out) in tile.chunks_exact_mut(self.geometry.k()).enumerate() {
            decode_row(self.dtype, self.row(first + r), row);
            self.gather(row, out);
        }
    }
}

/// Source rows `from..from + rows` become packed rows `to`, `to + step`, ….
struct Segment {
    from: usize,
    rows: usize,
    to: usize,
    step: usize,
}

/// A record's bytes.
struct Target<'a> {
    weight_type: WeightType,
    n: usize,
    values: &'a mut [u8],
    scales: &'a mut [u8],
}

/// Writes a tile of rows, in units of `U` bytes, at `unit · n + row`.
fn scatter<const U: usize>(tile: &[u8], row_bytes: usize, n: usize, to: usize, step: usize, out: &mut [u8]) {
    let rows = tile.len() / row_bytes;
    let tile = tile.as_chunks::<U>().0;
    let units = row_bytes / U;
    for (unit, column) in out.as_chunks_mut::<U>().0.chunks_exact_mut(n).take(units).enumerate() {
        for r in 0..rows {
            column[to + r * step] = tile[r * units + unit];
        }
    }
}

/// Packs a segment of a matrix part, tile by tile.
fn pack_rows(rows: &Rows, segment: &Segment, target: &mut Target) {
    let k = rows.geometry.k();
    let mut row = vec![0f32; rows.geometry.k_source()];
    let mut floats = vec![0f32; TILE * k];
    let mut tile = vec![0u8; TILE * k * 4];
    let mut blocks = Vec::new();
    for done in (0..segment.rows).step_by(TILE) {
        let count = TILE.min(segment.rows - done);
        let first = segment.from + done;
        let (to, step, n) = (segment.to + done * segment.step, segment.step, target.n);
        match (rows.dtype, target.weight_type) {
            (SourceType::F32, WeightType::F32) => {
                rows.gather_tile::<[u8; 4]>(first, &mut tile[..count * k * 4]);
                scatter::<16>(&tile[..count * k * 4], k * 4, n, to, step, target.values);
            }
            (SourceType::F16, WeightType::F16) => {
                rows.gather_tile::<[u8; 2]>(first, &mut tile[..count * k * 2]);
                scatter::<8>(&tile[..count * k * 2], k * 2, n, to, step, target.values);
            }
            (dtype, kind) if kind.is_quantized() && dtype == SourceType::of(kind) && rows.in_order => {
                let len = rows.dtype.bytes(k);
                scatter_blocks(
                    &rows.bytes[first * len..(first + count) * len],
                    k,
                    to,
                    step,
                    &mut tile,
                    target,
                );
            }
            (_, weight_type) => {
                rows.decode_tile(first, &mut row, &mut floats[..count * k]);
                let floats = &floats[..count * k];
                match weight_type {
                    WeightType::F32 => scatter::<16>(cast_slice(floats), k * 4, n, to, step, target.values),
                    WeightType::F16 => {
                        let halves = &mut tile[..count * k * 2];
                        write_floats(WeightType::F16, floats, halves);
                        scatter::<8>(halves, k * 2, n, to, step, target.values);
                    }
                    WeightType::Q8 | WeightType::Q5 | WeightType::Q4 => {
                        let shape = RowShape { k, taps: rows.geometry.taps };
                        blocks.clear();
                        let rounding = rows.rounding.from(first * k);
                        encode(SourceType::of(weight_type), floats, shape, rounding, &mut blocks);
                        scatter_blocks(&blocks, k, to, step, &mut tile, target);
                    }
                }
            }
        }
    }
}

/// ggml blocks of whole rows: values and scales go their separate ways, unchanged.
fn scatter_blocks(blocks: &[u8], k: usize, to: usize, step: usize, tile: &mut [u8], target: &mut Target) {
    let count = blocks.len() / SourceType::of(target.weight_type).block_bytes();
    let (scales, values) = tile.split_at_mut(count * 2);
    let row_bytes = match target.weight_type {
        WeightType::Q8 => {
            for (i, block) in blocks.as_chunks::<Q8_BLOCK>().0.iter().enumerate() {
                scales[2 * i..][..2].copy_from_slice(&block[..2]);
                values[BLOCK * i..][..BLOCK].copy_from_slice(&block[2..]);
            }
            k
        }
        WeightType::Q5 => {
            for (i, block) in blocks.as_chunks::<Q5_BLOCK>().0.iter().enumerate() {
                scales[2 * i..][..2].copy_from_slice(&block[..2]);
                let (low, high) = values[20 * i..][..20].split_at_mut(BLOCK / 2);
                high.copy_from_slice(&block[2..6]);
                in_order_nibbles(&block[6..], low);
            }
            k / BLOCK * 20
        }
        _ => {
            for (i, block) in blocks.as_chunks::<Q4_BLOCK>().0.iter().enumerate() {
                scales[2 * i..][..2].copy_from_slice(&block[..2]);
                in_order_nibbles(&block[2..], &mut values[BLOCK / 2 * i..][..BLOCK / 2]);
            }
            k / 2
        }
    };
    let rows = count * BLOCK / k;
    scatter::<4>(&values[..rows * row_bytes], row_bytes, target.n, to, step, target.values);
    scatter::<2>(scales, k / BLOCK * 2, target.n, to, step, target.scales);
}

/// A Q4_0 block's nibbles (low ones first, then high ones) in the values' order, two to a byte.
fn in_order_nibbles(block: &[u8], out: &mut [u8]) {
    let (low, high) = out.split_at_mut(block.len() / 2);
    for ((pair, low), high) in block.as_chunks::<2>().0.iter().zip(low).zip(high) {
        *low = (pair[0] & 15) | (pair[1] << 4);
        *high = (pair[0] >> 4) | (pair[1] & 0xf0);
    }
}
