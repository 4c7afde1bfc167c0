//! The one way a file becomes a model, natively and in the browser: what it holds is told from the header alone.

use std::collections::HashSet;

use super::header::{Header, bad};
use super::packed::{LayoutOptions, Manifest, Source, layout_with};
use super::single::infer::{self, Inferred, Said};
use super::{clip, names};
use crate::config::{Activation, ModelConfig, PredictionType, Suggested};
use crate::error::{Error, Result};
use crate::plan::WeightDecl;

/// The kinds of files, or of folders of files, that a model can come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// A GGUF that `opengen import` wrote: it says all of itself, and what it holds beside that is a mistake.
    Opengen,
    /// A folder in diffusers' layout: its configurations say what the model is, so that more tensors are only more.
    Diffusers,
    /// A checkpoint of Stable Diffusion 1 or 2 in one file: names and shapes say what it is, and training left much in it.
    Single,
}

/// A model in its files: everything but its numbers.
#[derive(Debug, Clone)]
pub struct Recognised {
    pub family: Family,
    pub config: ModelConfig,
    /// The text of `tokenizer.json`.
    pub tokenizer: String,
    /// What was taken to be so because nothing in the file says it, and what to do where it is not: a sentence.
    pub assumed: Option<String>,
}

/// What a caller knows that a file does not say.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hints<'a> {
    /// The merges of CLIP's tokenizer, a line each: all checkpoints were trained with it, and none brings it.
    pub clip: Option<&'a str>,
    /// What its UNet answers with, whatever the file has.
    pub prediction: Option<PredictionType>,
    /// After how many steps of training it was kept, where it says so (`global_step`): a value that no header has. On its way
    /// into a browser's store a file is laid out before that value comes; the UNet is asked there.
    pub steps: Option<i64>,
}

/// Tensors of a file that its model does not read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unused {
    /// What files are known to carry beside the weights: averages and schedules of training, buffers.
    pub leftovers: Vec<String>,
    /// What nobody here knows.
    pub unknown: Vec<String>,
}

/// What a file holds; names are canonical from then on.
pub fn recognise(header: &Header, hints: Hints) -> Result<Recognised> {
    let recognised = without_tokenizer(header, hints)?;
    let tokenizer = match (recognised.family, hints.clip) {
        (Family::Single, Some(merges)) => vocabulary(header, &recognised.config, merges)?,
        (Family::Single, None) => return Err(Error::NoVocabulary { file: header.file.clone() }),
        _ => stated(header, Header::TOKENIZER)?.clone(),
    };
    Ok(Recognised { tokenizer, ..recognised })
}

/// The same without its tokenizer, which is empty: what a model is and how large it gets shows without.
pub fn without_tokenizer(header: &Header, Hints { prediction, steps, .. }: Hints) -> Result<Recognised> {
    let tokenizer = String::new();
    if header.is_single {
        let Inferred { config, assumed } = infer::config(header, Said { prediction, steps })?;
        return Ok(Recognised { family: Family::Single, config, tokenizer, assumed });
    }
    if !header.metadata.contains_key(Header::CONFIG) {
        return Err(header.other_model());
    }
    let mut config = ModelConfig::from_json(&header.file, stated(header, Header::CONFIG)?)?;
    prediction.iter().for_each(|prediction| config.set_prediction(*prediction));
    let family = match header.metadata.contains_key(Header::JOINED) {
        true => Family::Diffusers,
        false => Family::Opengen,
    };
    Ok(Recognised { family, config, tokenizer, assumed: None })
}

/// What a file's metadata say under a key that ours have.
fn stated<'a>(header: &'a Header, key: &str) -> Result<&'a String> {
    let missing =
        || bad(&header.file, format!("no {key} in its metadata; `opengen import` writes such files"));
    header.metadata.get(key).ok_or_else(missing)
}

/// The tokenizer of a checkpoint in one file, which brings none.
fn vocabulary(header: &Header, config: &ModelConfig, merges: &str) -> Result<String> {
    let text = config.texts.first();
    let pad = match text.map(|text| text.hidden_act) {
        Some(Activation::Gelu) => clip::OPEN_CLIP_PAD,
        _ => clip::END,
    };
    let tokens = text.map_or(0, |text| text.vocab_size);
    clip::of_merges(merges, tokens, pad).map_err(|message| bad(&header.file, message))
}

impl Recognised {
    /// What a run should take with it, beside and before what it says itself.
    pub fn suggest(&mut self, suggested: Suggested) {
        self.config.suggested = suggested.or(&self.config.suggested);
    }

    /// Whether tensors that the model does not read are left out, whatever they are.
    pub(super) fn leaves_extra(&self) -> bool {
        self.family != Family::Opengen
    }

    /// Decides where every record goes. Reads no data.
    pub fn manifest(
        &self,
        decls: &[WeightDecl],
        header: &Header,
        source: Source,
        options: LayoutOptions,
    ) -> Result<Manifest> {
        let options = LayoutOptions { leave_extra: options.leave_extra || self.leaves_extra(), ..options };
        layout_with(&self.config.name, &self.config, &self.tokenizer, decls, header, source, options)
    }
}

/// Tensors of a file that are not among the declared ones, in file order.
pub fn unused(header: &Header, decls: &[WeightDecl]) -> Unused {
    let wanted: HashSet<&str> =
        decls.iter().flat_map(|decl| &decl.parts).map(|part| part.name.as_str()).collect();
    let others = header.others.iter().map(|other| &other.name);
    let names = header.tensors.iter().map(|info| &info.name).chain(others);
    let (leftovers, unknown) = names
        .filter(|name| !wanted.contains(name.as_str()))
        .cloned()
        .partition(|name| names::is_leftover(name));
    Unused { leftovers, unknown }
}
