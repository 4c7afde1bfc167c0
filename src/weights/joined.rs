//! A diffusers folder, or an autoencoder in files of its own, as one file: a header made of all its files', then the parts of
//! them that hold data. Nothing is copied; whoever has the files puts the parts behind the header, and reads one model.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::{Map, Value, json};

use super::folder::{Checkpoint, HALF_FIRST, read};
use super::header::{Header, Parse, TensorInfo, bad, incomplete};
use super::recognise::{Family, Recognised};
use super::single;
use super::single::infer::{FoundAutoencoder, autoencoder_alone};
use crate::config::{Files, ModelConfig};
use crate::error::{Error, Result};

/// A file of a folder: all of it, or as much of its beginning as its header takes.
#[derive(Debug, Clone, Default)]
pub struct Given {
    pub bytes: Vec<u8>,
    /// Of the whole file.
    pub len: u64,
}

/// A folder whose files somebody holds, by their paths inside it.
#[derive(Debug, Default)]
pub struct Gathered {
    title: String,
    /// What stands in front of every path.
    root: String,
    files: BTreeMap<String, Given>,
}

/// What a folder is told by; each lies directly in it, or in a folder there.
const MARKS: [&str; 3] = ["model_index.json", "unet/config.json", "vae/config.json"];

impl Gathered {
    /// The diffusers folder that lies somewhere among files; `title` is what its model is called where its own folder has
    /// no name here.
    pub fn new(mut files: BTreeMap<String, Given>, title: &str) -> Gathered {
        let roots = |mark: &str| {
            let at = files.keys().filter_map(|path| path.strip_suffix(mark));
            let roots = at.filter(|root| root.is_empty() || root.ends_with('/'));
            roots.min_by_key(|root| root.len()).map(str::to_string)
        };
        let root = MARKS.into_iter().find_map(roots).unwrap_or_default();
        if !root.is_empty() {
            files = files
                .into_iter()
                .filter_map(|(path, file)| Some((path.strip_prefix(&root)?.to_string(), file)))
                .collect();
        }
        let own = root.trim_end_matches('/').rsplit('/').next().filter(|name| !name.is_empty());
        Gathered { title: own.unwrap_or(title).to_string(), root, files }
    }

    fn get(&self, path: &str) -> Result<&Given> {
        let missing = || Error::Io { path: path.to_string(), message: "is not among the files".to_string() };
        self.files.get(path).ok_or_else(missing)
    }
}

impl Given {
    /// The header, of the file of this name.
    fn header(&self, path: &str) -> Result<Header> {
        match Header::parse(path, &self.bytes, self.len)? {
            Parse::Done(header) => Ok(header),
            Parse::NeedMore(needed) => {
                Err(incomplete(path, self.len, needed as u64, format!("its header has {needed} bytes")))
            }
        }
    }
}

impl Files for Gathered {
    /// Nothing: paths inside the folder say enough.
    fn place(&self) -> String {
        String::new()
    }

    fn title(&self) -> String {
        self.title.clone()
    }

    fn has(&self, path: &str) -> bool {
        self.files.contains_key(path) || self.files.keys().any(|file| inside(file, path).is_some())
    }

    fn list(&self, folder: &str) -> Vec<String> {
        let names = self.files.keys().filter_map(|path| inside(path, folder));
        names.filter(|name| !name.contains('/')).map(str::to_string).collect()
    }

    fn text(&self, path: &str, most: u64) -> Result<Option<String>> {
        let Some(Given { bytes, len }) = self.files.get(path) else { return Ok(None) };
        self.within(path, *len, most)?;
        let text = String::from_utf8(bytes.clone());
        text.map(Some).map_err(|_| bad(path, "no text in UTF-8".to_string()))
    }
}

/// The path inside a folder of a file that lies in it.
fn inside<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    path.strip_prefix(folder)?.strip_prefix('/')
}

/// A folder as one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// What the model is called.
    pub title: String,
    /// A safetensors header with the model's configuration and tokenizer.
    pub header: Vec<u8>,
    /// What follows it: files by the paths they were given under, and which bytes of each.
    pub parts: Vec<(String, Range<u64>)>,
}

/// Makes one file of a folder, in half precision where it lies there in that too.
pub fn joined(folder: &Gathered) -> Result<Joined> {
    // Where the data of each weight file begins and ends.
    let mut spans: Vec<Range<u64>> = Vec::new();
    let mut open = |path: &str| {
        let header = folder.get(path)?.header(path)?;
        spans.push(span_of(&header));
        Ok(header)
    };
    let checkpoint = read(folder, HALF_FIRST, &mut open)?;
    let header = written(&checkpoint, &spans)?;
    let paths = checkpoint.files.iter().map(|path| format!("{}{path}", folder.root));
    Ok(Joined { title: folder.title(), header, parts: paths.zip(spans).collect() })
}

