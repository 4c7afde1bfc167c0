//! A LoRA's file, read but of no model yet.

use std::cell::OnceCell;

use sha2::{Digest, Sha256};

use super::super::decode::decode;
#[cfg(not(target_arch = "wasm32"))]
use super::super::disk::WeightFile;
use super::super::header::{Header, Parse, TensorInfo, bad, incomplete};
use super::about::AboutLora;
use crate::error::{Error, Result};

/// Bytes that are hashed at once.
#[cfg(not(target_arch = "wasm32"))]
const PIECE: u64 = 1 << 20;

/// How tensors end that would make another change of a layer's other ones, and what such files are.
const UNREAD: [(&str, &str); 6] = [
    (".dora_scale", "a DoRA"),
    (".lora_magnitude_vector", "a DoRA"),
    (".lora_magnitude_vector.weight", "a DoRA"),
    (".on_input", "(IA)³"),
    (".hada_t1", "a LoHa whose kernels are decomposed"),
    (".lokr_t2", "a LoKr whose kernels are decomposed"),
];

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
        check(&header)?;
        Ok(LoraFile { name: name.to_string(), header, held, hash: OnceCell::new() })
    }

    /// What a file says of itself, from as much of its beginning as its header takes, and its length.
    pub fn about_of(name: &str, beginning: &[u8], bytes: u64) -> Result<AboutLora> {
        match Header::parse(name, beginning, bytes)? {
            Parse::Done(header) => {
                check(&header)?;
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

    /// The values of tensor `index` of its header.
    pub(super) fn values(&self, index: usize) -> Result<Vec<f32>> {
        let info = &self.header.tensors[index];
        match &self.held {
            #[cfg(not(target_arch = "wasm32"))]
            Held::Disk(file) => {
                let mut bytes = Vec::new();
                file.read(info, &mut bytes)?;
                decode(info.dtype, &bytes)
            }
            Held::Memory(bytes) => {
                let end = info.offset.saturating_add(info.len);
                let found = bytes.get(info.offset as usize..end as usize);
                let short = || incomplete(&self.header.file, bytes.len() as u64, end, info.name.clone());
                decode(info.dtype, found.ok_or_else(short)?)
            }
        }
    }
}

/// Refuses what is no network of this kind, and what would be read wrongly.
fn check(header: &Header) -> Result<()> {
    let unread = |info: &TensorInfo| UNREAD.iter().find(|(end, _)| info.name.ends_with(end));
    if let Some((_, what)) = header.tensors.iter().find_map(unread) {
        return Err(bad(&header.file, format!("it is {what}, which is not read here yet")));
    }
    match header.tensors.iter().any(|info| super::names::split(&info.name).is_some()) {
        true => Ok(()),
        false => Err(no_network(header)),
    }
}

/// The error of a file that is no network of this kind.
fn no_network(header: &Header) -> Error {
    if header.tensors.iter().any(|info| info.name.starts_with("unet:")) {
        let message = "a LoRA in the first dialect (cloneofsimo's of 2022), whose layers have numbers for names; convert it \
                       to kohya's or diffusers'";
        return bad(&header.file, message.to_string());
    }
    header.other_model()
}
