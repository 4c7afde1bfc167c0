//! safetensors headers: eight bytes of length, then JSON. <https://github.com/huggingface/safetensors#format>

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::header::{
    Checked, Header, MAX_DIMS, MAX_HEADER, MAX_TENSORS, Parse, RawTensor, bad, check_tensors, elements,
    incomplete, of_another_kind,
};
use super::types::SourceType;
use crate::error::{Error, Result};

/// Parses the header; `prefix` has at least eight bytes.
pub fn parse(file: &str, prefix: &[u8], total_len: Option<u64>) -> Result<Parse> {
    let Some((length, rest)) = prefix.split_first_chunk::<8>() else { return Ok(Parse::NeedMore(8)) };
    let header_len = u64::from_le_bytes(*length);
    if rest.first().is_some_and(|&byte| byte != b'{') || looks_like_text(length) {
        return Err(bad(file, format!("neither GGUF nor safetensors: it begins with {:?}", opening(prefix))));
    }
    if !(2..=MAX_HEADER).contains(&header_len) {
        return Err(bad(file, format!("header of {header_len} bytes, expected 2 to {MAX_HEADER}")));
    }
    let data_start = 8 + header_len;
    if let Some(total) = total_len
        && data_start > total
    {
        return Err(incomplete(file, total, data_start, format!("its header ends at byte {data_start}")));
    }
    let Some(json) = rest.get(..header_len as usize) else { return Ok(Parse::NeedMore(data_start as usize)) };
    let entries: Entries = serde_json::from_slice(json).map_err(|error| Error::BadFile {
        file: file.to_string(),
        message: format!("header is not valid: {error}"),
    })?;
    let raw = entries.tensors.into_iter().map(|entry| raw(file, entry)).collect::<Result<Vec<_>>>()?;
    of_another_kind(file, &entries.metadata, &raw)?;
    let Checked { tensors, others, lengths } = check_tensors(file, raw, data_start, total_len, 0)?;
    let metadata = entries.metadata;
    Ok(Parse::Done(Header {
        file: file.to_string(),
        tensors,
        others,
        metadata,
        data_start,
        lengths,
        is_single: false,
    }))
}

/// A web page or pickle where a weight file was expected.
fn looks_like_text(length: &[u8; 8]) -> bool {
    length.iter().all(|&byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
}

/// The first characters, for an error message.
fn opening(prefix: &[u8]) -> String {
    prefix.iter().take(16).map(|&b| if b.is_ascii_graphic() || b == b' ' { b as char } else { '.' }).collect()
}

/// Checks one entry against itself: type, shape and length agree.
fn raw(file: &str, (name, entry): (String, Entry)) -> Result<RawTensor> {
    let dtype = SourceType::from_safetensors(&entry.dtype);
    let size = match (dtype, entry.dtype.as_str()) {
        (Some(dtype), _) => dtype.block_bytes() as u64,
        (None, "I64" | "U64") => 8,
        (None, "I32" | "U32") => 4,
        (None, "I16" | "U16") => 2,
        (None, "I8" | "U8" | "BOOL") => 1,
        // Of a type that is not known only the length it claims.
        _ => 0,
    };
    let [begin, end] = entry.data_offsets;
    let len = end
        .checked_sub(begin)
        .ok_or_else(|| bad(file, format!("tensor {name} begins at {begin} and ends at {end}")))?;
    let expected = elements(&entry.shape.0).and_then(|count| count.checked_mul(size));
    if size > 0 && expected != Some(len) {
        let expected = expected.map_or("too many".to_string(), |bytes| bytes.to_string());
        let message = format!(
            "tensor {name} ({} {:?}) has {len} bytes, expected {expected}",
            entry.dtype, entry.shape.0
        );
        return Err(bad(file, message));
    }
    Ok(RawTensor {
        name,
        dtype,
        dtype_name: entry.dtype,
        shape: entry.shape.0,
        offset: begin,
        len: Some(len),
    })
}

/// One tensor's JSON.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Shape,
    data_offsets: [u64; 2],
}

/// At most [`MAX_DIMS`] dimensions, so that no long list is ever collected.
struct Shape(Vec<u64>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Dims;
        impl<'de> Visitor<'de> for Dims {
            type Value = Shape;
            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                write!(formatter, "at most {MAX_DIMS} dimensions")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Shape, A::Error> {
                let mut dims = Vec::new();
                while let Some(dim) = seq.next_element()? {
                    if dims.len() == MAX_DIMS {
                        return Err(A::Error::custom(format!("more than {MAX_DIMS} dimensions")));
                    }
                    dims.push(dim);
                }
                Ok(Shape(dims))
            }
        }
        deserializer.deserialize_seq(Dims)
    }
}

/// The whole header; a map read by hand, because duplicate keys must be seen.
struct Entries {
    tensors: Vec<(String, Entry)>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Entries;
            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a map of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Entries, A::Error> {
                let mut entries = Entries { tensors: Vec::new(), metadata: BTreeMap::new() };
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        // null is none, as the format's own library has it.
                        entries.metadata = map.next_value::<Option<_>>()?.unwrap_or_default();
                    } else if entries.tensors.len() as u64 >= MAX_TENSORS {
                        return Err(A::Error::custom(format!("more than {MAX_TENSORS} tensors")));
                    } else {
                        entries.tensors.push((name, map.next_value()?));
                    }
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(Map)
    }
}
