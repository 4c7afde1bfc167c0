//! A picture's metadata back into settings: what [`Request::parameters`](super::Request::parameters) writes, and what
//! A1111 and its relatives write in the same form.
//!
//! What this engine cannot honour is said in sentences, never dropped in silence. Ranges are not checked here: a value
//! that can be read is handed on, and the same check as for typed settings judges it.

use serde::Serialize;

use crate::error::{Error, Result};
use crate::image::{Parameters, png_texts};
use crate::sample::{NoiseSource, SamplerKind, ScheduleKind};

/// What a picture was made with, as far as this engine knows it; `None` where the metadata does not say.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    pub prompt: String,
    pub negative_prompt: String,
    pub steps: Option<u32>,
    pub guidance: Option<f64>,
    /// Decimal digits: JavaScript's numbers do not hold 64 bits.
    pub seed: Option<String>,
    pub variation_seed: Option<String>,
    pub variation_strength: Option<f64>,
    pub sampler: Option<&'static str>,
    pub schedule: Option<&'static str>,
    pub rng: Option<&'static str>,
    /// Pixels.
    pub width: Option<u32>,
    pub height: Option<u32>,
    /// The model's name as its maker wrote it.
    pub model: Option<String>,
    /// What could not be honoured, as sentences.
    pub notices: Vec<String>,
}

/// Recorded facts and things that are read elsewhere: nothing is lost when they are passed over.
const PASSED_OVER: [&str; 12] = [
    "Model hash",
    "VAE",
    "VAE hash",
    "Lora hashes",
    "TI hashes",
    "Hashes",
    "Version",
    "User",
    "Batch size",
    "Batch pos",
    "Token merging ratio",
    "Schedule type",
];

/// Reads the `parameters` text of a PNG file.
pub fn from_png(bytes: &[u8]) -> Result<Settings> {
    let invalid = |message: String| Error::InvalidInput { field: "file", message };
    if !bytes.starts_with(b"\x89PNG") {
        return Err(invalid("this is not a PNG file".to_string()));
    }
    let file = png_texts(bytes).map_err(|error| invalid(format!("the file is damaged ({error})")))?;
    match (file.text(Parameters::KEYWORD), &file.damage) {
        (Some(text), damage) => {
            let mut settings = from_parameters(&Parameters::parse(text));
            if damage.is_some() {
                settings
                    .notices
                    .push("The picture itself is damaged; its settings could be read.".to_string());
            }
            Ok(settings)
        }
        (None, Some(damage)) => Err(invalid(format!("the file is damaged ({damage})"))),
        (None, None) if file.texts.iter().any(|(keyword, _)| keyword == "workflow") => {
            Err(invalid("it carries a ComfyUI workflow, which cannot be read here".to_string()))
        }
        (None, None) => Err(invalid("there are no settings in it".to_string())),
    }
}

/// Settings out of the text's parts.
pub fn from_parameters(parameters: &Parameters) -> Settings {
    let mut settings = Settings::default();
    let mut others = Vec::new();
    settings.prompt = settings.without_networks(&parameters.prompt);
    settings.negative_prompt = settings.without_networks(&parameters.negative_prompt);
    for (key, value) in &parameters.fields {
        match key.as_str() {
            "Steps" => settings.steps = settings.number(key, value),
            "CFG scale" => settings.guidance = settings.number(key, value),
            "Seed" => settings.seed = settings.number::<u64>(key, value).map(|seed| seed.to_string()),
            "Variation seed" => {
                settings.variation_seed = settings.number::<u64>(key, value).map(|seed| seed.to_string());
            }
            "Variation seed strength" => settings.variation_strength = settings.number(key, value),
            "Sampler" => settings.take_sampler(value, parameters.get("Schedule type")),
            "Size" => settings.take_size(value),
            "Model" => settings.model = Some(value.clone()),
            "RNG" => match NoiseSource::from_a1111_name(value) {
                Some(source) => settings.rng = Some(source.name()),
                None => settings.notices.push(format!("There is no noise source “{value}” here.")),
            },
            other if PASSED_OVER.contains(&other) => {}
            other => others.push(other),
        }
    }
    // A1111 names its noise only where it is not the graphics card's.
    if settings.seed.is_some() && settings.rng.is_none() && parameters.get("RNG").is_none() {
        settings.rng = Some(NoiseSource::Philox.name());
    }
    if parameters.fields.is_empty() {
        settings.notices.push("It names the prompt alone; the other settings stay.".to_string());
    }
    if !others.is_empty() {
        settings.notices.push(format!("Not used here: {}.", others.join(", ")));
    }
    settings
}

impl Settings {
    /// A number, or a sentence about what stands in its place.
    fn number<T: std::str::FromStr>(&mut self, key: &str, value: &str) -> Option<T> {
        let number = value.trim().parse().ok();
        if number.is_none() {
            self.notices.push(format!("{key} is “{value}”, which is no number that can be used."));
        }
        number
    }

    /// `512x768`.
    fn take_size(&mut self, value: &str) {
        let sides =
            value.split_once('x').and_then(|(w, h)| Some((w.trim().parse().ok()?, h.trim().parse().ok()?)));
        match sides {
            Some((width, height)) => (self.width, self.height) = (Some(width), Some(height)),
            None => self.notices.push(format!("Size is “{value}”, which is no size.")),
        }
    }

    /// `Euler a`, or with the schedule in it as before A1111 1.9: `DPM++ 2M Karras`.
    fn take_sampler(&mut self, value: &str, schedule: Option<&str>) {
        let (name, schedule) = match (value.strip_suffix(" Karras"), value.strip_suffix(" Exponential")) {
            (Some(name), _) => (name, Some("Karras")),
            (_, Some(name)) => (name, Some("Exponential")),
            _ => (value, schedule),
        };
        let kind = SamplerKind::from_a1111_name(name);
        match kind {
            Some(kind) => self.sampler = Some(kind.name()),
            None => self.notices.push(format!("There is no sampler “{name}” here; the chosen one stays.")),
        }
        let schedule = schedule.unwrap_or_default().to_ascii_lowercase();
        self.schedule = match schedule.as_str() {
            "" | "uniform" | "normal" => Some(ScheduleKind::Default.name()),
            "karras" => Some(ScheduleKind::Karras.name()),
            // A1111 gives this sampler Karras' sigmas unless told otherwise.
            "automatic" if kind == Some(SamplerKind::DpmPlusPlus2M) => Some(ScheduleKind::Karras.name()),
            "automatic" => Some(ScheduleKind::Default.name()),
            _ => {
                self.notices.push(format!("There is no schedule “{schedule}” here; the chosen one stays."));
                None
            }
        };
    }

    /// A prompt without `<lora:name:0.8>` and the like, which name networks that are not loaded here.
    fn without_networks(&mut self, prompt: &str) -> String {
        let mut kept = String::new();
        let mut rest = prompt;
        while let Some((before, after)) = rest.split_once('<') {
            kept.push_str(before);
            match after.split_once('>').filter(|(tag, _)| is_network(tag)) {
                Some((tag, tail)) => {
                    self.notices.push(format!("“<{tag}>” is left out: such networks are not loaded here."));
                    rest = tail;
                }
                None => {
                    kept.push('<');
                    rest = after;
                }
            }
        }
        kept.push_str(rest);
        kept.trim().to_string()
    }
}

/// `kind:name` or `kind:name:weight`.
fn is_network(tag: &str) -> bool {
    let Some((kind, name)) = tag.split_once(':') else { return false };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !kind.is_empty() && kind.chars().all(word) && !name.is_empty() && !name.contains(['<', '\n'])
}

#[cfg(test)]
mod tests;
