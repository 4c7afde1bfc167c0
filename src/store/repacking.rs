//! A stored model on its way into the layout that this version of the engine reads: its own chunks in, new chunks out.

use std::sync::Arc;

use super::assembler::{Assembler, FullChunk};
use super::chunks::{ChunkMap, chunk_bytes};
use super::stored::{State, StoredModel};
use crate::weights::{PackedRecord, Repack};
use crate::{Error, Result};

/// A pass over the records of a stored model. The new ones are laid out in the order in which the old ones complete them, so
/// one chunk is open at a time.
pub struct Repacking {
    old: StoredModel,
    /// The model as it will be stored.
    new: StoredModel,
    repack: Repack,
    assembler: Assembler,
    /// Index of the record that comes next.
    record: usize,
    /// Its bytes as far as they have come.
    bytes: Vec<u8>,
}

impl Repacking {
    /// The new chunks go to `place`.
    pub fn new(old: &StoredModel, repack: Repack, place: &str) -> Repacking {
        let manifest = Arc::new(repack.manifest().clone());
        let size = chunk_bytes(manifest.bytes());
        let map = ChunkMap::new(&manifest.slabs, size);
        let missing = vec![true; map.len()];
        let assembler = Assembler::new(&manifest, map, missing);
        let new = StoredModel {
            place: place.to_owned(),
            state: State::Complete,
            chunk_bytes: size,
            manifest,
            ..old.clone()
        };
        Repacking { old: old.clone(), new, repack, assembler, record: 0, bytes: Vec::new() }
    }

    /// The model as it will be stored, once all is done.
    pub fn model(&self) -> &StoredModel {
        &self.new
    }

    /// The old chunk whose bytes are needed next; `None` when every record has come.
    pub fn wanted(&self) -> Option<usize> {
        let record = self.old.manifest.records.get(self.record)?;
        let at = record.values.offset + self.bytes.len() as u64;
        Some(self.old.chunk_map().overlapping(record.slab, at, 1).start)
    }

    /// Takes the bytes of old chunk `index`, as many records as they make whole.
    pub fn feed(&mut self, index: usize, bytes: &[u8]) -> Result<()> {
        let map = self.old.chunk_map();
        let outside = || Error::BadFile {
            file: self.old.manifest.name.clone(),
            message: format!("a record lies outside chunk {index}"),
        };
        let chunk = map.get(index).ok_or_else(outside)?;
        while let Some(record) = self.old.manifest.records.get(self.record) {
            let at = record.values.offset + self.bytes.len() as u64;
            if record.slab != chunk.slab || at >= chunk.offset + chunk.len {
                break;
            }
            let from = at.checked_sub(chunk.offset).ok_or_else(outside)? as usize;
            let to = ((record.end() - chunk.offset) as usize).min(bytes.len());
            self.bytes.extend_from_slice(bytes.get(from..to).ok_or_else(outside)?);
            if (self.bytes.len() as u64) < record.len() {
                break;
            }
            self.record += 1;
            push(&mut self.repack, &mut self.assembler, record, &std::mem::take(&mut self.bytes))?;
        }
        Ok(())
    }

    /// The next whole chunk of the new layout, or `None` when more records are needed.
    pub fn next_chunk(&mut self) -> Result<Option<FullChunk>> {
        self.assembler.next_chunk()
    }

    /// Every old chunk has come: whether that made every new one.
    pub fn finish(&self) -> Result<()> {
        if self.assembler.is_complete() {
            return Ok(());
        }
        let message = "its records do not fill the layout that is read today".to_string();
        Err(Error::BadFile { file: self.old.manifest.name.clone(), message })
    }
}

fn push(repack: &mut Repack, assembler: &mut Assembler, record: &PackedRecord, bytes: &[u8]) -> Result<()> {
    for piece in repack.push(record, bytes)? {
        assembler.push(piece);
    }
    Ok(())
}
