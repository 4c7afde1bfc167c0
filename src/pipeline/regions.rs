//! Where in the picture each prompt of several counts.
//!
//! As ComfyUI's masked conditioning: in each cell of the latents the predictions of all prompts are averaged, each weighed by its
//! mask times its strength. What guidance spreads is that average. A prompt without a region is everywhere; where none
//! is, ComfyUI's average is 0 / 0, and here the prediction without a prompt stands alone.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::canvas::Canvas;
use super::limits::{MAX_REGION_WEIGHT, MAX_REGIONS};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::image::{Interpolation, Rgba, interpolate};
use crate::prompt::Component;

/// A region in which a prompt counts; of several of one prompt it has all, and where they meet their sum.
#[derive(Debug, Clone)]
pub struct Region {
    /// Which of the prompts joined by `AND`, counted from 1.
    pub part: usize,
    pub place: Place,
    /// By how much it counts there beside others, 0 to [`MAX_REGION_WEIGHT`]; the prompt's own weight if left out.
    pub weight: Option<f64>,
}

/// What of a picture it is.
#[derive(Debug, Clone)]
pub enum Place {
    /// Left, top, width and height in shares of the picture, 0 to 1.
    Rect([f64; 4]),
    /// White is in it, black and what is transparent is not, grey is by so much; stretched over the picture where it has another
    /// size.
    Mask(Arc<Rgba>),
}

/// The name of the field of a picture's metadata.
pub(super) const FIELD: &str = "Regions";
/// Between two of them in there.
pub(super) const BETWEEN: &str = "; ";
/// What stands there for a mask.
pub(super) const MASK: &str = "mask";
/// What rounding may add up to.
const SLACK: f64 = 1e-6;

impl fmt::Display for Region {
    /// `2:0.5,0,0.5,1:0.8`; in the place of a mask stands that it is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.part)?;
        match &self.place {
            Place::Rect([left, top, width, height]) => write!(f, "{left},{top},{width},{height}")?,
            Place::Mask(_) => write!(f, "{MASK}")?,
        }
        self.weight.map_or(Ok(()), |weight| write!(f, ":{weight}"))
    }
}

impl FromStr for Region {
    type Err = String;

    /// `2:0.5,0,0.5,1:0.8`, a rectangle.
    fn from_str(text: &str) -> std::result::Result<Region, String> {
        let told = || {
            format!(
                "{text:?} is no region; expected PART:LEFT,TOP,WIDTH,HEIGHT:WEIGHT such as 2:0.5,0,0.5,1:0.8"
            )
        };
        let (part, place, weight) = split(text).ok_or_else(told)?;
        let sides: Option<Vec<f64>> = place.split(',').map(|side| side.trim().parse().ok()).collect();
        let sides = sides.and_then(|sides| sides.try_into().ok()).ok_or_else(told)?;
        Ok(Region { part, place: Place::Rect(sides), weight })
    }
}

/// `PART:PLACE:WEIGHT`, of which the weight may be left out: what stands in between may have colons of its own.
pub fn split(text: &str) -> Option<(usize, &str, Option<f64>)> {
    let (part, rest) = text.trim().split_once(':')?;
    let last = rest.rsplit_once(':').and_then(|(place, weight)| Some((place, weight.trim().parse().ok()?)));
    let (place, weight) = last.map_or((rest, None), |(place, weight)| (place, Some(weight)));
    (!place.is_empty()).then_some((part.trim().parse().ok()?, place, weight))
}

impl Place {
    /// How much of it each cell of latents `[h, w]` has, 0 to 1. Of a canvas that shows a part of a picture it is what lies there.
    fn cells(&self, latents: [usize; 2], canvas: Option<&Canvas<'_>>) -> Vec<f64> {
        let seen = canvas.and_then(|canvas| Some((canvas.part(&self.view(canvas.whole()))?, canvas.size())));
        if let Some((rgb, size)) = seen {
            let grey: Vec<u8> = rgb.chunks_exact(3).map(|pixel| pixel[0]).collect();
            return shrunk(&grey, size, latents);
        }
        let [w, h] = latents;
        match self {
            Place::Rect([left, top, width, height]) => {
                let (across, down) = (covered(*left, *width, w), covered(*top, *height, h));
                down.iter().flat_map(|y| across.iter().map(move |x| x * y)).collect()
            }
            Place::Mask(image) => shrunk(&image.light(), [image.width, image.height], latents),
        }
    }

