//! Finding and loading the model a command names.

use std::path::{Path, PathBuf};

use opengen::error::{Error, Result};
use opengen::gpu::{Context, Options};
use opengen::pipeline::stock::Files;
use opengen::pipeline::{Defaults, Pipeline};
use opengen::weights::packed::LayoutOptions;
use opengen::weights::{Manifest, ModelSource, Unused, load, stream};

/// What the embedded model is called.
const EMBEDDED: &str = "mini";
/// The embedded model's place in the repository.
const MINI: &str = "www/models/mini/mini-q8_0.gguf";

/// `mini` or a path to a diffusers folder or a GGUF. Says what of it is not used.
pub fn open(name: &str) -> Result<ModelSource> {
    let source = ModelSource::open(&path(name)?)?;
    tell_unused(&source);
    Ok(source)
}

/// Tensors that the model does not read are left out, and named.
pub fn tell_unused(source: &ModelSource) {
    const NAMED: usize = 10;
    let Unused { leftovers, unknown } = source.unused(&opengen::model::weight_decls(source.config()));
    if let Some(first) = leftovers.first() {
        let count = leftovers.len();
        eprintln!(
            "note: {count} tensors that are no weights of the model are left out, the first is {first}"
        );
    }
    for name in unknown.iter().take(NAMED) {
        eprintln!("note: tensor {name} is not used");
    }
    if unknown.len() > NAMED {
        eprintln!("note: and {} more", unknown.len() - NAMED);
    }
}

/// What a run takes where the command line says nothing.
pub fn defaults(name: &str) -> Defaults {
    if name == EMBEDDED { Defaults::MINI } else { Defaults::GENERAL }
}

fn path(name: &str) -> Result<PathBuf> {
    if name != EMBEDDED {
        let path = PathBuf::from(name);
        return if path.exists() {
            Ok(path)
        } else {
            Err(Error::Io { path: name.to_string(), message: "no such file or folder".to_string() })
        };
    }
    let places = [Path::new(MINI).to_path_buf(), Path::new(env!("CARGO_MANIFEST_DIR")).join(MINI)];
    let found = places.iter().find(|path| path.exists());
    found.cloned().ok_or_else(|| Error::Io {
        path: MINI.to_string(),
        message: "the embedded model is not here; run inside the repository or give a path".to_string(),
    })
}

/// The model on the best GPU.
pub async fn on_gpu(source: &ModelSource, options: &Options) -> Result<Pipeline> {
    let context = Context::new(options).await?;
    let manifest =
        source.manifest(&opengen::model::weight_decls(source.config()), LayoutOptions::default())?;
    let mut pipeline = Pipeline::new(context, manifest.clone()).await?;
    stream(source, &manifest, &mut |slab, offset, bytes| pipeline.write(slab, offset, bytes))?;
    Ok(pipeline)
}

/// The model on the best GPU, within `bytes` of its memory; its weights come from the file or folder `name` whenever they are
/// needed.
pub async fn within(name: &str, options: &Options, bytes: u64) -> Result<Pipeline> {
    let source = ModelSource::open(&path(name)?)?;
    let context = Context::new(options).await?;
    let manifest =
        source.manifest(&opengen::model::weight_decls(source.config()), LayoutOptions::default())?;
    Pipeline::within(context, manifest.clone(), bytes, Box::new(Files::new(source, manifest)))
}

/// The model on the CPU.
pub fn on_cpu(source: &ModelSource) -> Result<Pipeline> {
    let (manifest, slabs) = packed(source)?;
    Pipeline::on_cpu(manifest, slabs)
}

/// The model's packed weights.
pub fn packed(source: &ModelSource) -> Result<(Manifest, Vec<Vec<u8>>)> {
    load(source, &opengen::model::weight_decls(source.config()), LayoutOptions::default())
}
