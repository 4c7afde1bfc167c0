//! Options of `opengen generate` that say what steers a run beside its prompt.

use std::path::PathBuf;

use opengen::error::Result;
use opengen::image::maps::Preprocessor;
use opengen::pipeline::{Control, Importance};
use opengen::weights::ControlSource;

use super::begin::named;
use crate::picture;

/// Maps, and the ControlNets that read them.
#[derive(clap::Args, Clone, Default)]
pub struct Controls {
    /// Steer the run by a map: a ControlNet in a file (safetensors) or a diffusers folder, and a PNG. In front of the PNG may
    /// stand how the map is made of it (canny=photo.png, or canny,50,150=photo.png with other thresholds; lineart, scribble,
    /// color, tile, inpaint); behind it, in any order, how much the map counts (0 to 2, 1 if left out), from which share of
    /// the steps to which (0-0.6), and what is more important, prompt or control. Repeat it for several.
    #[arg(
        long = "control",
        value_name = "MODEL:[MAP=]PICTURE.png[:STRENGTH][:FROM-TO][:prompt|:control]",
        value_parser = control
    )]
    controls: Vec<Named>,
}

/// One of them, as the command line has it.
#[derive(Clone, Debug, PartialEq)]
struct Named {
    model: PathBuf,
    map: PathBuf,
    preprocessor: Preprocessor,
    strength: f64,
    share: [f64; 2],
    importance: Importance,
}

impl Controls {
    /// The ControlNets, each once.
    pub fn sources(&self) -> Result<Vec<ControlSource>> {
        self.models().into_iter().map(|path| ControlSource::open(path)).collect()
    }

    /// The maps as a request has them.
    pub fn read(&self) -> Result<Vec<Control>> {
        let models = self.models();
        let one = |named: &Named| {
            let model = models.iter().position(|path| **path == named.model).unwrap_or_default();
            let [start, end] = named.share;
            let control = Control::new(model, picture::read(&named.map)?, named.strength);
            let Named { preprocessor, importance, .. } = *named;
            Ok(Control { preprocessor, start, end, importance, ..control })
        };
        self.controls.iter().map(one).collect()
    }

    fn models(&self) -> Vec<&PathBuf> {
        let mut models: Vec<&PathBuf> = Vec::new();
        for Named { model, .. } in &self.controls {
            if !models.contains(&model) {
                models.push(model);
            }
        }
        models
    }
}

/// `MODEL:canny=PICTURE.png:0.8:0-0.6:prompt`: what stands last is read first, so that paths may have colons of their own.
fn control(text: &str) -> std::result::Result<Named, String> {
    let told = || {
        format!(
            "{text:?} is no control; expected MODEL:MAP.png:STRENGTH:FROM-TO such as canny.safetensors:map.png:0.8:0-0.6"
        )
    };
    let mut rest = text;
    let (mut strength, mut share, mut importance) = (None, None, None);
    let map = loop {
        let (before, last) = rest.rsplit_once(':').ok_or_else(told)?;
        let again = if let Ok(number) = last.parse::<f64>() {
            strength.replace(number).is_some()
        } else if let Some(steps) = from_to(last) {
            share.replace(steps).is_some()
        } else if let Ok(word) = named(last, &Importance::ALL.map(|kind| (kind.name(), kind))) {
            importance.replace(word).is_some()
        } else {
            rest = before;
            break last;
        };
        if again {
            return Err(told());
        }
        rest = before;
    };
    if rest.is_empty() || map.is_empty() {
        return Err(told());
    }
    // A picture's own name may have such a sign, too.
    let (preprocessor, map) = match map.split_once('=') {
        Some((name, picture)) if name.starts_with("canny,") => (name.parse()?, picture),
        Some((name, picture)) => name.parse().map_or((Preprocessor::None, map), |kind| (kind, picture)),
        None => (Preprocessor::None, map),
    };
    Ok(Named {
        model: rest.into(),
        map: map.into(),
        preprocessor,
        strength: strength.unwrap_or(1.0),
        share: share.unwrap_or([0.0, 1.0]),
        importance: importance.unwrap_or_default(),
    })
}

/// `0.1-0.6`.
fn from_to(text: &str) -> Option<[f64; 2]> {
    let (from, to) = text.split_once('-')?;
    Some([from.parse().ok()?, to.parse().ok()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_is_read_from_its_end() {
        let plain = Named {
            model: "a.safetensors".into(),
            map: "m.png".into(),
            preprocessor: Preprocessor::None,
            strength: 1.0,
            share: [0.0, 1.0],
            importance: Importance::Balanced,
        };
        assert_eq!(control("a.safetensors:m.png"), Ok(plain.clone()));
        let more = Named { strength: 0.8, share: [0.0, 0.6], importance: Importance::Control, ..plain };
        assert_eq!(control("a.safetensors:m.png:0.8:0-0.6:control"), Ok(more.clone()));
        assert_eq!(control("a.safetensors:m.png:control:0-0.6:0.8"), Ok(more.clone()));
        let canny = Named { preprocessor: Preprocessor::Canny { low: 50, high: 150 }, ..more.clone() };
        assert_eq!(control("a.safetensors:canny,50,150=m.png:0.8:0-0.6:control"), Ok(canny));
        let odd = Named { map: "a=m.png".into(), ..more.clone() };
        assert_eq!(control("a.safetensors:a=m.png:0.8:0-0.6:control"), Ok(odd));
        assert!(control("a:canny,5=m.png").is_err_and(|told| told.contains("canny,100,200")));
        let elsewhere = Named { model: r"C:\a".into(), ..more };
        assert_eq!(control(r"C:\a:m.png:0.8:0-0.6:control"), Ok(elsewhere));
        for wrong in ["m.png", "", ":m.png", "a:", "a:0.8", "a:m.png:0.8:0.9"] {
            assert!(control(wrong).is_err_and(|told| told.contains("MODEL:MAP.png")), "{wrong}");
        }
    }
}
