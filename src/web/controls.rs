//! ControlNets that a request names: fetched when one is first asked for, and kept beside the model in use. Within a limit of
//! the device's memory they leave it and come back from their files, as the model does from the store.

use std::sync::Arc;

use wasm_bindgen::JsValue;

use super::acquire::Acquired;
use super::device::{Device, Joiner};
use super::fetch::{self, Ask, Download};
use crate::model::control_decls;
use crate::pipeline::Cancel;
use crate::weights::{
    Bytes, Header, LayoutOptions, Manifest, PackedRecord, Packer, Parse, Sink, Source, control_layout,
    control_of,
};
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
    /// Asks for a file.
    async fn open(url: &str, signal: &JsValue) -> Result<Reader> {
        let ask = Ask {
            url,
            offset: 0,
            is_length_known: true,
            validator: None,
            headers: &[],
            fetch: &JsValue::UNDEFINED,
            signal,
        };
        let download = fetch::open(&ask).await?;
        Ok(Reader { download, url: url.to_owned(), bytes: Vec::new(), start: 0 })
    }

    /// What the file says of itself.
    async fn header(&mut self, name: &str, cancel: &Cancel) -> Result<Header> {
        loop {
            match Header::parse(name, &self.bytes, self.download.total)? {
                Parse::Done(header) => return Ok(header),
                Parse::NeedMore(needed) => self.until(needed as u64, cancel).await?,
            }
        }
    }

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
    acquired: &mut Acquired,
    device: &Device,
    file: &ControlFile,
    signal: &JsValue,
    cancel: &Cancel,
) -> Result<()> {
    let mut reader = Reader::open(&file.url, signal).await?;
    let mut header = reader.header(&file.name, cancel).await?;
    let config = control_of(&file.name, &mut header)?.like(acquired.backend.config());
    let base = acquired.backend.manifest().clone();
    let source = Source { file: file.name.clone(), bytes: header.data_start, sha256: None };
    let options = (source, LayoutOptions::default());
    let part = control_layout(&config, &header, acquired.backend.config(), control_decls, options);
    let part = part.map_err(unfit)?;
    let whole = Arc::new(base.with_control(&part, &config)?);
    let (first, records) = (base.slabs.len(), whole.records[base.records.len()..].to_vec());
    let control = ControlStock { url: file.url.clone(), header, part, records, first };
    if let Some(stock) = &acquired.stock {
        // Nothing of it is needed before a run is steered: the model begins anew, as one that came with it.
        let stock = stock.with_control(control);
        let config = acquired.backend.config();
        let prediction = (!config.asks_prediction).then_some(config.scheduler.prediction_type);
        acquired.backend = device.within(whole, Box::new(stock.clone()))?;
        if let Some(prediction) = prediction {
            acquired.backend.set_prediction(prediction);
        }
        acquired.stock = Some(stock);
        return Ok(());
    }
    let mut joiner = Joiner::new(&mut acquired.backend, whole).await?;
    let mut write = |slab: usize, offset: u64, bytes: Bytes<'_>| joiner.write(slab, offset, bytes);
    match control.stream(&mut reader, &|_| true, &mut write, cancel).await {
        Ok(()) => joiner.finish(),
        Err(error) => {
            joiner.give_up().await?;
            Err(error)
        }
    }
}

/// That one is of another family is for the caller to mend.
fn unfit(error: Error) -> Error {
    match error {
        Error::Unsupported { what, message } => {
            Error::InvalidInput { field: "controls", message: format!("{what}: {message}") }
        }
        other => other,
    }
}

/// A ControlNet whose weights come from its file as often as they are wanted.
pub(super) struct ControlStock {
    url: String,
    header: Header,
    /// Its own, as that of a model's first one.
    part: Manifest,
    /// Its records as the model has them, and the model's slab that is its first.
    records: Vec<PackedRecord>,
    first: usize,
}

impl ControlStock {
    /// Hands over the records that are `wanted`; without any its file is left alone.
    pub async fn fetch(
        &self,
        wanted: &dyn Fn(&PackedRecord) -> bool,
        sink: &mut Sink<'_>,
        cancel: &Cancel,
    ) -> Result<()> {
        if !self.records.iter().any(wanted) {
            return Ok(());
        }
        let mut reader = Reader::open(&self.url, &JsValue::UNDEFINED).await?;
        self.stream(&mut reader, wanted, sink, cancel).await
    }

    /// Packs the records that are `wanted` as the file comes, from its first tensor on.
    async fn stream(
        &self,
        reader: &mut Reader,
        wanted: &dyn Fn(&PackedRecord) -> bool,
        sink: &mut Sink<'_>,
        cancel: &Cancel,
    ) -> Result<()> {
        let ControlStock { header, part, records, first, .. } = self;
        let mut packer = Packer::of(part, header, &|index| records.get(index).is_some_and(wanted));
        for info in &header.tensors {
            if packer.wants(&info.name) {
                let bytes = reader.take(info.offset, info.len, cancel).await?;
                for piece in packer.push(&info.name, bytes)? {
                    sink(first + piece.slab, piece.offset, Bytes::Slice(&piece.bytes))?;
                }
            }
        }
        packer.check_finite()?;
        packer.finish()
    }
}
