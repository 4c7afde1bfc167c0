//! An autoencoder of the visitor's, in files of its own, for a stored model: which models it fits, and as what it takes its way
//! into the store, which is that of every file.

use js_sys::Array;
use serde::Serialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::engine::{Engine, Inner};
use super::error::to_js;
use super::folder::{answer, given};
use super::repack::not_stored;
use super::values::{StoredModel as Line, plain};
use crate::config::Autoencoder;
use crate::store::idb::{Database, Found};
use crate::store::{State, StoredModel};
use crate::weights::{FoundAutoencoder, autoencoder_in};
use crate::{Error, Result};

/// What files turned out to be.
#[derive(Serialize)]
struct Fitting {
    /// Of TAESD's kind.
    tiny: bool,
    /// The half that is in another file: `encoder` or `decoder`.
    missing: Option<&'static str>,
    /// The ids of the stored models that it fits.
    models: Vec<String>,
}

#[wasm_bindgen]
impl Engine {
    /// Takes `[{ path, bytes, length }]`, safetensors files as far as their headers go; an error where they are no autoencoder.
    /// Answers with `{ tiny, missing, models }`, or, where a stored model is named, as `joinFolder` does: what to put together
    /// for it.
    pub async fn autoencoder(
        &self,
        files: Array,
        id: Option<String>,
    ) -> std::result::Result<JsValue, JsValue> {
        let inner = self.inner.clone();
        inner.autoencoder(&files, id).await.map_err(to_js)
    }
}

impl Inner {
    /// The store; an error where the browser refuses one.
    pub(super) fn store(&self) -> Result<&Database> {
        let refused =
            || Error::Storage { message: "this browser does not let the page store anything".into() };
        self.database.as_deref().ok_or_else(refused)
    }

    async fn autoencoder(&self, files: &Array, id: Option<String>) -> Result<JsValue> {
        let files = autoencoder_in(&given(files)?)?;
        let ids = match &id {
            Some(id) => vec![id.clone()],
            None => self.stored_models().await?.into_iter().map(|line| line.id).collect(),
        };
        let mut stored = Vec::new();
        for id in ids {
            match self.store()?.model(&id).await? {
                Found::Model(model) if model.state == State::Complete => stored.push(*model),
                _ => {}
            }
        }
        if let Some(id) = &id {
            let model = stored.first().ok_or_else(|| not_stored(id))?;
            return Ok(answer(&files.joined(&model.manifest.config)?));
        }
        let (tiny, missing) = match &files.found {
            FoundAutoencoder::Half { missing } => (true, Some(*missing)),
            FoundAutoencoder::Whole(vae) => (matches!(vae, Autoencoder::Tiny(_)), None),
        };
        let fits = |model: &&StoredModel| match &files.found {
            FoundAutoencoder::Half { .. } => false,
            FoundAutoencoder::Whole(vae) => vae.stands_for(&model.manifest.config.vae),
        };
        let models = stored.iter().filter(fits).map(|model| model.id.clone()).collect();
        Ok(plain(&Fitting { tiny, missing, models }))
    }

    /// The line in the list of the model under an id, or of the one that what is under it was given to.
    pub(super) async fn line(&self, id: &str) -> Result<Line> {
        let id = StoredModel::model_of(id).unwrap_or(id);
        let found = self.stored_models().await?.into_iter().find(|line| line.id == id);
        found.ok_or_else(|| not_stored(id))
    }
}
