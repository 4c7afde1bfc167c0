//! Weight files on disk.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use super::header::{Header, Parse, TensorInfo, incomplete};
use crate::error::{Error, Result};

/// An open weight file.
#[derive(Debug)]
pub(super) struct WeightFile {
    pub name: String,
    pub len: u64,
    file: File,
}

impl WeightFile {
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| io(&name, &error))?;
        let len = file.metadata().map_err(|error| io(&name, &error))?.len();
        Ok(WeightFile { name, len, file })
    }

    /// Reads as much of the file's beginning as its header needs.
    pub fn header(&self) -> Result<Header> {
        let mut prefix = Vec::new();
        let mut wanted = 1 << 16;
        loop {
            wanted = wanted.min(self.len as usize);
            self.read_at(0, wanted, &mut prefix)?;
            match Header::parse(&self.name, &prefix, self.len)? {
                Parse::Done(header) => return Ok(header),
                Parse::NeedMore(bytes) if bytes > wanted && wanted < self.len as usize => wanted = bytes,
                Parse::NeedMore(bytes) => {
                    let detail = format!("its header has {bytes} bytes");
                    return Err(incomplete(&self.name, self.len, bytes as u64, detail));
                }
            }
        }
    }

    /// Reads one tensor's data.
    pub fn read(&self, info: &TensorInfo, buffer: &mut Vec<u8>) -> Result<()> {
        self.read_at(info.offset, info.len as usize, buffer)
    }

    /// Reads `len` bytes from `offset` on.
    pub fn read_at(&self, offset: u64, len: usize, buffer: &mut Vec<u8>) -> Result<()> {
        buffer.resize(len, 0);
        let mut file = &self.file;
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(buffer));
        read.map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => {
                let detail = format!("no {len} bytes at {offset}");
                incomplete(&self.name, self.len, offset.saturating_add(len as u64), detail)
            }
            _ => io(&self.name, &error),
        })
    }
}

/// The system's error, with the file.
pub(super) fn io(path: &str, error: &std::io::Error) -> Error {
    Error::Io { path: path.to_string(), message: error.to_string() }
}
