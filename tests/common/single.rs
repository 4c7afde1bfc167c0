//! Checkpoints in one file, as `tests/golden/make_single.py` lists them: no weights are kept, each value follows from its
//! tensor's name.

use std::collections::BTreeMap;
use std::path::Path;

use half::f16;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{DenoiseCase, folder};

/// Of a folder's tensor: the file's tensor that diffusers makes it of, the first row taken, and its shape.
type Place = (String, usize, Vec<usize>);

/// What the script found out about one model.
#[derive(Debug, Deserialize)]
pub struct Facts {
    /// Tokens that the text encoder knows.
    pub vocabulary: usize,
    /// The token that fills chunks.
    pub pad: String,
    case: Value,
    scheduler: Value,
    configs: BTreeMap<String, Value>,
    /// The file's tensors.
    pub shapes: BTreeMap<String, Vec<usize>>,
    /// A folder's tensors by component.
    folder: BTreeMap<String, BTreeMap<String, Place>>,
}

/// A tensor of a file that is about to be written.
#[derive(Debug, Clone)]
pub struct Entry {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl Entry {
    /// Values in half precision; those of [`weight`] are exact in it.
    pub fn f16(shape: &[usize], values: &[f32]) -> Entry {
        let bytes = values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect();
        Entry { dtype: Dtype::F16, shape: shape.to_vec(), bytes }
    }

    pub fn zeros(dtype: Dtype, shape: &[usize]) -> Entry {
        let bits = shape.iter().product::<usize>() * dtype.bitsize();
        Entry { dtype, shape: shape.to_vec(), bytes: vec![0; bits / 8] }
    }
}

pub type Entries = BTreeMap<String, Entry>;

impl Facts {
    pub fn of(model: &str) -> Facts {
        let path = folder().join("single").join(format!("{model}.json"));
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).expect("what make_single.py writes")
    }

    /// The run that diffusers made.
    pub fn case(&self, model: &str) -> DenoiseCase {
        let mut case = self.case.clone();
        let more = json!({"file": format!("single/{model}.safetensors"), "case": model, "model": model,
            "sampler": "ddim", "schedule": "default", "scheduler": {}});
        let (case_fields, more) = (case.as_object_mut().expect("fields"), more.as_object().expect("fields"));
        case_fields.extend(more.clone());
        serde_json::from_value(case).expect("a case")
    }

    /// The checkpoint in half precision.
    pub fn entries(&self) -> Entries {
        let entry =
            |(name, shape): (&String, &Vec<usize>)| (name.clone(), Entry::f16(shape, &weight(name, shape)));
        self.shapes.iter().map(entry).collect()
    }

    /// The values of a tensor by the checkpoint's name, or by the name that stable-diffusion.cpp gives it of a folder.
    pub fn values_of(&self, name: &str) -> Vec<f32> {
        if let Some(shape) = self.shapes.get(name) {
            return weight(name, shape);
        }
        if let Some(nothing) = name.strip_suffix(".nothing") {
            assert!(["vae", "first_stage_model"].contains(&nothing), "{name}");
            return weight("nothing", &[32]);
        }
        let (start, rest) = name.split_once('.').expect("a component");
        let component = if start == "te" { "text_encoder" } else { start };
        let (origin, first, shape) =
            self.folder[component].get(rest).unwrap_or_else(|| panic!("no tensor {name}"));
        let row = shape[1..].iter().product::<usize>();
        weight(origin, &self.shapes[origin])[first * row..][..shape.iter().product()].to_vec()
    }

    /// Writes the folder that diffusers makes of the checkpoint, with `tokenizer` (a `tokenizer.json`) in it.
    pub fn write_folder(&self, out: &Path, tokenizer: &str) {
        for (component, config) in &self.configs {
            let stem = if component == "text_encoder" { "model" } else { "diffusion_pytorch_model" };
            let root = if component == "text_encoder" { "te" } else { component };
            let tensor = |(name, (_, _, shape)): (&String, &Place)| {
                (name.clone(), Entry::f16(shape, &self.values_of(&format!("{root}.{name}"))))
            };
            write_json(&out.join(component).join("config.json"), config);
            let entries = self.folder[component].iter().map(tensor).collect();
            write(&entries, &out.join(component).join(format!("{stem}.safetensors")));
        }
        write_json(&out.join("scheduler/scheduler_config.json"), &self.scheduler);
        std::fs::create_dir_all(out.join("tokenizer")).expect("a folder");
        std::fs::write(out.join("tokenizer/tokenizer.json"), tokenizer).expect("written");
    }
}

pub fn write_json(path: &Path, value: &Value) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, value.to_string()).expect("written");
}

/// Writes a safetensors file.
pub fn write(entries: &Entries, path: &Path) {
    let views: Vec<(&String, TensorView)> = entries
        .iter()
        .map(|(name, entry)| {
            (name, TensorView::new(entry.dtype, entry.shape.clone(), &entry.bytes).expect("a tensor"))
        })
        .collect();
    serialize_to_file(views, None, path).expect("written");
}

/// The values of a tensor: 11 random bits each, scaled by a power of two, so that they are exact in f16. The script has the
/// same.
pub fn weight(name: &str, shape: &[usize]) -> Vec<f32> {
    let seed = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let inner = shape.iter().skip(1).product::<usize>();
    let scale = 1.0 / f32::from(1u16 << (10 + inner.max(1).ilog2() / 2));
    let (offset, shift, scale) = match () {
        _ if name.ends_with("bias") => (0.0, 0, 1.0 / 16384.0),
        // Gains of norms.
        _ if shape.len() < 2 => (1.0, 4, 1.0 / 512.0),
        _ if name.contains("embedding") => (0.0, 0, 1.0 / 2048.0),
        _ => (0.0, 0, scale),
    };
    let value = |index: u64| {
        let mut z = seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let bits = (z >> 53) as i32 - 1024;
        offset + (bits >> shift) as f32 * scale
    };
    (1..=shape.iter().product::<usize>() as u64).map(value).collect()
}