    /// It as a picture, white on black: a rectangle of this size, a mask of its own.
    fn view(&self, size: [usize; 2]) -> Rgba {
        let ([width, height], grey) = match self {
            Place::Mask(image) => ([image.width, image.height], image.light()),
            Place::Rect([left, top, wide, high]) => {
                let (across, down) = (covered(*left, *wide, size[0]), covered(*top, *high, size[1]));
                let grey = |y: &f64| across.iter().map(|x| (x * y * 255.0).round() as u8).collect::<Vec<_>>();
                (size, down.iter().flat_map(grey).collect())
            }
        };
        Rgba { width, height, pixels: grey.iter().flat_map(|grey| [*grey, *grey, *grey, 255]).collect() }
    }
}

/// How much of each of `n` cells a stretch from a share of them on has.
fn covered(from: f64, length: f64, n: usize) -> Vec<f64> {
    let (from, to) = (from * n as f64, (from + length) * n as f64);
    let share = |i: usize| (to.min(i as f64 + 1.0) - from.max(i as f64)).clamp(0.0, 1.0);
    // What rounding leaves of a cell beyond an edge is none of it.
    (0..n).map(share).map(|share| if share < SLACK { 0.0 } else { share }).collect()
}

/// How white each cell is of a mask `[height, width]`, as ComfyUI shrinks one: PyTorch's bilinear without antialiasing.
fn shrunk(mask: &[u8], size: [usize; 2], latents: [usize; 2]) -> Vec<f64> {
    let grey: Vec<f32> = mask.iter().map(|grey| f32::from(*grey) / 255.0).collect();
    let cells = interpolate(&grey, size, latents, Interpolation::Bilinear, [false; 2]);
    cells.into_iter().map(f64::from).map(|cell| if cell < SLACK { 0.0 } else { cell }).collect()
}

/// By what each prompt counts in each cell of latents of width and height, `[prompts, h, w]`, of all 1 where any is; `weights`
/// are the prompts' own.
pub(super) fn shares(
    regions: &[Region],
    weights: &[f32],
    latents: [usize; 2],
    canvas: Option<&Canvas<'_>>,
) -> Vec<f32> {
    let cells = latents[0] * latents[1];
    let mut maps: Vec<Vec<f64>> = Vec::with_capacity(weights.len());
    for (index, own) in weights.iter().map(|own| f64::from(*own)).enumerate() {
        let mut its = regions.iter().filter(|region| region.part == index + 1).peekable();
        let mut map = vec![if its.peek().is_some() { 0.0 } else { own }; cells];
        for region in its {
            let weight = region.weight.unwrap_or(own);
            let place = region.place.cells(latents, canvas);
            map.iter_mut().zip(place).for_each(|(sum, cell)| *sum += weight * cell);
        }
        maps.push(map);
    }
    let sums: Vec<f64> = (0..cells).map(|at| maps.iter().map(|map| map[at]).sum()).collect();
    let share = |(value, sum): (f64, &f64)| if *sum > 0.0 { (value / sum) as f32 } else { 0.0 };
    maps.into_iter().flat_map(|map| map.into_iter().zip(&sums).map(share)).collect()
}

/// Says where the picture has no prompt; `shares` as [`shares`] gives them.
pub(super) fn notice(shares: &[f32], prompts: usize) -> Option<String> {
    let cells = shares.len() / prompts.max(1);
    let bare = (0..cells).filter(|at| shares.iter().skip(*at).step_by(cells).all(|share| *share == 0.0));
    let percent = (100.0 * bare.count() as f64 / cells.max(1) as f64).ceil();
    (percent > 0.0).then(|| {
        format!(
            "No part of the prompt is in {percent} % of the picture, which is drawn there without one; a part without a region is \
             everywhere."
        )
    })
}

