//! A chunk on its way out of the database, piece by piece.
//!
//! A chunk is stored as a `Blob`. One that is stored as an array, as all were once, comes as an array of its own, for whose fresh
//! pages Chromium takes several times as long as for the bytes; those of a blob are read into one piece of memory again and again.

use std::any::Any;
use std::ops::Range;
use std::rc::Rc;

use js_sys::{Array, ArrayBuffer, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, ReadableStream};

use crate::Result;
use crate::weights::{Bytes, Elsewhere};

/// Bytes of a piece, but of a chunk's last: whole words, as a device's buffers are written.
const PIECE: u32 = 1 << 20;

#[wasm_bindgen]
extern "C" {
    /// What reads a stream into memory that it is given. Not every browser has it.
    #[wasm_bindgen(js_name = ReadableStreamBYOBReader)]
    type Reader;

    #[wasm_bindgen(constructor, catch, js_class = "ReadableStreamBYOBReader")]
    fn new(stream: &ReadableStream) -> std::result::Result<Reader, JsValue>;

    /// Takes the memory, and gives it back in its answer.
    #[wasm_bindgen(method)]
    fn read(this: &Reader, place: &Uint8Array) -> Promise;
}

impl Elsewhere for Uint8Array {
    fn count(&self) -> usize {
        self.length() as usize
    }

    fn part(&self, range: Range<usize>) -> Rc<dyn Elsewhere> {
        Rc::new(self.subarray(range.start as u32, range.end as u32))
    }

    fn copy_to(&self, place: &mut [u8]) {
        self.copy_to(place);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What the database has of a chunk.
#[derive(Default)]
pub enum Stored {
    #[default]
    Nothing,
    Array(Uint8Array),
    Blob(Blob),
}

impl Stored {
    pub(super) fn of(value: JsValue) -> Stored {
        match value.dyn_into() {
            Ok(blob) => Stored::Blob(blob),
            Err(value) => value.dyn_into().map_or(Stored::Nothing, Stored::Array),
        }
    }

    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        match self {
            Stored::Nothing => 0,
            Stored::Array(array) => u64::from(array.length()),
            Stored::Blob(blob) => blob.size() as u64,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Some bytes as the database keeps them best.
pub(super) fn blob(bytes: &Uint8Array) -> std::result::Result<Blob, JsValue> {
    Blob::new_with_u8_array_sequence(&Array::of1(bytes))
}

/// The same of many bytes, of which few lie in the heap of JavaScript at a time.
pub(super) fn large_blob(bytes: &[u8]) -> std::result::Result<Blob, JsValue> {
    let parts = bytes.chunks(PIECE as usize).map(|part| blob(&Uint8Array::from(part)));
    let parts = parts.collect::<std::result::Result<Array, JsValue>>()?;
    Blob::new_with_blob_sequence(&parts)
}

/// Reads chunks, all of them through one piece of memory.
#[derive(Default)]
pub struct Pieces {
    room: Option<ArrayBuffer>,
}

impl Pieces {
    /// Hands over what is stored of a chunk, in order. What the browser cannot read is left out, so that the checksum shows it.
    /// A piece is no longer there after the call that takes it.
    pub async fn each(
        &mut self,
        stored: &Stored,
        take: &mut dyn FnMut(Bytes<'_>) -> Result<()>,
    ) -> Result<()> {
        match stored {
            Stored::Nothing => Ok(()),
            Stored::Array(array) => take(Bytes::Elsewhere(Rc::new(array.clone()))),
            Stored::Blob(blob) => match Reader::new(&blob.stream()) {
                Ok(reader) => self.stream(&reader, take).await,
                Err(_) => match JsFuture::from(blob.array_buffer()).await {
                    Ok(whole) => take(Bytes::Elsewhere(Rc::new(Uint8Array::new(&whole)))),
                    Err(_) => Ok(()),
                },
            },
        }
    }

    async fn stream(&mut self, reader: &Reader, take: &mut dyn FnMut(Bytes<'_>) -> Result<()>) -> Result<()> {
        let mut room = self.room.take().unwrap_or_else(|| ArrayBuffer::new(PIECE));
        let mut filled = 0;
        loop {
            let place = Uint8Array::new_with_byte_offset_and_length(&room, filled, PIECE - filled);
            let Ok(read) = JsFuture::from(reader.read(&place)).await else { return Ok(()) };
            let part = |name: &str| Reflect::get(&read, &name.into()).unwrap_or(JsValue::UNDEFINED);
            let Ok(bytes) = part("value").dyn_into::<Uint8Array>() else { return Ok(()) };
            let is_last = part("done").is_truthy();
            filled += bytes.length();
            room = bytes.buffer();
            if filled == PIECE || is_last && filled > 0 {
                let piece = Uint8Array::new_with_byte_offset_and_length(&room, 0, filled);
                take(Bytes::Elsewhere(Rc::new(piece)))?;
                filled = 0;
            }
            if is_last {
                self.room = Some(room);
                return Ok(());
            }
        }
    }
}
