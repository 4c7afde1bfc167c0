//! A LoRA's file, read but of no model yet.

use std::cell::OnceCell;
use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::super::decode::decode;
#[cfg(not(target_arch = "wasm32"))]
use super::super::disk::WeightFile;
use super::super::embedding::MAX_VECTORS;
use super::super::header::{Header, Parse, TensorInfo, bad, incomplete};
use super::Factor;
use super::about::AboutLora;
use super::names::{ON_INPUT, split};
use crate::error::Result;
use crate::prompt::Embedding;

/// Bytes that are hashed at once.
#[cfg(not(target_arch = "wasm32"))]
const PIECE: u64 = 1 << 20;

/// Where its bytes are.
#[derive(Debug)]
enum Held {
    #[cfg(not(target_arch = "wasm32"))]
    Disk(WeightFile),
    /// The whole file.
    Memory(Vec<u8>),
}

/// One that is open.
#[derive(Debug)]
pub struct LoraFile {
    /// What a prompt calls it.
    pub name: String,
    pub(super) header: Header,
    /// Of each tensor, the layer that it belongs to, as the file calls it, and what it is of its change.
    pub(super) parts: Vec<Option<(String, Factor)>>,
    held: Held,
    hash: OnceCell<String>,
}

impl LoraFile {
    /// From a file's bytes, which are kept. Refused is what is no network of this kind.
    pub fn of_bytes(name: &str, bytes: Vec<u8>) -> Result<LoraFile> {
        let header = match Header::parse(name, &bytes, bytes.len() as u64)? {
            Parse::Done(header) => header,
            Parse::NeedMore(needed) => {
                let detail = format!("its header has {needed} bytes");
                return Err(incomplete(name, bytes.len() as u64, needed as u64, detail));
            }
        };
        LoraFile::read(name, header, Held::Memory(bytes))
    }

    /// Opens a file on disk, whose values are read when they are merged.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(name: &str, path: &std::path::Path) -> Result<LoraFile> {
        let file = WeightFile::open(path)?;
        LoraFile::read(name, file.header()?, Held::Disk(file))
    }

    fn read(name: &str, header: Header, held: Held) -> Result<LoraFile> {
        let parts = parts(&header)?;
        Ok(LoraFile { name: name.to_string(), header, parts, held, hash: OnceCell::new() })
    }

    /// What a file says of itself, from as much of its beginning as its header takes, and its length.
    pub fn about_of(name: &str, beginning: &[u8], bytes: u64) -> Result<AboutLora> {
        match Header::parse(name, beginning, bytes)? {
            Parse::Done(header) => {
                parts(&header)?;
                Ok(AboutLora::of(&header))
            }
            Parse::NeedMore(needed) => {
                let detail = format!("its header has {needed} bytes");
                Err(incomplete(name, beginning.len() as u64, needed as u64, detail))
            }
        }
    }

    /// The hash by which A1111 knows it: the first twelve digits of the SHA-256 of what follows the header.
    pub fn hash(&self) -> Result<&str> {
        if let Some(hash) = self.hash.get() {
            return Ok(hash);
        }
        let mut hasher = Sha256::new();
        match &self.held {
            #[cfg(not(target_arch = "wasm32"))]
            Held::Disk(file) => {
                let (mut at, mut piece) = (self.header.data_start, Vec::new());
                while at < file.len {
                    let len = (file.len - at).min(PIECE);
                    file.read_at(at, len as usize, &mut piece)?;
                    hasher.update(&piece);
                    at += len;
                }
            }
            Held::Memory(bytes) => hasher.update(&bytes[self.header.data_start as usize..]),
        }
        let hash = hasher.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Ok(self.hash.get_or_init(|| hash))
    }

    /// Whether (IA)³'s numbers of a layer are of its columns; `None` where the file does not say.
    pub(super) fn is_on_input(&self, layer: &str) -> Option<bool> {
        let name = format!("{layer}{ON_INPUT}");
        if let Some(index) = self.header.tensors.iter().position(|info| info.name == name) {
            return Some(self.values(index).ok()?.first().is_some_and(|value| *value != 0.0));
        }
        let range = self.header.others.iter().find(|other| other.name == name)?.bytes.clone()?;
        let bytes: Vec<u8> = match &self.held {
            #[cfg(not(target_arch = "wasm32"))]
            Held::Disk(file) => {
                let mut bytes = Vec::new();
                file.read_at(range.start, 1, &mut bytes).ok()?;
                bytes
            }
            Held::Memory(bytes) => bytes.get(range.start as usize..)?.first().into_iter().copied().collect(),
        };
        Some(bytes.first()? != &0)
    }

    /// Words that the file brings beside what changes layers: embeddings, each named by its tensor, as cloneofsimo's files of 2022 have
    /// them (`<s1>`).
    pub fn words(&self) -> Result<Vec<Embedding>> {
        let named =
            self.header.tensors.iter().enumerate().filter(|(_, info)| is_word(&self.header, &info.name));
        let word = |(index, info): (usize, &TensorInfo)| {
            let name = info.name.clone();
            let width = info.shape.last().copied().unwrap_or_default();
            let vectors = self.values(index)?;
            if vectors.iter().any(|value| !value.is_finite())
                || !(1..=MAX_VECTORS * width).contains(&vectors.len())
            {
                return Err(bad(
                    &self.header.file,
                    format!("{name} is no word: of shape {:?}, or no numbers", info.shape),
                ));
            }
            Ok(Embedding { token: Some(name.clone()), name, vectors, width, hash: self.hash()?.to_string() })
        };
        named.map(word).collect()
    }

    /// The values of tensor `index` of its header.
    pub(super) fn values(&self, index: usize) -> Result<Vec<f32>> {
        let info = &self.header.tensors[index];
        match &self.held {
            #[cfg(not(target_arch = "wasm32"))]
            Held::Disk(file) => {
                let mut bytes = Vec::new();
                file.read(info, &mut bytes)?;
                Ok(decode(info.dtype, &bytes))
            }
            Held::Memory(bytes) => {
                let end = info.offset.saturating_add(info.len);
                let found = bytes.get(info.offset as usize..end as usize);
                let short = || incomplete(&self.header.file, bytes.len() as u64, end, info.name.clone());
                Ok(decode(info.dtype, found.ok_or_else(short)?))
            }
        }
    }
}

