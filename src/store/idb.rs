//! The browser's database: manifests, chunks and checksums in three object stores of one IndexedDB database.
//!
//! - `models`: id to [`Row`];
//! - `chunks`: `[place, index]` to the chunk's bytes, a `Blob` of at most 16 MiB; a `Uint8Array` in a browser that keeps no blobs,
//!   and where a former version wrote it; `[place, "waiting"]` to what waited when a download was interrupted, `{about, blobs}`;
//! - `sums`: `[place, index]` to the chunk's CRC-32, written in the same transaction; as a text of digits where the chunk was
//!   found damaged and is gone. `[place, "hash"]` to the [`Mark`]s of a download that is not complete.
//!
//! A model's place is its id, or another name once it was packed anew ([`StoredModel::places`]).

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::join;
use idb::{
    DatabaseEvent, Factory, KeyRange, ObjectStore, ObjectStoreParams, Query, Request, StoreEvent,
    Transaction, TransactionMode,
};
use js_sys::{Array, Promise, Uint8Array};
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::assembler::FullChunk;
use super::pieces::{Pieces, Stored, blob, large_blob};
use super::stored::{Held, Origin, State, StoredModel, format_ok};
use super::trail::Mark;
use super::waiting::{Begun, Waiting};
use crate::config::{ModelConfig, PredictionType, Suggested};
use crate::weights::{Bytes, License, Manifest, PACKED_FORMAT, SourceType};
use crate::{Error, Result};

const DATABASE: &str = "opengen";
const VERSION: u32 = 1;
const MODELS: &str = "models";
const CHUNKS: &str = "chunks";
const SUMS: &str = "sums";
/// Beside the chunks' indices in `sums`.
const HASH: &str = "hash";
/// Beside them in `chunks`.
const WAITING: &str = "waiting";

/// A model as it stands in `models`. The large texts are kept as they are: of a list only the manifests are parsed.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    /// What its chunks lie under, where that is not its id.
    #[serde(default)]
    place: Option<String>,
    /// [`PACKED_FORMAT`] of the engine that packed it; the manifest of another format is not parsed.
    format: u32,
    name: String,
    /// Bytes of all slabs.
    bytes: u64,
    state: State,
    chunk_bytes: u64,
    origin: Origin,
    /// Rows of former versions have none.
    #[serde(default)]
    license: Option<License>,
    /// JSON, without the tokenizer where the header brings it.
    manifest: String,
    #[serde(with = "serde_wasm_bindgen::preserve")]
    header: Uint8Array,
}

/// [`Waiting`] as it is written beside its parts' bytes, JSON.
#[derive(Serialize, Deserialize)]
struct About {
    at: u64,
    chunks: Vec<bool>,
    records: Vec<AboutBegun>,
    open: Vec<AboutBegun>,
}

#[derive(Serialize, Deserialize)]
struct AboutBegun {
    index: usize,
    count: u64,
    /// CRC-32 of its bytes.
    sum: u32,
}

/// One line of the list of stored models.
#[derive(Debug, Clone)]
pub struct Listed {
    pub id: String,
    pub name: String,
    /// Where it came from.
    pub url: String,
    pub license: Option<License>,
    /// Bytes of all slabs when complete.
    pub bytes: u64,
    /// Width and height of the pictures it was trained on, in pixels; `None` where its row cannot be read.
    pub native_size: Option<[usize; 2]>,
    /// What its maker suggests a run should take.
    pub suggested: Suggested,
    /// What its denoiser predicts; `None` where its row cannot be read.
    pub prediction: Option<PredictionType>,
    /// Nothing said so: that is what it is taken for until it is asked itself, before the first picture.
    pub asks_prediction: bool,
    /// The autoencoder that it was given in place of its own.
    pub autoencoder: Option<GivenPart>,
    /// The type that most of its bytes are packed in; `None` where its row cannot be read.
    pub weights: Option<SourceType>,
    pub state: State,
    /// Whether this version of the engine can read it.
    pub format_ok: bool,
}

/// What was given to a stored model.
#[derive(Debug, Clone, Serialize)]
pub struct GivenPart {
    /// Of its files.
    pub name: String,
    /// Of all its slabs.
    pub bytes: u64,
}

/// What the store holds under an id.
pub enum Found {
    Nothing,
    /// Packed by another version of the engine, in a format that this one does not read: to be fetched again.
    OtherFormat,
    Model(Box<StoredModel>),
}

