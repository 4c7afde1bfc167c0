//! What a diffusers folder consists of: its `model_index.json`, or the folders that are there.

use serde_json::Value;

use super::check;
use super::files::Files;
use super::folder::read;
use crate::error::{Error, Result};

/// The components that are read, and their classes that can be; none where any will do.
const READ: [(&str, &[&str]); 7] = [
    ("text_encoder", &["CLIPTextModel"]),
    ("text_encoder_2", &["CLIPTextModel"]),
    ("tokenizer", &["CLIPTokenizer", "CLIPTokenizerFast"]),
    ("tokenizer_2", &["CLIPTokenizer", "CLIPTokenizerFast"]),
    ("unet", &["UNet2DConditionModel"]),
    ("vae", &["AutoencoderKL", "AutoencoderTiny"]),
    // Its numbers are read; which sampler runs, a request says.
    ("scheduler", &[]),
];
/// Components that no picture depends on: what judges pictures, and what only image prompts use.
const LEFT: [&str; 3] = ["safety_checker", "feature_extractor", "image_encoder"];

/// The components of a folder.
pub(super) struct Index {
    /// The index; `None` where there is none, and what is there counts.
    listed: Option<Value>,
}

impl Index {
    /// Reads the index of a folder and refuses what would be drawn wrong: other pipelines, and components that are not
    /// known or of another class.
    pub fn read(folder: &dyn Files) -> Result<Index> {
        if !folder.has("model_index.json") {
            return Ok(Index { listed: None });
        }
        let (file, text) = read(folder, "model_index.json")?;
        let listed = check::parse(&file, &text)?;
        let class = listed.get("_class_name").and_then(Value::as_str).unwrap_or("this pipeline");
        if class.starts_with("StableDiffusionXL") {
            return Err(Error::Unsupported {
                what: format!("{class} ({file})"),
                message: "its denoiser also reads the projected text and the picture's size (add_embedding), and its \
                          texts one layer earlier, which have no path yet; models of the Stable Diffusion 1.x and 2.x \
                          family can be drawn with"
                    .to_string(),
            });
        }
        let components = listed.as_object().into_iter().flatten();
        for (name, class) in components.filter_map(|(name, entry)| Some((name, class_of(entry)?))) {
            refuse(&file, name, class)?;
        }
        Ok(Index { listed: Some(listed) })
    }

    /// Whether the folder has a component: as its index says, else whether it is there.
    pub fn has(&self, folder: &dyn Files, component: &str) -> bool {
        match &self.listed {
            Some(listed) => listed.get(component).and_then(class_of).is_some(),
            None => folder.has(component),
        }
    }
}

/// The class of a component, `[library, class]`; `None` for a setting of the pipeline, or a component that it goes without.
fn class_of(entry: &Value) -> Option<&str> {
    entry.as_array()?.get(1)?.as_str()
}

fn refuse(file: &str, name: &str, class: &str) -> Result<()> {
    let message = match READ.iter().find(|(known, _)| *known == name) {
        Some((_, classes)) if classes.is_empty() || classes.contains(&class) => return Ok(()),
        Some(_) if class == "CLIPTextModelWithProjection" => {
            "the projection of its text has no path yet; CLIPTextModel has none".to_string()
        }
        Some((_, classes)) => format!("{name} can be {}", classes.join(" or ")),
        None if LEFT.contains(&name) => return Ok(()),
        None => {
            "nothing here reads such a component, and without it the pictures would be others".to_string()
        }
    };
    Err(Error::Unsupported { what: format!("{name} of class {class} ({file})"), message })
}
