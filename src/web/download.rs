//! A model's file from the network onto a shelf, going on where an earlier download stopped.

use wasm_bindgen::JsValue;

use super::browser::{self, now_ms};
use super::fetch::{self, Ask, Download, expect_total};
use super::request::ModelRequest;
use super::shelf::{Kept, Shelf};
use super::values::{Phase, progress};
use crate::pipeline::Cancel;
use crate::store::{Expected, Finish, Import, Layout, Meter, Origin, Progress, State, StoredModel};
use crate::weights::{LayoutOptions, Source, recognise};
use crate::{Error, Result};

/// A file in a very scattered order needs several passes; more than this is a mistake.
const MAX_PASSES: usize = 64;

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

    fn network(&self, message: String) -> Error {
        Error::Network { url: self.request.origin.url.clone(), message, retryable: true }
    }
}

/// How one pass over the file ended.
enum Pass {
    Done,
    /// Some chunks need the file once more.
    Again,
    /// The file on the server is not the one that was begun.
    Changed,
}

/// Fetches what is missing on the shelf.
pub(super) async fn download(call: &Call<'_>, shelf: &mut Shelf<'_>) -> Result<()> {
    let id = &call.request.id;
    let mut kept = shelf.kept(id).await?.filter(|kept| kept.model.origin.agrees_with(&call.request.origin));
    let mut changes = 0;
    for _ in 0..MAX_PASSES {
        match pass(call, shelf, &mut kept).await {
            Ok(Pass::Done) => return Ok(()),
            Ok(Pass::Again) => {}
            Ok(Pass::Changed) => {
                changes += 1;
                kept = None;
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
    Err(call.network(match changes {
        0 => format!("its tensors lie so far apart that {MAX_PASSES} passes did not put them together"),
        _ => "the file kept changing while it was fetched".to_string(),
    }))
}

async fn pass(call: &Call<'_>, shelf: &mut Shelf<'_>, kept: &mut Option<Kept>) -> Result<Pass> {
    if let Some(kept) = kept.as_mut().filter(|kept| kept.is_complete()) {
        shelf.complete(kept).await?;
        return Ok(Pass::Done);
    }
    let resumed = match kept {
        Some(kept) => {
            let expected = expected(call.request, kept.model.origin.bytes.unwrap_or(0));
            Some(Import::resume(expected, layout_of(call.request), &kept.model, &kept.sums)?)
        }
        None => None,
    };
    let mut download = fetch::open(&Ask {
        url: &call.request.origin.url,
        offset: resumed.as_ref().map_or(0, Import::resume_offset),
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
    let total =
        origin.bytes.ok_or_else(|| call.network("the server does not say how long the file is".into()))?;
    let mut import =
        resumed.unwrap_or_else(|| Import::new(expected(call.request, total), layout_of(call.request)));
    import.start_at(download.offset);
    if !read(call, shelf, kept, &mut download, &mut import, origin).await? {
        return Ok(Pass::Changed);
    }
    let loaded = import.position();
    call.report(Phase::Verify, &Progress { loaded, total, rate: 0.0, seconds_left: None }, 0);
    match (import.finish()?, kept) {
        (Finish::Complete { .. }, Some(kept)) => {
            shelf.complete(kept).await?;
            Ok(Pass::Done)
        }
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
    let mut meter = Meter::new(origin.bytes.unwrap_or(0), resumed_from, now_ms());
    let mut origin = Some(origin);
    while let Some(bytes) = download.next().await? {
        call.check()?;
        let fed = import.feed(&bytes);
        if import.is_changed() {
            return Ok(false);
        }
        fed?;
        if kept.is_none()
            && import.manifest().is_some()
            && let Some(origin) = origin.take()
        {
            *kept = begin(call.request, import, origin);
            if let Some(kept) = kept {
                shelf.begin(kept).await?;
            }
        }
        if let Some(kept) = kept {
            while let Some(chunk) = import.next_chunk()? {
                shelf.put(kept, &chunk).await?;
            }
        }
        if let Some(report) = meter.update(import.position(), now_ms()) {
            call.report(Phase::Download, &report, resumed_from);
        }
        if import.is_done() {
            break;
        }
    }
    Ok(true)
}

/// The row of a model whose header has just been read.
fn begin(request: &ModelRequest, import: &Import, origin: Origin) -> Option<Kept> {
    let model = StoredModel {
        id: request.id.clone(),
        origin,
        state: State::Partial,
        chunk_bytes: import.chunk_bytes()?,
        header: import.header()?.to_vec(),
        manifest: import.manifest()?.clone(),
    };
    let sums = vec![None; model.chunk_map().len()];
    Some(Kept { model, sums })
}

fn expected(request: &ModelRequest, bytes: u64) -> Expected {
    Expected {
        url: request.origin.url.clone(),
        file: request.file(),
        bytes,
        sha256: request.origin.sha256.clone(),
    }
}

/// The packed layout of the model that the file turns out to hold.
fn layout_of(request: &ModelRequest) -> Layout {
    let origin = request.origin.clone();
    let file = request.file();
    Box::new(move |header| {
        let recognised = recognise(header)?;
        let source =
            Source { file: file.clone(), bytes: origin.bytes.unwrap_or(0), sha256: origin.sha256.clone() };
        let decls = crate::model::weight_decls(&recognised.config);
        recognised.manifest(&decls, header, source, LayoutOptions::default())
    })
}
