//! Shared helpers of the weights tests.

mod files;
mod hostile;
mod joined;
mod packing;
mod repacking;

use super::header::{Header, Parse, TensorInfo};
use super::types::SourceType;
use crate::plan::{Part, WeightDecl, WeightKind};

/// A declaration from part names and shapes.
pub fn decl(name: &str, kind: WeightKind, parts: &[(&str, &[usize])]) -> WeightDecl {
    let parts = parts.iter().map(|(name, shape)| Part::whole(*name, *shape)).collect();
    WeightDecl { name: name.to_string(), kind, parts }
}

/// Values between -1 and 1 that differ from one another.
pub fn values(count: usize, seed: u64) -> Vec<f32> {
    use rand::{Rng, SeedableRng};
    let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// A header of tensors that lie one behind the other.
pub fn header(tensors: &[(&str, SourceType, &[usize])]) -> Header {
    let mut offset = 64;
    let tensors = tensors.iter().map(|&(name, dtype, shape)| {
        let len = dtype.bytes(shape.iter().product()) as u64;
        offset += len;
        TensorInfo { name: name.to_string(), dtype, shape: shape.to_vec(), offset: offset - len, len }
    });
    Header {
        file: "m.gguf".to_string(),
        tensors: tensors.collect(),
        others: Vec::new(),
        metadata: Default::default(),
        data_start: 64,
        lengths: offset..=offset,
        is_single: false,
    }
}

/// A safetensors file of f32 tensors.
pub fn safetensors_file(tensors: &[(&str, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let mut map = serde_json::Map::new();
    let mut data: Vec<u8> = Vec::new();
    for (name, shape, values) in tensors {
        let begin = data.len();
        data.extend_from_slice(bytemuck::cast_slice(values));
        let entry = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]});
        map.insert(name.to_string(), entry);
    }
    safetensors_bytes(&serde_json::Value::Object(map).to_string(), &data)
}

/// Length, JSON, data.
pub fn safetensors_bytes(json: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (json.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(json.as_bytes());
    file.extend_from_slice(data);
    file
}

/// Parses a whole file.
pub fn parse(bytes: &[u8]) -> crate::Result<Header> {
    match Header::parse("f", bytes, bytes.len() as u64)? {
        Parse::Done(header) => Ok(header),
        Parse::NeedMore(more) => panic!("{} bytes, wants {more}", bytes.len()),
    }
}
