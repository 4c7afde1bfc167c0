//! How a packed model is cut for storage: slabs into chunks, each small enough for one IndexedDB value.

use std::ops::Range;

use crate::weights::{Manifest, PackedRecord};

/// The largest chunk: one value in IndexedDB, one read, one upload.
pub const MAX_CHUNK_BYTES: u64 = 16 << 20;

/// The smallest chunk size: below it the overhead of a database request outweighs a finer resume.
const MIN_CHUNK_BYTES: u64 = 256 << 10;

/// An interrupted download of a small model should not lose all of it: about this many chunks per model.
const CHUNKS_PER_MODEL: u64 = 32;

/// The chunk size for a model whose slabs hold `total` bytes, a multiple of 64 KiB.
pub fn chunk_bytes(total: u64) -> u64 {
    (total / CHUNKS_PER_MODEL).next_multiple_of(64 << 10).clamp(MIN_CHUNK_BYTES, MAX_CHUNK_BYTES)
}

/// One piece of a slab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    pub slab: usize,
    /// First byte, inside the slab.
    pub offset: u64,
    pub len: u64,
}

/// Every chunk of a model, in slab order; the position in the list is the chunk's index in the store.
#[derive(Debug, Clone)]
pub struct ChunkMap {
    chunks: Vec<Chunk>,
    /// Index of each slab's first chunk.
    first: Vec<usize>,
    chunk_bytes: u64,
}

impl ChunkMap {
    /// Cuts slabs of these lengths into chunks of `chunk_bytes`; a slab's last chunk may be shorter.
    pub fn new(slabs: &[u64], chunk_bytes: u64) -> ChunkMap {
        let chunk_bytes = chunk_bytes.max(1);
        let mut chunks = Vec::new();
        let mut first = Vec::with_capacity(slabs.len());
        for (slab, &bytes) in slabs.iter().enumerate() {
            first.push(chunks.len());
            let mut offset = 0;
            while offset < bytes {
                let len = chunk_bytes.min(bytes - offset);
                chunks.push(Chunk { slab, offset, len });
                offset += len;
            }
        }
        ChunkMap { chunks, first, chunk_bytes }
    }

    /// The number of chunks.
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Whether the model has no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Chunk `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<Chunk> {
        self.chunks.get(index).copied()
    }

    /// All chunks, by index.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Chunk)> + '_ {
        self.chunks.iter().copied().enumerate()
    }

    /// The indices of the chunks that hold bytes `offset .. offset + len` of a slab.
    pub fn overlapping(&self, slab: usize, offset: u64, len: u64) -> Range<usize> {
        let Some(&first) = self.first.get(slab) else { return 0..0 };
        let end_of_slab = self.first.get(slab + 1).copied().unwrap_or(self.chunks.len());
        if len == 0 {
            return first..first;
        }
        let from = first as u64 + offset / self.chunk_bytes;
        let to = first as u64 + (offset.saturating_add(len)).div_ceil(self.chunk_bytes);
        let clamp = |index: u64| (index.min(end_of_slab as u64)) as usize;
        clamp(from)..clamp(to)
    }

    /// How many bytes of each chunk records fill; the rest is alignment and stays zero.
    pub fn record_bytes(&self, manifest: &Manifest) -> Vec<u64> {
        let mut filled = vec![0; self.chunks.len()];
        for record in &manifest.records {
            for index in self.overlapping(record.slab, record.values.offset, record.len()) {
                let chunk = self.chunks[index];
                let end = record.end().min(chunk.offset + chunk.len);
                filled[index] += end - record.values.offset.max(chunk.offset);
            }
        }
        filled
    }

    /// By record: whether a chunk that is `missing` holds some of it.
    pub fn records_in(&self, manifest: &Manifest, missing: &[bool]) -> Vec<bool> {
        let touches = |record: &PackedRecord| {
            let mut touched = self.overlapping(record.slab, record.values.offset, record.len());
            touched.any(|index| missing.get(index).copied().unwrap_or(true))
        };
        manifest.records.iter().map(touches).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_belongs_to_exactly_one_chunk() {
        let slabs = [1000, 1, 0, 256, 257];
        let map = ChunkMap::new(&slabs, 256);
        for (slab, &bytes) in slabs.iter().enumerate() {
            let total: u64 =
                map.iter().filter(|(_, chunk)| chunk.slab == slab).map(|(_, chunk)| chunk.len).sum();
            assert_eq!(total, bytes);
            for offset in 0..bytes {
                let range = map.overlapping(slab, offset, 1);
                assert_eq!(range.len(), 1, "slab {slab} offset {offset}");
                let chunk = map.get(range.start).unwrap();
                assert!(chunk.slab == slab && chunk.offset <= offset && offset < chunk.offset + chunk.len);
            }
        }
        assert!(map.iter().all(|(_, chunk)| chunk.len <= 256));
    }

    #[test]
    fn spans_touch_the_chunks_they_cross() {
        let map = ChunkMap::new(&[1000, 600], 256);
        assert_eq!(map.overlapping(0, 0, 256), 0..1);
        assert_eq!(map.overlapping(0, 255, 2), 0..2);
        assert_eq!(map.overlapping(1, 512, 88), 6..7);
        assert_eq!(map.overlapping(1, 512, u64::MAX), 6..7);
        assert_eq!(map.overlapping(0, 10, 0).len(), 0);
        assert_eq!(map.overlapping(9, 0, 10).len(), 0);
    }

    #[test]
    fn chunk_sizes_follow_the_model() {
        assert_eq!(chunk_bytes(0), MIN_CHUNK_BYTES);
        assert_eq!(chunk_bytes(16 << 20), 512 << 10);
        assert_eq!(chunk_bytes(2 << 30), MAX_CHUNK_BYTES);
        assert_eq!(chunk_bytes(123_456_789) % (64 << 10), 0);
    }
}
