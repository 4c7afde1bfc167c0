//! A packed model for another version of the engine, or in a smaller type: from its records alone, one at a time.

use std::collections::{BTreeMap, HashMap};

use super::blocks::Rounding;
use super::convert::{NewTensor, convert, new_tensor};
use super::header::{Header, TensorInfo};
use super::pack::{PackedBytes, Packer};
use super::packed::{LayoutOptions, Manifest, PackedRecord, layout_with};
use super::types::SourceType;
use super::unpack::unpack;
use crate::error::Result;
use crate::kernels::WeightType;
use crate::plan::{Types, WeightDecl};

/// Packs a model's records anew.
pub struct Repack {
    manifest: Manifest,
    packer: Packer,
    tensors: HashMap<String, NewTensor>,
}

impl Repack {
    /// Decides the new layout, for declarations of a model with the same configuration, each value in the type that it
    /// has; an error names all tensors that the old records are not made of.
    pub fn new(old: &Manifest, decls: &[WeightDecl]) -> Result<Repack> {
        Self::with(old, decls, |record| record.weight_type)
    }

    /// The same, with matrices that are no blocks yet in the types of a smaller model, where those are narrower.
    pub fn quantized(old: &Manifest, decls: &[WeightDecl], to: Types) -> Result<Repack> {
        Self::with(old, decls, |record| to.narrowed(&record.decl, record.weight_type))
    }

    fn with(
        old: &Manifest,
        decls: &[WeightDecl],
        type_of: impl Fn(&PackedRecord) -> WeightType,
    ) -> Result<Repack> {
        let mut tensors = HashMap::new();
        let mut infos = Vec::new();
        let mut offset = 0;
        for record in &old.records {
            for part in &record.decl.parts {
                let tensor = new_tensor(&record.decl, part, type_of(record));
                let len = tensor.len();
                let (name, dtype, shape) = (tensor.name.clone(), tensor.dtype, tensor.shape.clone());
                if tensors.insert(part.name.clone(), tensor).is_none() {
                    infos.push(TensorInfo { name, dtype, shape, offset, len });
                    offset += len;
                }
            }
        }
        let header = Header {
            file: old.source.file.clone(),
            tensors: infos,
            others: Vec::new(),
            metadata: BTreeMap::from([(Header::CONV_LAYOUT.to_string(), "ohwi".to_string())]),
            data_start: 0,
            lengths: offset..=offset,
            is_single: false,
        };
        let options = LayoutOptions { leave_extra: true, ..LayoutOptions::default() };
        let source = old.source.clone();
        let manifest = layout_with(&old.name, &old.config, &old.tokenizer, decls, &header, source, options)?;
        let packer = Packer::new(&manifest, &header);
        Ok(Repack { manifest, packer, tensors })
    }

    /// The new layout.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Takes a record of the old layout with its bytes, from its first value to its last scale; gives back the new
    /// records that this completes.
    pub fn push(&mut self, record: &PackedRecord, bytes: &[u8]) -> Result<Vec<PackedBytes>> {
        let mut done = Vec::new();
        for (part, (name, _, values)) in record.decl.parts.iter().zip(unpack(&record.alone(), bytes)?) {
            if let Some(tensor) = self.tensors.get(&name)
                && self.packer.wants(&name)
            {
                let values = bytemuck::cast_slice(&values);
                let bytes = convert(part, SourceType::F32, values, false, tensor, Rounding::Fitted);
                done.extend(self.packer.push(&name, &bytes)?);
            }
        }
        Ok(done)
    }
}