/// An open connection.
pub struct Database {
    db: idb::Database,
    /// Whether it has refused a blob, as some browsers' private windows do.
    refuses_blobs: Cell<bool>,
}

impl Database {
    /// Opens the database and makes its stores on the first visit. Fails where the browser refuses storage.
    pub async fn open() -> Result<Database> {
        let factory = Factory::new().map_err(storage)?;
        let mut request = factory.open(DATABASE, Some(VERSION)).map_err(storage)?;
        request.on_upgrade_needed(|event| {
            // A failure here makes the open fail below or the first transaction name the missing store.
            if let Ok(db) = event.database() {
                for name in [MODELS, CHUNKS, SUMS] {
                    let _ = db.create_object_store(name, ObjectStoreParams::new());
                }
            }
        });
        let mut db = request.await.map_err(storage)?;
        // Another tab with a newer version of the page must not be kept waiting.
        db.on_version_change(|event| {
            if let Ok(db) = event.database() {
                db.close();
            }
        });
        Ok(Database { db, refuses_blobs: Cell::new(false) })
    }

    /// Every stored model, with what was given to it.
    pub async fn list(&self) -> Result<Vec<Listed>> {
        let store = self.read(MODELS)?;
        // Both are asked for before either is awaited: a transaction without requests ends.
        let keys = store.get_all_keys(None, None).map_err(storage)?;
        let rows = store.get_all(None, None).map_err(storage)?;
        let (keys, rows) = both(keys, rows).await?;
        let ids = keys.into_iter().map(|key| key.as_string().unwrap_or_default());
        let all = ids.zip(rows).map(|(id, value)| listed(id, value));
        let (parts, mut models): (Vec<_>, Vec<_>) =
            all.partition(|row| StoredModel::model_of(&row.id).is_some());
        for part in parts.into_iter().filter(|part| part.state == State::Complete && part.format_ok) {
            let model = models.iter_mut().find(|model| Some(&*model.id) == StoredModel::model_of(&part.id));
            model.into_iter().for_each(|model| {
                model.autoencoder = Some(GivenPart { name: part.name.clone(), bytes: part.bytes });
            });
        }
        Ok(models)
    }

    /// Whether there is a model under `id`.
    pub async fn has_model(&self, id: &str) -> Result<bool> {
        let count = self.read(MODELS)?.count(Some(JsValue::from(id).into())).map_err(storage)?;
        Ok(count.await.map_err(storage)? > 0)
    }

    /// The model under `id`, without its chunks. Boxed: many ask, and each would have all that it takes in its own code.
    pub fn model<'a>(&'a self, id: &'a str) -> Pin<Box<dyn Future<Output = Result<Found>> + 'a>> {
        Box::pin(self.read_model(id))
    }

    async fn read_model(&self, id: &str) -> Result<Found> {
        let Some(value) = self.get(MODELS, id.into()).await? else { return Ok(Found::Nothing) };
        let Ok(row) = serde_wasm_bindgen::from_value::<Row>(value) else { return Ok(Found::OtherFormat) };
        if !format_ok(row.format) {
            return Ok(Found::OtherFormat);
        }
        let header = row.header.to_vec();
        let Some(manifest) = StoredModel::read_manifest(&row.manifest, &header) else {
            return Ok(Found::OtherFormat);
        };
        Ok(Found::Model(Box::new(StoredModel {
            place: row.place.unwrap_or_else(|| row.id.clone()),
            id: row.id,
            origin: row.origin,
            license: row.license,
            state: row.state,
            chunk_bytes: row.chunk_bytes,
            header,
            manifest: Arc::new(manifest),
        })))
    }

    /// Writes a model's row again, unless it has been deleted meanwhile; false then. One transaction: nobody deletes it
    /// between the look and the write.
    pub async fn update_model(&self, model: &StoredModel) -> Result<bool> {
        let value = row(model)?;
        let (write, transaction) = self.write(&[MODELS])?;
        let store = self.store(&transaction, MODELS)?;
        let key = JsValue::from(model.id.as_str());
        let mut count = store.count(Some(key.clone().into())).map_err(storage)?;
        let put = Rc::new(RefCell::new(None));
        let asked = put.clone();
        // Asked for in the answer's own event: behind an await the transaction, without requests, would have ended.
        count.on_success(move |event| {
            if event.result().is_ok_and(|count| count > 0) {
                *asked.borrow_mut() = Some(store.put(&value, Some(&key)).map(drop));
            }
        });
        write.finish(Ok(())).await?;
        match put.take() {
            Some(put) => put.map(|()| true).map_err(storage),
            None => Ok(false),
        }
    }

