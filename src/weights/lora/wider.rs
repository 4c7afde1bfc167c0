//! Records of five and four bits in a wider type, while something is merged into them: what changes a value by less than a step
//! would drown in these.

use std::ops::Range;

use super::super::packed::{ALIGN, Geometry, MAX_SLAB, Manifest, PackedRecord, Packing, Span};
use super::super::unpack::PackedRows;
use super::Merged;
use crate::error::Result;
use crate::kernels::{BLOCK, WeightType};

/// What they become: the narrowest in which all of their values are, to the bit.
const WIDER: WeightType = WeightType::Q8;

impl PackedRecord {
    /// The same in a wider type, at the beginning of a slab of its own; None where it is wide enough.
    pub fn wider(&self) -> Option<PackedRecord> {
        let is_narrow = self.weight_type.is_quantized() && self.weight_type.bits() < WIDER.bits();
        let (n, k) = self.matrix().filter(|_| is_narrow)?;
        let values = Span { offset: 0, len: n as u64 * k as u64 };
        let scales = self.scales.map(|scales| Span { offset: values.len.next_multiple_of(ALIGN), ..scales });
        Some(PackedRecord { decl: self.decl.clone(), weight_type: WIDER, slab: 0, values, scales })
    }

    /// Its bytes, from its first value to its last scale, in the wider type: scales and codes stay, and with them every value.
    pub fn widened(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let Some(wider) = self.wider() else { return Ok(bytes.to_vec()) };
        let narrow = self.alone();
        let (n, words) = (PackedRows::of(&narrow, bytes)?.n, bytes.as_chunks::<4>().0);
        let word = |line: usize, row: usize| u32::from_le_bytes(words[line * n + row]);
        let is_five = self.weight_type == WeightType::Q5;
        let code = |at: usize, row: usize| {
            let (block, place) = (at / BLOCK, at % BLOCK);
            let low = |lines: usize| word(lines * block + place / 8, row) >> (place % 8 * 4) & 15;
            if is_five { (low(5) | (word(5 * block + 4, row) >> place & 1) << 4) as u8 } else { low(4) as u8 }
        };
        let zero = if is_five { 16 } else { 8 };
        let mut out = vec![0; wider.len() as usize];
        let (values, rest) = out.split_at_mut(wider.values.len as usize);
        for (group, line) in values.chunks_exact_mut(4 * n.max(1)).enumerate() {
            for (row, four) in line.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                *four = std::array::from_fn(|i| code(4 * group + i, row).wrapping_sub(zero));
            }
        }
        if let (Some(from), Some(to)) = (narrow.scales, wider.scales) {
            let scales = &bytes[from.offset as usize..][..from.len as usize];
            rest[(to.offset - wider.values.len) as usize..].copy_from_slice(scales);
        }
        Ok(out)
    }
}

impl Merged {
    /// A record's bytes in its [wider](PackedRecord::wider) type, given as it is stored, with everything merged into it. What
    /// nothing changes has the values that it had.
    pub fn merged_wider(&self, record: &PackedRecord, bytes: &[u8]) -> Result<Vec<u8>> {
        let widened = record.widened(bytes)?;
        let Some(wider) = record.wider().filter(|_| self.touches(record)) else { return Ok(widened) };
        let mut merged = self.merged(&wider, &widened)?.into_owned();
        let mut first = 0;
        for part in &record.decl.parts {
            let rows = Geometry::of(part).map_or(0, |geometry| geometry.rows);
            if !self.changes(&part.name) {
                keep(&wider, first..first + rows, &widened, &mut merged);
            }
            first += rows;
        }
        Ok(merged)
    }
}

/// Rows of a record as they were.
fn keep(record: &PackedRecord, rows: Range<usize>, from: &[u8], to: &mut [u8]) {
    let n = record.matrix().map_or(0, |(n, _)| n);
    for (span, bytes) in
        [Some((record.values, 4)), record.scales.map(|scales| (scales, 2))].into_iter().flatten()
    {
        let place = span.offset as usize..(span.offset + span.len) as usize;
        let lines = from[place.clone()].chunks_exact(bytes * n.max(1));
        for (from, to) in lines.zip(to[place].chunks_exact_mut(bytes * n.max(1))) {
            to[bytes * rows.start..bytes * rows.end]
                .copy_from_slice(&from[bytes * rows.start..bytes * rows.end]);
        }
    }
}

