//! The families around Stable Diffusion 1 and 2, as `tests/golden/make_families.py` lists them: no weights are kept, each
//! value follows from its tensor's name in a folder of diffusers.

use std::collections::BTreeMap;
use std::path::Path;

use opengen::config::PredictionType;
use opengen::weights::{ModelSource, OpenOptions};
use serde::Deserialize;
use serde_json::{Value, json};

use super::single::{Entries, Entry, weight, write, write_json};
use super::{DenoiseCase, Golden, folder};

/// All of them.
pub const FAMILIES: [&str; 9] =
    ["lcm", "turbo", "sdxs", "bk-base", "bk-small", "bk-tiny", "bk-v2-tiny", "zero-snr", "nitro-1"];

/// What the script says of one.
#[derive(Debug, Deserialize)]
pub struct Family {
    #[serde(skip)]
    name: String,
    case: Value,
    scheduler: Value,
    configs: BTreeMap<String, Value>,
    /// A folder's tensors by component.
    shapes: BTreeMap<String, BTreeMap<String, Vec<usize>>>,
    /// By name in one file: the folder's tensors, with their component, whose rows it has one after the other.
    file: BTreeMap<String, Vec<String>>,
}

impl Family {
    pub fn of(name: &str) -> Family {
        let path = folder().join("families").join(format!("{name}.json"));
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Family {
            name: name.to_string(),
            ..serde_json::from_str(&text).expect("what make_families.py writes")
        }
    }

    /// The run that diffusers made.
    pub fn case(&self) -> DenoiseCase {
        let mut case = self.case.clone();
        let more = json!({"file": format!("families/{}.safetensors", self.name), "case": self.name,
            "model": self.name, "schedule": "default", "scheduler": {}});
        let (fields, more) = (case.as_object_mut().expect("fields"), more.as_object().expect("fields"));
        fields.extend(more.clone());
        serde_json::from_value(case).expect("a case")
    }

    pub fn golden(&self) -> Golden {
        Golden::open(&self.case().file)
    }

    /// It in one file and as a folder of diffusers, both opened; what a file of Stable Diffusion 2 does not say, the caller
    /// does. The folder's tokenizer is the file's.
    pub fn open(&self, out: &Path) -> [ModelSource; 2] {
        let path = out.join(format!("{}.safetensors", self.name));
        write(&self.entries(), &path);
        let options = OpenOptions { prediction: Some(PredictionType::Epsilon), ..OpenOptions::default() };
        let file = ModelSource::open_with(&path, &options).unwrap_or_else(|error| panic!("{error}"));
        let folder = out.join(format!("{} as a folder", self.name));
        self.write_folder(&folder, file.tokenizer());
        [file, ModelSource::open(&folder).unwrap_or_else(|error| panic!("{error}"))]
    }

    /// Writes it as a folder of diffusers, with `tokenizer` (a `tokenizer.json`) in it.
    fn write_folder(&self, out: &Path, tokenizer: &str) {
        for (component, tensors) in &self.shapes {
            let stem = if component == "text_encoder" { "model" } else { "diffusion_pytorch_model" };
            write_json(&out.join(component).join("config.json"), &self.configs[component]);
            let entry = |(name, shape): (&String, &Vec<usize>)| {
                (name.clone(), Entry::f16(shape, &weight(&format!("{component}.{name}"), shape)))
            };
            write(
                &tensors.iter().map(entry).collect(),
                &out.join(component).join(format!("{stem}.safetensors")),
            );
        }
        write_json(&out.join("scheduler/scheduler_config.json"), &self.scheduler);
        std::fs::create_dir_all(out.join("tokenizer")).expect("a folder");
        std::fs::write(out.join("tokenizer/tokenizer.json"), tokenizer).expect("written");
    }

    /// It in one file.
    pub fn entries(&self) -> Entries {
        let entry = |(name, parts): (&String, &Vec<String>)| {
            let mut shape = Vec::new();
            let mut values = Vec::new();
            for part in parts {
                let (component, rest) = part.split_once('.').expect("a component");
                let own = &self.shapes[component][rest];
                values.extend(weight(part, own));
                shape = own.clone();
            }
            shape[0] *= parts.len();
            (name.clone(), Entry::f16(&shape, &values))
        };
        self.file.iter().map(entry).collect()
    }
}
