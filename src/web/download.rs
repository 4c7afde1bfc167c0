//! A model's file from the network onto a shelf, going on where an earlier download stopped.

use wasm_bindgen::JsValue;

use super::browser::{self, now_ms};
use super::fetch::{self, Ask, Download, expect_total};
use super::locks;
use super::request::ModelRequest;
use super::shelf::{Kept, Shelf, decls_of, is_current};
use super::values::{Phase, progress};
use crate::pipeline::Cancel;
use crate::store::{
    Expected, Finish, Held, Import, Layout, Meter, Origin, Progress, State, StoredModel, license_in,
};
use crate::weights::{Hints, LayoutOptions, Source, recognise};
use crate::{Error, Result};

/// A file in a very scattered order needs several passes; more than this is a mistake.
const MAX_PASSES: usize = 64;

/// How often the file may turn out to be another one within a download.
const MAX_CHANGES: usize = 2;

/// What a download needs to know of the call it belongs to.
pub(super) struct Call<'a> {
    pub request: &'a ModelRequest,
    pub cancel: &'a Cancel,
    /// An `AbortSignal`.
    pub signal: &'a JsValue,
    pub on_progress: &'a JsValue,
}

impl Call<'_> {
    /// Tells the page.
    pub(super) fn report(&self, phase: Phase, report: &Progress, resumed_from: u64) {
        browser::call(self.on_progress, &progress(phase, report, resumed_from));
    }

    /// Ends with [`Error::Aborted`] when the caller wishes.
    pub(super) fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(Error::Aborted) } else { Ok(()) }
    }

    /// Waits until no other tab brings or packs this model; until the end of what is returned this one does.
    pub(super) async fn turn(&self) -> Result<locks::Held> {
        let waiting = || {
            self.report(Phase::Wait, &Progress::default(), 0);
        };
        locks::take(&format!("opengen-download-{}", self.request.id), self.signal, waiting).await
    }

    fn network(&self, message: String) -> Error {
        Error::Network { url: self.request.origin.url.clone(), message, retryable: true }
    }
}

/// How a download came to its end.
pub(super) enum Fetched {
    /// With all that an earlier one had left.
    AsBegun,
    /// From the file's beginning, because it is another one than was begun.
    Anew,
}

/// How one pass over the file ended.
enum Pass {
    Done,
    /// Some chunks need the file once more.
    Again,
    /// The file on the server is not the one that was begun.
    Changed,
    /// Nothing shows whether it is.
    Unsure,
}

/// Fetches what is missing on the shelf.
pub(super) async fn download(call: &Call<'_>, shelf: &mut Shelf<'_>) -> Result<Fetched> {
    let id = &call.request.id;
    let kept = shelf.kept(id).await?;
    let mut kept =
        kept.filter(|kept| kept.model.origin.agrees_with(&call.request.origin) && is_current(&kept.model));
    if let (Some(kept), Some(license)) = (&mut kept, &call.request.license) {
        kept.model.license = Some(license.clone());
    }
    // Without the file's header it was packed in another type: of no use to go on with.
    kept = kept.filter(|kept| !kept.model.header.is_empty());
    let mut changes = 0;
    for _ in 0..MAX_PASSES {
        match pass(call, shelf, &mut kept).await {
            Ok(Pass::Done) => return Ok(if changes > 0 { Fetched::Anew } else { Fetched::AsBegun }),
            Ok(Pass::Again) => {}
            Ok(Pass::Unsure) => kept = None,
            Ok(Pass::Changed) if changes == MAX_CHANGES => {
                return Err(call.network("the file kept changing while it was fetched".into()));
            }
            Ok(Pass::Changed) => {
                kept = None;
                changes += 1;
            }
            Err(error) => {
                // A broken connection leaves what can be used; a broken file leaves nothing.
                let is_broken =
                    !matches!(error, Error::Network { .. } | Error::Aborted | Error::DeviceLost { .. });
                if is_broken && kept.is_some() {
                    // What went wrong first is what the visitor should read.
                    let _ = shelf.clear(id).await;
                }
                return Err(error);
            }
        }
    }
    Err(Error::BadFile {
        file: call.request.file(),
        message: format!("its tensors lie so scattered that {MAX_PASSES} passes over it were not enough"),
    })
}

async fn pass(call: &Call<'_>, shelf: &mut Shelf<'_>, kept: &mut Option<Kept>) -> Result<Pass> {
    if let Some(kept) = kept.as_mut().filter(|kept| kept.is_mended()) {
        shelf.complete(kept).await?;
        return Ok(Pass::Done);
    }
    let mut import = begin_import(call.request, kept)?;
    let mut download = fetch::open(&Ask {
        url: &call.request.origin.url,
        offset: import.resume_offset(),
        is_length_known: import.total().is_some(),
        validator: kept.as_ref().and_then(|kept| kept.model.origin.validator()),
        headers: &call.request.headers,
        fetch: &call.request.fetch,
        signal: call.signal,
    })
    .await?;
    let origin = Origin {
        bytes: expect_total(&download, call.request.origin.bytes)?,
        etag: download.etag.clone(),
        last_modified: download.last_modified.clone(),
        ..call.request.origin.clone()
    };
    if kept.as_ref().is_some_and(|kept| !kept.model.origin.agrees_with(&origin)) {
        return Ok(Pass::Changed);
    }
    import.start_at(download.offset, origin.bytes)?;
    if let Some(kept) = kept {
        let is_proven = origin.sha256.is_some() || kept.model.origin.is_proven_by(&origin);
        if !is_proven && !import.will_compare() {
            return Ok(Pass::Unsure);
        }
    }
    if !read(call, shelf, kept, &mut download, &mut import, origin).await? {
        return Ok(Pass::Changed);
    }
    finish(call, shelf, kept, import).await
}

