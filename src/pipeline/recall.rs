//! A picture's metadata back into settings: what [`Request::parameters`](super::Request::parameters) writes, what A1111
//! and its relatives write in the same form, and what others write in JSON.
//!
//! What this engine cannot honour is said in sentences, never dropped in silence. Ranges are not checked here: a value
//! that can be read is handed on, and the same check as for typed settings judges it.

mod a1111;
mod comfyui;
mod json;
mod names;

use serde::Serialize;

use super::networks;
use super::tiling::{TILING, Tiling};
use super::windows::Windows;
use crate::error::{Error, Result};
use crate::image::{Kind, Parameters, Text, Texts, XMP, hidden, user_comment};
use crate::prompt::{self, Dialect, Emphasis, MAX_CHARS};
use crate::sample::SamplerOptions;

pub use a1111::from_parameters;
pub use comfyui::{Written, graph};

/// What a picture was made with, as far as this engine knows it; `None` where the metadata does not say.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    pub prompt: Option<String>,
    pub negative_prompt: Option<String>,
    /// What the prompts were made of, where that was a template.
    pub template: Option<String>,
    pub negative_template: Option<String>,
    pub dialect: Option<Dialect>,
    /// What brackets did.
    pub emphasis: Option<Emphasis>,
    /// Which layer of the text encoder was read, counted from the last, 1.
    pub clip_skip: Option<u32>,
    /// The embeddings that it used.
    pub embeddings: Vec<Used>,
    /// The LoRAs that its prompt names.
    pub loras: Vec<Used>,
    pub steps: Option<u32>,
    pub guidance: Option<f64>,
    /// How far guided predictions were brought back to the spread of the prompt's own.
    pub guidance_rescale: Option<f64>,
    /// Decimal digits: JavaScript's numbers do not hold 64 bits.
    pub seed: Option<String>,
    pub variation_seed: Option<String>,
    pub variation_strength: Option<f64>,
    /// How much of the run was taken from a picture.
    pub strength: Option<f64>,
    /// How the picture was brought to the size, where that was not by just resizing.
    pub resize: Option<&'static str>,
    /// The step, counted from 0, that it entered with latents; they are not in the file.
    pub latents_step: Option<u32>,
    /// How soft the edge of a mask was made, in pixels of the picture.
    pub mask_blur: Option<f64>,
    pub masked_content: Option<&'static str>,
    /// How many pixels around the masked part were drawn with it, where that alone was.
    pub only_masked: Option<u32>,
    /// How far a picture grew.
    pub extend: Option<Extended>,
    /// Along which axes it is a tile without seams.
    pub tiling: Option<&'static str>,
    /// How large the windows were that the denoiser saw, where it did not see all at once.
    pub tiles: Option<Windows>,
    /// A second pass at a larger size.
    pub hires: Option<Second>,
    /// Where each prompt of several counted.
    pub regions: Vec<Placed>,
    /// What steered it; the maps are not in the file.
    pub controls: Vec<Steered>,
    pub sampler: Option<&'static str>,
    pub schedule: Option<&'static str>,
    /// What sampler and schedule were told beside.
    pub sampler_options: Option<SamplerOptions>,
    pub rng: Option<&'static str>,
    /// Pixels.
    pub width: Option<u32>,
    pub height: Option<u32>,
    /// The model's name as its maker wrote it.
    pub model: Option<String>,
    /// What could not be honoured, as sentences.
    pub notices: Vec<String>,
}

/// A file that a picture used, by what prompts call it and the hash by which A1111 knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Used {
    pub name: String,
    pub hash: String,
}

/// Where a prompt counted, the first being number 1, and by how much.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Placed {
    pub part: usize,
    /// In shares of the picture; of a mask, which is not in the file, there is none.
    pub rect: Option<Rectangle>,
    pub weight: Option<f64>,
}

/// A rectangle in shares of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rectangle {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

/// What a ControlNet made of a map, as far as words say it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Steered {
    /// The ControlNet's name.
    pub model: Option<String>,
    pub preprocessor: Option<String>,
    pub strength: Option<f64>,
    pub start: Option<f64>,
    pub end: Option<f64>,
    pub importance: Option<&'static str>,
    pub resize: Option<&'static str>,
}

