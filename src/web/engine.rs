//! The engine as JavaScript sees it. Calls line up; `cancel` reaches the one that runs.

#[cfg(feature = "train")]
use std::cell::Cell;
use std::cell::RefCell;
use std::rc::Rc;

use futures_util::lock::Mutex;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::AbortController;

use super::acquire::{Acquired, acquire, import};
use super::browser::{self, get};
use super::controls::{self, ControlFile};
use super::device::Device;
use super::download::Call;
use super::error::to_js;
use super::loras::{self, LoraAsk};
use super::repack::quantize;
use super::request::{self, ModelRequest};
use super::room::{self, Room};
use super::run::run;
use super::study;
use super::upscale::{Ask, NetworkFile};
use super::values::{Capabilities, LoadedModel, StorageReport, StoredModel, plain};
use crate::config::MAX_CONTROLS;
use crate::pipeline::{self, Cancel, Enlarger};
use crate::plan::Types;
use crate::store;
use crate::store::idb::Database;
#[cfg(feature = "train")]
use crate::weights::License;
use crate::weights::{Merged, kept_as};
use crate::{Error, Result};

/// What only one call at a time touches.
struct Work {
    device: Device,
    loaded: Option<Loaded>,
    /// The network that enlarged last, and which file it is.
    enlarger: Option<(String, Enlarger)>,
    /// Files of the LoRAs that are in use.
    loras: loras::Files,
}

/// The model in use.
struct Loaded {
    request: ModelRequest,
    acquired: Acquired,
    /// ControlNets that joined it, by the model's order.
    controls: Vec<ControlFile>,
    /// What is merged into it; `None` where that broke off.
    merging: Option<loras::Merging>,
}

impl Loaded {
    /// A model as it is stored.
    fn plain(request: ModelRequest, acquired: Acquired) -> Loaded {
        Loaded { request, acquired, controls: Vec::new(), merging: Some(Vec::new()) }
    }

    /// Brings a ControlNet beside the model.
    async fn join(&mut self, device: &Device, file: &ControlFile, running: &Running) -> Result<()> {
        let signal = JsValue::from(running.abort.signal());
        controls::join(&mut self.acquired, device, file, &signal, &running.cancel).await?;
        if self.acquired.stock.is_some() {
            self.merging = Some(Vec::new()); // within a limit of memory it has begun anew
        }
        self.controls.push(file.clone());
        Ok(())
    }

    /// Merges LoRAs into the model, in place of those that were.
    async fn merge(&mut self, files: &mut loras::Files, asks: &[LoraAsk], cancel: &Cancel) -> Result<()> {
        let merging = LoraAsk::merging(asks);
        if self.merging.as_ref() == Some(&merging) {
            return Ok(());
        }
        let merged = Rc::new(Merged::for_packed(files.take(asks).await?, self.acquired.backend.manifest())?);
        self.merging = None;
        self.acquired.backend.merge(merged, cancel).await?;
        self.merging = Some(merging);
        Ok(())
    }
}

/// What `generate` is asked for: the request, and the files that it names of ControlNets, of LoRAs, and of what enlarges between
/// two passes.
type Asked<'a> = (pipeline::Request, &'a [ControlFile], &'a [LoraAsk], Option<&'a NetworkFile>);

/// How to stop the call that runs.
#[derive(Clone)]
struct Running {
    cancel: Cancel,
    abort: AbortController,
}

/// What all calls share.
pub(super) struct Inner {
    work: Mutex<Work>,
    /// `None` where the browser refuses storage.
    pub(super) database: Option<Rc<Database>>,
    /// Bytes of the graphics device that may be used.
    memory_limit: Option<u64>,
    /// A training waits at its next step.
    #[cfg(feature = "train")]
    is_held: Cell<bool>,
    capabilities: RefCell<Capabilities>,
    running: RefCell<Option<Running>>,
    /// Called with the reason whenever the device is lost.
    on_lost: JsValue,
}

/// Makes pictures from words, on the visitor's GPU or, in the other module, on the CPU.
#[wasm_bindgen]
pub struct Engine {
    pub(super) inner: Rc<Inner>,
}

