//! Opening a model natively, a diffusers folder or one file, and packing it.

use std::path::{Path, PathBuf};

use super::blocks::Rounding;
use super::bytes::Bytes;
use super::disk::WeightFile;
use super::folder::{self, Checkpoint, FULL_FIRST};
use super::header::{Header, OtherTensor, TensorInfo, bad};
use super::license::License;
use super::lora::{LoraOption, Merged};
use super::pack::{Packer, Sink};
use super::packed::{LayoutOptions, Manifest, PackedRecord, Source};
use super::recognise::{Family, Hints, Recognised, Unused, recognise, unused};
use super::{clip, single};
use crate::config::{Disk, ModelConfig, PredictionType, Suggested};
use crate::error::{Error, Result};
use crate::plan::WeightDecl;

/// Tensor with the count of steps of training, one 64 bit integer.
const STEPS: &str = "global_step";

/// A model's files, open and recognised; their data not read yet.
#[derive(Debug)]
pub struct ModelSource {
    pub(super) recognised: Recognised,
    /// What the files say of it themselves.
    pub(super) license: Option<License>,
    /// All tensors under canonical names; offsets count from the start of the file each is in.
    pub(super) header: Header,
    pub(super) files: Vec<WeightFile>,
    /// Which of `files` each tensor of `header` is in.
    pub(super) file_of: Vec<usize>,
    /// What is merged into it while it is packed.
    merged: Merged,
    allow_non_finite: bool,
}

/// What is known of a model that its files do not say.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// What its UNet answers with, whatever the files have.
    pub prediction: Option<PredictionType>,
    /// Of a checkpoint in one file: an autoencoder in a file of its own, in the place of the one inside; a tiny one may come in two, one for each half.
    pub vae: Vec<PathBuf>,
    /// What is merged into it.
    pub loras: Vec<LoraOption>,
    /// Weights that are infinite or no numbers are taken as they are; without it they are [`Error::NonFinite`] where they are read.
    pub allow_non_finite: bool,
}

