//! GGUF headers, versions 2 and 3, read and written. <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>

use std::collections::BTreeMap;

use super::header::{
    Checked, Header, MAX_DIMS, MAX_HEADER, MAX_TENSORS, Parse, RawTensor, bad, check_tensors, elements,
    incomplete, of_another_kind,
};
use super::types::SourceType;
use crate::error::{Error, Result};

/// The first four bytes.
pub const MAGIC: &[u8] = b"GGUF";
/// Where tensors begin, in bytes, unless `general.alignment` says otherwise.
pub const ALIGNMENT: u64 = 32;
/// The most metadata entries accepted.
const MAX_ENTRIES: u64 = 1 << 16;
/// The longest key or tensor name accepted.
const MAX_NAME: u64 = 1 << 10;
pub const STRING: u32 = 8;
const ARRAY: u32 = 9;
pub const UINT32: u32 = 4;

/// Why reading stopped: the prefix is too short, or the file is wrong.
enum Stop {
    NeedMore(u64),
    Bad(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Bad(error)
    }
}

/// Bounds-checked little-endian reading of a prefix of the file.
struct Cursor<'a> {
    file: &'a str,
    bytes: &'a [u8],
    position: u64,
    /// Neither the header nor anything in it may reach beyond this.
    limit: u64,
    /// Length of the file; `u64::MAX` where it is not known.
    total: u64,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: u64, what: &str) -> std::result::Result<&'a [u8], Stop> {
        let end = self.position.checked_add(len).filter(|&end| end <= self.limit).ok_or_else(|| {
            let (at, limit) = (self.position, self.limit);
            let detail = format!("{what} of {len} bytes at {at} reaches beyond {limit}");
            match self.total == limit {
                true => incomplete(self.file, self.total, at.saturating_add(len), detail),
                false => bad(self.file, format!("{detail}: its header is too long or lies")),
            }
        })?;
        let slice = self.bytes.get(self.position as usize..end as usize).ok_or(Stop::NeedMore(end))?;
        self.position = end;
        Ok(slice)
    }

    fn u32(&mut self, what: &str) -> std::result::Result<u32, Stop> {
        let bytes = self.take(4, what)?;
        Ok(bytes.try_into().map(u32::from_le_bytes).unwrap_or(0))
    }

    fn u64(&mut self, what: &str) -> std::result::Result<u64, Stop> {
        let bytes = self.take(8, what)?;
        Ok(bytes.try_into().map(u64::from_le_bytes).unwrap_or(0))
    }

    fn string(&mut self, what: &str, longest: u64) -> std::result::Result<&'a str, Stop> {
        let len = self.u64(what)?;
        if len > longest {
            return Err(bad(self.file, format!("{what} of {len} bytes, expected at most {longest}")).into());
        }
        let bytes = self.take(len, what)?;
        std::str::from_utf8(bytes).map_err(|_| bad(self.file, format!("{what} is not UTF-8 text")).into())
    }
}

/// Parses the header; `prefix` begins with [`MAGIC`].
pub fn parse(file: &str, prefix: &[u8], total_len: Option<u64>) -> Result<Parse> {
    let limit = total_len.map_or(MAX_HEADER, |total| total.min(MAX_HEADER));
    match read(file, prefix, limit, total_len) {
        Ok(header) => Ok(Parse::Done(header)),
        Err(Stop::Bad(error)) => Err(error),
        Err(Stop::NeedMore(end)) => {
            let wanted = end.max(2 * prefix.len() as u64).max(1 << 16).min(limit);
            Ok(Parse::NeedMore(wanted as usize))
        }
    }
}

