//! What a weight file claims to hold, read from its first bytes and never believed without checking.

use std::collections::{BTreeMap, HashSet};
use std::ops::{Range, RangeInclusive};

use super::types::SourceType;
use super::{gguf, marks, safetensors, single};
use crate::error::{Error, Result};

/// The longest header accepted. Real ones: 0.3 MB of safetensors JSON for SDXL; 4 MB for a GGUF with CLIP's tokenizer.
pub const MAX_HEADER: u64 = 32 << 20;
/// The most tensors accepted; SDXL has about 2,600.
pub const MAX_TENSORS: u64 = 1 << 16;
/// The most dimensions a tensor may have.
pub const MAX_DIMS: usize = 8;

/// A weight file's table of contents: everything but the data.
#[derive(Debug, Clone)]
pub struct Header {
    /// The file's name, for error messages.
    pub file: String,
    /// In file (offset) order.
    pub tensors: Vec<TensorInfo>,
    /// Tensors of types that cannot be decoded (integers, rare blocks). Whether one is needed is for the layout to
    /// say, which knows what names mean.
    pub others: Vec<OtherTensor>,
    /// The text values of the metadata.
    pub metadata: BTreeMap<String, String>,
    /// Where the data begins, in bytes from the file's start.
    pub data_start: u64,
    /// Lengths that the file may have, in bytes: it ends with its last tensor, or with the padding behind it.
    pub lengths: RangeInclusive<u64>,
    /// Whether the file is a whole model that does not say how it is built; its tensors have their canonical names here.
    pub is_single: bool,
}

/// One tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Canonical name.
    pub name: String,
    pub dtype: SourceType,
    /// Checkpoint order, outermost first.
    pub shape: Vec<usize>,
    /// From the file's start, in bytes.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
}

/// A tensor of which only the name is of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherTensor {
    /// Canonical name.
    pub name: String,
    /// What the file calls its type.
    pub dtype: String,
    /// Where its bytes lie, from the file's start; `None` where the file does not say how many it has.
    pub bytes: Option<Range<u64>>,
}

/// What came of parsing the first bytes of a file.
#[derive(Debug)]
pub enum Parse {
    Done(Header),
    /// Call again with (at least) this many bytes of the file's beginning.
    NeedMore(usize),
}

impl Header {
    /// Metadata key that says in which order convolution weights are stored.
    pub const CONV_LAYOUT: &str = "opengen.conv_layout";
    /// Metadata key of the model configuration, JSON.
    pub const CONFIG: &str = "opengen.config";
    /// Metadata key of the tokenizer, the text of `tokenizer.json`.
    pub const TOKENIZER: &str = "opengen.tokenizer";
    /// Metadata key of a header that was made of a folder's ([`joined`](super::joined())): more tensors are only more.
    pub const JOINED: &str = "opengen.joined";
    /// Metadata key of where the weights came from.
    pub const SOURCE: &str = "opengen.source";

    /// Reads the header of a GGUF or safetensors file of `total_len` bytes from its first bytes. Where the length is not
    /// known (`None`), [`Header::lengths`] says afterwards what it may be.
    ///
    /// Memory is bounded by a small multiple of `prefix`; nothing the file says is believed before it is checked.
    pub fn parse(file: &str, prefix: &[u8], total_len: impl Into<Option<u64>>) -> Result<Parse> {
        let known_len = total_len.into();
        let total_len = known_len.unwrap_or(u64::MAX);
        let available = (prefix.len() as u64).min(total_len);
        let prefix = prefix.get(..available as usize).unwrap_or(prefix);
        if prefix.len() < 8 {
            if total_len < 8 {
                return Err(incomplete(file, total_len, 8, "too short for a weight file".to_string()));
            }
            return Ok(Parse::NeedMore(8));
        }
        if prefix.starts_with(b"PK") && prefix.len() < 256 && total_len > 256 {
            // What kind of archive it is shows a little later.
            return Ok(Parse::NeedMore(256));
        }
        if let Some(error) = marks::no_weights(file, prefix) {
            return Err(error);
        }
        let mut parsed = match prefix.starts_with(gguf::MAGIC) {
            true => gguf::parse(file, prefix, known_len)?,
            false => safetensors::parse(file, prefix, known_len)?,
        };
        if let Parse::Done(header) = &mut parsed {
            let names = header.tensors.iter().map(|info| info.name.as_str());
            header.is_single = !header.metadata.contains_key(Self::CONFIG) && single::is_single(names);
            if header.is_single {
                single::canonical(header)?;
            }
        }
        Ok(parsed)
    }

    /// The error that says what this file is, if it is none of ours.
    pub fn other_model(&self) -> Error {
        let names = self.tensors.iter().map(|tensor| tensor.name.as_str());
        marks::other_model(&self.file, &self.metadata, names)
    }

    /// Whether convolution weights are stored as `[O, kh·kw·I]` in the order (ky, kx, i), as our GGUFs do.
    pub fn is_ohwi(&self) -> bool {
        self.metadata.get(Self::CONV_LAYOUT).is_some_and(|layout| layout == "ohwi")
    }

    /// Whether `info` holds a checkpoint tensor of `shape`.
    pub fn fits(&self, info: &TensorInfo, shape: &[usize]) -> bool {
        match *shape {
            [o, i, kh, kw] if self.is_ohwi() => info.shape == [o, kh * kw * i],
            _ => info.shape == shape,
        }
    }
}