impl ModelSource {
    /// Opens a diffusers folder or a file that holds a whole model.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, &OpenOptions::default())
    }

    /// The same, with what is known of it, and with what is merged into it.
    pub fn open_with(path: &Path, options: &OpenOptions) -> Result<Self> {
        let mut source = Self::open_plain(path, options)?;
        source.merged = Merged::open(&options.loras, &source.header)?;
        source.allow_non_finite = options.allow_non_finite;
        Ok(source)
    }

    fn open_plain(path: &Path, options: &OpenOptions) -> Result<Self> {
        if path.is_dir() {
            only_of_one_file(options)?;
            let mut source = Self::open_folder(path)?;
            let config = &mut source.recognised.config;
            options.prediction.iter().for_each(|prediction| config.set_prediction(*prediction));
            return Ok(source);
        }
        let file = WeightFile::open(path)?;
        let mut header = file.header()?;
        let steps = steps(&file, &header)?;
        if !header.is_single {
            only_of_one_file(options)?;
        }
        let mut files = vec![file];
        let mut file_of = vec![0; header.tensors.len()];
        if !options.vae.is_empty() {
            header.tensors.retain(|info| !info.name.starts_with(single::VAE));
            file_of = vec![0; header.tensors.len()];
        }
        for vae in &options.vae {
            let file = WeightFile::open(vae)?;
            let tensors = single::autoencoder_of(file.header()?)?;
            let taken = |info: &TensorInfo| header.tensors.iter().any(|other| other.name == info.name);
            if let Some(twice) = tensors.iter().find(|info| taken(info)) {
                return Err(bad(&file.name, format!("tensor {} has come with another --vae", twice.name)));
            }
            file_of.extend(std::iter::repeat_n(files.len(), tensors.len()));
            header.tensors.extend(tensors);
            files.push(file);
        }
        let hints = Hints { clip: Some(clip::MERGES), prediction: options.prediction, steps };
        let recognised = recognise(&header, hints)?;
        let license = License::stated(&header.metadata);
        Ok(ModelSource::of(recognised, license, header, (files, file_of)))
    }

    /// A folder's files are one checkpoint under canonical names.
    fn open_folder(path: &Path) -> Result<Self> {
        let mut files = Vec::new();
        let mut open = |name: &str| {
            let file = WeightFile::open(&path.join(name))?;
            let header = file.header()?;
            files.push(file);
            Ok(header)
        };
        let Checkpoint { recognised, license, header, file_of, .. } =
            folder::read(&Disk(path), FULL_FIRST, &mut open)?;
        Ok(ModelSource::of(recognised, license, header, (files, file_of)))
    }

    fn of(
        recognised: Recognised,
        license: Option<License>,
        header: Header,
        (files, file_of): (Vec<WeightFile>, Vec<usize>),
    ) -> ModelSource {
        let (merged, allow_non_finite) = (Merged::default(), false);
        ModelSource { recognised, license, header, files, file_of, merged, allow_non_finite }
    }

    /// Whether weights that are infinite or no numbers are taken as they are.
    pub fn allows_non_finite(&self) -> bool {
        self.allow_non_finite
    }

    pub fn family(&self) -> Family {
        self.recognised.family
    }

    /// What was taken to be so because nothing in the file says it.
    pub fn assumed(&self) -> Option<&str> {
        self.recognised.assumed.as_deref()
    }

    /// What is merged into it while it is packed.
    pub fn merged(&self) -> &Merged {
        &self.merged
    }

    /// The licence that its files state.
    pub fn license(&self) -> Option<&License> {
        self.license.as_ref()
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

    /// What is known of its licence from elsewhere; what its files state counts before that.
    pub fn under(&mut self, license: Option<License>) {
        self.license = self.license.take().or(license);
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

    /// The values of tensor `index`, read as `bytes`, with all that is merged into it; None where nothing is. Its shape is
    /// the model's, which a file of ours has not.
    pub(super) fn changed(&self, index: usize, bytes: &[u8], shape: &[usize]) -> Result<Option<Vec<f32>>> {
        let Some(info) = self.header.tensors.get(index) else { return Ok(None) };
        self.merged.changed(info, bytes, shape, self.header.is_ohwi())
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

/// After how many steps of training a checkpoint says that it was kept.
fn steps(file: &WeightFile, header: &Header) -> Result<Option<i64>> {
    let is_count = |other: &&OtherTensor| single::unwrapped(&other.name) == STEPS && other.dtype == "I64";
    let bytes = header.others.iter().find(is_count).and_then(|other| other.bytes.clone());
    let Some(bytes) = bytes.filter(|bytes| bytes.end - bytes.start == 8) else { return Ok(None) };
    let mut value = Vec::new();
    file.read_at(bytes.start, 8, &mut value)?;
    Ok(value.first_chunk().map(|value| i64::from_le_bytes(*value)))
}

/// Whatever else than a checkpoint in one file says all of itself.
fn only_of_one_file(options: &OpenOptions) -> Result<()> {
    if options.vae.is_empty() {
        return Ok(());
    }
    let message = "goes with a checkpoint in one file only; this model says itself what it is".to_string();
    Err(Error::InvalidInput { field: "vae", message })
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
            let shape = packer.shape(&info.name).unwrap_or_default();
            let packed = match source.changed(index, &buffer, &shape)? {
                Some(values) => {
                    let rounding = Rounding::of_changed(info.dtype, &info.name);
                    packer.push_values(&info.name, &values, rounding)?
                }
                None => packer.push(&info.name, &buffer)?,
            };
            for piece in packed {
                sink(piece.slab, piece.offset, Bytes::Slice(&piece.bytes))?;
            }
        }
    }
    if !source.allows_non_finite() {
        packer.check_finite()?;
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
        bytes.copy_to(place);
        Ok(())
    })?;
    Ok((manifest, slabs))
}