/// Records in their wider type, beside the model that they are of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wider {
    slabs: Vec<u64>,
    records: Vec<PackedRecord>,
}

impl Wider {
    /// Those of a model that a network changes in any step and that are narrow.
    pub fn of(merged: &Merged, manifest: &Manifest) -> Wider {
        let mut wider = Wider::default();
        let touched = manifest.records.iter().filter(|record| merged.touches(record));
        touched.filter_map(PackedRecord::wider).for_each(|record| wider.push(record));
        wider
    }

    fn push(&mut self, mut record: PackedRecord) {
        let len = record.len().next_multiple_of(ALIGN);
        if self.slabs.last().is_none_or(|used| used + len > MAX_SLAB) {
            self.slabs.push(0);
        }
        record.slab = self.slabs.len() - 1;
        let used = &mut self.slabs[record.slab];
        [Some(&mut record.values), record.scales.as_mut()]
            .into_iter()
            .flatten()
            .for_each(|span| span.offset += *used);
        *used += len;
        self.records.push(record);
    }

    /// By name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.records.iter().map(|record| record.decl.name.as_str())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// What they take.
    pub fn bytes(&self) -> u64 {
        self.slabs.iter().sum()
    }
}

impl<'a> From<&'a Wider> for Packing<'a> {
    fn from(wider: &'a Wider) -> Packing<'a> {
        Packing { slabs: &wider.slabs, records: &wider.records }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Part, WeightDecl, WeightKind};
    use crate::weights::unpack;

    /// A matrix `[n, k]` in a type, of bytes by chance.
    fn record(weight_type: WeightType, (n, k): (usize, usize)) -> (PackedRecord, Vec<u8>) {
        let parts = vec![Part::whole("a", [n, k])];
        let decl = WeightDecl { name: "a".into(), kind: WeightKind::Matrix { n, k }, parts };
        let values = Span { offset: 512, len: (n * k * weight_type.bits() / 8) as u64 };
        let scales =
            Span { offset: (512 + values.len).next_multiple_of(ALIGN), len: (n * k / BLOCK * 2) as u64 };
        let record = PackedRecord { decl, weight_type, slab: 3, values, scales: Some(scales) };
        let mut bytes: Vec<u8> = (0..record.len()).map(|i| (i * 7919 % 251) as u8).collect();
        let scales = (record.len() - scales.len) as usize;
        bytes[scales..].chunks_exact_mut(2).enumerate().for_each(|(i, scale)| {
            scale.copy_from_slice(&half::f16::from_f32(0.01 + i as f32 / 100.0).to_le_bytes());
        });
        (record, bytes)
    }

    #[test]
    fn a_wider_record_has_the_same_values() {
        for weight_type in [WeightType::Q5, WeightType::Q4] {
            let (record, bytes) = record(weight_type, (12, 96));
            let wider = record.wider().unwrap();
            let widened = record.widened(&bytes).unwrap();
            assert_eq!((wider.weight_type, wider.len()), (WeightType::Q8, widened.len() as u64));
            assert_eq!(unpack(&wider, &widened).unwrap(), unpack(&record.alone(), &bytes).unwrap());
            assert_eq!(Merged::default().merged_wider(&record, &bytes).unwrap(), widened);
        }
        assert!(
            [WeightType::F32, WeightType::F16, WeightType::Q8]
                .iter()
                .all(|kind| record(*kind, (4, 32)).0.wider().is_none())
        );
    }

    #[test]
    fn rows_that_are_kept_are_as_they_were() {
        let (record, bytes) = record(WeightType::Q5, (12, 64));
        let (wider, widened) = (record.wider().unwrap(), record.widened(&bytes).unwrap());
        let mut changed: Vec<u8> = widened.iter().map(|byte| !byte).collect();
        keep(&wider, 4..8, &widened, &mut changed);
        let value =
            |bytes: &[u8], row: usize| unpack(&wider, bytes).unwrap()[0].2[row * 64..(row + 1) * 64].to_vec();
        assert!((0..12).all(|row| (4..8).contains(&row) == (value(&changed, row) == value(&widened, row))));
    }
}
