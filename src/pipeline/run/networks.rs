//! Networks that are merged into the model, all along or in some steps of a run.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use super::Run;
use crate::error::{Error, Result};
use crate::pipeline::conditioning::Conditioning;
use crate::pipeline::engine::{Engine, Network};
use crate::pipeline::request::Cancel;
use crate::pipeline::stock::Stock;
use crate::weights::{Bytes, Manifest, Merged, Merging, PackedRecord, Passing};

/// What is merged into a model, and where its weights come from as they are stored.
#[derive(Default)]
pub(super) struct Networks {
    pub stock: Option<Box<dyn Stock>>,
    asked: Rc<Merged>,
    /// What is merged now.
    now: Rc<Merged>,
    /// Names of the records that are not as they are stored.
    touched: BTreeSet<String>,
    /// A merge broke off: of the touched records nothing is known.
    broken: bool,
}

impl Networks {
    pub fn asked(&self) -> &Rc<Merged> {
        &self.asked
    }

    /// Asks for others from now on, and merges what counts in every step of a run.
    pub async fn set(
        &mut self,
        engine: &mut Engine,
        manifest: &Arc<Manifest>,
        merged: Rc<Merged>,
        cancel: &Cancel,
    ) -> Result<()> {
        let widened = engine.widen(&merged, manifest).await;
        if widened.is_err() {
            self.broken = true;
        }
        self.put(engine, manifest, (merged.steady().into(), widened?), cancel).await?;
        self.asked = merged;
        Ok(())
    }

    /// The steps of a run of so many before which something else is merged; see [`Merged::turns`].
    pub fn turns(&self, steps: usize) -> Result<Vec<usize>> {
        self.asked.turns(steps)
    }

    /// Merges what counts in step `i` of `steps`.
    pub async fn turn(
        &mut self,
        engine: &mut Engine,
        manifest: &Arc<Manifest>,
        (i, steps): (usize, usize),
        cancel: &Cancel,
    ) -> Result<()> {
        self.put(engine, manifest, (self.asked.in_step(i, steps).into(), BTreeSet::new()), cancel).await
    }

    /// Merges these in place of those that are merged now, and brings records that are `new` where they are read.
    async fn put(
        &mut self,
        engine: &mut Engine,
        manifest: &Arc<Manifest>,
        (merged, new): (Rc<Merged>, BTreeSet<String>),
        cancel: &Cancel,
    ) -> Result<()> {
        let records = || manifest.records.iter();
        let changed: BTreeSet<String> = records()
            .filter(|record| merged.touches(record))
            .map(|record| record.decl.name.clone())
            .collect();
        let Networks { stock, now, touched, broken, .. } = self;
        let wanted = |record: &PackedRecord| {
            let name = &record.decl.name;
            let is_changed = changed.contains(name) || touched.contains(name);
            new.contains(name) || is_changed && (*broken || !merged.agrees_on(now, record))
        };
        if records().any(&wanted) && !engine.merges_later(&merged, &wanted, manifest) {
            let stock = stock.as_deref().ok_or_else(away)?;
            let put = put(engine, manifest, (&merged, &wanted), stock, cancel).await;
            if put.is_err() {
                *broken = true;
                touched.extend(changed.into_iter().chain(new));
                return put;
            }
            *broken = false;
        }
        *now = merged;
        self.touched = changed;
        Ok(())
    }
}

fn away() -> Error {
    Error::Unsupported {
        what: "a LoRA with a model that is not stored".to_string(),
        message: "it is merged from the stored original; make room in the browser's storage and load the model again"
            .to_string(),
    }
}

/// Which records are asked for.
type Wanted<'a> = &'a dyn Fn(&PackedRecord) -> bool;

/// Merges networks into the `wanted` records.
async fn put(
    engine: &mut Engine,
    manifest: &Manifest,
    (merged, wanted): (&Merged, Wanted<'_>),
    stock: &dyn Stock,
    cancel: &Cancel,
) -> Result<()> {
    let mut merging = Merging::new(manifest, wanted);
    let mut merge = |passing: Passing<'_>| match passing {
        Passing::As(..) => Ok(()),
        Passing::Record(record, bytes) => engine.merge(merged, record, &bytes),
    };
    let mut sink =
        |slab: usize, offset: u64, bytes: Bytes<'_>| merging.pass(slab, offset, &bytes, &mut merge);
    stock.fetch(wanted, &mut sink, cancel).await
}

impl Run<'_> {
    /// Before step `i`: where other networks count in it than in the one before, they are merged, and what was made with those
    /// is made anew.
    pub(super) async fn turn_networks(&mut self, i: usize, conditioning: &Conditioning) -> Result<()> {
        let step = self.pass.counted(i);
        if !self.networks.turns(step.1)?.contains(&step.0) {
            return Ok(());
        }
        let state = self.engine.hold().await?;
        self.networks.turn(self.engine, self.manifest, step, self.cancel).await?;
        self.engine.prepare(self.shape, self.cancel).await?;
        if !state.is_empty() {
            self.read_maps().await?;
        }
        self.encode_text(conditioning).await?;
        self.engine.enter(Network::Denoiser, self.cancel).await?;
        self.engine.restore(&state)
    }
}
