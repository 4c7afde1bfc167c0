//! A stored model's chunks, read one at a time and each checked: for the load, and for weights that come back to a device.

use std::rc::Rc;

use crc32fast::Hasher;

use super::controls::ControlStock;
use crate::pipeline::Cancel;
use crate::pipeline::stock::{Fetching, Stock};
use crate::store::idb::{Database, Found};
use crate::store::{Chunk, Held, Pieces, State, Stored, StoredModel};
use crate::weights::{Bytes, Component, PackedRecord, Sink};
use crate::{Error, Result};

use super::shelf::deleted;

/// A model in the database, for as long as it is in use.
pub(super) struct Chunks {
    pub database: Rc<Database>,
    pub model: StoredModel,
    /// The autoencoder that it was given: its slabs follow the model's ([`Manifest::with_autoencoder`]).
    ///
    /// [`Manifest::with_autoencoder`]: crate::weights::Manifest::with_autoencoder
    pub part: Option<StoredModel>,
}

impl Stock for Chunks {
    fn fetch<'a>(
        &'a self,
        wanted: &'a dyn Fn(&PackedRecord) -> bool,
        sink: &'a mut Sink<'a>,
        cancel: &'a Cancel,
    ) -> Fetching<'a> {
        Box::pin(self.all(wanted, sink, cancel))
    }
}

/// A model in the database with the ControlNets that joined it.
#[derive(Clone)]
pub(super) struct Joined {
    chunks: Rc<Chunks>,
    controls: Vec<Rc<ControlStock>>,
}

impl Joined {
    /// Those of a model alone.
    pub fn new(chunks: Chunks) -> Joined {
        Joined { chunks: Rc::new(chunks), controls: Vec::new() }
    }

    /// The same with one ControlNet more.
    pub fn with_control(&self, control: ControlStock) -> Joined {
        let mut joined = self.clone();
        joined.controls.push(Rc::new(control));
        joined
    }
}

impl Stock for Joined {
    fn fetch<'a>(
        &'a self,
        wanted: &'a dyn Fn(&PackedRecord) -> bool,
        sink: &'a mut Sink<'a>,
        cancel: &'a Cancel,
    ) -> Fetching<'a> {
        Box::pin(async move {
            self.chunks.all(wanted, sink, cancel).await?;
            for control in &self.controls {
                control.fetch(wanted, sink, cancel).await?;
            }
            Ok(())
        })
    }
}

impl Chunks {
    /// Hands over every chunk that holds some of the records that are `wanted`.
    async fn all(
        &self,
        wanted: &dyn Fn(&PackedRecord) -> bool,
        sink: &mut Sink<'_>,
        cancel: &Cancel,
    ) -> Result<()> {
        let mut first = 0;
        for model in [Some(&self.model), self.part.as_ref()].into_iter().flatten() {
            // With a part the model's own autoencoder is not read.
            let is_replaced = |record: &PackedRecord| {
                first == 0 && self.part.is_some() && Component::of(&record.decl.name).is_autoencoder()
            };
            let wanted = |record: &PackedRecord| wanted(record) && !is_replaced(record);
            let mut sink = |slab: usize, offset: u64, bytes: Bytes<'_>| sink(first + slab, offset, bytes);
            self.read(model, &wanted, &mut sink, cancel).await?;
            first += model.manifest.slabs.len();
        }
        Ok(())
    }

    /// Hands over every chunk of a model, or of what was given to it, that holds some of the records that are `wanted`.
    async fn read(
        &self,
        model: &StoredModel,
        wanted: &dyn Fn(&PackedRecord) -> bool,
        sink: &mut Sink<'_>,
        cancel: &Cancel,
    ) -> Result<()> {
        let database = &self.database;
        let map = model.chunk_map();
        let mut is_wanted = vec![false; map.len()];
        for record in model.manifest.records.iter().filter(|record| wanted(record)) {
            is_wanted[map.overlapping(record.slab, record.values.offset, record.len())].fill(true);
        }
        let (held, _) = database.held(&model.place, map.len()).await?;
        let mut wanted = map.iter().filter(|(index, _)| is_wanted[*index]);
        // One is looked for while the one before it is read, checked and handed over.
        let ask = |(index, chunk): (usize, Chunk)| -> Result<_> {
            Ok((index, chunk, database.chunk(&model.place, index)?))
        };
        let mut coming = wanted.next().map(ask).transpose()?;
        let read = async {
            let mut pieces = Pieces::default();
            while let Some((index, chunk, asked)) = coming.take() {
                let stored = asked.await?;
                cancel.check()?;
                coming = wanted.next().map(ask).transpose()?;
                let expected = match held.get(index) {
                    Some(Held::Chunk(sum) | Held::Sum(sum)) => *sum,
                    _ => 0,
                };
                let found = pass(&mut pieces, &stored, &chunk, &mut *sink).await?;
                if found != Some(expected) {
                    let found = found.unwrap_or_default();
                    return Err(self.lose(model, index, [expected, found]).await?);
                }
            }
            Ok(())
        };
        let read = read.await;
        // The browser answers all the same, and nobody must have left by then.
        if let Some((.., asked)) = coming {
            let _ = asked.await;
        }
        read
    }

    /// The damaged chunk goes, the rest stays: fetching again replaces only what is missing by what has the same checksum.
    /// What another tab put in the model's place meanwhile is left alone.
    async fn lose(&self, model: &StoredModel, index: usize, [expected, found]: [u32; 2]) -> Result<Error> {
        let database = &self.database;
        let is_ours = match database.model(&model.id).await? {
            Found::Model(now) => now.place == model.place && now.manifest == model.manifest,
            _ => return Err(deleted(model)),
        };
        if !is_ours {
            let name = &model.manifest.name;
            let message = format!("{name} was replaced in another tab meanwhile; load it again");
            return Err(Error::Storage { message });
        }
        if !database.update_model(&StoredModel { state: State::Damaged, ..model.clone() }).await? {
            return Err(deleted(model));
        }
        database.lose_chunk(&model.place, index, expected).await?;
        Ok(Error::DamagedChunk { model: model.manifest.name.clone(), chunk: index, expected, found })
    }
}

/// Hands over what is stored of a chunk while its CRC-32 is found; `None` of one that is not as long as it should be. Whoever
/// takes it is told afterwards whether it was right.
async fn pass(
    pieces: &mut Pieces,
    stored: &Stored,
    chunk: &Chunk,
    sink: &mut Sink<'_>,
) -> Result<Option<u32>> {
    if stored.len() != chunk.len {
        return Ok(None);
    }
    let (mut hasher, mut passed) = (Hasher::new(), 0);
    let mut take = |bytes: Bytes<'_>| {
        bytes.hash_into(&mut hasher);
        let at = chunk.offset + passed;
        passed += bytes.len() as u64;
        sink(chunk.slab, at, bytes)
    };
    pieces.each(stored, &mut take).await?;
    Ok((passed == chunk.len).then(|| hasher.finalize()))
}