    /// Writes a model's row, new or again.
    pub async fn put_model(&self, model: &StoredModel) -> Result<()> {
        let value = row(model)?;
        let (write, transaction) = self.write(&[MODELS])?;
        let put = self.store(&transaction, MODELS)?.put(&value, Some(&model.id.as_str().into()));
        write.finish(put.map(drop)).await
    }

    /// Writes a model's row, whose chunks are at another place now, and deletes those at its former one, all or nothing.
    pub async fn move_model(&self, model: &StoredModel, former: &str) -> Result<()> {
        let value = row(model)?;
        let (write, transaction) = self.write(&[MODELS, CHUNKS, SUMS])?;
        let put = self.store(&transaction, MODELS)?.put(&value, Some(&model.id.as_str().into())).map(drop);
        let moved = put.and(self.delete_chunks(&transaction, former)?);
        write.finish(moved).await
    }

    /// Deletes all chunks at a place.
    pub async fn clear_place(&self, place: &str) -> Result<()> {
        let (write, transaction) = self.write(&[CHUNKS, SUMS])?;
        let cleared = self.delete_chunks(&transaction, place)?;
        write.finish(cleared).await
    }

    fn delete_chunks(
        &self,
        transaction: &Transaction,
        place: &str,
    ) -> Result<std::result::Result<(), idb::Error>> {
        let chunks = self.store(transaction, CHUNKS)?.delete(chunks_of(place)?).map(drop);
        let sums = self.store(transaction, SUMS)?.delete(chunks_of(place)?).map(drop);
        Ok(chunks.and(sums))
    }

    /// What is stored of a model's `count` chunks, by index, and what was noted of its file's hash.
    pub async fn held(&self, place: &str, count: usize) -> Result<(Vec<Held>, Vec<Mark>)> {
        let (mut held, mut marks) = (vec![Held::Nothing; count], Vec::new());
        let query = || chunks_of(place).map(Query::from);
        let transaction = self.db.transaction(&[SUMS], TransactionMode::ReadOnly).map_err(storage)?;
        let store = self.store(&transaction, SUMS)?;
        // Both are asked for before either is awaited: a transaction without requests ends.
        let keys = store.get_all_keys(Some(query()?), None).map_err(storage)?;
        let values = store.get_all(Some(query()?), None).map_err(storage)?;
        let (keys, values) = both(keys, values).await?;
        for (key, value) in keys.into_iter().zip(values) {
            let Some(key) = key.dyn_ref::<Array>().map(|key| key.get(1)) else { continue };
            if key.as_string().as_deref() == Some(HASH) {
                // Of another version: then the file comes from its beginning.
                marks = serde_wasm_bindgen::from_value(value).unwrap_or_default();
            } else if let Some(slot) = key.as_f64().and_then(|index| held.get_mut(index as usize)) {
                *slot = held_chunk(&value);
            }
        }
        Ok((held, marks))
    }

    /// Writes one chunk, its checksum and how far the file's hash is, all or nothing.
    pub async fn put_chunk(&self, place: &str, chunk: &FullChunk, marks: &[Mark]) -> Result<()> {
        let marks = serde_wasm_bindgen::to_value(marks)
            .map_err(|error| Error::Json { file: place.to_owned(), message: error.to_string() })?;
        let bytes = Uint8Array::from(chunk.bytes.as_slice());
        if let (false, Ok(blob)) = (self.refuses_blobs.get(), blob(&bytes)) {
            match self.put_bytes(place, chunk, &blob, &marks).await {
                Err(Error::Storage { .. }) => self.refuses_blobs.set(true),
                put => return put,
            }
        }
        self.put_bytes(place, chunk, &bytes, &marks).await
    }

