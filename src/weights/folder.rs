//! A diffusers folder: its safetensors files seen as one checkpoint.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use super::header::{Header, OtherTensor, bad};
use super::license::License;
use super::recognise::{Family, Recognised};
use super::tokenizer::Tokenizers;
use super::{names, tokenizer};
use crate::config::{self, Autoencoder, Files, ModelConfig, TaesdConfig};
use crate::error::{Error, Result};

/// The largest shard index and model card that are read.
const MAX_TEXT: u64 = 4 << 20;

/// What file names of full and of half precision have behind their stem: of a component that lies there in both, the first
/// is taken.
#[cfg(not(target_arch = "wasm32"))]
pub const FULL_FIRST: [&str; 2] = ["", ".fp16"];
/// The same, in the other order.
pub const HALF_FIRST: [&str; 2] = [".fp16", ""];

/// A folder's files as one checkpoint, their data not read yet.
#[derive(Debug)]
pub struct Checkpoint {
    pub recognised: Recognised,
    /// What its model card states.
    pub license: Option<License>,
    /// All tensors under canonical names; offsets count from the start of the file each is in.
    pub header: Header,
    /// Paths of the weight files, in the order in which they are read.
    pub files: Vec<String>,
    /// Which of `files` each tensor of `header` is in.
    pub file_of: Vec<usize>,
}

/// Components and the stems of their weight files, in the order in which they are read.
fn components(config: &ModelConfig) -> Vec<(String, &'static str)> {
    const NETWORK: &str = "diffusion_pytorch_model";
    let mut components: Vec<(String, &str)> =
        (0..config.texts.len()).map(|index| (ModelConfig::text_root(index), "model")).collect();
    let mut network = |root: &str| components.push((root.to_string(), NETWORK));
    network(config.denoiser.root());
    network(Autoencoder::ROOT);
    config.preview.iter().for_each(|_| network(TaesdConfig::ROOT));
    components
}

/// Reads a folder's configurations, tokenizer and headers, each header by `open`.
pub fn read(
    folder: &dyn Files,
    variants: [&str; 2],
    open: &mut dyn FnMut(&str) -> Result<Header>,
) -> Result<Checkpoint> {
    let mut config = config::from_files(folder)?;
    let Tokenizers { text: tokenizer, others } = tokenizer::from_files(folder, config.texts.len())?;
    for (text, pad) in config.texts.iter_mut().skip(1).zip(others) {
        text.pad_token = pad;
    }
    let mut header = Header {
        file: folder.place(),
        tensors: Vec::new(),
        others: Vec::new(),
        metadata: BTreeMap::new(),
        data_start: 0,
        lengths: 0..=u64::MAX,
        is_single: false,
    };
    let (mut files, mut file_of) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    for (component, stem) in components(&config) {
        for path in find(folder, &component, stem, variants)? {
            let Header { tensors, others, .. } = open(&path)?;
            for mut info in tensors {
                names::canonical(&component, &mut info);
                if !seen.insert(info.name.clone()) {
                    return Err(bad(&folder.name(&path), format!("tensor {} appears twice", info.name)));
                }
                header.tensors.push(info);
                file_of.push(files.len());
            }
            let renamed = |other: OtherTensor| OtherTensor {
                name: names::canonical_name(&component, other.name),
                ..other
            };
            header.others.extend(others.into_iter().map(renamed));
            files.push(path);
        }
    }
    let license = folder.text("README.md", MAX_TEXT).ok().flatten();
    let license = license.and_then(|text| License::of_readme(&text));
    let recognised = Recognised { family: Family::Diffusers, config, tokenizer, assumed: None };
    Ok(Checkpoint { recognised, license, header, files, file_of })
}

/// The weight files of one component: whole, in half precision, or in shards.
fn find(folder: &dyn Files, component: &str, stem: &str, variants: [&str; 2]) -> Result<Vec<String>> {
    for variant in variants {
        let path = format!("{component}/{stem}{variant}.safetensors");
        if folder.has(&path) {
            return Ok(vec![path]);
        }
        let index = format!("{component}/{stem}.safetensors.index{variant}.json");
        if let Some(text) = folder.text(&index, MAX_TEXT)? {
            return shards(component, &folder.name(&index), &text);
        }
    }
    let pickle = folder.list(component).iter().any(|name| name.ends_with(".bin") || name.ends_with(".ckpt"));
    let hint = match pickle {
        true => {
            "; pickled weights (.bin, .ckpt) can run whatever is in them, so they are not read: in Python, \
             DiffusionPipeline.from_pretrained(…).save_pretrained(…) writes safetensors"
        }
        false => "",
    };
    Err(Error::Io {
        path: folder.name(component),
        message: format!("no {stem}.safetensors or {stem}.fp16.safetensors{hint}"),
    })
}

/// The files a shard index names; they must lie beside it.
fn shards(component: &str, file: &str, text: &str) -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let index: Index = serde_json::from_str(text)
        .map_err(|error| Error::Json { file: file.to_string(), message: error.to_string() })?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    let beside = |name: &String| Path::new(name).file_name().is_some_and(|last| last == name.as_str());
    match names.iter().find(|name| !beside(name)) {
        Some(name) => Err(bad(file, format!("shard {name:?} is not a plain file name"))),
        None => Ok(names.iter().map(|name| format!("{component}/{name}")).collect()),
    }
}
