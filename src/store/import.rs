//! A model file on its way into the store: bytes in, in slices of any size; whole chunks out.
//!
//! Nothing of the file is kept but its header, the tensor that is arriving and the chunks that are half full.

use std::collections::HashSet;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::assembler::{Assembler, FullChunk};
use super::chunks::{ChunkMap, chunk_bytes};
use super::passes;
use super::stored::StoredModel;
use crate::weights::marks;
use crate::weights::{Header, Manifest, Packer, Parse};
use crate::{Error, Result};

/// Bytes that may wait in memory between two tensors: records some parts of which have come, and half-filled chunks.
/// Stable Diffusion 1 in f16 has 52 MB of time projections, which may lie all over the file, and chunks of 17 MB; what needs
/// more takes more passes. Beside these there are, for a moment, the largest tensor and the record made of it, 76 MB each:
/// 236 MB in all.
pub(super) const MAX_WAITING_BYTES: u64 = 80 << 20;

/// What a download is held against.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// For messages about the transfer.
    pub url: String,
    /// For messages about the file.
    pub file: String,
    /// Length of the file.
    pub bytes: u64,
    /// Lower-case hexadecimal, when it is known.
    pub sha256: Option<String>,
}

/// Decides the packed layout from a file's header, for example with the declarations of the model room.
pub type Layout = Box<dyn Fn(&Header) -> Result<Manifest>>;

/// How a pass over the file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// Every chunk has been handed out; `whole`: and the file's SHA-256 and length were checked from its first byte.
    Complete { whole: bool },
    /// Parts of records lie further apart than memory allows: fetch once more for the rest.
    AnotherPass,
}