#[wasm_bindgen]
impl Engine {
    /// Finds the device and opens the store. `on_lost` is called with the reason whenever a device is lost. With a limit, a
    /// number of bytes, weights leave the graphics device where it asks for that.
    pub async fn create(on_lost: JsValue, memory_limit: JsValue) -> std::result::Result<Engine, JsValue> {
        let memory_limit = request::memory_limit(&memory_limit).map_err(to_js)?;
        let device = Device::find(memory_limit).await.map_err(to_js)?;
        let inner = Inner {
            capabilities: RefCell::new(device.capabilities()),
            work: Mutex::new(Work { device, loaded: None, enlarger: None, loras: loras::Files::default() }),
            database: Database::open().await.ok().map(Rc::new),
            memory_limit,
            #[cfg(feature = "train")]
            is_held: Cell::new(false),
            running: RefCell::new(None),
            on_lost,
        };
        Ok(Engine { inner: Rc::new(inner) })
    }

    /// How many milliseconds a small piece of work takes on the device.
    pub async fn probe(&self) -> std::result::Result<f64, JsValue> {
        let inner = self.inner.clone();
        let work = inner.work.lock().await;
        Ok(work.device.probe().await.map_err(to_js)?.as_secs_f64() * 1e3)
    }

    /// Which device is in use and what it can do.
    pub fn capabilities(&self) -> JsValue {
        plain(&*self.inner.capabilities.borrow())
    }

    /// The models in the store.
    #[wasm_bindgen(js_name = listModels)]
    pub async fn list_models(&self) -> std::result::Result<JsValue, JsValue> {
        let inner = self.inner.clone();
        inner.stored_models().await.map(|models| plain(&models)).map_err(to_js)
    }

    /// Makes a model ready: from the store, or fetched, checked and stored first.
    #[wasm_bindgen(js_name = loadModel)]
    pub async fn load_model(
        &self,
        model: JsValue,
        on_progress: JsValue,
    ) -> std::result::Result<JsValue, JsValue> {
        let inner = self.inner.clone();
        let model = request::model(&model).map_err(to_js)?;
        let loaded = inner.load_model(model, &on_progress).await;
        loaded.map(|loaded| plain(&loaded)).map_err(to_js)
    }

    /// Fetches, checks and stores a model, or an autoencoder for one, without loading it; answers with the model's line in the
    /// list of stored models.
    #[wasm_bindgen(js_name = importModel)]
    pub async fn import_model(
        &self,
        model: JsValue,
        on_progress: JsValue,
    ) -> std::result::Result<JsValue, JsValue> {
        let inner = self.inner.clone();
        let model = request::model(&model).map_err(to_js)?;
        let imported = inner.import_model(&model, &on_progress).await;
        imported.map(|stored| plain(&stored)).map_err(to_js)
    }

    /// Packs a stored model, which is not the one in use, in a smaller type, in place of what is stored; answers with its
    /// line in the list of stored models.
    #[wasm_bindgen(js_name = quantizeModel)]
    pub async fn quantize_model(
        &self,
        id: String,
        to: String,
        on_progress: JsValue,
    ) -> std::result::Result<JsValue, JsValue> {
        let inner = self.inner.clone();
        let to = Types::of(kept_as(&to).map_err(to_js)?);
        inner.quantize_model(&id, to, &on_progress).await.map(|stored| plain(&stored)).map_err(to_js)
    }

    /// Makes pictures with the loaded model.
    pub async fn generate(
        &self,
        request: JsValue,
        on_event: JsValue,
    ) -> std::result::Result<JsValue, JsValue> {
        let inner = self.inner.clone();
        let files = request::control_files(&request).map_err(to_js)?;
        let loras = LoraAsk::all(&request).map_err(to_js)?;
        let enlarges = NetworkFile::of(&get(&request, "hires")).map_err(to_js)?;
        let request = request::generate(&request).map_err(to_js)?;
        inner.generate((request, &files, &loras, enlarges.as_ref()), &on_event).await.map_err(to_js)
    }

