//! What steers a run beside its prompt: maps, each by a ControlNet.
//!
//! What a ControlNet gives is added to what the UNet keeps of its way down, by factors: the strength, 0 before the map begins
//! and after it ends, and where prompt or map shall count more, less for what is near the picture
//! ([`Importance`]). The factors are values of a run; a plan knows nothing of them.

use std::sync::Arc;

use super::picture::opaque;
use crate::config::{MAX_CONTROLS, ModelConfig};
use crate::error::{Error, Result};
use crate::image::maps::Preprocessor;
use crate::image::{Filter, Placement, Resize, Rgba};

/// The most that a map can count.
pub const MAX_CONTROL_STRENGTH: f64 = 2.0;

/// A map and what is asked of it, as diffusers' `StableDiffusionControlNetPipeline`.
#[derive(Debug, Clone)]
pub struct Control {
    /// Which of the model's ControlNets reads it ([`ModelConfig::controls`]).
    pub model: usize,
    /// The map, or a picture of which it is made; what is transparent shows white.
    pub image: Arc<Rgba>,
    /// How it is made, at the size at which the picture is drawn.
    pub preprocessor: Preprocessor,
    /// How it is brought to the size of the picture.
    pub resize: Resize,
    /// What the residuals are multiplied by, 0 to 2; at 0 the run is one without it.
    pub strength: f64,
    /// It counts from this share of the steps on, 0 to 1,
    pub start: f64,
    /// and up to this one.
    pub end: f64,
    pub importance: Importance,
}

/// What counts more, prompt or map: sd-webui-controlnet's "Control Mode".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Importance {
    #[default]
    Balanced,
    /// The nearer to the picture a residual is, the less it counts.
    Prompt,
    /// The same, and only where the denoiser sees the prompt, so that guidance makes it stronger: diffusers' `guess_mode`, whose
    /// first factor is 0.1 instead of 0.0994.
    Control,
}

/// By how much less a residual counts than the one behind it: of thirteen the first counts for a tenth. ControlNet's number:
/// <https://github.com/lllyasviel/ControlNet/blob/main/gradio_canny2image.py>.
const SOFTER: f64 = 0.825;

impl Importance {
    pub const ALL: [Importance; 3] = [Importance::Balanced, Importance::Prompt, Importance::Control];

    pub fn name(self) -> &'static str {
        match self {
            Importance::Balanced => "balanced",
            Importance::Prompt => "prompt",
            Importance::Control => "control",
        }
    }

    /// The one of sd-webui-controlnet's words.
    pub fn from_a1111_name(name: &str) -> Option<Importance> {
        Importance::ALL.into_iter().find(|kind| kind.a1111_name() == name)
    }

    /// sd-webui-controlnet's words for it.
    pub fn a1111_name(self) -> &'static str {
        match self {
            Importance::Balanced => "Balanced",
            Importance::Prompt => "My prompt is more important",
            Importance::Control => "ControlNet is more important",
        }
    }
}

impl Control {
    /// The usual way, of all of which something else can be asked.
    pub fn new(model: usize, image: impl Into<Arc<Rgba>>, strength: f64) -> Control {
        let (start, end) = (0.0, 1.0);
        let (resize, importance) = (Resize::Crop, Importance::default());
        let (image, preprocessor) = (image.into(), Preprocessor::None);
        Control { model, image, preprocessor, resize, strength, start, end, importance }
    }

    /// Whether it counts in step `i` of `steps`, as diffusers has it.
    pub(super) fn counts(&self, i: usize, steps: usize) -> bool {
        let share = |step: usize| step as f64 / steps as f64;
        self.strength > 0.0 && share(i) >= self.start && share(i + 1) <= self.end
    }

    /// By how much each of `residuals` is multiplied for each of `[copies, batch]` latents, those without the prompt first.
    pub(super) fn factors(&self, residuals: usize, [copies, batch]: [usize; 2]) -> Vec<f32> {
        let mut factors = Vec::with_capacity(residuals * copies * batch);
        for residual in 0..residuals {
            let softer = match self.importance {
                Importance::Balanced => 1.0,
                _ => SOFTER.powi((residuals - 1 - residual) as i32),
            };
            for copy in 0..copies {
                let unseen = self.importance == Importance::Control && copy + 1 < copies;
                let factor = if unseen { 0.0 } else { self.strength * softer };
                factors.extend(std::iter::repeat_n(factor as f32, batch));
            }
        }
        factors
    }

