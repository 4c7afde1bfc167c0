//! A model file on its way into the store: bytes in, in slices of any size; whole chunks out.
//!
//! Nothing of the file is kept but its header, the tensor that is arriving and the chunks that are half full.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::assembler::{Assembler, FullChunk};
use super::chunks::{ChunkMap, chunk_bytes};
use super::expected::Expected;
use super::passes;
use super::stored::{Held, StoredModel};
use super::trail::{Mark, Trail};
use super::waiting::{Begun, Waiting};
use crate::weights::{Header, Manifest, Packer, Parse, TensorInfo};
use crate::{Error, Result};

/// Bytes that may wait in memory between two tensors: records some parts of which have come, and half-filled chunks.
/// Stable Diffusion 1 in f16 has 52 MB of time projections, which may lie all over the file, and chunks of 17 MB; what needs
/// more takes more passes. Beside these there are, for a moment, the largest tensor and the record made of it, 76 MB each:
/// 236 MB in all.
pub(super) const MAX_WAITING_BYTES: u64 = 80 << 20;

/// Bytes of a file after which what waits is put by, that a crash does not lose them: no fewer, and so many times what is then written.
const PUT_BY_AFTER: u64 = 64 << 20;
const PUT_BY_SHARE: u64 = 4;

/// Decides the packed layout from a file's header, for example with the declarations of the model room.
pub type Layout = Box<dyn Fn(&Header) -> Result<Manifest>>;

/// How a pass over the file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// Every chunk has been handed out, and the file was checked from its first byte to its last.
    Complete,
    /// The file is not the one that was begun: what is stored of it is of no use.
    Changed,
    /// Parts of records lie further apart than memory allows: fetch once more for the rest.
    AnotherPass,
}

/// How a pass makes sure of the file.
enum Check {
    /// By a hash that runs from the file's first byte, in this pass or through a mark of an earlier one.
    Hash(Trail),
    /// The whole was checked once and chunks were damaged since: each must have the checksum that it had.
    Sums(Vec<Held>),
}

/// What is known once the header has been read.
struct Known {
    header: Header,
    manifest: Arc<Manifest>,
    packer: Packer,
    assembler: Assembler,
    /// By tensor, in file order: whether a chunk of this pass needs it.
    needed: Vec<bool>,
    /// By chunk: whether this pass completes it.
    pass: Vec<bool>,
    /// By chunk: whether it is left to another one.
    later: Vec<bool>,
    chunk_bytes: u64,
}

/// One pass over a model file.
pub struct Import {
    expected: Expected,
    layout: Layout,
    /// The header's bytes, once known exactly those before the data.
    header: Vec<u8>,
    known: Option<Known>,
    /// File offset of the next byte to come.
    position: u64,
    check: Check,
    /// What an earlier pass noted of the hash.
    marks: Vec<Mark>,
    /// From where an earlier pass is gone on with.
    resume_offset: u64,
    /// Bytes that came with a slice and were not looked at yet; they begin at `position - pending.len()`.
    pending: Vec<u8>,
    /// The bytes of tensor `tensor` that have arrived.
    partial: Vec<u8>,
    tensor: usize,
    /// Parsing is tried again at this many header bytes.
    try_header_at: usize,
    changed: bool,
    /// Whether the pass began behind the file's first byte.
    resumed: bool,
    max_waiting_bytes: u64,
    /// Up to where what waited has been put by, or was looked at for it.
    put_by: u64,
    looked_at: u64,
    put_by_after: u64,
}

impl Import {
    /// A file of which nothing is stored.
    pub fn new(expected: Expected, layout: Layout) -> Import {
        Import {
            expected,
            layout,
            header: Vec::new(),
            known: None,
            position: 0,
            check: Check::Hash(Trail::new(&[])),
            marks: Vec::new(),
            resume_offset: 0,
            pending: Vec::new(),
            partial: Vec::new(),
            tensor: 0,
            try_header_at: 0,
            changed: false,
            resumed: false,
            max_waiting_bytes: MAX_WAITING_BYTES,
            put_by: 0,
            looked_at: 0,
            put_by_after: PUT_BY_AFTER,
        }
    }