/// The pass that goes on with what is kept, or begins anew where that is of no use.
fn begin_import(request: &ModelRequest, kept: &mut Option<Kept>) -> Result<Import> {
    let begun = match kept {
        Some(Kept { model, held, marks, waiting }) => {
            let expected = expected(request, model.origin.bytes);
            Import::resume(expected, layout_of(request), model, held, marks, waiting.take())?
        }
        None => None,
    };
    Ok(begun.unwrap_or_else(|| {
        *kept = None;
        Import::new(expected(request, None), layout_of(request))
    }))
}

/// The body has ended, or nothing more of it is of use.
async fn finish(
    call: &Call<'_>,
    shelf: &mut Shelf<'_>,
    kept: &mut Option<Kept>,
    import: Import,
) -> Result<Pass> {
    let loaded = import.position();
    let is_whole = !import.is_done();
    let total = import.total().unwrap_or(loaded);
    call.report(Phase::Verify, &Progress { loaded, total, ..Progress::default() }, 0);
    match (import.finish()?, kept) {
        (Finish::Complete, Some(kept)) => {
            if is_whole {
                kept.model.origin.bytes = Some(loaded);
            }
            shelf.complete(kept).await?;
            Ok(Pass::Done)
        }
        (Finish::Changed, _) => Ok(Pass::Changed),
        _ => Ok(Pass::Again),
    }
}

/// Reads the body to its end, or to the last byte of use; false when it turns out to be another file.
async fn read(
    call: &Call<'_>,
    shelf: &mut Shelf<'_>,
    kept: &mut Option<Kept>,
    download: &mut Download,
    import: &mut Import,
    origin: Origin,
) -> Result<bool> {
    let resumed_from = download.offset;
    let mut meter = Meter::new(import.total().unwrap_or(0), resumed_from, now_ms());
    loop {
        let bytes = match download.next().await.and_then(|bytes| call.check().map(|()| bytes)) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => break,
            Err(error) => {
                if let Some(kept) = kept {
                    shelf.put_by(kept, import).await;
                }
                return Err(error);
            }
        };
        match take(call.request, shelf, kept, import, &origin, &bytes).await {
            Err(_) if import.is_changed() => return Ok(false),
            taken => taken?,
        }
        meter.expect(import.total().unwrap_or(0));
        if let Some(report) = meter.update(import.position(), now_ms()) {
            call.report(Phase::Download, &Progress { tensors: import.tensors(), ..report }, resumed_from);
        }
        if import.is_done() {
            break;
        }
    }
    Ok(true)
}

/// Takes the file's next bytes, and puts what they make whole onto the shelf.
async fn take(
    request: &ModelRequest,
    shelf: &mut Shelf<'_>,
    kept: &mut Option<Kept>,
    import: &mut Import,
    origin: &Origin,
    bytes: &[u8],
) -> Result<()> {
    import.feed(bytes)?;
    if kept.is_none() {
        *kept = begin(request, import, origin);
        if let Some(kept) = kept {
            shelf.begin(kept).await?;
        }
    }
    let Some(kept) = kept else { return Ok(()) };
    while let Some(chunk) = import.next_chunk()? {
        shelf.put(kept, &chunk, import.marks()).await?;
    }
    if import.should_put_by() {
        shelf.put_by(kept, import).await;
    }
    Ok(())
}

/// The row of a model whose header has just been read; `None` before that.
fn begin(request: &ModelRequest, import: &Import, origin: &Origin) -> Option<Kept> {
    let header = import.header()?.to_vec();
    let model = StoredModel {
        id: request.id.clone(),
        place: request.id.clone(),
        origin: origin.clone(),
        license: request.license.clone().or_else(|| license_in(&header)),
        state: State::Partial,
        chunk_bytes: import.chunk_bytes()?,
        header,
        manifest: import.manifest()?.clone(),
    };
    let held = vec![Held::Nothing; model.chunk_map().len()];
    Some(Kept { model, held, marks: Vec::new(), waiting: None })
}

/// What the file is held against; `bytes` is its length as the server said it at an earlier pass.
fn expected(request: &ModelRequest, bytes: Option<u64>) -> Expected {
    Expected {
        url: request.origin.url.clone(),
        file: request.file(),
        bytes: request.origin.bytes.or(bytes),
        sha256: request.origin.sha256.clone(),
        allow_non_finite: request.allow_non_finite,
    }
}

/// The packed layout of the model that the file turns out to hold.
fn layout_of(request: &ModelRequest) -> Layout {
    let (id, origin) = (request.id.clone(), request.origin.clone());
    let (file, clip, prediction) = (request.file(), request.clip.clone(), request.prediction);
    let options = LayoutOptions { narrowed: request.weights, ..LayoutOptions::default() };
    Box::new(move |header| {
        let recognised = recognise(header, Hints { clip: clip.as_deref(), prediction, ..Hints::default() })?;
        let source =
            Source { file: file.clone(), bytes: origin.bytes.unwrap_or(0), sha256: origin.sha256.clone() };
        let decls = decls_of(&id, &recognised.config);
        recognised.manifest(&decls, header, source, options)
    })
}
