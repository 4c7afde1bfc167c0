//! Packed pieces in, whole chunks with checksums out. How much waits here meanwhile is for [`passes`](super::passes) to say.

use std::collections::{HashMap, VecDeque};

use super::chunks::ChunkMap;
use crate::weights::{Bytes, Manifest, PackedBytes};
use crate::{Error, Result};

/// A chunk whose every record byte has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullChunk {
    pub index: usize,
    pub bytes: Vec<u8>,
    /// CRC-32 of `bytes`.
    pub sum: u32,
}

/// A chunk that is being filled.
struct Open {
    bytes: Vec<u8>,
    /// Record bytes that have arrived.
    filled: u64,
}

/// A piece of which `done` bytes have been placed.
struct Piece {
    packed: PackedBytes,
    done: usize,
}

/// Puts pieces of records where they belong and hands out each chunk when it is whole.
pub struct Assembler {
    map: ChunkMap,
    /// Record bytes that make each chunk whole.
    wanted: Vec<u64>,
    /// Chunks still to be handed out.
    missing: Vec<bool>,
    open: HashMap<usize, Open>,
    queue: VecDeque<Piece>,
    /// Chunks that hold no record at all, only alignment.
    empty: Vec<usize>,
}

impl Assembler {
    /// For a model of which the `missing` chunks are to be handed out.
    pub fn new(manifest: &Manifest, map: ChunkMap, missing: Vec<bool>) -> Assembler {
        let wanted = map.record_bytes(manifest);
        let empty = (0..map.len()).filter(|&index| wanted[index] == 0 && missing[index]).collect();
        Assembler { map, wanted, missing, open: HashMap::new(), queue: VecDeque::new(), empty }
    }

    /// Queues a piece; [`Assembler::next_chunk`] places it.
    pub fn push(&mut self, packed: PackedBytes) {
        self.queue.push_back(Piece { packed, done: 0 });
    }

    /// The next whole chunk, or `None` when more pieces are needed.
    pub fn next_chunk(&mut self) -> Result<Option<FullChunk>> {
        if let Some(index) = self.empty.pop() {
            let len = self.map.get(index).map_or(0, |chunk| chunk.len);
            return Ok(Some(self.close(index, vec![0; len as usize])));
        }
        while let Some(mut piece) = self.queue.pop_front() {
            while piece.done < piece.packed.bytes.len() {
                let (placed, full) = self.place(&piece)?;
                piece.done += placed;
                if let Some(chunk) = full {
                    if piece.done < piece.packed.bytes.len() {
                        self.queue.push_front(piece);
                    }
                    return Ok(Some(chunk));
                }
            }
        }
        Ok(None)
    }

    /// By record of the manifest: whether it lies in a chunk that is still to be handed out, or in one of `others`.
    pub fn records(&self, manifest: &Manifest, others: &[bool]) -> Vec<bool> {
        let missing = self.missing.iter().enumerate();
        let chunks: Vec<bool> = missing.map(|(index, &missing)| missing || others[index]).collect();
        self.map.records_in(manifest, &chunks)
    }

    /// Whether every chunk has been handed out or was stored before.
    pub fn is_complete(&self) -> bool {
        !self.missing.contains(&true)
    }

    /// Bytes of half-filled chunks.
    pub fn open_bytes(&self) -> u64 {
        self.open.values().map(|open| open.bytes.len() as u64).sum()
    }

    /// The half-filled chunks: which, how many bytes of records have arrived, and the bytes.
    pub fn open(&self) -> impl Iterator<Item = (usize, u64, &[u8])> {
        self.open.iter().map(|(&index, open)| (index, open.filled, open.bytes.as_slice()))
    }

    /// Such a chunk of another assembler of the same model. False where it cannot be one.
    pub fn put_back(&mut self, index: usize, filled: u64, bytes: Vec<u8>) -> bool {
        let fits = self.map.get(index).is_some_and(|chunk| {
            chunk.len == bytes.len() as u64
                && self.missing[index]
                && (1..self.wanted[index]).contains(&filled)
        });
        if fits {
            self.open.insert(index, Open { bytes, filled });
        }
        fits
    }

    /// Whether all that was given has been placed.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// The piece's next bytes, up to the end of one chunk: how many, and the chunk if that filled it.
    fn place(&mut self, piece: &Piece) -> Result<(usize, Option<FullChunk>)> {
        let offset = piece.packed.offset + piece.done as u64;
        let rest = &piece.packed.bytes[piece.done..];
        let index = self.map.overlapping(piece.packed.slab, offset, 1).start;
        let chunk = self
            .map
            .get(index)
            .filter(|chunk| {
                chunk.slab == piece.packed.slab && (chunk.offset..chunk.offset + chunk.len).contains(&offset)
            })
            .ok_or_else(|| self.misplaced(&piece.packed))?;
        let at = (offset - chunk.offset) as usize;
        let count = rest.len().min(chunk.len as usize - at);
        if !self.missing[index] {
            return Ok((count, None));
        }
        let open =
            self.open.entry(index).or_insert_with(|| Open { bytes: vec![0; chunk.len as usize], filled: 0 });
        open.bytes[at..at + count].copy_from_slice(&rest[..count]);
        open.filled += count as u64;
        if open.filled < self.wanted[index] {
            return Ok((count, None));
        }
        let Some(open) = self.open.remove(&index) else { return Ok((count, None)) };
        Ok((count, Some(self.close(index, open.bytes))))
    }

    fn close(&mut self, index: usize, bytes: Vec<u8>) -> FullChunk {
        self.missing[index] = false;
        let sum = Bytes::from(&bytes).sum();
        FullChunk { index, bytes, sum }
    }

    fn misplaced(&self, piece: &PackedBytes) -> Error {
        Error::BadFile {
            file: "packed model".into(),
            message: format!(
                "packed bytes {}..{} lie outside slab {}",
                piece.offset,
                piece.offset + piece.bytes.len() as u64,
                piece.slab
            ),
        }
    }
}
