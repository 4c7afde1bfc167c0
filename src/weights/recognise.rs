//! The one way a file becomes a model, natively and in the browser: what it holds is told from the header alone.

use std::collections::HashSet;

use super::header::{Header, bad};
use super::names;
use super::packed::{LayoutOptions, Manifest, Source, layout_with};
use crate::config::{ModelConfig, Suggested};
use crate::error::Result;
use crate::plan::WeightDecl;

/// The kinds of files, or of folders of files, that a model can come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// A GGUF that `opengen quantize` wrote: it says all of itself, and what it holds beside that is a mistake.
    Opengen,
    /// A folder in diffusers' layout: its configurations say what the model is, so that more tensors are only more.
    Diffusers,
}

/// A model in its files: everything but its numbers.
#[derive(Debug, Clone)]
pub struct Recognised {
    pub family: Family,
    pub config: ModelConfig,
    /// The text of `tokenizer.json`.
    pub tokenizer: String,
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
pub fn recognise(header: &Header) -> Result<Recognised> {
    if !header.metadata.contains_key(Header::CONFIG) {
        return Err(header.other_model());
    }
    let text = |key: &str| {
        let missing =
            || bad(&header.file, format!("no {key} in its metadata; `opengen quantize` writes such files"));
        header.metadata.get(key).ok_or_else(missing)
    };
    let config = ModelConfig::from_json(&header.file, text(Header::CONFIG)?)?;
    Ok(Recognised { family: Family::Opengen, config, tokenizer: text(Header::TOKENIZER)?.clone() })
}

impl Recognised {
    /// What a run should take with it, beside and before what it says itself.
    pub fn suggest(&mut self, suggested: Suggested) {
        self.config.suggested = suggested.or(&self.config.suggested);
    }

    /// Whether tensors that the model does not read are left out, whatever they are.
    pub(super) fn leaves_extra(&self) -> bool {
        self.family == Family::Diffusers
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