/// How far a picture grew on its sides, in its pixels, and over how many new became old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Extended {
    pub left: u32,
    pub top: u32,
    pub right: u32,
    pub bottom: u32,
    pub overlap: u32,
}

/// A second pass: how much larger, how much of a run, in how many steps of its own, and by which upscaler.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Second {
    pub scale: f64,
    pub strength: Option<f64>,
    pub steps: Option<u32>,
    pub upscaler: Option<&'static str>,
}

/// Where ComfyUI keeps the graph that made a picture: in PNG, and in the EXIF of others.
const GRAPHS: [&str; 4] = ["prompt", "Model", "Make", "ImageDescription"];
/// Where A1111's text is: in PNG, and in the EXIF of others.
const PARAMETERS: [&str; 3] = [Parameters::KEYWORD, "UserComment", "ImageDescription"];
/// Where others keep JSON: InvokeAI, before version 3 too; NovelAI and whoever writes JPEG comments; Draw Things.
const OTHERS: [&str; 4] = ["invokeai_metadata", "sd-metadata", "Comment", XMP];
/// Where InvokeAI kept its settings as the words of a command.
const DREAM: [&str; 2] = ["Dream", "dream"];

/// Reads what a picture's file (PNG, JPEG or WebP) says it was made with, or a file of JSON: a graph of ComfyUI's, or settings.
pub fn from_file(bytes: &[u8]) -> Result<Settings> {
    let invalid = |message: String| Error::InvalidInput { field: "file", message };
    if Kind::of(bytes).is_none() {
        let text = std::str::from_utf8(bytes).ok();
        if let Some(settings) =
            text.and_then(|text| comfyui::from_text(text).or_else(|| json::from_text(text)))
        {
            return Ok(settings);
        }
        return Err(invalid(format!(
            "this is {}; settings are read from PNG, JPEG and WebP files, and from graphs of ComfyUI's in its API format",
            what_is(bytes)
        )));
    }
    let file = match Texts::read(bytes) {
        Ok(file) => file,
        Err(Error::BadFile { message, .. }) => {
            return Err(invalid(format!("the file is damaged ({message})")));
        }
        Err(error) => return Err(error),
    };
    let Some((mut settings, sound)) = settings_of(&file).or_else(|| Some((hidden_in(bytes)?, true))) else {
        return Err(invalid(match &file.damage {
            _ if file.has("workflow") || file.has("prompt") => {
                "it was made by ComfyUI, and its graph has no sampler from which settings could be read"
                    .to_string()
            }
            Some(damage) => format!("the file is damaged ({damage})"),
            None => "there are no settings in it".to_string(),
        }));
    };
    if !sound {
        let text = "The checksum of the settings is wrong: they were damaged or changed, so look them over.";
        settings.notices.insert(0, text.to_string());
    }
    if let Some(damage) = &file.damage {
        let text = format!("The picture itself is damaged ({damage}); its settings could be read.");
        settings.notices.push(text);
    }
    Ok(settings)
}

/// The settings of the first text that has some, and whether its checksum is right.
fn settings_of(file: &Texts) -> Option<(Settings, bool)> {
    let texts = |keywords: &'static [&str]| {
        keywords.iter().filter_map(|keyword| Some((*keyword, file.text(keyword)?)))
    };
    for (keyword, Text { text, sound }) in texts(&PARAMETERS) {
        let settings = match text.trim_start().starts_with('{') {
            true => json::from_text(&text).or_else(|| comfyui::from_text(&text)),
            false if keyword == "ImageDescription" => None,
            false if text.trim().is_empty() => None,
            false => Some(from_parameters(&Parameters::parse(&text))),
        };
        if let Some(settings) = settings {
            return Some((settings, sound));
        }
    }
    let graph =
        texts(&GRAPHS).find_map(|(_, Text { text, sound })| Some((comfyui::from_text(&text)?, sound)));
    let other = |(keyword, Text { text, sound }): (&str, Text)| {
        let text = if keyword == XMP { user_comment(&text)? } else { text };
        // NovelAI's first pictures have the prompt beside.
        let beside = || json::from_text_with(&text, &file.text("Description")?.text);
        Some((json::from_text(&text).or_else(beside)?, sound))
    };
    let dream =
        || texts(&DREAM).find_map(|(_, Text { text, sound })| Some((json::from_dream(&text)?, sound)));
    graph.or_else(|| texts(&OTHERS).find_map(other)).or_else(dream)
}

