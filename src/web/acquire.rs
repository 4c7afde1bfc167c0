//! Getting a model ready: from the store, or fetched and stored first, or in memory alone where nothing can be kept.

use std::rc::Rc;
use std::sync::Arc;

use super::browser::now_ms;
use super::device::{Backend, Device, Loader};
use super::download::{Call, Fetched, download};
use super::repack::repack;
use super::shelf::{Shelf, is_current};
use super::stock::{Chunks, Joined};
use super::values::Phase;
use crate::pipeline::stock::Stock;
use crate::store::idb::{Database, Found};
use crate::store::{Meter, State, StoredModel};
use crate::weights::{Bytes, Manifest};
use crate::{Error, Result};

/// A model that is ready, and where it came from.
pub(super) struct Acquired {
    pub backend: Backend,
    /// Where its weights come from again, where a limit of the device's memory lets them leave it.
    pub stock: Option<Joined>,
    /// Bytes of its weights as packed.
    pub bytes: u64,
    pub from_store: bool,
    pub in_memory_only: bool,
    /// What the visitor should know, such as why the model is not kept.
    pub notice: Option<String>,
}

/// Makes the model ready on the device. `make_room` is called once memory is needed that another model holds: not before
/// this one has arrived and was checked, so that what goes wrong until then costs nobody the other one.
pub(super) async fn acquire(
    call: &Call<'_>,
    database: Option<&Rc<Database>>,
    device: &Device,
    make_room: &mut dyn FnMut(),
) -> Result<Acquired> {
    let mut acquired = arrived(call, database, device, make_room).await?;
    if let Some(prediction) = call.request.prediction {
        acquired.backend.set_prediction(prediction);
    }
    Ok(acquired)
}

/// The model as it is stored, or as it comes where nothing can be.
async fn arrived(
    call: &Call<'_>,
    database: Option<&Rc<Database>>,
    device: &Device,
    make_room: &mut dyn FnMut(),
) -> Result<Acquired> {
    let Some(database) = database else {
        let why = "This browser does not let the page store anything".into();
        return in_memory(call, device, why, make_room).await;
    };
    match stored(call, database, device, make_room).await {
        Err(Error::Quota { model, needed, free }) => {
            let why =
                format!("Not enough room to keep {model}: {} needed, {} free", size(needed), size(free));
            match in_memory(call, device, why, make_room).await {
                Err(Error::OutOfMemory { .. }) => Err(Error::Quota { model, needed, free }),
                other => other,
            }
        }
        Err(Error::Storage { message }) => {
            in_memory(call, device, format!("The browser's storage failed ({message})"), make_room).await
        }
        other => other,
    }
}

/// From the store, after fetching what is missing there.
async fn stored(
    call: &Call<'_>,
    database: &Rc<Database>,
    device: &Device,
    make_room: &mut dyn FnMut(),
) -> Result<Acquired> {
    let Imported { model, was_there, notice } = import(call, database).await?;
    make_room();
    let loaded = load(call, database, device, &model).await?;
    Ok(Acquired { from_store: was_there, notice: notice.or(loaded.notice.clone()), ..loaded })
}

/// A model that is wholly in the store.
pub(super) struct Imported {
    model: Box<StoredModel>,
    /// Nothing had to be fetched.
    was_there: bool,
    /// What the visitor should know, such as why it was fetched again.
    notice: Option<String>,
}

/// Fetches, checks and stores a model, unless it is stored already. Nothing is loaded.
pub(super) async fn import(call: &Call<'_>, database: &Database) -> Result<Imported> {
    let id = &call.request.id;
    let mut notice = None;
    match usable(call, database).await? {
        Usable::Yes(model) => {
            return Ok(Imported { model: licensed(call, database, model).await, was_there: true, notice });
        }
        Usable::OtherFormat => {
            notice = Some(
                "The stored model was packed by another version of this page; it was fetched again.".into(),
            );
        }
        Usable::Outdated(_) | Usable::No => {}
    }
    let _turn = call.turn().await?;
    // The other tab may have stored it meanwhile.
    match usable(call, database).await? {
        Usable::Yes(model) => {
            return Ok(Imported { model: licensed(call, database, model).await, was_there: true, notice });
        }
        Usable::Outdated(model) => match repack(call, database, &model).await {
            Ok(model) => {
                return Ok(Imported {
                    model: licensed(call, database, model).await,
                    was_there: true,
                    notice,
                });
            }
            Err(Error::Aborted) => return Err(Error::Aborted),
            // A file of the visitor's own cannot be fetched again.
            Err(error) if call.request.origin.url.starts_with("blob:") => return Err(error),
            Err(error) => {
                notice = Some(format!(
                    "The stored model is of another version of this page and could not be packed anew ({error}); it was \
                     fetched again."
                ));
            }
        },
        Usable::OtherFormat | Usable::No => {}
    }
    let was_there = match download(call, &mut Shelf::Database(database)).await {
        Ok(Fetched::AsBegun) => false,
        Ok(Fetched::Anew) => {
            notice = Some(format!(
                "{} has changed on its server since the first part of it was fetched; it was fetched anew.",
                call.request.file()
            ));
            false
        }
        Err(Error::Network { .. }) if is_usable(database, id).await? => {
            notice =
                Some("A newer version of the model could not be fetched; the stored one is used.".into());
            true
        }
        Err(error) => return Err(error),
    };
    match database.model(id).await? {
        Found::Model(model) => Ok(Imported { model, was_there, notice }),
        _ => {
            Err(Error::Storage { message: format!("{id} is gone from the store right after it was written") })
        }
    }
}

