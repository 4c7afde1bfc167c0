//! Writing GGUF headers: what `opengen import` makes.

use super::convert::NewTensor;
use super::gguf::{ALIGNMENT, MAGIC, STRING, UINT32};

/// The version written.
const VERSION: u32 = 3;

/// The header's bytes up to the aligned start of the data. The tensors' data follows in this order, each padded to
/// [`ALIGNMENT`].
pub fn header_bytes(metadata: &[(&str, &str)], tensors: &[NewTensor]) -> Vec<u8> {
    let mut out = Vec::new();
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend_from_slice(&(text.len() as u64).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    };
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(tensors.len() as u64).to_le_bytes());
    out.extend_from_slice(&(metadata.len() as u64 + 2).to_le_bytes());
    for (key, value) in metadata {
        text(&mut out, key);
        out.extend_from_slice(&STRING.to_le_bytes());
        text(&mut out, value);
    }
    for (key, value) in [("general.alignment", ALIGNMENT as u32), ("general.quantization_version", 2)] {
        text(&mut out, key);
        out.extend_from_slice(&UINT32.to_le_bytes());
        out.extend_from_slice(&value.to_le_bytes());
    }
    let mut offset = 0u64;
    for tensor in tensors {
        text(&mut out, &tensor.name);
        out.extend_from_slice(&(tensor.shape.len() as u32).to_le_bytes());
        for &dim in tensor.shape.iter().rev() {
            out.extend_from_slice(&(dim as u64).to_le_bytes());
        }
        // All types that are written have a number.
        out.extend_from_slice(&tensor.dtype.to_ggml().unwrap_or_default().to_le_bytes());
        out.extend_from_slice(&offset.to_le_bytes());
        offset += tensor.len().next_multiple_of(ALIGNMENT);
    }
    out.resize(out.len().next_multiple_of(ALIGNMENT as usize), 0);
    out
}