/// The settings that are hidden in a picture's alpha: NovelAI's texts by their names, or what A1111 or ComfyUI write.
fn hidden_in(png: &[u8]) -> Option<Settings> {
    let text = hidden(png)?;
    let texts: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(&text).ok();
    let named = |name: &str| texts.as_ref()?.get(name)?.as_str();
    if let Some(comment) = named("Comment") {
        return json::from_text(comment).or_else(|| json::from_text_with(comment, named("Description")?));
    }
    let others = || json::from_text(&text).or_else(|| comfyui::from_text(&text));
    let parameters = Parameters::parse(&text);
    if texts.is_some() {
        others()
    } else {
        (!parameters.fields.is_empty()).then(|| from_parameters(&parameters))
    }
}

/// What a file is that is no picture with settings.
fn what_is(bytes: &[u8]) -> &'static str {
    match bytes {
        [] => "an empty file",
        [b'G', b'I', b'F', b'8', ..] => "a GIF",
        [b'B', b'M', ..] => "a BMP",
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', ..] => "an AVIF",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "a HEIC or a film",
        [b'<', ..] => "a web page or an SVG",
        [b'{', ..] => "JSON without settings",
        _ => "no picture",
    }
}

impl Settings {
    /// A prompt as this engine takes it: cut where it is longer than any that is drawn, without networks; what is not
    /// followed is said.
    fn take_prompt(&mut self, text: &str) -> String {
        let text = match text.char_indices().nth(MAX_CHARS) {
            Some((end, _)) => {
                self.notices.push(format!("A prompt was cut: {MAX_CHARS} characters are taken."));
                &text[..end]
            }
            None => text,
        };
        if text.contains(char::REPLACEMENT_CHARACTER) {
            self.notices.push("Letters shown as “\u{fffd}” could not be read.".to_string());
        }
        if self.dialect.is_some_and(|dialect| dialect != Dialect::A1111) {
            return text.trim().to_string();
        }
        // LoRAs stay in the prompt: whether they are here, the drawing says.
        for notice in prompt::notices(Dialect::A1111, &networks::without(text, |_| true)) {
            if !self.notices.contains(&notice) {
                self.notices.push(notice);
            }
        }
        prompt::without_other_networks(text).trim().to_string()
    }

    /// A number, or a sentence about what stands in its place.
    fn number<T: std::str::FromStr>(&mut self, key: &str, value: &str) -> Option<T> {
        let number = value.trim().parse().ok();
        if number.is_none() {
            self.notices.push(format!("{key} is “{}”, which is no number that can be used.", brief(value)));
        }
        number
    }

    /// `512x768`.
    fn take_size(&mut self, value: &str) {
        let sides =
            value.split_once('x').and_then(|(w, h)| Some((w.trim().parse().ok()?, h.trim().parse().ok()?)));
        match sides {
            Some((width, height)) => (self.width, self.height) = (Some(width), Some(height)),
            None => self.notices.push(format!("Size is “{}”, which is no size.", brief(value))),
        }
    }

    /// Along which axes a picture is a tile, or a sentence about what stands there.
    fn take_tiling(&mut self, value: &str) {
        match Tiling::from_value(value) {
            Some(tiling) => self.tiling = Some(tiling.name()),
            None => self.notices.push(format!("{TILING} is “{}”, which is none here.", brief(value))),
        }
    }

    /// Sentences about names that have no use here.
    fn tell_unused(&mut self, names: &[&str]) {
        const NAMED: usize = 20;
        if names.is_empty() {
            return;
        }
        let listed: Vec<String> = names.iter().take(NAMED).map(|name| brief(name)).collect();
        let more =
            if names.len() > NAMED { format!(" and {} more", names.len() - NAMED) } else { String::new() };
        self.notices.push(format!("Not used here: {}{more}.", listed.join(", ")));
    }
}

/// At most so much as a sentence can hold.
fn brief(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests;
