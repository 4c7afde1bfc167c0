//! A diffusers folder on disk: its safetensors files seen as one checkpoint.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::header::{Header, OtherTensor, Parse, TensorInfo, bad, incomplete};
use super::recognise::{Family, Recognised};
use super::source::ModelSource;
use super::tokenizer::Tokenizers;
use super::{names, tokenizer};
use crate::config::{self, Autoencoder, ModelConfig, TaesdConfig};
use crate::error::{Error, Result};

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

/// Reads a folder's configurations, tokenizer and headers; its files are one checkpoint under canonical names.
pub(super) fn open(path: &Path) -> Result<ModelSource> {
    let mut config = config::from_folder(path)?;
    let Tokenizers { text: tokenizer, others } = tokenizer::from_folder(path, config.texts.len())?;
    for (text, pad) in config.texts.iter_mut().skip(1).zip(others) {
        text.pad_token = pad;
    }
    let mut header = Header {
        file: path.display().to_string(),
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
        for file in find(&path.join(&component), stem)? {
            let file = WeightFile::open(&file)?;
            let Header { tensors, others, .. } = file.header()?;
            for mut info in tensors {
                names::canonical(&component, &mut info);
                if !seen.insert(info.name.clone()) {
                    return Err(bad(&file.name, format!("tensor {} appears twice", info.name)));
                }
                header.tensors.push(info);
                file_of.push(files.len());
            }
            let renamed = |other: OtherTensor| OtherTensor {
                name: names::canonical_name(&component, other.name),
                ..other
            };
            header.others.extend(others.into_iter().map(renamed));
            files.push(file);
        }
    }
    let recognised = Recognised { family: Family::Diffusers, config, tokenizer, assumed: None };
    Ok(ModelSource { recognised, header, files, file_of })
}

/// The weight files of one component: whole, in half precision, or in shards.
fn find(folder: &Path, stem: &str) -> Result<Vec<PathBuf>> {
    for variant in ["", ".fp16"] {
        let path = folder.join(format!("{stem}{variant}.safetensors"));
        if path.exists() {
            return Ok(vec![path]);
        }
        let index = folder.join(format!("{stem}.safetensors.index{variant}.json"));
        if index.exists() {
            return shards(folder, &index);
        }
    }
    let pickle = ["bin", "ckpt"].iter().any(|ending| {
        let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
        names.map(|entry| entry.path()).any(|path| path.extension().is_some_and(|found| found == *ending))
    });
    let hint = match pickle {
        true => {
            "; pickled weights (.bin, .ckpt) can run whatever is in them, so they are not read: in Python, \
             DiffusionPipeline.from_pretrained(…).save_pretrained(…) writes safetensors"
        }
        false => "",
    };
    Err(Error::Io {
        path: folder.display().to_string(),
        message: format!("no {stem}.safetensors or {stem}.fp16.safetensors{hint}"),
    })
}

/// The files a shard index names; they must lie beside it.
fn shards(folder: &Path, index: &Path) -> Result<Vec<PathBuf>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let file = index.display().to_string();
    let text = std::fs::read_to_string(index).map_err(|error| io(&file, &error))?;
    let index: Index = serde_json::from_str(&text)
        .map_err(|error| Error::Json { file: file.clone(), message: error.to_string() })?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    let beside = |name: &String| Path::new(name).file_name().is_some_and(|last| last == name.as_str());
    match names.iter().find(|name| !beside(name)) {
        Some(name) => Err(bad(&file, format!("shard {name:?} is not a plain file name"))),
        None => Ok(names.iter().map(|name| folder.join(name)).collect()),
    }
}

/// An open weight file.
#[derive(Debug)]
pub(super) struct WeightFile {
    pub name: String,
    pub len: u64,
    file: File,
}

impl WeightFile {
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| io(&name, &error))?;
        let len = file.metadata().map_err(|error| io(&name, &error))?.len();
        Ok(WeightFile { name, len, file })
    }

    /// Reads as much of the file's beginning as its header needs.
    pub fn header(&self) -> Result<Header> {
        let mut prefix = Vec::new();
        let mut wanted = 1 << 16;
        loop {
            wanted = wanted.min(self.len as usize);
            self.read_at(0, wanted, &mut prefix)?;
            match Header::parse(&self.name, &prefix, self.len)? {
                Parse::Done(header) => return Ok(header),
                Parse::NeedMore(bytes) if bytes > wanted && wanted < self.len as usize => wanted = bytes,
                Parse::NeedMore(bytes) => {
                    let detail = format!("its header has {bytes} bytes");
                    return Err(incomplete(&self.name, self.len, bytes as u64, detail));
                }
            }
        }
    }

    /// Reads one tensor's data.
    pub fn read(&self, info: &TensorInfo, buffer: &mut Vec<u8>) -> Result<()> {
        self.read_at(info.offset, info.len as usize, buffer)
    }

    fn read_at(&self, offset: u64, len: usize, buffer: &mut Vec<u8>) -> Result<()> {
        buffer.resize(len, 0);
        let mut file = &self.file;
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(buffer));
        read.map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => {
                let detail = format!("no {len} bytes at {offset}");
                incomplete(&self.name, self.len, offset.saturating_add(len as u64), detail)
            }
            _ => io(&self.name, &error),
        })
    }
}

/// The system's error, with the file.
pub(super) fn io(path: &str, error: &std::io::Error) -> Error {
    Error::Io { path: path.to_string(), message: error.to_string() }
}