/// Refuses regions that a run cannot have; `parts` are the prompts.
pub(super) fn check(
    regions: &[Region],
    parts: &[Component],
    latents: [usize; 2],
    config: &ModelConfig,
) -> Result<()> {
    let invalid = |message: String| Err(Error::InvalidInput { field: "regions", message });
    if regions.is_empty() {
        return Ok(());
    }
    if regions.len() > MAX_REGIONS {
        return invalid(format!("{} given, at most {MAX_REGIONS} are taken", regions.len()));
    }
    if config.denoiser.guidance_channels().is_some() {
        let message =
            "this model follows a guidance scale by itself, and so one prompt everywhere; leave regions out";
        return invalid(message.to_string());
    }
    if let Some((index, part)) = parts.iter().enumerate().find(|(_, part)| part.weight < 0.0) {
        return invalid(format!(
            "part {} of the prompt has the weight {}; with regions parts are averaged, so a weight is 0 or more",
            index + 1,
            part.weight
        ));
    }
    regions.iter().try_for_each(|region| region.check(parts.len(), latents))
}

impl Region {
    fn check(&self, parts: usize, latents: [usize; 2]) -> Result<()> {
        let invalid = |message: String| Err(Error::InvalidInput { field: "regions", message });
        let Region { part, place, weight } = self;
        if !(1..=parts).contains(part) {
            let has = if parts == 1 { "one part".to_string() } else { format!("{parts} parts") };
            return invalid(format!(
                "there is a region for part {part}, and the prompt has {has}; parts are joined by AND, in A1111's dialect, and \
                 counted from 1"
            ));
        }
        if let Some(weight) = weight.filter(|weight| !(0.0..=MAX_REGION_WEIGHT).contains(weight)) {
            return invalid(format!(
                "the region of part {part} has the weight {weight}, expected 0 to {MAX_REGION_WEIGHT}"
            ));
        }
        match place {
            Place::Rect([left, top, width, height]) => {
                let fits =
                    |from: f64, length: f64| from >= 0.0 && length > 0.0 && from + length <= 1.0 + SLACK;
                if !fits(*left, *width) || !fits(*top, *height) {
                    return invalid(format!(
                        "the rectangle {left},{top},{width},{height} of part {part} is not in the picture; expected left, top, \
                         width and height in shares of it, such as 0.5,0,0.5,1 for its right half"
                    ));
                }
            }
            Place::Mask(image) => {
                if image.light().iter().all(|grey| *grey == 0) {
                    return invalid(format!(
                        "nothing of the mask of part {part} is white; make white where it shall be, or leave the mask out"
                    ));
                }
                if place.cells(latents, None).iter().all(|cell| *cell == 0.0) {
                    return invalid(format!(
                        "what is white in the mask of part {part} is too thin to be seen among {}×{} cells; make it wider",
                        latents[0], latents[1]
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rect(part: usize, sides: [f64; 4], weight: Option<f64>) -> Region {
        Region { part, place: Place::Rect(sides), weight }
    }

    fn mask(part: usize, width: usize, grey: &[u8]) -> Region {
        let pixels = grey.iter().flat_map(|grey| [*grey, *grey, *grey, 255]).collect();
        let image = Rgba { width, height: grey.len() / width, pixels };
        Region { part, place: Place::Mask(Arc::new(image)), weight: None }
    }

    #[test]
    fn prompts_are_averaged_in_each_cell_by_hand() {
        let halves = [rect(1, [0.0, 0.0, 0.5, 1.0], None), rect(2, [0.25, 0.0, 0.75, 1.0], Some(3.0))];
        assert_eq!(shares(&halves, &[1.0, 1.0], [4, 1], None), [1.0, 0.25, 0.0, 0.0, 0.0, 0.75, 1.0, 1.0]);
        let everywhere = shares(&halves[..1], &[0.5, 1.5], [2, 1], None);
        assert_eq!(everywhere, [0.25, 0.0, 0.75, 1.0], "the second has no region, and weights of their own");
        let bare = shares(&halves[..1], &[1.0], [4, 1], None);
        assert_eq!(bare, [1.0, 1.0, 0.0, 0.0]);
        assert_eq!(notice(&everywhere, 2), None);
        assert!(notice(&bare, 1).is_some_and(|said| said.contains("50 %")));
        let twice = [rect(1, [0.0, 0.0, 0.5, 1.0], None), rect(1, [0.5, 0.0, 0.5, 1.0], None)];
        assert_eq!(shares(&twice, &[1.0], [4, 1], None), [1.0; 4], "both are its");
    }

    #[test]
    fn rectangles_count_by_how_much_of_a_cell_they_have() {
        let place = |sides, latents| Place::Rect(sides).cells(latents, None);
        assert_eq!(place([0.125, 0.5, 0.375, 0.25], [4, 2]), [0.0, 0.0, 0.0, 0.0, 0.25, 0.5, 0.0, 0.0]);
        // 0.1 + 0.2 is more than 0.3.
        assert_eq!(place([0.1, 0.0, 0.2, 1.0], [10, 1]).iter().filter(|cell| **cell > 0.0).count(), 2);
    }

    /// `torch.nn.functional.interpolate(mask, size=(2, 2), mode="bilinear")`: of four values the two in the middle.
    #[test]
    fn masks_shrink_as_pytorch_shrinks_them() {
        let mut grey = [0u8; 64];
        (0..8).for_each(|y| (0..2).for_each(|x| grey[y * 8 + x] = 255));
        let Place::Mask(_) = mask(1, 8, &grey).place else { panic!("a mask") };
        assert_eq!(mask(1, 8, &grey).place.cells([2, 2], None), [0.5, 0.0, 0.5, 0.0]);
        grey.fill(255);
        assert!(mask(1, 8, &grey).place.cells([2, 2], None).iter().all(|cell| (cell - 1.0).abs() < 1e-6));
    }

    #[test]
    fn what_cannot_be_is_refused_in_sentences() -> Result<()> {
        let config = ModelConfig::builtin("sd15")?;
        let part = |weight| Component { text: "a".to_string(), weight };
        let parts = [part(1.0), part(0.5)];
        let said = |region: Region| {
            check(&[region], &parts, [8, 8], &config).err().map(|error| error.to_string()).unwrap_or_default()
        };
        let whole = [0.0, 0.0, 1.0, 1.0];
        assert_eq!(said(rect(2, whole, Some(10.0))), "");
        let mut thin = vec![0; 64 * 64];
        thin[..64].fill(255);
        for (region, words) in [
            (rect(3, whole, None), "part 3, and the prompt has 2 parts"),
            (rect(0, whole, None), "part 0"),
            (rect(1, whole, Some(-1.0)), "the weight -1, expected 0 to 10"),
            (rect(1, whole, Some(f64::NAN)), "the weight NaN"),
            (rect(1, [0.5, 0.0, 0.6, 1.0], None), "0.5,0,0.6,1 of part 1 is not in the picture"),
            (rect(1, [0.0, 0.0, 0.0, 1.0], None), "is not in the picture"),
            (rect(1, [f64::NAN, 0.0, 0.5, 1.0], None), "is not in the picture"),
            (mask(2, 8, &[0; 64]), "nothing of the mask of part 2 is white"),
            (mask(2, 64, &thin), "too thin"),
        ] {
            assert!(said(region).contains(words), "{words}");
        }
        let negative = check(&[rect(1, whole, None)], &[part(1.0), part(-0.5)], [8, 8], &config);
        assert!(
            negative
                .is_err_and(|error| error.to_string().contains("part 2 of the prompt has the weight -0.5"))
        );
        Ok(())
    }

    #[test]
    fn a_region_is_written_and_read() {
        for text in ["2:0.5,0,0.5,1:0.8", "1:0,0,0.25,1"] {
            assert_eq!(text.parse::<Region>().map(|region| region.to_string()), Ok(text.to_string()));
        }
        assert_eq!(mask(3, 1, &[255]).to_string(), "3:mask");
        assert_eq!(split(r"2:C:\a.png:0.5"), Some((2, r"C:\a.png", Some(0.5))));
        for wrong in ["", "2", "2:", "x:0,0,1,1", "2:0,0,1", "2:0,0,1,1:x", "2:0,0,1,1,1"] {
            assert!(wrong.parse::<Region>().is_err_and(|told| told.contains("PART:LEFT")), "{wrong}");
        }
    }
}
