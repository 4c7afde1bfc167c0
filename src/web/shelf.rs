//! Where arriving chunks go: into the database, or straight into the pipeline when nothing may be stored.

use super::device::{Device, Loader};
use super::room::Room;
use crate::config::ModelConfig;
use crate::model::{autoencoder_decls, weight_decls};
use crate::plan::WeightDecl;
use crate::store::idb::{Database, Found};
use crate::store::{FullChunk, Held, Import, Mark, State, StoredModel, Waiting};
use crate::weights::Bytes;
use crate::{Error, Result};

/// A model of which some chunks have arrived: its row, what there is of each chunk, how far the file's hash is, and what waited in memory
/// when an earlier download was interrupted.
pub(super) struct Kept {
    pub model: StoredModel,
    pub held: Vec<Held>,
    pub marks: Vec<Mark>,
    pub waiting: Option<Waiting<Vec<u8>>>,
}

impl Kept {
    /// Bytes of the chunks that are still to come.
    fn missing_bytes(&self) -> u64 {
        let missing = self.model.chunk_map();
        let is_missing = |index: usize| !matches!(self.held.get(index), Some(Held::Chunk(_)));
        missing.iter().filter(|(index, _)| is_missing(*index)).map(|(_, chunk)| chunk.len).sum()
    }

    /// Whether the model was whole once, and what was damaged since has been replaced.
    pub(super) fn is_mended(&self) -> bool {
        self.model.state == State::Damaged && self.missing_bytes() == 0
    }
}

/// The weights of what is stored under an id: of a model, or of an autoencoder that one was given.
pub(super) fn decls_of(id: &str, config: &ModelConfig) -> Vec<WeightDecl> {
    if StoredModel::model_of(id).is_some() { autoencoder_decls(config) } else { weight_decls(config) }
}

/// Whether it is packed as this version of the engine reads it.
pub(super) fn is_current(model: &StoredModel) -> bool {
    model.manifest.is_current(&decls_of(&model.id, &model.manifest.config))
}

/// The destination of a download.
pub(super) enum Shelf<'a> {
    Database(&'a Database),
    /// Nothing is stored; `None` until the header is known.
    Memory {
        device: &'a Device,
        arriving: Option<Box<Arriving>>,
    },
}

/// A model on its way into memory.
pub(super) struct Arriving {
    pub loader: Loader,
    /// Bytes of its weights as packed.
    pub bytes: u64,
}

impl Shelf<'_> {
    /// What an earlier, interrupted download of this model left.
    pub(super) async fn kept(&self, id: &str) -> Result<Option<Kept>> {
        let Shelf::Database(database) = self else { return Ok(None) };
        let Found::Model(model) = database.model(id).await? else { return Ok(None) };
        if model.state == State::Complete {
            // Another version of the model: it stays usable until the new one's header has arrived.
            return Ok(None);
        }
        let (held, marks) = database.held(&model.place, model.chunk_map().len()).await?;
        let waiting = database.waiting(&model.place).await?;
        Ok(Some(Kept { model: *model, held, marks, waiting }))
    }

    /// Puts by what waits in memory. Where that fails, as where there is little room, an interrupted download has more to fetch
    /// again; nothing else depends on it.
    pub(super) async fn put_by(&self, kept: &mut Kept, import: &mut Import) {
        let Shelf::Database(database) = self else { return };
        let Some((waiting, marks)) = import.waiting() else { return };
        // Another tab may have deleted it.
        if !database.has_model(&kept.model.id).await.unwrap_or(false) {
            return;
        }
        if database.put_waiting(&kept.model.place, &waiting, &marks).await.is_ok() {
            kept.marks = marks;
            import.put_by();
        }
    }

    /// The header is known: makes room, replacing whatever was there under this id.
    pub(super) async fn begin(&mut self, kept: &Kept) -> Result<()> {
        match self {
            Shelf::Database(database) => {
                database.remove_model(&kept.model.id).await?;
                let needed = kept.missing_bytes();
                if let Some(free) = Room::estimate().await.free()
                    && free < needed
                {
                    return Err(Error::Quota { model: kept.model.manifest.name.clone(), needed, free });
                }
                database.put_model(&kept.model).await
            }
            Shelf::Memory { device, arriving } => {
                // The memory of an earlier attempt goes before more is asked for.
                *arriving = None;
                let manifest = kept.model.manifest.clone();
                let bytes = manifest.bytes();
                *arriving = Some(Box::new(Arriving { loader: Loader::new(device, manifest).await?, bytes }));
                Ok(())
            }
        }
    }

    /// Takes one chunk, and how far the file's hash is with it.
    pub(super) async fn put(&mut self, kept: &mut Kept, chunk: &FullChunk, marks: Vec<Mark>) -> Result<()> {
        match self {
            Shelf::Database(database) => {
                if !database.has_model(&kept.model.id).await? {
                    return Err(deleted(&kept.model));
                }
                let mut put = database.put_chunk(&kept.model.place, chunk, &marks).await;
                if let Err(Error::Quota { .. }) = put {
                    // What was put by is a help, the chunk is the model.
                    database.remove_waiting(&kept.model.place).await?;
                    put = database.put_chunk(&kept.model.place, chunk, &marks).await;
                }
                if let Err(Error::Quota { .. }) = put {
                    let needed = kept.missing_bytes();
                    let free = Room::estimate().await.free().unwrap_or(0).min(needed);
                    return Err(Error::Quota { model: kept.model.manifest.name.clone(), needed, free });
                }
                put?;
            }
            Shelf::Memory { arriving, .. } => {
                if let (Some(arriving), Some(place)) = (arriving, kept.model.chunk_map().get(chunk.index)) {
                    arriving.loader.write(place.slab, place.offset, Bytes::Slice(&chunk.bytes))?;
                }
            }
        }
        kept.marks = marks;
        if let Some(held) = kept.held.get_mut(chunk.index) {
            *held = Held::Chunk(chunk.sum);
        }
        Ok(())
    }

    /// Everything is there and was checked.
    pub(super) async fn complete(&mut self, kept: &mut Kept) -> Result<()> {
        kept.model.state = State::Complete;
        match self {
            Shelf::Database(database) => {
                if !database.update_model(&kept.model).await? {
                    database.clear_place(&kept.model.place).await?;
                    return Err(deleted(&kept.model));
                }
                database.remove_marks(&kept.model.place).await
            }
            Shelf::Memory { .. } => Ok(()),
        }
    }

    /// Forgets what arrived.
    pub(super) async fn clear(&mut self, id: &str) -> Result<()> {
        match self {
            Shelf::Database(database) => database.remove_model(id).await,
            Shelf::Memory { arriving, .. } => {
                *arriving = None;
                Ok(())
            }
        }
    }

    /// The model, if its chunks went straight into memory.
    pub(super) fn into_arriving(self) -> Option<Box<Arriving>> {
        match self {
            Shelf::Memory { arriving, .. } => arriving,
            Shelf::Database(_) => None,
        }
    }
}

/// Another tab has deleted the model that this one is storing.
pub(super) fn deleted(model: &StoredModel) -> Error {
    Error::Storage { message: format!("{} was deleted in another tab meanwhile", model.manifest.name) }
}
