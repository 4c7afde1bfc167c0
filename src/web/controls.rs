//! ControlNets that a request names: fetched when one is first asked for, and kept beside the model in use.

use std::sync::Arc;

use wasm_bindgen::JsValue;

use super::device::{Backend, Joiner};
use super::fetch::{self, Ask, Download};
use crate::model::control_decls;
use crate::pipeline::Cancel;
use crate::weights::{Bytes, Header, LayoutOptions, Packer, Parse, Source, control_layout, control_of};
use crate::{Error, Result};

/// A ControlNet's file.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ControlFile {
    /// Its address, or a file's name and date.
    pub id: String,
    pub url: String,
    /// What people call it.
    pub name: String,
}

/// A file whose bytes are read in order.
struct Reader {
    download: Download,
    url: String,
    /// What has come and was not used yet, and where in the file it begins.
    bytes: Vec<u8>,
    start: u64,
}

impl Reader {
    /// Reads until so many bytes of the file have come.
    async fn until(&mut self, end: u64, cancel: &Cancel) -> Result<()> {
        while self.start + (self.bytes.len() as u64) < end {
            cancel.check()?;
            let broken = || Error::Network {
                url: self.url.clone(),
                message: "the ControlNet's file broke off".into(),
                retryable: true,
            };
            let more = self.download.next().await?.ok_or_else(broken)?;
            self.bytes.extend(more);
        }
        Ok(())
    }

    /// Bytes of the file; what lies before them is let go of.
    async fn take(&mut self, offset: u64, len: u64, cancel: &Cancel) -> Result<Vec<u8>> {
        while self.start < offset {
            self.until(self.start + 1, cancel).await?;
            let gone = (offset - self.start).min(self.bytes.len() as u64);
            self.bytes.drain(..gone as usize);
            self.start += gone;
        }
        self.until(offset + len, cancel).await?;
        self.start += len;
        Ok(self.bytes.drain(..len as usize).collect())
    }
}

/// Brings a ControlNet and lets it join the model; what goes wrong leaves the model as it was.
pub(super) async fn join(
    backend: &mut Backend,
    file: &ControlFile,
    signal: &JsValue,
    cancel: &Cancel,
) -> Result<()> {
    let ask = Ask {
        url: &file.url,
        offset: 0,
        is_length_known: true,
        validator: None,
        headers: &[],
        fetch: &JsValue::UNDEFINED,
        signal,
    };
    let download = fetch::open(&ask).await?;
    let (url, bytes) = (file.url.clone(), Vec::new());
    let mut reader = Reader { download, url, bytes, start: 0 };
    let mut header = read_header(&mut reader, file, cancel).await?;
    let config = control_of(&file.name, &mut header)?.like(backend.config());
    let base = backend.manifest().clone();
    let source = Source { file: file.name.clone(), bytes: header.data_start, sha256: None };
    let options = (source, LayoutOptions::default());
    let part = control_layout(&config, &header, backend.config(), control_decls, options)?;
    let (first, whole) = (base.slabs.len(), Arc::new(base.with_control(&part, &config)?));
    let mut joiner = Joiner::new(backend, whole).await?;
    let mut packer = Packer::new(&part, &header);
    let mut arriving = async || {
        for info in &header.tensors {
            if packer.wants(&info.name) {
                let bytes = reader.take(info.offset, info.len, cancel).await?;
                for piece in packer.push(&info.name, bytes)? {
                    joiner.write(first + piece.slab, piece.offset, Bytes::Slice(&piece.bytes))?;
                }
            }
        }
        Ok(())
    };
    let arrived: Result<()> = arriving().await;
    match arrived.and_then(|()| packer.finish()) {
        Ok(()) => joiner.finish(),
        Err(error) => {
            joiner.give_up().await?;
            Err(error)
        }
    }
}

async fn read_header(reader: &mut Reader, file: &ControlFile, cancel: &Cancel) -> Result<Header> {
    loop {
        match Header::parse(&file.name, &reader.bytes, reader.download.total)? {
            Parse::Done(header) => return Ok(header),
            Parse::NeedMore(needed) => reader.until(needed as u64, cancel).await?,
        }
    }
}