/// Whether a tensor is a word's vectors: it is named as tokens are, and the file says that it is one.
pub(super) fn is_word(header: &Header, name: &str) -> bool {
    name.starts_with('<')
        && name.ends_with('>')
        && header.metadata.get(name).is_some_and(|kind| kind == "<embed>")
}

/// What each tensor is. Refused is what is no network of this kind.
fn parts(header: &Header) -> Result<Vec<Option<(String, Factor)>>> {
    let names = header.tensors.iter().map(|info| info.name.as_str());
    let sides = names.clone().chain(header.others.iter().map(|other| other.name.as_str()));
    let gated: HashSet<String> =
        sides.filter_map(|name| Some(name.strip_suffix(ON_INPUT)?.to_string())).collect();
    let part = |name| split(name, &gated).map(|(layer, factor)| (layer.to_string(), factor));
    let parts: Vec<_> = names.map(part).collect();
    if parts.iter().any(Option::is_some) { Ok(parts) } else { Err(header.other_model()) }
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::{Dtype, TensorView};

    use super::*;

    /// As cloneofsimo's files: a pair of one layer, a word of a vector and one of two, and what only looks like a word.
    fn file(value: f32) -> LoraFile {
        let bytes = |values: &[f32]| -> Vec<u8> { bytemuck::cast_slice(values).to_vec() };
        let tensors = [
            ("unet:0:up", vec![4, 1], bytes(&[0.5; 4])),
            ("unet:0:down", vec![1, 4], bytes(&[0.5; 4])),
            ("<s1>", vec![3], bytes(&[1.0, value, 3.0])),
            ("<s2>", vec![2, 3], bytes(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
            ("<x>", vec![3], bytes(&[0.0; 3])),
        ];
        let views = tensors.iter().map(|(name, shape, bytes)| {
            (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("a tensor"))
        });
        let texts =
            [("<s1>", "<embed>"), ("<s2>", "<embed>")].map(|(key, text)| (key.to_string(), text.to_string()));
        let bytes = safetensors::serialize(views, Some(texts.into())).expect("a file");
        LoraFile::of_bytes("disney", bytes).expect("a LoRA")
    }

    #[test]
    fn a_file_brings_its_words() {
        let words = file(2.0).words().expect("words");
        let told: Vec<_> =
            words.iter().map(|word| (word.name.as_str(), word.vectors(), word.width)).collect();
        assert_eq!(told, [("<s1>", 1, 3), ("<s2>", 2, 3)]);
        assert_eq!((words[0].token.as_deref(), &words[0].vectors[..]), (Some("<s1>"), &[1.0, 2.0, 3.0][..]));
        let refused = file(f32::NAN).words().expect_err("no numbers").to_string();
        assert!(refused.starts_with("disney: <s1> is no word"), "{refused}");
    }
}
