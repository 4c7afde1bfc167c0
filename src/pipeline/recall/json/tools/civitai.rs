//! The settings of Civitai's generator, and what Civitai lists of the files that a picture used.

use serde_json::Value;

use super::super::{Fields, Settings, number, text_of};
use super::{MOST, counted_from_end};
use crate::pipeline::recall::brief;

/// Takes what its generator of today writes.
pub fn civitai(fields: &Fields, settings: &mut Settings) -> &'static [&'static str] {
    settings.clip_skip = counted_from_end(fields, "clipSkip");
    settings.tell_resources(fields.get("resources"));
    &[
        "clipSkip",
        "resources",
        "baseModel",
        "priority",
        "quantity",
        "transformations",
        "sourceImage",
        "workflow",
    ]
}

/// What a file is and the number of its version, of `urn:air:sd1:lora:civitai:123@456`.
fn of_air(air: &str) -> Option<(&str, &str)> {
    let mut parts = air.strip_prefix("urn:air:")?.split(':').skip(1);
    let (kind, _, id) = (parts.next()?, parts.next()?, parts.next()?);
    Some((kind, id.split_once('@')?.1))
}

impl Settings {
    /// What Civitai lists of the files that a picture used: checkpoints, LoRAs and embeddings by name and weight, where it says them,
    /// else by numbers of its own.
    pub(in crate::pipeline::recall) fn tell_resources(&mut self, resources: Option<&Value>) {
        let resources = resources.and_then(Value::as_array).into_iter().flatten();
        let mut numbers = Vec::new();
        for resource in resources.filter_map(Value::as_object).take(MOST) {
            let air = text_of(resource, &["air"]).unwrap_or_default();
            let (kind, version) = of_air(&air).unzip();
            let kind = text_of(resource, &["type"]).or(kind.map(str::to_string));
            let kind = kind.unwrap_or_default().to_ascii_lowercase();
            let weight = number(resource, "weight").or(number(resource, "strength"));
            match (text_of(resource, &["modelName"]), kind.as_str()) {
                (Some(name), "checkpoint") => {
                    let version = text_of(resource, &["modelVersionName", "versionName"]);
                    let version = version.map_or_else(String::new, |version| format!(" {version}"));
                    self.model.get_or_insert_with(|| format!("{name}{version}"));
                }
                (Some(name), "lora" | "lycoris" | "locon" | "dora") => {
                    // As a tag cannot hold it.
                    let name = name.replace([':', '<', '>', '\n'], " ");
                    self.take_lora(&name, weight.unwrap_or(1.0), "");
                }
                (Some(name), "embed" | "textualinversion") => {
                    let name = brief(&name);
                    self.notices.push(format!("It used the embedding “{name}” of Civitai."));
                }
                (Some(name), _) => {
                    let name = brief(&name);
                    self.notices.push(format!("It used “{name}” of Civitai, which is not used here."));
                }
                (None, _) => {
                    numbers.extend(text_of(resource, &["modelVersionId"]).or(version.map(str::to_string)));
                }
            }
        }
        if !numbers.is_empty() {
            self.notices.push(format!(
                "Its files are named by Civitai’s numbers alone: civitai.com/model-versions/{}.",
                brief(&numbers.join(", "))
            ));
        }
    }
}