    async fn put_bytes(
        &self,
        place: &str,
        chunk: &FullChunk,
        bytes: &JsValue,
        marks: &JsValue,
    ) -> Result<()> {
        let (write, transaction) = self.write(&[CHUNKS, SUMS])?;
        let key = chunk_key(place, chunk.index);
        let bytes = self.store(&transaction, CHUNKS)?.put(bytes, Some(&key)).map(drop);
        let sums = self.store(&transaction, SUMS)?;
        let sum = sums.put(&chunk.sum.into(), Some(&key)).map(drop);
        let marks = sums.put(marks, Some(&hash_key(place))).map(drop);
        write.finish(bytes.and(sum).and(marks)).await
    }

    /// Asks for one chunk, which the browser looks for from now on.
    pub fn chunk(&self, place: &str, index: usize) -> Result<impl Future<Output = Result<Stored>> + use<>> {
        let request = self.read(CHUNKS)?.get(chunk_key(place, index)).map_err(storage)?.into_future();
        Ok(async { Ok(request.await.map_err(storage)?.map(Stored::of).unwrap_or_default()) })
    }

    /// Forgets the bytes of a damaged chunk, but not the checksum that they should have.
    pub async fn lose_chunk(&self, place: &str, index: usize, sum: u32) -> Result<()> {
        let (write, transaction) = self.write(&[CHUNKS, SUMS])?;
        let key = chunk_key(place, index);
        let chunk = self.store(&transaction, CHUNKS)?.delete(key.clone()).map(drop);
        let sum = self.store(&transaction, SUMS)?.put(&sum.to_string().into(), Some(&key)).map(drop);
        write.finish(chunk.and(sum)).await
    }

    /// Forgets how far a file's hash was, and what waited: it has been checked, and is whole.
    pub async fn remove_marks(&self, place: &str) -> Result<()> {
        let (write, transaction) = self.write(&[CHUNKS, SUMS])?;
        let removed = self.store(&transaction, SUMS)?.delete(hash_key(place)).map(drop);
        let waiting = self.store(&transaction, CHUNKS)?.delete(waiting_key(place)).map(drop);
        write.finish(removed.and(waiting)).await
    }

    /// Writes what waits while a file is brought, and how far its hash is, all or nothing.
    pub async fn put_waiting(&self, place: &str, waiting: &Waiting<&[u8]>, marks: &[Mark]) -> Result<()> {
        let unwritable = |error: String| Error::Json { file: place.to_owned(), message: error };
        let about = |part: &Begun<&[u8]>| AboutBegun {
            index: part.index,
            count: part.count,
            sum: Bytes::from(part.bytes).sum(),
        };
        let about = About {
            at: waiting.at,
            chunks: waiting.chunks.clone(),
            records: waiting.records.iter().map(about).collect(),
            open: waiting.open.iter().map(about).collect(),
        };
        let blobs = waiting.begun().map(|part| large_blob(part.bytes).map(JsValue::from));
        let blobs = blobs.collect::<std::result::Result<Array, JsValue>>();
        let blobs = blobs.map_err(|_| Error::Storage { message: "this browser makes no blobs".into() })?;
        let about = serde_json::to_string(&about).map_err(|error| unwritable(error.to_string()))?;
        let value = Array::of2(&about.into(), &blobs).into();
        let marks = serde_wasm_bindgen::to_value(marks).map_err(|error| unwritable(error.to_string()))?;
        let (write, transaction) = self.write(&[CHUNKS, SUMS])?;
        let put = self.store(&transaction, CHUNKS)?.put(&value, Some(&waiting_key(place))).map(drop);
        let marks = self.store(&transaction, SUMS)?.put(&marks, Some(&hash_key(place))).map(drop);
        write.finish(put.and(marks)).await
    }