/// A stored model with the licence that the caller brings, where that is another than the one written down with it. That it
/// cannot be written down just now keeps nobody from drawing.
async fn licensed(call: &Call<'_>, database: &Database, mut model: Box<StoredModel>) -> Box<StoredModel> {
    if call.request.license.is_some() && call.request.license != model.license {
        model.license.clone_from(&call.request.license);
        let _ = database.update_model(&model).await;
    }
    model
}

/// What the store has for a request.
enum Usable {
    Yes(Box<StoredModel>),
    /// The model as another version of the engine packed it, in a format that this one can read.
    Outdated(Box<StoredModel>),
    OtherFormat,
    /// Nothing, a part, something damaged, or another version of the model.
    No,
}

async fn usable(call: &Call<'_>, database: &Database) -> Result<Usable> {
    Ok(match database.model(&call.request.id).await? {
        Found::Model(model)
            if model.state == State::Complete && model.origin.agrees_with(&call.request.origin) =>
        {
            if is_current(&model) {
                Usable::Yes(model)
            } else {
                Usable::Outdated(model)
            }
        }
        Found::OtherFormat => Usable::OtherFormat,
        _ => Usable::No,
    })
}

/// Whether any version of the model is whole and can be loaded.
async fn is_usable(database: &Database, id: &str) -> Result<bool> {
    let found = database.model(id).await?;
    Ok(matches!(found, Found::Model(model) if model.state == State::Complete && is_current(&model)))
}

/// What a model is with the autoencoder that it was given, and that one; without it, and why, where it cannot be used.
async fn with_part(
    database: &Database,
    model: &StoredModel,
) -> Result<(Arc<Manifest>, Option<StoredModel>, Option<String>)> {
    let part = match database.model(&StoredModel::part_of(&model.id)).await? {
        Found::Nothing => return Ok((model.manifest.clone(), None, None)),
        // It is on its way, or what brought it broke off.
        Found::Model(part) if part.state == State::Partial => {
            return Ok((model.manifest.clone(), None, None));
        }
        Found::Model(part) if part.state == State::Complete && is_current(&part) => part,
        _ => {
            let why = "The autoencoder that it was given cannot be used any more, so it draws with its own: give it the \
                file again.";
            return Ok((model.manifest.clone(), None, Some(why.into())));
        }
    };
    match model.manifest.with_autoencoder(&part.manifest) {
        Ok(manifest) => Ok((Arc::new(manifest), Some(*part), None)),
        Err(error) => {
            Ok((model.manifest.clone(), None, Some(format!("It draws with its own autoencoder: {error}."))))
        }
    }
}

/// Chunks from the database into the pipeline, one at a time, each checked. Where the device has a limit of memory, they stay
/// in the database until a run needs them.
async fn load(
    call: &Call<'_>,
    database: &Rc<Database>,
    device: &Device,
    model: &StoredModel,
) -> Result<Acquired> {
    let (manifest, part, notice) = with_part(database, model).await?;
    let acquired = |backend, stock| Acquired {
        backend,
        stock,
        bytes: manifest.bytes(),
        from_store: true,
        in_memory_only: false,
        notice,
    };
    let chunks = Chunks { database: database.clone(), model: model.clone(), part };
    if device.memory_limit().is_some() {
        let stock = Joined::new(chunks);
        return Ok(acquired(device.within(manifest.clone(), Box::new(stock.clone()))?, Some(stock)));
    }
    let mut loader = Loader::new(device, manifest.clone()).await?;
    let mut meter = Meter::new(manifest.bytes(), 0, now_ms());
    let mut loaded = 0;
    let mut take = |slab: usize, offset: u64, bytes: Bytes<'_>| {
        loaded += bytes.len() as u64;
        loader.write(slab, offset, bytes)?;
        if let Some(report) = meter.update(loaded, now_ms()) {
            call.report(Phase::Upload, &report, 0);
        }
        Ok(())
    };
    chunks.fetch(&|_| true, &mut take, call.cancel).await?;
    let mut backend = loader.finish()?;
    backend.set_stock(Box::new(chunks));
    Ok(acquired(backend, None))
}

/// From the network straight into the pipeline, beside the other model where both fit: nothing of it is stored.
async fn in_memory(
    call: &Call<'_>,
    device: &Device,
    why: String,
    make_room: &mut dyn FnMut(),
) -> Result<Acquired> {
    let mut shelf = Shelf::Memory { device, arriving: None };
    if let Err(error) = download(call, &mut shelf).await {
        let Error::OutOfMemory { .. } = error else { return Err(error) };
        make_room();
        download(call, &mut shelf).await?;
    }
    let Some(arrived) = shelf.into_arriving() else {
        return Err(Error::Storage { message: "the download ended before the model began".into() });
    };
    Ok(Acquired {
        backend: arrived.loader.finish()?,
        stock: None,
        bytes: arrived.bytes,
        from_store: false,
        in_memory_only: true,
        notice: Some(in_memory_notice(&why, device.memory_limit())),
    })
}

fn in_memory_notice(why: &str, memory_limit: Option<u64>) -> String {
    let beyond = match memory_limit {
        Some(_) => " Its weights could not come back from there, so the memory limit has no effect.",
        None => "",
    };
    format!("{why}. The model runs from memory until this tab is closed.{beyond}")
}

/// 1.2 GB, 340 MB.
fn size(bytes: u64) -> String {
    let megabytes = bytes as f64 / 1e6;
    if megabytes >= 1000.0 { format!("{:.1} GB", megabytes / 1000.0) } else { format!("{megabytes:.0} MB") }
}
