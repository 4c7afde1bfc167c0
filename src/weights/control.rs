//! ControlNets in files of their own: what steers a model beside its text.
//!
//! As a folder of diffusers, whose `config.json` says what it is, or as one file, under diffusers' names or those of
//! lllyasviel's code (ControlNet 1.0 and 1.1, <https://huggingface.co/lllyasviel/ControlNet-v1-1>), with or without
//! `control_model.` in front, where shapes say it.

#[cfg(not(target_arch = "wasm32"))]
use std::path::Path;

use super::header::{Header, bad};
use super::packed::{LayoutOptions, Manifest, Source, layout_with};
use super::single;
use crate::config::{ControlNetConfig, ModelConfig};
use crate::error::{Error, Result};
use crate::plan::WeightDecl;

/// Whether a file holds a ControlNet, by the names of its tensors.
pub fn is_control(header: &Header) -> bool {
    single::is_control(header.tensors.iter().map(|info| info.name.as_str()))
}

/// A ControlNet of a file's header, told from shapes; the header's names are canonical from then on.
pub fn control_of(name: &str, header: &mut Header) -> Result<ControlNetConfig> {
    if !is_control(header) {
        return Err(match single::is_single(header.tensors.iter().map(|info| info.name.as_str())) {
            true => bad(&header.file, "a whole model, not a ControlNet".to_string()),
            false => header.other_model(),
        });
    }
    refuse(header)?;
    single::control(name, header)
}

/// How a ControlNet is packed beside a model, as that of a model's first; refused where it was made for another family.
/// `decls` gives its declarations, once it is known to fit.
pub fn control_layout(
    config: &ControlNetConfig,
    header: &Header,
    model: &ModelConfig,
    decls: fn(&ControlNetConfig) -> Vec<WeightDecl>,
    (source, options): (Source, LayoutOptions),
) -> Result<Manifest> {
    // Whether it fits shows before what its tensors lack.
    config.check(model)?;
    let options = LayoutOptions { leave_extra: true, ..options };
    layout_with(&config.name, model, "", &decls(config), header, source, options)
}

/// ControlNets of other kinds, and those whose numbers are not what they seem.
fn refuse(header: &Header) -> Result<()> {
    let other = |what: &str, advice: &str| {
        Err(Error::OtherFile {
            file: header.file.clone(),
            what: what.to_string(),
            advice: advice.to_string(),
            kind: None,
        })
    };
    let names = || {
        let others = header.others.iter().map(|other| other.name.as_str());
        header.tensors.iter().map(|info| info.name.as_str()).chain(others)
    };
    let any = |mark: &str| names().any(|name| name.contains(mark));
    if any("label_emb.") || any("add_embedding.") {
        return other("a ControlNet for Stable Diffusion XL", "one for Stable Diffusion 1 or 2 is needed");
    }
    if any("lora_controlnet") {
        return other(
            "a Control-LoRA",
            "it holds changes of a model's own weights; a whole ControlNet is needed",
        );
    }
    if names().any(|name| single::unwrapped(name) == "difference") {
        let advice =
            "it is to be added to the UNet it was trained on; the file without \"difference\" is needed";
        return other("a ControlNet as a difference", advice);
    }
    Ok(())
}

#[cfg(not(target_arch = "wasm32"))]
pub use native::{ControlPart, ControlSource};

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use super::super::bytes::Bytes;
    use super::super::disk::WeightFile;
    use super::super::pack::{Packer, Sink};
    use super::super::packed::{LayoutOptions, Manifest, PackedRecord, Source};
    use super::{ControlNetConfig, Error, Header, Path, Result, control_layout, control_of, single};
    use crate::config::{Disk, Files};
    use crate::plan::WeightDecl;

    /// The names of a folder's weights, the first that is there.
    const FILES: [&str; 2] =
        ["diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"];
    /// The largest `config.json` that is read.
    const MAX_CONFIG: u64 = 1 << 20;

    /// A ControlNet's file, open and recognised; its data not read yet.
    #[derive(Debug)]
    pub struct ControlSource {
        config: ControlNetConfig,
        /// Only shapes said what it is.
        is_single: bool,
        /// All tensors under canonical names.
        header: Header,
        file: WeightFile,
    }

    impl ControlSource {
        /// Opens a diffusers folder or a file.
        pub fn open(path: &Path) -> Result<ControlSource> {
            let folder = Disk(path);
            if !path.is_dir() {
                let file = WeightFile::open(path)?;
                let mut header = file.header()?;
                let name =
                    path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
                let config = control_of(&name, &mut header)?;
                return Ok(ControlSource { config, is_single: true, header, file });
            }
            let missing = |what: &str| Error::Io {
                path: path.display().to_string(),
                message: format!("no {what}; a ControlNet's folder has config.json and {}", FILES[0]),
            };
            let text = folder.text("config.json", MAX_CONFIG)?.ok_or_else(|| missing("config.json"))?;
            let config = ControlNetConfig::from_json(&folder.title(), &folder.name("config.json"), &text)?;
            let name = FILES.into_iter().find(|name| folder.has(name)).ok_or_else(|| missing("weights"))?;
            let file = WeightFile::open(&path.join(name))?;
            let mut header = file.header()?;
            single::rename_control(&mut header)?;
            Ok(ControlSource { config, is_single: false, header, file })
        }

        /// What it is.
        pub fn config(&self) -> &ControlNetConfig {
            &self.config
        }
    }

    /// A ControlNet as a part of a packed model.
    pub struct ControlPart {
        source: ControlSource,
        /// Its own, as that of a first one.
        manifest: Manifest,
        /// Its records as the model has them.
        records: Vec<PackedRecord>,
        /// The model's slab that is its first.
        first: usize,
    }

    impl ControlPart {
        /// Adds a ControlNet to a model; refused where it was made for another family. `decls` gives those of a model's first
        /// one, once it is known to fit.
        pub fn join(
            source: ControlSource,
            model: &mut Manifest,
            decls: fn(&ControlNetConfig) -> Vec<WeightDecl>,
            options: LayoutOptions,
        ) -> Result<ControlPart> {
            let (file, bytes) = (source.file.name.clone(), source.file.len);
            let origin = Source { file, bytes, sha256: None };
            let mut config = source.config.clone();
            if source.is_single {
                config = config.like(&model.config);
            }
            let manifest = control_layout(&config, &source.header, &model.config, decls, (origin, options))?;
            let (first, records) = (model.slabs.len(), model.records.len());
            *model = model.with_control(&manifest, &config)?;
            let records = model.records.get(records..).unwrap_or_default().to_vec();
            Ok(ControlPart { source, manifest, records, first })
        }

        /// Packs the records that are `wanted`, handing every finished piece on; the slabs are the model's.
        pub fn stream_of(&self, wanted: &dyn Fn(&PackedRecord) -> bool, sink: &mut Sink) -> Result<()> {
            let ControlPart { source, manifest, records, first } = self;
            let is_wanted = |index: usize| records.get(index).is_some_and(wanted);
            let mut packer = Packer::of(manifest, &source.header, &is_wanted);
            let mut buffer = Vec::new();
            for info in &source.header.tensors {
                if !packer.wants(&info.name) {
                    continue;
                }
                source.file.read(info, &mut buffer)?;
                for piece in packer.push(&info.name, &buffer)? {
                    sink(first + piece.slab, piece.offset, Bytes::Slice(&piece.bytes))?;
                }
            }
            packer.check_finite()?;
            packer.finish()
        }
    }
}