    /// What waited when a download was interrupted, if it was put by and every byte of it is there.
    pub async fn waiting(&self, place: &str) -> Result<Option<Waiting<Vec<u8>>>> {
        let Some(value) = self.get(CHUNKS, waiting_key(place)).await? else { return Ok(None) };
        let Ok(value) = value.dyn_into::<Array>() else { return Ok(None) };
        let about = value.get(0).as_string().and_then(|text| serde_json::from_str::<About>(&text).ok());
        let (Some(About { at, chunks, records, open }), Ok(blobs)) =
            (about, value.get(1).dyn_into::<Array>())
        else {
            return Ok(None);
        };
        let (mut pieces, mut parts) = (Pieces::default(), Vec::new());
        for (AboutBegun { index, count, sum }, blob) in records.iter().chain(&open).zip(blobs.iter()) {
            let stored = Stored::of(blob);
            let mut bytes = Vec::with_capacity(stored.len() as usize);
            let take = &mut |piece: Bytes<'_>| {
                let from = bytes.len();
                bytes.resize(from + piece.len(), 0);
                piece.copy_to(&mut bytes[from..]);
                Ok(())
            };
            pieces.each(&stored, take).await?;
            if Bytes::from(&bytes).sum() != *sum {
                return Ok(None);
            }
            parts.push(Begun { index: *index, count: *count, bytes });
        }
        if parts.len() != records.len() + open.len() {
            return Ok(None);
        }
        let open = parts.split_off(records.len());
        Ok(Some(Waiting { at, chunks, records: parts, open }))
    }

    /// Forgets what waited.
    pub async fn remove_waiting(&self, place: &str) -> Result<()> {
        let (write, transaction) = self.write(&[CHUNKS])?;
        let removed = self.store(&transaction, CHUNKS)?.delete(waiting_key(place)).map(drop);
        write.finish(removed).await
    }

    /// Deletes a model and all its chunks.
    pub async fn remove_model(&self, id: &str) -> Result<()> {
        let (write, transaction) = self.write(&[MODELS, CHUNKS, SUMS])?;
        let mut deleted = self.store(&transaction, MODELS)?.delete(JsValue::from(id)).map(drop);
        for place in StoredModel::places(id) {
            deleted = deleted.and(self.delete_chunks(&transaction, &place)?);
        }
        write.finish(deleted).await
    }

    async fn get(&self, store: &str, key: JsValue) -> Result<Option<JsValue>> {
        self.read(store)?.get(key).map_err(storage)?.await.map_err(storage)
    }

    fn read(&self, store: &str) -> Result<ObjectStore> {
        let transaction = self.db.transaction(&[store], TransactionMode::ReadOnly).map_err(storage)?;
        self.store(&transaction, store)
    }

    fn write(&self, stores: &[&str]) -> Result<(Write, Transaction)> {
        let transaction = self.db.transaction(stores, TransactionMode::ReadWrite).map_err(storage)?;
        let raw = web_sys::IdbTransaction::from(transaction);
        Ok((Write::new(raw.clone()), Transaction::from(raw)))
    }

    fn store(&self, transaction: &Transaction, name: &str) -> Result<ObjectStore> {
        transaction.object_store(name).map_err(storage)
    }
}

/// A row as a line of the list. One that cannot be read is listed too, so that it can be deleted.
fn listed(id: String, value: JsValue) -> Listed {
    let Ok(row) = serde_wasm_bindgen::from_value::<Row>(value) else {
        return Listed {
            name: id.clone(),
            id,
            url: String::new(),
            license: None,
            bytes: 0,
            native_size: None,
            suggested: Suggested::default(),
            prediction: None,
            asks_prediction: false,
            autoencoder: None,
            weights: None,
            state: State::Damaged,
            format_ok: false,
        };
    };
    let format_ok = format_ok(row.format);
    let Row { id, name, origin, license, bytes, state, manifest, .. } = row;
    let manifest = format_ok.then(|| serde_json::from_str::<Manifest>(&manifest).ok()).flatten();
    let weights = manifest.as_ref().and_then(Manifest::most);
    let config = manifest.map(|manifest| manifest.config);
    let native_size = config.as_ref().map(ModelConfig::native_size);
    let prediction = config.as_ref().map(|config| config.scheduler.prediction_type);
    let asks_prediction = config.as_ref().is_some_and(|config| config.asks_prediction);
    let suggested = config.map(|config| config.suggested).unwrap_or_default();
    Listed {
        id,
        name,
        url: origin.url,
        license,
        bytes,
        native_size,
        suggested,
        prediction,
        asks_prediction,
        autoencoder: None,
        weights,
        state,
        format_ok,
    }
}

/// The answers to two requests, for which is listened at once: behind an await the second might have been given.
async fn both<A, B>(
    first: impl IntoFuture<Output = std::result::Result<A, idb::Error>>,
    second: impl IntoFuture<Output = std::result::Result<B, idb::Error>>,
) -> Result<(A, B)> {
    let (first, second) = join(first.into_future(), second.into_future()).await;
    Ok((first.map_err(storage)?, second.map_err(storage)?))
}

