//! A model's weights in the layout in which the processor multiplies: matrices of a small model as f32, those of a large one
//! as they are packed.

use std::collections::HashMap;
use std::sync::Arc;

use super::matrix::Matrix;
use super::packed::Packed;
use crate::error::{Error, Result};
use crate::kernels::WeightType;
use crate::plan::WeightKind;
use crate::weights::{PackedRecord, PackedRows, Packing, vector};

/// One weight.
pub enum Weight {
    Vector(Vec<f32>),
    Matrix(Matrix),
    Table(Table),
}

/// An embedding table, stored as the record is: a row is made f32 when it is read.
pub struct Table {
    record: PackedRecord,
    bytes: Vec<u8>,
}

impl Table {
    /// Its rows.
    pub fn rows(&self) -> Result<PackedRows<'_>> {
        PackedRows::of(&self.record, &self.bytes)
    }
}

/// Bytes that a model's matrices may take as f32; those of one that is larger stay as they are packed, and each product
/// unpacks them again, a panel at a time.
const UNPACKED: u64 = 256 << 20;

/// All weights of a model, by name.
pub struct Weights {
    by_name: HashMap<String, Arc<Weight>>,
    /// Whether matrices stay packed.
    packed: bool,
}

impl Weights {
    /// Takes records from the bytes of their slabs, each of which is freed as soon as it is read.
    pub fn new<'a>(packing: impl Into<Packing<'a>>, slabs: Vec<Vec<u8>>) -> Result<Weights> {
        let packing = packing.into();
        let values = |record: &PackedRecord| record.matrix().map_or(0, |(n, k)| n as u64 * k as u64);
        let packed = packing.records.iter().map(values).sum::<u64>() > UNPACKED / 4;
        Weights::kept(packed, packing, slabs)
    }

    /// Takes them with matrices that stay as they are packed, however small the model is.
    pub fn packed<'a>(packing: impl Into<Packing<'a>>, slabs: Vec<Vec<u8>>) -> Result<Weights> {
        Weights::kept(true, packing, slabs)
    }

    fn kept<'a>(packed: bool, packing: impl Into<Packing<'a>>, slabs: Vec<Vec<u8>>) -> Result<Weights> {
        let mut weights = Weights { by_name: HashMap::new(), packed };
        weights.extend(packing, 0, slabs)?;
        Ok(weights)
    }

    /// Adds the records of slabs from number `first` on, whose bytes are given.
    pub fn extend<'a>(
        &mut self,
        packing: impl Into<Packing<'a>>,
        first: usize,
        slabs: Vec<Vec<u8>>,
    ) -> Result<()> {
        let packing = packing.into();
        for (index, slab) in slabs.into_iter().enumerate() {
            for record in packing.records.iter().filter(|record| record.slab == first + index) {
                let weight = Weight::of(record, &slab, self.packed)?;
                self.by_name.insert(record.decl.name.clone(), Arc::new(weight));
            }
        }
        Ok(())
    }

    /// Another record in the place of the one of its name, from its bytes.
    pub fn replace(&mut self, record: &PackedRecord, bytes: &[u8]) -> Result<()> {
        let weight = Weight::of(&record.alone(), bytes, self.packed)?;
        self.by_name.insert(record.decl.name.clone(), Arc::new(weight));
        Ok(())
    }

    /// A weight by name.
    pub(super) fn get(&self, name: &str) -> Result<Arc<Weight>> {
        let missing = || Error::Cpu { message: format!("the model has no weight {name}") };
        self.by_name.get(name).cloned().ok_or_else(missing)
    }
}

impl Weight {
    fn of(record: &PackedRecord, slab: &[u8], packed: bool) -> Result<Weight> {
        Ok(match record.decl.kind {
            WeightKind::Vector { .. } => Weight::Vector(vector(record, slab)?),
            WeightKind::GegluVector { .. } => Weight::Vector(halves(&vector(record, slab)?)),
            WeightKind::Matrix { .. } => matrix(&PackedRows::of(record, slab)?, packed, |column| column),
            WeightKind::Geglu { .. } => {
                let rows = PackedRows::of(record, slab)?;
                let half = rows.n / 2;
                matrix(
                    &rows,
                    packed,
                    |column| {
                        if column < half { 2 * column } else { 2 * (column - half) + 1 }
                    },
                )
            }
            WeightKind::Table { .. } => Weight::Table(table(record, slab)?),
        })
    }
}

/// The matrix whose columns are a record's rows, in the order that is given.
fn matrix(rows: &PackedRows, packed: bool, row_of: impl Fn(usize) -> usize) -> Weight {
    let kept = packed.then(|| Packed::new(rows, &row_of)).flatten().map(Matrix::packed);
    Weight::Matrix(kept.unwrap_or_else(|| {
        Matrix::from_columns(rows.k, rows.n, |column, out| rows.read(row_of(column), out))
    }))
}

/// First the values, then the gates, which alternate in the record.
fn halves(pairs: &[f32]) -> Vec<f32> {
    let gates = pairs.iter().skip(1).step_by(2);
    pairs.iter().step_by(2).chain(gates).copied().collect()
}

/// A table's bytes alone.
fn table(record: &PackedRecord, slab: &[u8]) -> Result<Table> {
    PackedRows::of(record, slab)?; // refuses a record beyond the slab
    debug_assert!(matches!(record.weight_type, WeightType::F32 | WeightType::F16));
    let values = record.values;
    let bytes = slab[values.offset as usize..(values.offset + values.len) as usize].to_vec();
    let mut record = record.clone();
    record.values.offset = 0;
    Ok(Table { record, bytes })
}