    /// Answers a question of the view that explains: a step looked into, a picture encoded or noised, and so on.
    pub async fn study(&self, ask: JsValue) -> std::result::Result<JsValue, JsValue> {
        let inner = self.inner.clone();
        inner.study(&ask).await.map_err(to_js)
    }

    /// Enlarges a picture by a network, or by Lanczos; no model is needed.
    pub async fn upscale(&self, ask: JsValue, on_event: JsValue) -> std::result::Result<JsValue, JsValue> {
        let inner = self.inner.clone();
        let ask = Ask::of(&ask).map_err(to_js)?;
        inner.upscale(&ask, &on_event).await.map_err(to_js)
    }

    /// Teaches the model in use from pictures, as a LoRA or an embedding.
    pub async fn train(&self, ask: JsValue, on_event: JsValue) -> std::result::Result<JsValue, JsValue> {
        let inner = self.inner.clone();
        inner.train(&ask, &on_event).await.map_err(to_js)
    }

    /// Whether a training waits, before its next step.
    #[cfg(feature = "train")]
    pub fn hold(&self, waits: bool) {
        self.inner.is_held.set(waits);
    }

    /// Stops the call that runs; it rejects with code `ABORTED`. What it fetched stays.
    pub fn cancel(&self) {
        if let Some(running) = &*self.inner.running.borrow() {
            running.cancel.cancel();
            running.abort.abort();
        }
    }