/// A write transaction, kept to ask it why it was aborted: a full disk shows only there.
struct Write {
    raw: web_sys::IdbTransaction,
    /// Resolves with the `complete` or the `abort` event; every failed request ends in the latter.
    ended: Promise,
}

impl Write {
    fn new(raw: web_sys::IdbTransaction) -> Write {
        let ended = Promise::new(&mut |resolve, _| {
            raw.set_oncomplete(Some(&resolve));
            raw.set_onabort(Some(&resolve));
        });
        Write { raw, ended }
    }

    /// Waits until everything is on disk.
    async fn finish(self, queued: std::result::Result<(), idb::Error>) -> Result<()> {
        if let Err(error) = queued {
            // What was queued before must not be kept alone; aborting twice is no harm.
            let _ = self.raw.abort();
            return Err(storage(error));
        }
        let event = JsFuture::from(self.ended).await.unwrap_or(JsValue::UNDEFINED);
        let is_complete = event.dyn_ref::<web_sys::Event>().is_some_and(|event| event.type_() == "complete");
        if is_complete {
            return Ok(());
        }
        Err(match self.raw.error() {
            Some(exception) => exception_error(&exception.name(), &exception.message()),
            None => Error::Storage { message: "a write was cut off".into() },
        })
    }
}

/// A database error as ours. A full disk becomes [`Error::Quota`] without figures: the caller knows what it needs and
/// asks the browser what is free.
fn storage(error: idb::Error) -> Error {
    let value = match &error {
        idb::Error::DomException(exception) => {
            return exception_error(&exception.name(), &exception.message());
        }
        idb::Error::UpdateFailed(value) | idb::Error::AddFailed(value) => Some(value),
        idb::Error::IndexedDbNotFound(_) => {
            return Error::Storage { message: "this browser offers no database here".into() };
        }
        _ => None,
    };
    match value.and_then(|value| value.dyn_ref::<web_sys::DomException>()) {
        Some(exception) => exception_error(&exception.name(), &exception.message()),
        None => Error::Storage { message: error.to_string() },
    }
}

fn exception_error(name: &str, message: &str) -> Error {
    if name == "QuotaExceededError" {
        return Error::Quota { model: String::new(), needed: 0, free: 0 };
    }
    Error::Storage { message: format!("{name}: {message}") }
}

fn chunk_key(place: &str, index: usize) -> JsValue {
    Array::of2(&place.into(), &(index as f64).into()).into()
}

/// A model's row as a value of the database.
fn row(model: &StoredModel) -> Result<JsValue> {
    let unwritable = |error: String| Error::Json { file: model.id.clone(), message: error };
    let row = Row {
        id: model.id.clone(),
        place: (model.place != model.id).then(|| model.place.clone()),
        format: PACKED_FORMAT,
        name: model.manifest.name.clone(),
        bytes: model.manifest.bytes(),
        state: model.state,
        chunk_bytes: model.chunk_bytes,
        origin: model.origin.clone(),
        license: model.license.clone(),
        manifest: model.written_manifest().map_err(|error| unwritable(error.to_string()))?,
        header: Uint8Array::from(model.header.as_slice()),
    };
    serde_wasm_bindgen::to_value(&row).map_err(|error| unwritable(error.to_string()))
}

/// Where the marks of a model's hash lie, among its checksums: texts sort after every number.
fn hash_key(place: &str) -> JsValue {
    Array::of2(&place.into(), &HASH.into()).into()
}

/// Where what waits of a model lies, among its chunks.
fn waiting_key(place: &str) -> JsValue {
    Array::of2(&place.into(), &WAITING.into()).into()
}

/// What a value in `sums` says of its chunk.
fn held_chunk(value: &JsValue) -> Held {
    match (value.as_f64(), value.as_string().and_then(|digits| digits.parse().ok())) {
        (Some(sum), _) => Held::Chunk(sum as u32),
        (None, Some(sum)) => Held::Sum(sum),
        (None, None) => Held::Nothing,
    }
}

/// All chunks at a place: arrays sort after every number, so `[place, []]` comes after the last index.
fn chunks_of(place: &str) -> Result<KeyRange> {
    let lower = Array::of1(&place.into());
    let upper = Array::of2(&place.into(), &Array::new().into());
    KeyRange::bound(&lower.into(), &upper.into(), None, None).map_err(storage)
}