/// Where the data of a file begins and ends.
fn span_of(header: &Header) -> Range<u64> {
    let ends = header.tensors.iter().map(|info| info.offset + info.len);
    header.data_start..ends.max().unwrap_or(header.data_start)
}

/// Files that hold an autoencoder and nothing else.
#[derive(Debug)]
pub struct AutoencoderFiles {
    pub found: FoundAutoencoder,
    paths: Vec<String>,
    spans: Vec<Range<u64>>,
    /// All tensors under canonical names.
    header: Header,
    file_of: Vec<usize>,
}

/// Looks into files, all of which are safetensors; an error where they are no autoencoder.
pub fn autoencoder_in(files: &BTreeMap<String, Given>) -> Result<AutoencoderFiles> {
    let (mut tensors, mut file_of): (Vec<TensorInfo>, Vec<usize>) = (Vec::new(), Vec::new());
    let (mut paths, mut spans, mut names) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (path, file) in files {
        let header = file.header(path)?;
        if header.is_single || header.metadata.contains_key(Header::CONFIG) {
            return Err(bad(path, "this is a whole model".to_string()));
        }
        spans.push(span_of(&header));
        let all = single::autoencoder_of(header)?;
        if let Some(twice) = all.iter().find(|info| !names.insert(info.name.clone())) {
            return Err(bad(path, format!("tensor {} is in another of the files too", twice.name)));
        }
        file_of.extend(std::iter::repeat_n(paths.len(), all.len()));
        tensors.extend(all);
        paths.push(path.clone());
    }
    let title = paths.join(", ");
    let found = autoencoder_alone(&title, &tensors)?;
    let header = Header {
        file: title,
        tensors,
        others: Vec::new(),
        metadata: BTreeMap::new(),
        data_start: 0,
        lengths: 0..=u64::MAX,
        is_single: false,
    };
    Ok(AutoencoderFiles { found, paths, spans, header, file_of })
}

impl AutoencoderFiles {
    /// One file of them, for a model of this configuration: as a whole model's ([`joined`]), but with the autoencoder's
    /// tensors alone.
    pub fn joined(self, model: &ModelConfig) -> Result<Joined> {
        let AutoencoderFiles { found, paths, spans, header, file_of } = self;
        let title = header.file.clone();
        let vae = match found {
            FoundAutoencoder::Whole(vae) if vae.stands_for(&model.vae) => vae,
            FoundAutoencoder::Whole(_) => {
                return Err(bad(&title, format!("it does not fit {}: other latents", model.name)));
            }
            FoundAutoencoder::Half { missing } => {
                return Err(bad(&title, format!("its {missing} is in another file, which is needed too")));
            }
        };
        let config = ModelConfig { name: title.clone(), vae, ..model.clone() };
        config.check()?;
        let tokenizer = String::new();
        let recognised = Recognised { family: Family::Diffusers, config, tokenizer, assumed: None };
        let checkpoint = Checkpoint { recognised, license: None, header, files: paths.clone(), file_of };
        let header = written(&checkpoint, &spans)?;
        Ok(Joined { title, header, parts: paths.into_iter().zip(spans).collect() })
    }
}

/// The header of what was joined, with the place of every tensor behind it.
fn written(checkpoint: &Checkpoint, spans: &[Range<u64>]) -> Result<Vec<u8>> {
    let Checkpoint { recognised, license, header, file_of, .. } = checkpoint;
    let unwritable =
        |error: serde_json::Error| Error::Json { file: header.file.clone(), message: error.to_string() };
    let config = serde_json::to_string(&recognised.config).map_err(unwritable)?;
    let own = [
        (Header::JOINED, "diffusers".to_string()),
        (Header::CONFIG, config),
        (Header::TOKENIZER, recognised.tokenizer.clone()),
    ];
    let stated = license.iter().flat_map(|license| license.metadata());
    let metadata: BTreeMap<&str, String> = own.into_iter().chain(stated).collect();
    let mut entries = Map::from_iter([("__metadata__".to_string(), json!(metadata))]);
    // Where each file's data begins among all of them.
    let begins = spans.iter().scan(0, |sum, span| {
        let begin = *sum;
        *sum += span.end - span.start;
        Some(begin)
    });
    let begins: Vec<u64> = begins.collect();
    for (info, &file) in header.tensors.iter().zip(file_of) {
        let (Some(begin), Some(span)) = (begins.get(file), spans.get(file)) else { continue };
        let from = begin + info.offset - span.start;
        let entry = json!({ "dtype": info.dtype.name(), "shape": info.shape, "data_offsets": [from, from + info.len] });
        entries.insert(info.name.clone(), entry);
    }
    let mut text = serde_json::to_vec(&Value::Object(entries)).map_err(unwritable)?;
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut out = (text.len() as u64).to_le_bytes().to_vec();
    out.append(&mut text);
    Ok(out)
}