    /// Deletes a stored model, and what it was given.
    #[wasm_bindgen(js_name = removeModel)]
    pub async fn remove_model(&self, id: String) -> std::result::Result<(), JsValue> {
        let inner = self.inner.clone();
        match &inner.database {
            Some(database) => {
                for id in [store::StoredModel::part_of(&id), id] {
                    database.remove_model(&id).await.map_err(to_js)?;
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// What is stored and how much room there is.
    pub async fn storage(&self) -> std::result::Result<JsValue, JsValue> {
        let inner = self.inner.clone();
        let models = inner.stored_models().await.map_err(to_js)?;
        let Room { usage, quota } = Room::estimate().await;
        Ok(plain(&StorageReport { usage, quota, persisted: room::is_persisted().await, models }))
    }
}

/// The picture enlarged by the network that is asked for, which stays for the next one; by Lanczos where none is.
async fn enlarged(work: &mut Work, ask: &Ask, running: &Running, on_event: &JsValue) -> Result<JsValue> {
    let network = match &ask.file {
        Some(file) => Some(work.network(file).await?),
        None => None,
    };
    ask.answer(network, &running.cancel, on_event).await
}

impl Work {
    /// The network of a file, ready to enlarge.
    async fn network(&mut self, file: &NetworkFile) -> Result<&Enlarger> {
        let network = match self.enlarger.take() {
            Some((key, network)) if key == file.key => network,
            _ => file.network(&self.device).await?, // the other one is gone before
        };
        let (_, network) = self.enlarger.insert((file.key.clone(), network));
        Ok(network)
    }

    /// Merges the LoRAs that are asked for into the model in use.
    async fn merge(&mut self, asks: &[LoraAsk], running: &Running) -> Result<()> {
        match &mut self.loaded {
            Some(loaded) => loaded.merge(&mut self.loras, asks, &running.cancel).await,
            None => Ok(()),
        }
    }
}

impl Inner {
    pub(super) async fn stored_models(&self) -> Result<Vec<StoredModel>> {
        let Some(database) = &self.database else { return Ok(Vec::new()) };
        Ok(database.list().await?.into_iter().map(StoredModel::from).collect())
    }

    async fn load_model(&self, model: ModelRequest, on_progress: &JsValue) -> Result<LoadedModel> {
        let mut work = self.work.lock().await;
        let running = self.begin()?;
        // The model in use stays until its memory is needed.
        let (mut former, mut gone) = (work.loaded.take(), None);
        let mut make_room = || gone = former.take().map(|Loaded { request, .. }| request).or(gone.take());
        let result = self.acquire(&mut work, &model, &running, on_progress, &mut make_room).await;
        self.end();
        let (acquired, notices) = match result {
            Ok(ready) => ready,
            Err(error) => {
                work.loaded = match gone {
                    Some(request) => self.load_again(&mut work, request).await,
                    None => former,
                };
                return Err(error);
            }
        };
        let config = acquired.backend.config();
        let [width, height] = config.native_size();
        let loaded = LoadedModel {
            id: model.id.clone(),
            name: config.name.clone(),
            bytes: acquired.bytes,
            from_store: acquired.from_store,
            in_memory_only: acquired.in_memory_only,
            notice: acquired.notice.clone().or_else(|| notices.into_iter().next()),
            width,
            height,
            text_width: config.texts.first().map_or(0, |text| text.hidden_size),
        };
        work.loaded = Some(Loaded::plain(model, acquired));
        Ok(loaded)
    }

    /// The model that was in use before another one failed to take its place; `None` where it cannot be had again. The
    /// call that failed may have been cancelled; this is not.
    async fn load_again(&self, work: &mut Work, request: ModelRequest) -> Option<Loaded> {
        let running = Running { cancel: Cancel::default(), abort: AbortController::new().ok()? };
        let again = self.acquire(work, &request, &running, &JsValue::NULL, &mut || {}).await;
        again.ok().map(|(acquired, _)| Loaded::plain(request, acquired))
    }

    async fn import_model(&self, model: &ModelRequest, on_progress: &JsValue) -> Result<StoredModel> {
        let database = self.store()?;
        let _turn = self.work.lock().await;
        let Running { cancel, abort } = self.begin()?;
        let signal = JsValue::from(abort.signal());
        let call = Call { request: model, cancel: &cancel, signal: &signal, on_progress };
        let imported = import(&call, database).await;
        self.end();
        imported?;
        self.line(&model.id).await
    }

    async fn quantize_model(&self, id: &str, to: Types, on_progress: &JsValue) -> Result<StoredModel> {
        let database = self.store()?;
        let work = self.work.lock().await;
        if work.loaded.as_ref().is_some_and(|loaded| loaded.request.id == id) {
            let message = format!("{id} is in use: choose another model first");
            return Err(Error::InvalidInput { field: "model", message });
        }
        let Running { cancel, abort } = self.begin()?;
        let (request, signal) = (request::stored(id), JsValue::from(abort.signal()));
        let call = Call { request: &request, cancel: &cancel, signal: &signal, on_progress };
        let quantized = quantize(&call, database, to).await;
        self.end();
        quantized?;
        self.line(id).await
    }

    async fn generate(&self, request: Asked<'_>, on_event: &JsValue) -> Result<JsValue> {
        let mut work = self.work.lock().await;
        let running = self.begin()?;
        let result = self.run(&mut work, request, &running, on_event).await;
        self.end();
        result
    }

    async fn study(&self, ask: &JsValue) -> Result<JsValue> {
        match get(ask, "what").as_string().as_deref() {
            Some("film") => return study::film(ask),
            Some("map") => return study::control_map(ask),
            Some("expand") => return study::expanded(ask),
            _ => {}
        }
        let mut work = self.work.lock().await;
        let running = self.begin()?;
        let result = self.answer(&mut work, ask, &running).await;
        self.end();
        result
    }

    #[cfg(feature = "train")]
    async fn train(&self, ask: &JsValue, on_event: &JsValue) -> Result<JsValue> {
        let ask = super::train::Ask::of(ask)?;
        let mut work = self.work.lock().await;
        let running = self.begin()?;
        // From the model as it is stored, without LoRAs that were in use.
        let result = match work.merge(&[], &running).await {
            Ok(()) => match &mut work.loaded {
                Some(loaded) => {
                    let license = self.license(&loaded.request).await;
                    let whose = (&mut loaded.acquired.backend, license);
                    ask.answer(whose, &self.is_held, &running.cancel, on_event).await
                }
                None => Err(Error::InvalidInput { field: "model", message: "no model is loaded yet".into() }),
            },
            Err(error) => Err(error),
        };
        self.end();
        result
    }

    /// A model's licence, as its caller knows it or as it stands beside it in the store.
    #[cfg(feature = "train")]
    async fn license(&self, request: &ModelRequest) -> Option<License> {
        let stored = async || match self.database.as_ref()?.model(&request.id).await.ok()? {
            store::idb::Found::Model(model) => model.license,
            _ => None,
        };
        match &request.license {
            Some(license) => Some(license.clone()),
            None => stored().await,
        }
    }

    #[cfg(not(feature = "train"))]
    async fn train(&self, _: &JsValue, _: &JsValue) -> Result<JsValue> {
        Err(Error::Unsupported {
            what: "learning on the GPU".into(),
            message:
                "this engine only draws there: create one with { learns: true }, or with { engine: 'cpu' }"
                    .into(),
        })
    }

    async fn upscale(&self, ask: &Ask, on_event: &JsValue) -> Result<JsValue> {
        let mut work = self.work.lock().await;
        let running = self.begin()?;
        let result = self.enlarge(&mut work, ask, &running, on_event).await;
        self.end();
        result
    }

    /// Enlarges; when the device is lost, once more on a new one.
    async fn enlarge(
        &self,
        work: &mut Work,
        ask: &Ask,
        running: &Running,
        on_event: &JsValue,
    ) -> Result<JsValue> {
        let mut may_recover = true;
        loop {
            match enlarged(work, ask, running, on_event).await {
                Err(Error::DeviceLost { message }) => {
                    match work.loaded {
                        Some(_) => drop(self.revive(work, running, may_recover, message).await?),
                        None => drop(self.recover(work, may_recover, message).await?),
                    }
                    may_recover = false;
                }
                other => return other,
            }
        }
    }

    /// Answers; when the device is lost, once more on a new one.
    async fn answer(&self, work: &mut Work, ask: &JsValue, running: &Running) -> Result<JsValue> {
        let mut may_recover = true;
        let request = get(ask, "request");
        loop {
            // What is asked of a run is answered by the model that would draw it.
            if request.is_object() {
                work.merge(&LoraAsk::all(&request)?, running).await?;
            }
            let Some(loaded) = &mut work.loaded else {
                return Err(Error::InvalidInput { field: "model", message: "no model is loaded yet".into() });
            };
            match study::answer(&mut loaded.acquired.backend, ask, &running.cancel).await {
                Err(Error::DeviceLost { message }) => {
                    self.revive(work, running, may_recover, message).await?;
                    may_recover = false;
                }
                other => return other,
            }
        }
    }

    /// Runs; when the device is lost, once more on a new one.
    async fn run(
        &self,
        work: &mut Work,
        (mut request, files, asks, enlarges): Asked<'_>,
        running: &Running,
        on_event: &JsValue,
    ) -> Result<JsValue> {
        let mut notices = Vec::new();
        let mut may_recover = true;
        let asked: Vec<usize> = request.controls.iter().map(|control| control.model).collect();
        loop {
            let joined = match self.join(work, files, running).await {
                Ok(()) => work.merge(asks, running).await,
                failed => failed,
            };
            let joined = match (joined, enlarges) {
                (Ok(()), Some(file)) => work
                    .network(file)
                    .await
                    .map(|network| request.hires_network = Some(network.name().to_string())),
                (joined, _) => joined,
            };
            let Some(loaded) = &mut work.loaded else {
                return Err(Error::InvalidInput { field: "model", message: "no model is loaded yet".into() });
            };
            for (control, asked) in request.controls.iter_mut().zip(&asked) {
                let place = loaded.controls.iter().position(|file| Some(file) == files.get(*asked));
                control.model = place.unwrap_or(usize::MAX);
            }
            let backend = &mut loaded.acquired.backend;
            request.take_words(backend.merged().words()?);
            let request = &request;
            // It is lent to the run.
            let (key, network) = work.enlarger.take().filter(|_| enlarges.is_some()).unzip();
            backend.set_enlarger(network);
            let made = match joined {
                Ok(()) => run(backend, request, &running.cancel, on_event).await,
                Err(error) => Err(error),
            };
            work.enlarger = key.zip(backend.set_enlarger(None));
            match made {
                Ok(made) => {
                    let backend = &loaded.acquired.backend;
                    return made.to_js(request, (backend.config(), backend.merged()), &notices);
                }
                Err(Error::DeviceLost { message }) => {
                    notices.extend(self.revive(work, running, may_recover, message).await?);
                    may_recover = false;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Brings the ControlNets that a request names beside the model in use. Where more would be there than there may be, the
    /// model comes anew, without those of earlier requests.
    async fn join(&self, work: &mut Work, files: &[ControlFile], running: &Running) -> Result<()> {
        let joins = |loaded: &Loaded| files.iter().filter(|file| !loaded.controls.contains(file)).count();
        let is_full = |loaded: &Loaded| loaded.controls.len() + joins(loaded) > MAX_CONTROLS;
        if files.len() <= MAX_CONTROLS && work.loaded.as_ref().is_some_and(is_full) {
            let Some(Loaded { request, acquired, .. }) = work.loaded.take() else { return Ok(()) };
            drop(acquired);
            let (acquired, _) = self.acquire(work, &request, running, &JsValue::NULL, &mut || {}).await?;
            work.loaded = Some(Loaded::plain(request, acquired));
        }
        let Work { device, loaded: Some(loaded), .. } = work else { return Ok(()) };
        for file in files {
            if !loaded.controls.contains(file) {
                loaded.join(device, file, running).await?;
            }
        }
        Ok(())
    }

    /// After a lost device: another one, if this is the first (`again`), the model on it, and what had to be told.
    async fn revive(
        &self,
        work: &mut Work,
        running: &Running,
        again: bool,
        message: String,
    ) -> Result<Vec<String>> {
        let Some(lost) = work.loaded.take() else { return Err(Error::DeviceLost { message }) };
        drop(lost.acquired);
        let mut notices = vec![self.recover(work, again, message).await?];
        let (acquired, more) = self.acquire(work, &lost.request, running, &JsValue::NULL, &mut || {}).await?;
        notices.extend(more);
        work.loaded = Some(Loaded::plain(lost.request, acquired));
        Ok(notices)
    }

    /// Makes a model ready on the device at hand, see [`acquire`]; what had to be told on the way.
    async fn acquire(
        &self,
        work: &mut Work,
        model: &ModelRequest,
        running: &Running,
        on_progress: &JsValue,
        make_room: &mut dyn FnMut(),
    ) -> Result<(Acquired, Vec<String>)> {
        let signal = JsValue::from(running.abort.signal());
        let call = Call { request: model, cancel: &running.cancel, signal: &signal, on_progress };
        let mut notices = Vec::new();
        let mut may_recover = true;
        loop {
            match acquire(&call, self.database.as_ref(), &work.device, make_room).await {
                Err(Error::DeviceLost { message }) => {
                    notices.push(self.recover(work, may_recover, message).await?);
                    may_recover = false;
                }
                other => return other.map(|acquired| (acquired, notices)),
            }
        }
    }

    /// Replaces a lost device by a new one, and says so. [`Error::DeviceLost`] where there is none, or was one already:
    /// the worker then takes the other module.
    async fn recover(&self, work: &mut Work, again: bool, message: String) -> Result<String> {
        browser::call(&self.on_lost, &message.as_str().into());
        work.enlarger = None;
        let found = if again { Device::find(self.memory_limit).await.ok() } else { None };
        work.device = found.ok_or(Error::DeviceLost { message })?;
        *self.capabilities.borrow_mut() = work.device.capabilities();
        Ok("The graphics device was lost and has been restarted.".into())
    }

    fn begin(&self) -> Result<Running> {
        let abort = AbortController::new().map_err(|_| Error::Unsupported {
            what: "this browser".into(),
            message: "no AbortController".into(),
        })?;
        let running = Running { cancel: Cancel::default(), abort };
        *self.running.borrow_mut() = Some(running.clone());
        Ok(running)
    }

    fn end(&self) {
        *self.running.borrow_mut() = None;
    }
}