    /// The map `[3, height, width]` in [0, 1], -1 where it says nothing. `part` is what of the picture counts where only a part
    /// of one is drawn, and `mask`, `[height, width]`, what is drawn anew.
    pub(super) fn map(&self, size: [usize; 2], part: Option<Vec<u8>>, mask: Option<&[u8]>) -> Vec<f32> {
        let placement = Placement::new([self.image.width, self.image.height], size, self.resize);
        let rgb = part.unwrap_or_else(|| placement.laid(&opaque(&self.image), 3, Filter::Lanczos));
        let rgb = self.preprocessor.of(&rgb, size);
        let plane = |c: usize| rgb.chunks_exact(3).map(move |pixel| f32::from(pixel[c]) / 255.0);
        let mut map: Vec<f32> = (0..3).flat_map(plane).collect();
        if self.preprocessor == Preprocessor::Inpaint {
            // Without a mask it is what is transparent.
            let clear = || {
                let clear: Vec<u8> = self.image.pixels.chunks_exact(4).map(|pixel| 255 - pixel[3]).collect();
                placement.laid(&clear, 1, Filter::Triangle)
            };
            let mask = mask.map_or_else(clear, <[u8]>::to_vec);
            let open = map.iter_mut().zip(mask.iter().cycle()).filter(|(_, mask)| **mask >= 128);
            open.for_each(|(value, _)| *value = -1.0);
        }
        map
    }

    /// The map as a picture of `[width, height]`; where it says nothing, black.
    pub fn picture(&self, size: [usize; 2]) -> Result<Rgba> {
        let [width, height] = size;
        let map = self.map(size, None, None);
        let value = |at: usize, c: usize| (map[c * width * height + at].max(0.0) * 255.0).round() as u8;
        let pixels = (0..width * height).flat_map(|at| [value(at, 0), value(at, 1), value(at, 2), 255]);
        Rgba::new(width, height, pixels.collect())
    }

    /// What of it stands in a picture's metadata, in sd-webui-controlnet's words; `name` is the ControlNet's.
    pub(super) fn field(&self, name: &str) -> String {
        let mut words = vec![
            format!("Module: {}", self.preprocessor.a1111_name()),
            format!("Model: {name}"),
            format!("Weight: {}", self.strength),
            format!("Resize Mode: {}", a1111_resize(self.resize)),
        ];
        if let Preprocessor::Canny { low, high } = self.preprocessor {
            words.extend([format!("Threshold A: {low}"), format!("Threshold B: {high}")]);
        }
        words.extend([
            format!("Guidance Start: {}", self.start),
            format!("Guidance End: {}", self.end),
            "Pixel Perfect: True".to_string(),
            format!("Control Mode: {}", self.importance.a1111_name()),
        ]);
        words.join(", ")
    }

    fn check(&self, config: &ModelConfig) -> Result<()> {
        let invalid = |message| Err(Error::InvalidInput { field: "controls", message });
        let Control { model, strength, start, end, .. } = *self;
        if model >= config.controls.len() {
            return invalid(match config.controls.len() {
                0 => "there is a map, but no ControlNet to read it; give one with it".to_string(),
                count => format!("ControlNet {} is asked for, and there are {count}", model + 1),
            });
        }
        if !(0.0..=MAX_CONTROL_STRENGTH).contains(&strength) {
            return invalid(format!(
                "a strength of {strength} asked for, expected 0 to {MAX_CONTROL_STRENGTH}"
            ));
        }
        if !(0.0..=1.0).contains(&start) || !(0.0..=1.0).contains(&end) || start >= end {
            return invalid(format!(
                "it counts from {start} to {end} of the steps, expected two numbers from 0 to 1, the smaller first"
            ));
        }
        Ok(())
    }
}