    /// A file of which some chunks are stored, what was noted of its hash meanwhile, and what waited then, if that was put by.
    /// `None` where that is not enough to make sure of the rest: then the file has to come from its beginning, as if nothing
    /// were stored.
    pub fn resume(
        expected: Expected,
        layout: Layout,
        stored: &StoredModel,
        held: &[Held],
        marks: &[Mark],
        waiting: Option<Waiting<Vec<u8>>>,
    ) -> Result<Option<Import>> {
        let Parse::Done(header) = Header::parse(&expected.file, &stored.header, expected.bytes)? else {
            return Err(Error::Storage {
                message: format!("the stored header of {} is cut off", expected.file),
            });
        };
        let mut import = Import::new(expected, layout);
        let map = stored.chunk_map();
        let held: Vec<Held> =
            (0..map.len()).map(|index| held.get(index).copied().unwrap_or_default()).collect();
        let missing: Vec<bool> = held.iter().map(|held| !matches!(held, Held::Chunk(_))).collect();
        let end = *header.lengths.start();
        let is_damaged = held.iter().any(|held| matches!(held, Held::Sum(_)));
        let waiting = waiting.filter(|waiting| !is_damaged && waiting.chunks.len() == map.len());
        let waited = import.know(header, stored.manifest.clone(), map, missing, stored.chunk_bytes, waiting);
        import.header = stored.header.clone();
        let needed = import.needed_from().max(waited);
        if is_damaged && !held.contains(&Held::Nothing) {
            import.resume_offset = needed;
            import.check = Check::Sums(held);
            return Ok(Some(import));
        }
        // Of nothing beyond the data's end could be asked. If possible some bytes are seen a second time.
        let last = marks.last().map_or(0, |mark| mark.at);
        let within = |most: u64| marks.iter().rfind(|mark| mark.at <= needed && mark.at < end.min(most));
        let from = within(last).or_else(|| within(u64::MAX));
        let Some(from) = from.filter(|mark| Trail::resume(marks, mark.at).is_some()) else { return Ok(None) };
        import.resume_offset = from.at;
        import.put_by = waited;
        import.marks = marks.to_vec();
        Ok(Some(import))
    }

    /// The file offset from which bytes are needed; 0 when nothing is stored.
    pub fn resume_offset(&self) -> u64 {
        self.resume_offset
    }

    /// The server begins at `offset`, which is [`Import::resume_offset`] or 0, and says that the file has `total` bytes.
    pub fn start_at(&mut self, offset: u64, total: Option<u64>) -> Result<()> {
        self.expected.bytes = self.expected.bytes.or(total);
        self.position = offset;
        self.resumed = offset > 0;
        if let Check::Hash(trail) = &mut self.check {
            let begun = match offset {
                0 => Some(Trail::new(&self.marks)),
                _ => Trail::resume(&self.marks, offset),
            };
            let Some(begun) = begun else {
                return Err(self.expected.network(format!("the server began at byte {offset}, unasked")));
            };
            *trail = begun;
        }
        self.set_stops();
        Ok(())
    }

    /// Whether what is still to come shows if the file is the one that was begun: bytes that were seen before.
    pub fn will_compare(&self) -> bool {
        match &self.check {
            Check::Hash(trail) => trail.will_compare(),
            Check::Sums(_) => true,
        }
    }