fn read(file: &str, bytes: &[u8], limit: u64, total_len: Option<u64>) -> std::result::Result<Header, Stop> {
    let total = total_len.unwrap_or(u64::MAX);
    let mut cursor = Cursor { file, bytes, position: MAGIC.len() as u64, limit, total };
    let version = cursor.u32("version")?;
    if version != 2 && version != 3 {
        let note = match version {
            1 => " (of before August 2023; convert the model anew)",
            _ if (1..=3).contains(&version.swap_bytes()) => " (a big-endian file)",
            _ => "",
        };
        return Err(bad(file, format!("GGUF version {version}{note}, expected 2 or 3")).into());
    }
    let tensor_count = cursor.u64("tensor count")?;
    let entry_count = cursor.u64("metadata count")?;
    for (what, count, most) in
        [("tensors", tensor_count, MAX_TENSORS), ("metadata entries", entry_count, MAX_ENTRIES)]
    {
        if count > most {
            return Err(bad(file, format!("{count} {what}, expected at most {most}")).into());
        }
    }
    let mut metadata = BTreeMap::new();
    let mut alignment = ALIGNMENT;
    for _ in 0..entry_count {
        let key = cursor.string("metadata key", MAX_NAME)?;
        match (key, read_value(&mut cursor, key)?) {
            ("general.alignment", Value::Uint(value)) => alignment = value,
            (_, Value::Text(_)) if metadata.contains_key(key) => {
                return Err(bad(file, format!("metadata {key} appears twice")).into());
            }
            (_, Value::Text(text)) => _ = metadata.insert(key.to_string(), text.to_string()),
            _ => {}
        }
    }
    if !alignment.is_power_of_two() || !(8..=65536).contains(&alignment) {
        return Err(
            bad(file, format!("general.alignment is {alignment}, expected a power of two from 8")).into()
        );
    }
    let mut raw = Vec::new();
    for _ in 0..tensor_count {
        raw.push(read_tensor(&mut cursor, alignment)?);
    }
    of_another_kind(file, &metadata, &raw)?;
    let data_start = cursor.position.next_multiple_of(alignment);
    let Checked { tensors, others, lengths } =
        check_tensors(file, raw, data_start.min(total), total_len, alignment)?;
    Ok(Header { file: file.to_string(), tensors, others, metadata, data_start, lengths, is_single: false })
}

/// A metadata value, as far as we look at it.
enum Value<'a> {
    Text(&'a str),
    Uint(u64),
    Other,
}

fn read_value<'a>(cursor: &mut Cursor<'a>, key: &str) -> std::result::Result<Value<'a>, Stop> {
    match cursor.u32("metadata type")? {
        STRING => Ok(Value::Text(cursor.string(&format!("metadata {key}"), MAX_HEADER)?)),
        UINT32 => Ok(Value::Uint(cursor.u32("metadata value")? as u64)),
        ARRAY => {
            let item = cursor.u32("array type")?;
            let count = cursor.u64("array length")?;
            if item == STRING {
                // Each text is at least its eight bytes of length, so a lying count runs into the limit quickly.
                for _ in 0..count {
                    cursor.string("array item", MAX_HEADER)?;
                }
            } else {
                let bytes = count.saturating_mul(scalar_size(cursor.file, key, item)?);
                cursor.take(bytes, &format!("metadata {key}"))?;
            }
            Ok(Value::Other)
        }
        other => {
            cursor.take(scalar_size(cursor.file, key, other)?, "metadata value")?;
            Ok(Value::Other)
        }
    }
}

/// Bytes of a metadata scalar by its type number.
fn scalar_size(file: &str, key: &str, code: u32) -> Result<u64> {
    match code {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        _ => Err(bad(file, format!("metadata {key} has unknown type {code}"))),
    }
}

fn read_tensor(cursor: &mut Cursor, alignment: u64) -> std::result::Result<RawTensor, Stop> {
    let file = cursor.file;
    let name = cursor.string("tensor name", MAX_NAME)?.to_string();
    let dims = cursor.u32("dimension count")?;
    if dims as usize > MAX_DIMS {
        return Err(
            bad(file, format!("tensor {name} has {dims} dimensions, expected at most {MAX_DIMS}")).into()
        );
    }
    let mut shape = Vec::new();
    for _ in 0..dims {
        shape.push(cursor.u64("dimension")?);
    }
    let code = cursor.u32("tensor type")?;
    let offset = cursor.u64("tensor offset")?;
    if !offset.is_multiple_of(alignment) {
        return Err(bad(
            file,
            format!("tensor {name} begins at {offset}, expected a multiple of {alignment}"),
        )
        .into());
    }
    let Some(dtype) = SourceType::from_ggml(code) else {
        return Ok(RawTensor {
            name,
            dtype: None,
            dtype_name: format!("number {code}"),
            shape,
            offset,
            len: None,
        });
    };
    let (block_len, block_bytes) = (dtype.block_len() as u64, dtype.block_bytes() as u64);
    // GGUF lists the innermost dimension first.
    let innermost = shape.first().copied().unwrap_or(1);
    if !innermost.is_multiple_of(block_len) {
        let message = format!(
            "tensor {name} ({}) has rows of {innermost}, expected whole blocks of {block_len}",
            dtype.name()
        );
        return Err(bad(file, message).into());
    }
    let len = elements(&shape).and_then(|count| (count / block_len).checked_mul(block_bytes));
    let len = len.ok_or_else(|| bad(file, format!("tensor {name} has shape {shape:?}: too many values")))?;
    shape.reverse();
    Ok(RawTensor {
        name,
        dtype: Some(dtype),
        dtype_name: dtype.name().to_string(),
        shape,
        offset,
        len: Some(len),
    })
}