/// Refuses maps that cannot steer a model.
pub(super) fn check(controls: &[Control], config: &ModelConfig) -> Result<()> {
    if controls.len() > MAX_CONTROLS {
        let message = format!("{} asked for, expected at most {MAX_CONTROLS}", controls.len());
        return Err(Error::InvalidInput { field: "controls", message });
    }
    controls.iter().try_for_each(|control| control.check(config))
}

/// sd-webui-controlnet's words for how a map is brought to the size of the picture.
pub(super) fn a1111_resize(resize: Resize) -> &'static str {
    match resize {
        Resize::Just => "Just Resize",
        Resize::Crop => "Crop and Resize",
        Resize::Fill => "Resize and Fill",
    }
}

/// The name of a field of a picture's metadata, without its number.
pub(super) const FIELD: &str = "ControlNet";

/// Those that count in any of so many steps, with so many before them that count too.
pub(super) fn counting(controls: &[Control], before: usize, steps: usize) -> impl Iterator<Item = &Control> {
    let all = before + steps;
    controls.iter().filter(move |control| (before..all).any(|i| control.counts(i, all)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(strength: f64, start: f64, end: f64) -> Control {
        let image = Rgba { width: 1, height: 1, pixels: vec![255; 4] };
        Control { start, end, ..Control::new(0, image, strength) }
    }

    /// `[1.0 - float(i / n < s or (i + 1) / n > e) for i in range(n)]` of diffusers' pipeline.
    #[test]
    fn a_map_counts_in_the_steps_that_diffusers_has_it_count_in() {
        let counts = |control: Control, steps| -> Vec<usize> {
            (0..steps).filter(|i| control.counts(*i, steps)).collect()
        };
        assert_eq!(counts(control(1.0, 0.0, 1.0), 4), [0, 1, 2, 3]);
        assert_eq!(counts(control(1.0, 0.25, 0.8), 6), [2, 3]);
        assert_eq!(counts(control(1.0, 0.0, 0.6), 5), [0, 1, 2]);
        assert_eq!(counts(control(1.0, 0.5, 0.6), 3), [0; 0]);
        assert_eq!(counts(control(0.0, 0.0, 1.0), 4), [0; 0]);
        let several = [control(1.0, 0.9, 1.0), control(0.5, 0.0, 1.0), control(0.0, 0.0, 1.0)];
        assert_eq!(counting(&several, 0, 4).map(|control| control.strength).collect::<Vec<_>>(), [0.5]);
        let early = [control(1.0, 0.0, 0.4)];
        assert_eq!([2, 1].map(|before| counting(&early, before, 5 - before).count()), [0, 1]);
    }

    #[test]
    fn what_is_drawn_anew_is_left_open() {
        let pixels = [[0, 51, 255, 255], [255, 0, 0, 0]].concat();
        let image = Rgba { width: 2, height: 1, pixels };
        let control = Control { preprocessor: Preprocessor::Inpaint, ..Control::new(0, image, 1.0) };
        assert_eq!(control.map([2, 1], None, Some(&[255, 0])), [-1.0, 1.0, -1.0, 1.0, -1.0, 1.0]);
        assert_eq!(
            control.map([2, 1], None, None),
            [0.0, -1.0, 0.2, -1.0, 1.0, -1.0],
            "by what is transparent"
        );
    }

    #[test]
    fn what_is_more_important_counts_less_near_the_picture_or_not_without_the_prompt() {
        let of =
            |importance, copies| Control { importance, ..control(0.5, 0.0, 1.0) }.factors(13, [copies, 2]);
        assert_eq!(of(Importance::Balanced, 2), [0.5; 52]);
        let prompt = of(Importance::Prompt, 2);
        assert_eq!(prompt[48..], [0.5; 4]);
        assert!((prompt[0] - 0.5 * 0.825f32.powi(12)).abs() < 1e-7 && prompt[0] == prompt[3]);
        let control = of(Importance::Control, 2);
        assert_eq!((&control[..2], control[2], control[3]), (&[0.0; 2][..], prompt[2], prompt[3]));
        assert_eq!(
            of(Importance::Control, 1),
            of(Importance::Prompt, 1),
            "without guidance all see the prompt"
        );
    }
}
