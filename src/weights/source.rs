//! Opening a model natively, a diffusers folder or a GGUF of ours, and packing it.

use std::collections::HashSet;
use std::path::Path;

use super::embedded::embedded;
use super::folder::{DiffusersFolder, WeightFile};
use super::header::{Header, bad};
use super::pack::Packer;
use super::packed::{LayoutOptions, Manifest, Source, layout_with};
use crate::config::{ModelConfig, Suggested};
use crate::error::Result;
use crate::plan::WeightDecl;

/// Where a model's weights come from.
#[derive(Debug)]
pub enum ModelSource {
    Folder(DiffusersFolder),
    Gguf(GgufFile),
}

/// A GGUF written by `opengen quantize`: it carries its configuration and tokenizer.
#[derive(Debug)]
pub struct GgufFile {
    pub config: ModelConfig,
    pub tokenizer: String,
    pub header: Header,
    file: WeightFile,
}

impl GgufFile {
    /// Reads header, configuration and tokenizer.
    pub fn open(path: &Path) -> Result<Self> {
        let file = WeightFile::open(path)?;
        let header = file.header()?;
        let (config, tokenizer) = embedded(&header)?;
        Ok(GgufFile { config, tokenizer, header, file })
    }
}

impl ModelSource {
    /// Opens a diffusers folder or a GGUF.
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Ok(ModelSource::Folder(DiffusersFolder::open(path)?));
        }
        Ok(ModelSource::Gguf(GgufFile::open(path)?))
    }

    pub fn header(&self) -> &Header {
        match self {
            ModelSource::Folder(folder) => &folder.header,
            ModelSource::Gguf(gguf) => &gguf.header,
        }
    }

    pub fn config(&self) -> &ModelConfig {
        match self {
            ModelSource::Folder(folder) => &folder.config,
            ModelSource::Gguf(gguf) => &gguf.config,
        }
    }

    /// What a run should take with it, beside and before what it says itself.
    pub fn suggest(&mut self, suggested: Suggested) {
        let config = match self {
            ModelSource::Folder(folder) => &mut folder.config,
            ModelSource::Gguf(gguf) => &mut gguf.config,
        };
        config.suggested = suggested.or(&config.suggested);
    }

    /// The text of `tokenizer.json`.
    pub fn tokenizer(&self) -> &str {
        match self {
            ModelSource::Folder(folder) => &folder.tokenizer,
            ModelSource::Gguf(gguf) => &gguf.tokenizer,
        }
    }

    /// What the manifest says of the origin.
    pub fn source(&self) -> Source {
        let bytes = match self {
            ModelSource::Folder(folder) => folder.bytes(),
            ModelSource::Gguf(gguf) => gguf.file.len,
        };
        Source { file: self.header().file.clone(), bytes, sha256: None }
    }

    /// Reads the data of tensor `index` of the header into `buffer`.
    pub fn read(&self, index: usize, buffer: &mut Vec<u8>) -> Result<()> {
        match self {
            ModelSource::Folder(folder) => folder.read(index, buffer),
            ModelSource::Gguf(gguf) => {
                let info = gguf.header.tensors.get(index);
                gguf.file.read(
                    info.ok_or_else(|| bad(&gguf.file.name, format!("no tensor number {index}")))?,
                    buffer,
                )
            }
        }
    }

    /// Whether tensors that the model does not read are left out: a folder's configuration says what its model is, so
    /// that more tensors are only more. A GGUF of ours has none.
    pub(super) fn leaves_extra(&self) -> bool {
        matches!(self, ModelSource::Folder(_))
    }

    /// Tensors that the model does not read.
    pub fn unused(&self, decls: &[WeightDecl]) -> Vec<String> {
        let wanted: HashSet<&str> =
            decls.iter().flat_map(|decl| &decl.parts).map(|part| part.name.as_str()).collect();
        let names = self.header().tensors.iter().map(|info| &info.name);
        names.filter(|name| !wanted.contains(name.as_str())).cloned().collect()
    }

    /// Decides where every record goes. Reads no data.
    pub fn manifest(&self, decls: &[WeightDecl], options: LayoutOptions) -> Result<Manifest> {
        let config = self.config();
        let options = LayoutOptions { leave_extra: options.leave_extra || self.leaves_extra(), ..options };
        layout_with(&config.name, config, self.tokenizer(), decls, self.header(), self.source(), options)
    }
}

/// Takes packed bytes: slab, offset in it, bytes.
pub type Sink<'a> = dyn FnMut(usize, u64, &[u8]) -> Result<()> + 'a;

/// Packs a model, handing every finished piece `(slab, offset, bytes)` on; memory is bounded by the open records.
pub fn stream(source: &ModelSource, manifest: &Manifest, sink: &mut Sink) -> Result<()> {
    let mut packer = Packer::new(manifest, source.header());
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
