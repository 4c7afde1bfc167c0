//! Opening a model natively, a diffusers folder or one file, and packing it.

use std::path::Path;

use super::folder::{self, WeightFile};
use super::header::{Header, bad};
use super::pack::{Packer, Sink};
use super::packed::{LayoutOptions, Manifest, PackedRecord, Source};
use super::recognise::{Recognised, Unused, recognise, unused};
use crate::config::{ModelConfig, Suggested};
use crate::error::Result;
use crate::plan::WeightDecl;

/// A model's files, open and recognised; their data not read yet.
#[derive(Debug)]
pub struct ModelSource {
    pub(super) recognised: Recognised,
    /// All tensors under canonical names; offsets count from the start of the file each is in.
    pub(super) header: Header,
    pub(super) files: Vec<WeightFile>,
    /// Which of `files` each tensor of `header` is in.
    pub(super) file_of: Vec<usize>,
}

impl ModelSource {
    /// Opens a diffusers folder or a file that holds a whole model.
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return folder::open(path);
        }
        let file = WeightFile::open(path)?;
        let header = file.header()?;
        let recognised = recognise(&header)?;
        let file_of = vec![0; header.tensors.len()];
        Ok(ModelSource { recognised, header, files: vec![file], file_of })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    pub fn config(&self) -> &ModelConfig {
        &self.recognised.config
    }

    /// What a run should take with it, beside and before what it says itself.
    pub fn suggest(&mut self, suggested: Suggested) {
        self.recognised.suggest(suggested);
    }

    /// The text of `tokenizer.json`.
    pub fn tokenizer(&self) -> &str {
        &self.recognised.tokenizer
    }

    /// What the manifest says of the origin.
    pub fn source(&self) -> Source {
        let bytes = self.files.iter().map(|file| file.len).sum();
        Source { file: self.header.file.clone(), bytes, sha256: None }
    }

    /// Reads the data of tensor `index` of the header into `buffer`.
    pub fn read(&self, index: usize, buffer: &mut Vec<u8>) -> Result<()> {
        let file = self.file_of.get(index).and_then(|&file| self.files.get(file));
        let found = self.header.tensors.get(index).zip(file);
        let (info, file) =
            found.ok_or_else(|| bad(&self.header.file, format!("no tensor number {index}")))?;
        file.read(info, buffer)
    }

    /// Whether tensors that the model does not read are left out, whatever they are.
    pub(super) fn leaves_extra(&self) -> bool {
        self.recognised.leaves_extra()
    }

    /// Tensors that the model does not read.
    pub fn unused(&self, decls: &[WeightDecl]) -> Unused {
        unused(&self.header, decls)
    }

    /// Decides where every record goes. Reads no data.
    pub fn manifest(&self, decls: &[WeightDecl], options: LayoutOptions) -> Result<Manifest> {
        self.recognised.manifest(decls, &self.header, self.source(), options)
    }
}

/// Packs a model, handing every finished piece `(slab, offset, bytes)` on; memory is bounded by the open records.
pub fn stream(source: &ModelSource, manifest: &Manifest, sink: &mut Sink) -> Result<()> {
    stream_of(source, manifest, &|_| true, sink)
}

/// The same for the records that are `wanted`, reading nothing else.
pub fn stream_of(
    source: &ModelSource,
    manifest: &Manifest,
    wanted: &dyn Fn(&PackedRecord) -> bool,
    sink: &mut Sink,
) -> Result<()> {
    let is_wanted = |index: usize| manifest.records.get(index).is_some_and(wanted);
    let mut packer = Packer::of(manifest, source.header(), &is_wanted);
    let mut buffer = Vec::new();
    for (index, info) in source.header().tensors.iter().enumerate() {
        if packer.wants(&info.name) {
            source.read(index, &mut buffer)?;
            for piece in packer.push(&info.name, &buffer)? {
                sink(piece.slab, piece.offset, &piece.bytes)?;
            }
        }
    }
    packer.finish()
}

/// Packs a model into memory: the manifest and the bytes of each slab.
pub fn load(
    source: &ModelSource,
    decls: &[WeightDecl],
    options: LayoutOptions,
) -> Result<(Manifest, Vec<Vec<u8>>)> {
    let manifest = source.manifest(decls, options)?;
    let mut slabs: Vec<Vec<u8>> = manifest.slabs.iter().map(|&len| vec![0; len as usize]).collect();
    stream(source, &manifest, &mut |slab, offset, bytes| {
        let place =
            slabs.get_mut(slab).and_then(|slab| slab.get_mut(offset as usize..)?.get_mut(..bytes.len()));
        let place = place
            .ok_or_else(|| bad(&manifest.source.file, format!("no place at {offset} in slab {slab}")))?;
        place.copy_from_slice(bytes);
        Ok(())
    })?;
    Ok((manifest, slabs))
}