    /// Takes the next bytes of the file; [`Import::next_chunk`] works on them.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        let before = self.position;
        self.position += bytes.len() as u64;
        self.check_length()?;
        if self.known.is_none() {
            self.header.extend_from_slice(bytes);
            return self.read_header();
        }
        self.compare_header(before, bytes)?;
        if let Check::Hash(trail) = &mut self.check {
            trail.update(bytes);
            if trail.differs() {
                return Err(self.other_file());
            }
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole chunk, or `None` when more bytes are needed.
    pub fn next_chunk(&mut self) -> Result<Option<FullChunk>> {
        let Some(known) = &mut self.known else { return Ok(None) };
        let mut used = 0;
        let chunk = loop {
            if let Some(chunk) = known.assembler.next_chunk()? {
                break Some(chunk);
            }
            let at = self.position - (self.pending.len() - used) as u64;
            let Some(tensor) = known.header.tensors.get(self.tensor) else {
                used = self.pending.len();
                break None;
            };
            let end = tensor.offset.saturating_add(tensor.len);
            let needed = known.needed.get(self.tensor).copied().unwrap_or(false);
            let from = if needed { tensor.offset + self.partial.len() as u64 } else { end };
            if needed && at > from {
                let message = format!("tensor {} overlaps the one before it", tensor.name);
                return Err(Error::BadFile { file: self.expected.file.clone(), message });
            }
            let rest = self.pending.len() - used;
            let skip = from.saturating_sub(at).min(rest as u64) as usize;
            let take = if needed { (end - from).min((rest - skip) as u64) as usize } else { 0 };
            if needed {
                // At once: growing by doubling would take twice the largest tensor.
                self.partial.reserve_exact((end - from) as usize);
            }
            self.partial.extend_from_slice(&self.pending[used + skip..used + skip + take]);
            used += skip + take;
            let at = at + (skip + take) as u64;
            if at < end {
                break None;
            }
            self.tensor += 1;
            if needed {
                let bytes = std::mem::take(&mut self.partial);
                let pieces = known.packer.push(&tensor.name, bytes)?;
                if !self.expected.allow_non_finite {
                    // Before anything of it is stored: what goes on with that would not see it.
                    known.packer.check_finite()?;
                }
                pieces.into_iter().for_each(|piece| known.assembler.push(piece));
            }
        };
        self.pending.drain(..used);
        if let (Some(chunk), Check::Sums(held)) = (&chunk, &self.check)
            && held.get(chunk.index) != Some(&Held::Sum(chunk.sum))
        {
            return Err(self.other_file());
        }
        Ok(chunk)
    }

    /// What is to be stored with the chunk that was handed out last, so that another pass can go on from here.
    pub fn marks(&mut self) -> Vec<Mark> {
        let (needed, put_by) = (self.needed_from(), self.put_by);
        match &mut self.check {
            Check::Hash(trail) => trail.marks(needed, Some(put_by).filter(|at| *at > needed)),
            Check::Sums(_) => Vec::new(),
        }
    }

    /// What waits, to be put by with its marks, so that another pass can go on behind the last tensor that has come; `None` where that
    /// would help nothing.
    pub fn waiting(&mut self) -> Option<(Waiting<&[u8]>, Vec<Mark>)> {
        let (at, needed) = (self.taken(), self.needed_from());
        let known = self.known.as_ref().filter(|known| known.assembler.is_idle())?;
        let Check::Hash(trail) = &mut self.check else { return None };
        if at <= needed.max(self.put_by) {
            return None;
        }
        let marks = trail.marks(needed, Some(at));
        let part = |(index, count, bytes)| Begun { index, count, bytes };
        let records = known.packer.pending().map(|(record, left, bytes)| (record, left as u64, bytes));
        let waiting = Waiting {
            at,
            chunks: known.pass.clone(),
            records: records.map(part).collect(),
            open: known.assembler.open().map(part).collect(),
        };
        Some((waiting, marks))
    }

    /// What [`Import::waiting`] gave is kept.
    pub fn put_by(&mut self) {
        self.put_by = self.taken();
    }

    /// Whether so much has come since what waited was put by, that a crash should not lose it.
    pub fn should_put_by(&mut self) -> bool {
        let at = self.taken();
        if at < self.looked_at.max(self.put_by) + self.put_by_after {
            return false;
        }
        let Some(known) = &self.known else { return false };
        let waits = known.packer.pending_bytes() + known.assembler.open_bytes();
        self.looked_at = at;
        let lost = at.saturating_sub(self.needed_from().max(self.put_by));
        lost >= self.put_by_after.max(PUT_BY_SHARE * waits)
    }

    /// The end of the last tensor that has come, in bytes of the file.
    fn taken(&self) -> u64 {
        let tensors = self.known.as_ref().map_or(&[][..], |known| &known.header.tensors);
        let last = self.tensor.checked_sub(1).and_then(|last| tensors.get(last));
        last.map_or(0, |tensor| tensor.offset + tensor.len).max(self.put_by)
    }

    /// Tensors of the file that have come, of all; `None` before its header has.
    pub fn tensors(&self) -> Option<[u64; 2]> {
        self.known.as_ref().map(|known| [self.tensor as u64, known.header.tensors.len() as u64])
    }

    /// Whether nothing more of the file is of use: what was damaged is there again.
    pub fn is_done(&self) -> bool {
        matches!(self.check, Check::Sums(_))
            && self.known.as_ref().is_some_and(|known| known.assembler.is_complete())
    }

    /// The length of the file in bytes, as far as it is known: at least so much, once the header has been read.
    pub fn total(&self) -> Option<u64> {
        Some(*self.lengths().start()).filter(|&bytes| bytes > 0)
    }

    /// Whether the server's file turned out to be another than the one of which chunks are stored.
    pub fn is_changed(&self) -> bool {
        self.changed
    }

    /// Another bound on what waits, before anything came, to see what it does.
    #[cfg(test)]
    pub(super) fn set_max_waiting_bytes(&mut self, bytes: u64, missing: Vec<bool>) {
        self.max_waiting_bytes = bytes;
        if let Some(Known { header, manifest, chunk_bytes, .. }) = self.known.take() {
            let map = ChunkMap::new(&manifest.slabs, chunk_bytes);
            self.know(header, manifest, map, missing, chunk_bytes, None);
        }
    }

    /// Another count of bytes after which what waits is put by.
    #[cfg(test)]
    pub(super) fn set_put_by_after(&mut self, bytes: u64) {
        self.put_by_after = bytes;
    }

    /// Bytes that wait: records some parts of which have come, and half-filled chunks.
    #[cfg(test)]
    pub(super) fn waiting_bytes(&self) -> u64 {
        self.known.as_ref().map_or(0, |known| known.packer.pending_bytes() + known.assembler.open_bytes())
    }

    /// The file offset reached.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The packed layout, once the header has been read.
    pub fn manifest(&self) -> Option<&Arc<Manifest>> {
        self.known.as_ref().map(|known| &known.manifest)
    }

    /// The header's bytes, once it has been read, for [`StoredModel::header`].
    pub fn header(&self) -> Option<&[u8]> {
        self.known.as_ref().map(|_| self.header.as_slice())
    }

    /// The size the slabs are cut in, once the header has been read.
    pub fn chunk_bytes(&self) -> Option<u64> {
        self.known.as_ref().map(|known| known.chunk_bytes)
    }

    /// The connection has ended: says whether all is well.
    pub fn finish(self) -> Result<Finish> {
        let done = self.is_done();
        let Some(known) = &self.known else {
            let message = format!("the file ended after {} bytes, inside its header", self.position);
            return Err(self.expected.network(message));
        };
        let total = *self.lengths().start();
        if self.position < total && !done {
            let message = format!("the connection ended after {} of {total} bytes", self.position);
            return Err(self.expected.network(message));
        }
        if let (Check::Hash(trail), Some(expected)) = (&self.check, &self.expected.sha256) {
            let found = trail.sha256();
            if found != expected.to_lowercase() {
                // Of two halves of different files the first may be the wrong one.
                if self.resumed {
                    return Ok(Finish::Changed);
                }
                let message = format!("its SHA-256 is {found}, expected {expected}; nothing of it was kept");
                return Err(self.expected.bad_file(message));
            }
        }
        if known.later.contains(&true) || !known.assembler.is_complete() {
            return Ok(Finish::AnotherPass);
        }
        Ok(Finish::Complete)
    }

    /// Parses the header as soon as enough of it is there; what follows it becomes pending.
    fn read_header(&mut self) -> Result<()> {
        self.expected.check_opening(&self.header)?;
        if self.header.len() < self.try_header_at {
            return Ok(());
        }
        let header = match Header::parse(&self.expected.file, &self.header, self.expected.bytes)? {
            Parse::Done(header) => header,
            Parse::NeedMore(bytes) => {
                // Never more than the file has: else its end would pass unseen.
                let total = self.expected.bytes.and_then(|total| usize::try_from(total).ok());
                self.try_header_at = total.map_or(bytes, |total| bytes.min(total));
                return Ok(());
            }
        };
        let manifest = Arc::new((self.layout)(&header)?);
        let size = chunk_bytes(manifest.bytes());
        let map = ChunkMap::new(&manifest.slabs, size);
        let missing = vec![true; map.len()];
        let data_start = (header.data_start as usize).min(self.header.len());
        self.pending = self.header.split_off(data_start);
        self.know(header, manifest, map, missing, size, None);
        self.set_stops();
        if let Check::Hash(trail) = &mut self.check {
            trail.update(&self.header);
            trail.update(&self.pending);
        }
        self.check_length()
    }

    /// Gives the offset behind the last tensor whose bytes are among what waited, 0 where nothing did.
    fn know(
        &mut self,
        header: Header,
        manifest: Arc<Manifest>,
        map: ChunkMap,
        missing: Vec<bool>,
        size: u64,
        waiting: Option<Waiting<Vec<u8>>>,
    ) -> u64 {
        let pass = match &waiting {
            // The one that was begun.
            Some(waiting) => {
                let both = missing.iter().zip(&waiting.chunks).map(|(missing, now)| missing & now).collect();
                passes::of(&manifest, &header, &map, both)
            }
            None => passes::next(&manifest, &header, &map, &missing, self.max_waiting_bytes),
        };
        let mut packer = Packer::of(&*manifest, &header, &|record| pass.records[record]);
        let mut assembler = Assembler::new(&manifest, map.clone(), pass.chunks.clone());
        let (at, fits) = match waiting {
            Some(Waiting { at, records, open, .. }) => {
                let mut records =
                    records.into_iter().filter(|part| pass.records.get(part.index) != Some(&false));
                let mut open = open.into_iter().filter(|part| pass.chunks.get(part.index) != Some(&false));
                let fits = records.all(|part| packer.put_back(part.index, part.count as usize, part.bytes))
                    && open.all(|part| assembler.put_back(part.index, part.count, part.bytes));
                (at, fits)
            }
            None => (0, true),
        };
        if !fits {
            return self.know(header, manifest, map, missing, size, None);
        }
        let wanted = tensors(&manifest, &pass.records);
        let is_needed = |tensor: &TensorInfo| tensor.offset >= at && wanted.contains(tensor.name.as_str());
        let needed = header.tensors.iter().map(is_needed).collect();
        let later = missing.iter().zip(&pass.chunks).map(|(missing, now)| missing & !now).collect();
        let (chunk_bytes, pass) = (size, pass.chunks);
        self.known = Some(Known { header, manifest, packer, assembler, needed, pass, later, chunk_bytes });
        at
    }

    /// The hash can be gone on with wherever a tensor begins, and is noted where one ends.
    fn set_stops(&mut self) {
        if let (Check::Hash(trail), Some(known)) = (&mut self.check, &self.known) {
            let mut stops: Vec<u64> = known
                .header
                .tensors
                .iter()
                .flat_map(|tensor| [tensor.offset, tensor.offset + tensor.len])
                .collect();
            stops.dedup();
            trail.stop_at(stops.into_iter());
        }
    }

    /// Offset of the first tensor that a missing chunk is made of; the data's end where none is missing.
    fn needed_from(&self) -> u64 {
        let Some(known) = &self.known else { return 0 };
        let wanted = tensors(&known.manifest, &known.assembler.records(&known.manifest, &known.later));
        let first = known.header.tensors.iter().find(|tensor| wanted.contains(tensor.name.as_str()));
        first.map_or(*known.header.lengths.start(), |tensor| tensor.offset)
    }

    /// Lengths that the file may have, in bytes, by all that is known.
    fn lengths(&self) -> RangeInclusive<u64> {
        match (self.expected.bytes, &self.known) {
            (Some(bytes), _) => bytes..=bytes,
            (None, Some(known)) => known.header.lengths.clone(),
            (None, None) => 0..=u64::MAX,
        }
    }

    fn check_length(&self) -> Result<()> {
        let longest = *self.lengths().end();
        if self.position <= longest {
            return Ok(());
        }
        Err(self.expected.network(format!("the file is longer than the expected {longest} bytes")))
    }

    /// When a server without ranges sends the file from its beginning again, its header must be the known one.
    fn compare_header(&mut self, position: u64, bytes: &[u8]) -> Result<()> {
        let Ok(from) = usize::try_from(position) else { return Ok(()) };
        let Some(known) = self.header.get(from..) else { return Ok(()) };
        let count = known.len().min(bytes.len());
        if known[..count] == bytes[..count] {
            return Ok(());
        }
        Err(self.other_file())
    }

    fn other_file(&mut self) -> Error {
        self.changed = true;
        self.expected
            .network(format!("{} has changed since the first part of it was fetched", self.expected.file))
    }
}

/// The file's tensors that these records are made of, by name.
fn tensors<'a>(manifest: &'a Manifest, records: &[bool]) -> HashSet<&'a str> {
    let wanted = manifest.records.iter().zip(records).filter(|(_, wanted)| **wanted);
    wanted.flat_map(|(record, _)| &record.decl.parts).map(|part| part.name.as_str()).collect()
}
