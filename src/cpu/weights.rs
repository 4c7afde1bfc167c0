//! A model's weights in the layout in which the processor multiplies, unpacked once from the packed records.

use std::collections::HashMap;
use std::sync::Arc;

use super::gemm::Matrix;
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

/// All weights of a model, by name.
pub struct Weights(HashMap<String, Arc<Weight>>);

impl Weights {
    /// Unpacks records from the bytes of their slabs, each of which is freed as soon as it is read.
    pub fn new<'a>(packing: impl Into<Packing<'a>>, slabs: Vec<Vec<u8>>) -> Result<Weights> {
        let mut weights = Weights(HashMap::new());
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
                self.0.insert(record.decl.name.clone(), Arc::new(Weight::of(record, &slab)?));
            }
        }
        Ok(())
    }

    /// Another record in the place of the one of its name, from its bytes.
    pub fn replace(&mut self, record: &PackedRecord, bytes: &[u8]) -> Result<()> {
        self.0.insert(record.decl.name.clone(), Arc::new(Weight::of(&record.alone(), bytes)?));
        Ok(())
    }

    /// A weight by name.
    pub(super) fn get(&self, name: &str) -> Result<Arc<Weight>> {
        let missing = || Error::Cpu { message: format!("the model has no weight {name}") };
        self.0.get(name).cloned().ok_or_else(missing)
    }
}

impl Weight {
    fn of(record: &PackedRecord, slab: &[u8]) -> Result<Weight> {
        Ok(match record.decl.kind {
            WeightKind::Vector { .. } => Weight::Vector(vector(record, slab)?),
            WeightKind::GegluVector { .. } => Weight::Vector(halves(&vector(record, slab)?)),
            WeightKind::Matrix { .. } => {
                let rows = PackedRows::of(record, slab)?;
                Weight::Matrix(Matrix::from_columns(rows.k, rows.n, |row, out| rows.read(row, out)))
            }
            WeightKind::Geglu { .. } => {
                let rows = PackedRows::of(record, slab)?;
                let half = rows.n / 2;
                let packed = |row: usize| if row < half { 2 * row } else { 2 * (row - half) + 1 };
                let column = |row, out: &mut [f32]| rows.read(packed(row), out);
                Weight::Matrix(Matrix::from_columns(rows.k, rows.n, column))
            }
            WeightKind::Table { .. } => Weight::Table(table(record, slab)?),
        })
    }
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