/// A tensor as the file words it, before checks.
pub(super) struct RawTensor {
    pub name: String,
    /// `None`: a type we have no use for (integers, booleans) or do not know.
    pub dtype: Option<SourceType>,
    pub dtype_name: String,
    pub shape: Vec<u64>,
    /// From the start of the data.
    pub offset: u64,
    /// What the file says, or what type and shape make; `None` where neither does.
    pub len: Option<u64>,
}

/// The number of values, or `None` when it overflows.
pub(super) fn elements(shape: &[u64]) -> Option<u64> {
    shape.iter().try_fold(1u64, |product, &dim| product.checked_mul(dim))
}

/// A file's tensors, checked: those that can be decoded, in file order, and the others; and the lengths that the file may
/// have, in bytes.
pub(super) struct Checked {
    pub tensors: Vec<TensorInfo>,
    pub others: Vec<OtherTensor>,
    pub lengths: RangeInclusive<u64>,
}

/// The longest file that is believed, in bytes: beyond what any model has, a header lies about its size.
const LARGEST: u64 = 1 << 42;

/// Checks offsets and names of a file's tensors and puts them in file order: `slack` bytes may follow the last tensor. Of a
/// file whose length is not known (`total_len`) only the header says where it ends.
pub(super) fn check_tensors(
    file: &str,
    mut raw: Vec<RawTensor>,
    data_start: u64,
    total_len: Option<u64>,
    slack: u64,
) -> Result<Checked> {
    let known_len = total_len;
    let total_len = known_len.unwrap_or(LARGEST);
    let data_len = total_len.checked_sub(data_start).ok_or_else(|| {
        incomplete(file, total_len, data_start, format!("its data begins at byte {data_start}"))
    })?;
    let ends = raw.iter().map(|tensor| tensor.offset.checked_add(tensor.len.unwrap_or(0)));
    let needed = ends.filter_map(|end| end?.checked_add(data_start)).max();
    raw.sort_by_key(|tensor| (tensor.offset, tensor.len));
    let mut end = 0u64;
    let mut last = String::new();
    for (index, tensor) in raw.iter().enumerate() {
        let (name, offset) = (&tensor.name, tensor.offset);
        if offset < end {
            let message =
                format!("tensor {name} begins at {offset}, inside tensor {last} which ends at {end}");
            return Err(bad(file, message));
        }
        // One of unknown length reaches to the next, or to the end.
        let to_next = || raw.get(index + 1).map_or(data_len, |next| next.offset).saturating_sub(offset);
        let len = tensor.len.unwrap_or_else(to_next);
        end = match offset.checked_add(len) {
            Some(end) if end <= data_len => end,
            _ => {
                let detail =
                    format!("tensor {name} has {len} bytes at {offset}, the file {data_len} bytes of data");
                return Err(incomplete(file, total_len, needed.unwrap_or(u64::MAX), detail));
            }
        };
        last.clone_from(name);
    }
    if known_len.is_some() && data_len - end > slack {
        let message = format!("wrong length: its tensors end at {end}, its data at {data_len}");
        return Err(bad(file, message));
    }
    let (tensors, others) = accepted(file, raw, data_start)?;
    let shortest = data_start + end;
    Ok(Checked { tensors, others, lengths: shortest..=shortest + slack })
}

/// Names are unique; types tell which tensors can be read.
fn accepted(file: &str, raw: Vec<RawTensor>, data_start: u64) -> Result<(Vec<TensorInfo>, Vec<OtherTensor>)> {
    let mut seen = HashSet::new();
    let (mut tensors, mut others) = (Vec::new(), Vec::new());
    for RawTensor { name, dtype, dtype_name, shape, offset, len } in raw {
        if !seen.insert(name.clone()) {
            return Err(bad(file, format!("tensor {name} appears twice")));
        }
        let (Some(dtype), Some(len)) = (dtype, len) else {
            let bytes = len.map(|len| data_start + offset..data_start + offset + len);
            others.push(OtherTensor { name, dtype: dtype_name, bytes });
            continue;
        };
        let dims = shape.iter().map(|&dim| usize::try_from(dim)).collect::<std::result::Result<Vec<_>, _>>();
        let shape = dims.map_err(|_| bad(file, format!("tensor {name} has shape {shape:?}")))?;
        tensors.push(TensorInfo { name, dtype, shape, offset: data_start + offset, len });
    }
    Ok((tensors, others))
}

/// What a file is, if it is another thing than a model of ours: names come before types and lengths, which are those of a
/// file that nobody needs.
pub(super) fn of_another_kind(
    file: &str,
    metadata: &BTreeMap<String, String>,
    raw: &[RawTensor],
) -> Result<()> {
    let names = || raw.iter().map(|tensor| tensor.name.as_str());
    match marks::kind(metadata, names()) {
        Some((marks::Kind::Other | marks::Kind::AddOn, _)) if !metadata.contains_key(Header::CONFIG) => {
            Err(marks::other_model(file, metadata, names()))
        }
        _ => Ok(()),
    }
}

/// A file that ends before what it says it holds. Beyond what any file has, it lies.
pub(super) fn incomplete(file: &str, bytes: u64, needed: u64, detail: String) -> Error {
    match needed {
        0..=LARGEST => Error::Incomplete { file: file.to_string(), bytes, needed, detail },
        _ => bad(file, format!("{detail}: it lies about its size")),
    }
}

/// A file that is not what it says.
pub(super) fn bad(file: &str, message: String) -> Error {
    Error::BadFile { file: file.to_string(), message }
}
