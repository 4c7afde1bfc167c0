//! Networks merged into a model that lies packed: each record from its stored bytes, on their way to where they are used.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::super::blocks::Rounding;
use super::super::bytes::Bytes;
use super::super::header::{Header, TensorInfo};
use super::super::pack::Packer;
use super::super::packed::{PackedRecord, Packing};
use super::super::types::SourceType;
use super::super::unpack::unpack;
use super::Merged;
use crate::error::Result;
use crate::plan::Part;

impl Merged {
    /// Whether a record is changed.
    pub fn touches(&self, record: &PackedRecord) -> bool {
        record.decl.parts.iter().any(|part| self.changes(&part.name))
    }

    /// Whether a record has the same merged into it in both.
    pub fn agrees_on(&self, other: &Merged, record: &PackedRecord) -> bool {
        record.decl.parts.iter().all(|part| self.agrees(other, &part.name))
    }

    /// A record's bytes, from its first value to its last scale, with everything merged into it: unpacked to f32, changed, and
    /// packed in the type that it has. As they are where nothing is.
    pub fn merged<'a>(&self, record: &PackedRecord, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        if self.touches(record) {
            self.packed_again(record, bytes).map(Cow::Owned)
        } else {
            Ok(Cow::Borrowed(bytes))
        }
    }

    fn packed_again(&self, record: &PackedRecord, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut record = record.alone();
        let mut tensors = unpack(&record, bytes)?;
        for ((name, _, values), part) in tensors.iter_mut().zip(&record.decl.parts) {
            match part.rows {
                None => self.change(name, &part.shape, false, values)?,
                // Some rows of a tensor, whose change is of all of them.
                Some(rows) => {
                    let row = values.len() / part.shape.first().copied().unwrap_or(1).max(1);
                    let mut whole = vec![0.0; rows.of * row];
                    let taken = rows.first * row..rows.first * row + values.len();
                    whole[taken.clone()].copy_from_slice(values);
                    self.change(name, &part.tensor().shape, false, &mut whole)?;
                    values.copy_from_slice(&whole[taken]);
                }
            }
        }
        // Each part comes as a tensor of its own.
        let own = |(index, part): (usize, &Part)| Part::whole(index.to_string(), part.shape.clone());
        record.decl.parts = record.decl.parts.iter().enumerate().map(own).collect();
        let info = |part: &Part| TensorInfo {
            name: part.name.clone(),
            dtype: SourceType::F32,
            shape: part.shape.clone(),
            offset: 0,
            len: 4 * part.shape.iter().product::<usize>() as u64,
        };
        let header = Header {
            file: record.decl.name.clone(),
            tensors: record.decl.parts.iter().map(info).collect(),
            others: Vec::new(),
            metadata: BTreeMap::new(),
            data_start: 0,
            lengths: 0..=0,
            is_single: false,
        };
        let slabs = [record.len()];
        let mut packer =
            Packer::new(Packing { slabs: &slabs, records: std::slice::from_ref(&record) }, &header);
        let mut packed = Vec::new();
        for (part, (name, _, values)) in record.decl.parts.iter().zip(&tensors) {
            let rounding = Rounding::of_changed(SourceType::of(record.weight_type), name);
            packed.extend(packer.push_values(&part.name, values, rounding)?);
        }
        packer.finish()?;
        Ok(packed.into_iter().next().map(|piece| piece.bytes).unwrap_or_default())
    }
}

/// What comes out of [`Merging`].
pub enum Passing<'a> {
    /// Bytes of a slab that nothing changes.
    As(usize, u64, Bytes<'a>),
    /// A whole record as it is stored, from its first value on.
    Record(&'a PackedRecord, Vec<u8>),
}

/// Bytes of a packed model on their way: those of records that are `whole` are gathered, for something to be merged into them;
/// the others pass as they come. A record that does not come whole does not come at all.
pub struct Merging<'a> {
    records: &'a [PackedRecord],
    /// By slab, the whole records in their order.
    whole: HashMap<usize, Vec<usize>>,
    /// By record, its bytes as far as they have come.
    coming: HashMap<usize, Vec<u8>>,
}

impl<'a> Merging<'a> {
    /// For a model's records.
    pub fn new(packing: impl Into<Packing<'a>>, whole: &dyn Fn(&PackedRecord) -> bool) -> Self {
        let records = packing.into().records;
        let mut by_slab: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, record) in records.iter().enumerate().filter(|(_, record)| whole(record)) {
            by_slab.entry(record.slab).or_default().push(index);
        }
        for indices in by_slab.values_mut() {
            indices.sort_by_key(|index| records[*index].values.offset);
        }
        Merging { records, whole: by_slab, coming: HashMap::new() }
    }

    /// Takes bytes of a slab, which come in order within a record.
    pub fn pass(
        &mut self,
        slab: usize,
        offset: u64,
        bytes: &Bytes<'_>,
        on: &mut dyn FnMut(Passing<'_>) -> Result<()>,
    ) -> Result<()> {
        let Merging { records, whole, coming } = self;
        let (mut at, end) = (offset, offset + bytes.len() as u64);
        let part = |from: u64, to: u64| bytes.part((from - offset) as usize..(to - offset) as usize);
        for index in whole.get(&slab).map(Vec::as_slice).unwrap_or_default() {
            let record = &records[*index];
            let (from, to) = (record.values.offset.max(at), record.end().min(end));
            if from >= to {
                continue;
            }
            if at < from {
                on(Passing::As(slab, at, part(at, from)))?;
            }
            at = to;
            let gathered = coming.entry(*index).or_default();
            if record.values.offset + gathered.len() as u64 != from {
                coming.remove(index); // its beginning did not come
                continue;
            }
            let had = gathered.len();
            gathered.resize(had + (to - from) as usize, 0);
            part(from, to).copy_to(&mut gathered[had..]);
            if gathered.len() as u64 == record.len() {
                on(Passing::Record(record, coming.remove(index).unwrap_or_default()))?;
            }
        }
        if at < end {
            on(Passing::As(slab, at, part(at, end)))?;
        }
        Ok(())
    }
}