/// What is known once the header has been read.
struct Known {
    header: Header,
    manifest: Manifest,
    packer: Packer,
    assembler: Assembler,
    /// By tensor, in file order: whether a chunk of this pass needs it.
    needed: Vec<bool>,
    /// Whether nothing is missing after this pass.
    is_last: bool,
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
    /// Runs when the pass began at the file's first byte.
    hasher: Option<Sha256>,
    /// Bytes that came with a slice and were not looked at yet; they begin at `position - pending.len()`.
    pending: Vec<u8>,
    /// The bytes of tensor `tensor` that have arrived.
    partial: Vec<u8>,
    tensor: usize,
    /// Parsing is tried again at this many header bytes.
    try_header_at: usize,
    changed: bool,
    max_waiting_bytes: u64,
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
            hasher: Some(Sha256::new()),
            pending: Vec::new(),
            partial: Vec::new(),
            tensor: 0,
            try_header_at: 0,
            changed: false,
            max_waiting_bytes: MAX_WAITING_BYTES,
        }
    }

    /// A file of which some chunks are stored: those with `Some` in `sums`.
    pub fn resume(
        expected: Expected,
        layout: Layout,
        stored: &StoredModel,
        sums: &[Option<u32>],
    ) -> Result<Import> {
        let Parse::Done(header) = Header::parse(&expected.file, &stored.header, expected.bytes)? else {
            return Err(Error::Storage {
                message: format!("the stored header of {} is cut off", expected.file),
            });
        };
        let mut import = Import::new(expected, layout);
        let map = stored.chunk_map();
        let missing = (0..map.len()).map(|index| sums.get(index).copied().flatten().is_none()).collect();
        import.know(header, stored.manifest.clone(), map, missing, stored.chunk_bytes);
        import.header = stored.header.clone();
        Ok(import)
    }

    /// The file offset from which bytes are needed; 0 when the header is not known yet.
    pub fn resume_offset(&self) -> u64 {
        let Some(known) = &self.known else { return 0 };
        let first = known.needed.iter().position(|&needed| needed);
        first.and_then(|index| known.header.tensors.get(index)).map_or(0, |tensor| tensor.offset)
    }

    /// The server agreed to begin at `offset`, at most [`Import::resume_offset`].
    pub fn start_at(&mut self, offset: u64) {
        self.position = offset;
        if offset > 0 {
            self.hasher = None;
        }
    }

    /// Takes the next bytes of the file; [`Import::next_chunk`] works on them.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        let before = self.position;
        self.position += bytes.len() as u64;
        if self.position > self.expected.bytes {
            return Err(
                self.network(format!("the file is longer than the expected {} bytes", self.expected.bytes))
            );
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        if self.known.is_some() {
            self.compare_header(before, bytes)?;
            self.pending.extend_from_slice(bytes);
            return Ok(());
        }
        self.header.extend_from_slice(bytes);
        self.read_header()
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
            if needed && self.partial.capacity() == 0 {
                self.partial.reserve_exact(usize::try_from(tensor.len).unwrap_or_default());
            }
            let take = if needed { (end - from).min((rest - skip) as u64) as usize } else { 0 };
            self.partial.extend_from_slice(&self.pending[used + skip..used + skip + take]);
            used += skip + take;
            let at = at + (skip + take) as u64;
            if at < end {
                break None;
            }
            self.tensor += 1;
            if needed {
                let bytes = std::mem::take(&mut self.partial);
                for piece in known.packer.push(&tensor.name, &bytes)? {
                    known.assembler.push(piece);
                }
            }
        };
        self.pending.drain(..used);
        Ok(chunk)
    }

    /// Whether nothing more of the file is of use: all chunks are there and its hash cannot be checked anyway.
    pub fn is_done(&self) -> bool {
        self.hasher.is_none() && self.known.as_ref().is_some_and(|known| known.assembler.is_complete())
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
            self.know(header, manifest, map, missing, chunk_bytes);
        }
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
    pub fn manifest(&self) -> Option<&Manifest> {
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
            return Err(self.network(message));
        };
        let total = self.expected.bytes;
        if self.position < total && !done {
            let message = format!("the connection ended after {} of {total} bytes", self.position);
            return Err(self.network(message));
        }
        let whole = self.hasher.is_some();
        if let (Some(hasher), Some(expected)) = (&self.hasher, &self.expected.sha256) {
            let found = hex(&hasher.clone().finalize());
            if found != expected.to_lowercase() {
                return Err(Error::BadFile {
                    file: self.expected.file.clone(),
                    message: format!("its SHA-256 is {found}, expected {expected}; nothing of it was kept"),
                });
            }
        }
        if !known.is_last || !known.assembler.is_complete() {
            return Ok(Finish::AnotherPass);
        }
        Ok(Finish::Complete { whole })
    }

    /// Parses the header as soon as enough of it is there; what follows it becomes pending.
    fn read_header(&mut self) -> Result<()> {
        self.check_magic()?;
        if self.header.len() < self.try_header_at {
            return Ok(());
        }
        let header = match Header::parse(&self.expected.file, &self.header, self.expected.bytes)? {
            Parse::Done(header) => header,
            Parse::NeedMore(bytes) => {
                // Never more than the file has: else its end would pass unseen.
                self.try_header_at = bytes.min(usize::try_from(self.expected.bytes).unwrap_or(bytes));
                return Ok(());
            }
        };
        let manifest = (self.layout)(&header)?;
        let size = chunk_bytes(manifest.bytes());
        let map = ChunkMap::new(&manifest.slabs, size);
        let missing = vec![true; map.len()];
        let data_start = (header.data_start as usize).min(self.header.len());
        self.pending = self.header.split_off(data_start);
        self.know(header, manifest, map, missing, size);
        Ok(())
    }

    fn know(&mut self, header: Header, manifest: Manifest, map: ChunkMap, missing: Vec<bool>, size: u64) {
        let pass = passes::next(&manifest, &header, &map, &missing, self.max_waiting_bytes);
        let records = manifest.records.iter().zip(&pass.records).filter(|(_, wanted)| **wanted);
        let parts = records.flat_map(|(record, _)| &record.decl.parts);
        let wanted: HashSet<&str> = parts.map(|part| part.name.as_str()).collect();
        let needed = header.tensors.iter().map(|tensor| wanted.contains(tensor.name.as_str())).collect();
        let packer = Packer::of(&manifest, &header, &|record| pass.records[record]);
        let is_last = pass.chunks == missing;
        let assembler = Assembler::new(&manifest, map, pass.chunks);
        let chunk_bytes = size;
        self.known = Some(Known { header, manifest, packer, assembler, needed, is_last, chunk_bytes });
    }

    /// When a server without ranges sends the file from its beginning again, its header must be the known one.
    fn compare_header(&mut self, position: u64, bytes: &[u8]) -> Result<()> {
        let Ok(from) = usize::try_from(position) else { return Ok(()) };
        let Some(known) = self.header.get(from..) else { return Ok(()) };
        let count = known.len().min(bytes.len());
        if known[..count] == bytes[..count] {
            return Ok(());
        }
        self.changed = true;
        Err(self.network("the file has changed since the first part of it was fetched".into()))
    }

    /// The first bytes tell a model from a web page, long before a header could be parsed.
    fn check_magic(&self) -> Result<()> {
        let Some(start) = self.header.get(..16) else { return Ok(()) };
        if start.starts_with(b"GGUF") || start.starts_with(b"PK") {
            return Ok(());
        }
        // A file of the visitor's own has no server.
        if start.trim_ascii_start().starts_with(b"<") && !self.expected.url.starts_with("blob:") {
            return Err(self.network("the server answered with a web page instead of a model".into()));
        }
        if let Some(error) = marks::no_weights(&self.expected.file, &self.header) {
            return Err(error);
        }
        let looks_like_safetensors = start[5..8] == [0, 0, 0] && start[8] == b'{';
        if looks_like_safetensors {
            return Ok(());
        }
        let message =
            format!("it begins with \"{}\", which is neither GGUF nor safetensors", printable(&start[..8]));
        Err(self.bad_file(message))
    }

    fn network(&self, message: String) -> Error {
        Error::Network { url: self.expected.url.clone(), message, retryable: true }
    }

    fn bad_file(&self, message: String) -> Error {
        Error::BadFile { file: self.expected.file.clone(), message }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn printable(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
