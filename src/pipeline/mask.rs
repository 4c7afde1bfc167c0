//! Drawing a part of a picture anew (inpainting): which part, what is there before, and what stays as it was.

use std::sync::Arc;

use super::request::Request;
use super::start::{Picture, opaque, planes};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::image::{Filter, Placement, Rgba, blur, resize};

/// Which part of a picture is drawn anew, as diffusers' `StableDiffusionInpaintPipeline`.
#[derive(Debug, Clone)]
pub struct Mask {
    /// White is drawn anew, black and what is transparent stays; brought to the picture's size where it has another.
    pub image: Arc<Rgba>,
    /// How soft its edge is: the standard deviation of a Gaussian in pixels of the picture; 0 leaves it as it is.
    pub blur: f64,
    pub content: MaskedContent,
    /// How grey it is says how much of the run a place takes part in, not how much of what is drawn is seen there (E. Levin,
    /// O. Fried, "Differential Diffusion", <https://arxiv.org/abs/2306.00950>).
    pub differential: bool,
}

/// What is in the place of what is drawn anew before the run begins. A1111's choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MaskedContent {
    /// The picture.
    #[default]
    Original,
    /// The run's noise.
    Noise,
    /// Latents of 0.
    Zero,
    /// The colours around, blurred.
    Fill,
}

impl MaskedContent {
    pub const ALL: [MaskedContent; 4] =
        [MaskedContent::Original, MaskedContent::Noise, MaskedContent::Zero, MaskedContent::Fill];

    pub fn name(self) -> &'static str {
        match self {
            MaskedContent::Original => "original",
            MaskedContent::Noise => "noise",
            MaskedContent::Zero => "zero",
            MaskedContent::Fill => "fill",
        }
    }
}

impl Mask {
    /// The softest edge, in pixels.
    pub const MAX_BLUR: f64 = 64.0;
    /// A1111's.
    pub const DEFAULT_BLUR: f64 = 4.0;

    /// The usual way, of all of which something else can be asked.
    pub fn new(image: impl Into<Arc<Rgba>>) -> Mask {
        Mask {
            image: image.into(),
            blur: Mask::DEFAULT_BLUR,
            content: MaskedContent::default(),
            differential: false,
        }
    }

    pub(super) fn check(&self, config: &ModelConfig) -> Result<()> {
        let invalid = |field, message| Err(Error::InvalidInput { field, message });
        if !(0.0..=Mask::MAX_BLUR).contains(&self.blur) {
            return invalid(
                "mask_blur",
                format!("{} asked for, expected 0 to {}", self.blur, Mask::MAX_BLUR),
            );
        }
        if self.differential && config.is_inpainting() {
            let message = format!("{} reads the mask by itself, as black or white", config.name);
            return invalid("differential", message);
        }
        Ok(())
    }

    /// `[height, width]` of a picture of that size: 255 is drawn anew.
    fn at_size(&self, size: [usize; 2]) -> Vec<u8> {
        let grey = |pixel: &[u8]| {
            let light = 299 * u32::from(pixel[0]) + 587 * u32::from(pixel[1]) + 114 * u32::from(pixel[2]);
            ((light + 500) / 1000 * u32::from(pixel[3]) / 255) as u8
        };
        let own: Vec<u8> = self.image.pixels.chunks_exact(4).map(grey).collect();
        let sized = resize(&own, 1, [self.image.width, self.image.height], size, Filter::Triangle);
        blur(&sized, size, self.blur)
    }
}

/// The picture of a request where it is drawn, and which part of it.
pub(super) struct Canvas<'a> {
    picture: &'a Picture,
    placement: Placement,
    masked: Option<Masked<'a>>,
}

/// A mask at every size at which it is read.
struct Masked<'a> {
    mask: &'a Mask,
    /// At the picture's own, `[height, width]`: what lies beyond the canvas stays as it was.
    own: Vec<u8>,
    /// On the canvas, `[height, width]`.
    canvas: Vec<u8>,
    /// Of the latents, `[h, w]` from 0 to 1: as much as the mask has anywhere in the pixels of each.
    latents: Vec<f32>,
}

impl<'a> Canvas<'a> {
    /// The canvas of a request that begins from a picture; refuses a mask that leaves nothing to draw.
    pub fn new(request: &'a Request, config: &ModelConfig) -> Result<Option<Canvas<'a>>> {
        let Some(picture) = &request.picture else { return Ok(None) };
        let placement = picture.placement(request.width, request.height);
        let masked = picture.mask.as_ref().map(|mask| Masked::new(mask, &placement, config.vae.scale()));
        if masked.as_ref().is_some_and(|masked| masked.own.iter().all(|value| *value == 0)) {
            let message = "nothing of it is white where the picture is drawn; what is white is drawn anew";
            return Err(Error::InvalidInput { field: "mask", message: message.to_string() });
        }
        Ok(Some(Canvas { picture, placement, masked }))
    }

    /// The mask of latents `[h, w]`, where there is one.
    pub fn mask(&self) -> Option<&[f32]> {
        self.masked.as_ref().map(|masked| masked.latents.as_slice())
    }

    /// What of the latents `[h, w]` is taken from a run after its step `step` of `steps`; the rest is the picture's.
    pub fn drawn_after(&self, step: usize, steps: usize) -> Vec<f32> {
        let Some(Masked { mask, latents, .. }) = &self.masked else { return Vec::new() };
        if !mask.differential {
            return latents.clone();
        }
        let done = (step + 1) as f32 / steps as f32;
        let drawn = |m: &f32| if step + 1 == steps { *m > 0.0 } else { 1.0 - m <= done };
        latents.iter().map(|m| f32::from(u8::from(drawn(m)))).collect()
    }

    /// What the autoencoder is given, `[3, height, width]` in [-1, 1].
    pub fn planes(&self) -> Vec<f32> {
        let mut rgb = self.rgb();
        if let Some(Masked { mask, canvas, .. }) = &self.masked
            && mask.content == MaskedContent::Fill
        {
            rgb = filled(&rgb, canvas, self.placement.canvas);
        }
        planes(&rgb)
    }

    /// The same without what is drawn anew: 0 is there.
    pub fn planes_around(&self) -> Vec<f32> {
        let mut planes = planes(&self.rgb());
        let hidden = self.masked.iter().flat_map(|masked| masked.canvas.iter().enumerate());
        let pixels = planes.len() / 3;
        for (at, _) in hidden.filter(|(_, value)| **value >= HALF) {
            (0..3).for_each(|c| planes[c * pixels + at] = 0.0);
        }
        planes
    }

    fn rgb(&self) -> Vec<u8> {
        self.placement.laid(&opaque(&self.picture.image), 3, Filter::Lanczos)
    }

    /// Clean latents `[batch, c, h, w]` that a run begins from, of those of the picture and the run's noise.
    pub fn content(&self, latents: &[f32], noise: &[f32]) -> Vec<f32> {
        let share = match self.masked.as_ref().map(|masked| masked.mask.content) {
            Some(MaskedContent::Noise) => 1.0,
            Some(MaskedContent::Zero) => 0.0,
            Some(MaskedContent::Original | MaskedContent::Fill) | None => return latents.to_vec(),
        };
        let mask = self.mask().unwrap_or_default();
        let pairs = latents.iter().zip(noise).zip(mask.iter().cycle());
        pairs.map(|((x, z), m)| x * (1.0 - m) + share * z * m).collect()
    }

    /// What of the latents a UNet that reads the mask is told to draw, `[h, w]`: 0 or 1.
    pub fn told(&self, scale: usize) -> Vec<f32> {
        let Some(Masked { canvas, .. }) = &self.masked else { return Vec::new() };
        let [width, _] = self.placement.canvas;
        most(canvas, width, scale).into_iter().map(|value| f32::from(u8::from(value >= HALF))).collect()
    }

    /// What was drawn as the caller gets it: with a mask the picture at its own size, of which only that part is new.
    pub fn finished(&self, drawn: Rgba) -> Result<Rgba> {
        let Some(Masked { own, .. }) = &self.masked else { return Ok(drawn) };
        let picture = &self.picture.image;
        let lifted = self.placement.lifted(&drawn.pixels, picture);
        let mut pixels = picture.pixels.clone();
        for ((pixel, new), share) in pixels.chunks_exact_mut(4).zip(lifted.chunks_exact(4)).zip(own) {
            let share = u32::from(*share);
            let between = |old: u8, new: u8| {
                ((u32::from(old) * (255 - share) + u32::from(new) * share + 127) / 255) as u8
            };
            pixel.iter_mut().zip(new).for_each(|(old, new)| *old = between(*old, *new));
        }
        Rgba::new(picture.width, picture.height, pixels)
    }
}

/// From here on a mask that knows only black and white is white.
const HALF: u8 = 128;

impl<'a> Masked<'a> {
    fn new(mask: &'a Mask, placement: &Placement, scale: usize) -> Masked<'a> {
        let mut own = mask.at_size(placement.picture);
        for (at, value) in own.iter_mut().enumerate().filter(|(_, value)| **value > 0) {
            if !placement.shows([at % placement.picture[0], at / placement.picture[0]]) {
                *value = 0;
            }
        }
        let canvas = placement.laid(&own, 1, Filter::Triangle);
        let latents = most(&canvas, placement.canvas[0], scale);
        let latents = latents.into_iter().map(|value| f32::from(value) / 255.0).collect();
        Masked { mask, own, canvas, latents }
    }
}

/// The largest of each square of `scale` pixels of values `[height, width]`.
fn most(values: &[u8], width: usize, scale: usize) -> Vec<u8> {
    let mut largest = vec![0; values.len() / (scale * scale)];
    for (at, value) in values.iter().enumerate() {
        let cell = &mut largest[at / width / scale * (width / scale) + at % width / scale];
        *cell = (*cell).max(*value);
    }
    largest
}

/// Red, green and blue by how far they are known, and that: 0 to 1.
type Known = [f32; 4];

/// A picture `[height, width, 3]` with what a mask hides made of the colours around, the softer the farther they are: averages
/// of ever larger squares, of which each place takes the smallest in which something is known (push and pull, Gortler et al.
/// 1996).
fn filled(rgb: &[u8], mask: &[u8], [width, height]: [usize; 2]) -> Vec<u8> {
    let known = |(pixel, hidden): (&[u8], &u8)| -> Known {
        let share = 1.0 - f32::from(*hidden) / 255.0;
        [f32::from(pixel[0]) * share, f32::from(pixel[1]) * share, f32::from(pixel[2]) * share, share]
    };
    let finest: Vec<Known> = rgb.chunks_exact(3).zip(mask).map(known).collect();
    let whole = pulled(&finest, width, height);
    whole.into_iter().flat_map(|pixel| [0, 1, 2].map(|c| (pixel[c] + 0.5) as u8)).collect()
}

fn pulled(level: &[Known], width: usize, height: usize) -> Vec<Known> {
    const GREY: f32 = 127.5;
    if level.len() == 1 {
        let [r, g, b, share] = level[0];
        return vec![if share > 0.0 {
            [r / share, g / share, b / share, 1.0]
        } else {
            [GREY, GREY, GREY, 1.0]
        }];
    }
    let (wide, high) = (width.div_ceil(2), height.div_ceil(2));
    let mut coarse = vec![Known::default(); wide * high];
    for (at, pixel) in level.iter().enumerate() {
        let cell = &mut coarse[at / width / 2 * wide + at % width / 2];
        cell.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
    }
    for cell in coarse.iter_mut().filter(|cell| cell[3] > 1.0) {
        *cell = cell.map(|value| value / cell[3]);
    }
    let coarse = pulled(&coarse, wide, high);
    // Between the four nearest of the coarser level.
    let nearest = |i: usize, len: usize| {
        let other = if i.is_multiple_of(2) { (i / 2).saturating_sub(1) } else { (i / 2 + 1).min(len - 1) };
        [(i / 2, 0.75), (other, 0.25)]
    };
    let at = |(i, pixel): (usize, &Known)| -> Known {
        let mut whole = *pixel;
        for (y, down) in nearest(i / width, high) {
            for (x, across) in nearest(i % width, wide) {
                let share = (1.0 - pixel[3]) * down * across;
                whole.iter_mut().zip(coarse[y * wide + x]).for_each(|(sum, value)| *sum += share * value);
            }
        }
        whole
    };
    level.iter().enumerate().map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Resize;

    fn grey(width: usize, height: usize, value: impl Fn(usize, usize) -> u8) -> Rgba {
        let pixel = |i: usize| {
            let value = value(i % width, i / width);
            [value, value, value, 255]
        };
        Rgba { width, height, pixels: (0..width * height).flat_map(pixel).collect() }
    }

    /// White from x = 12 to 20.
    fn request(mask: Mask, picture: [usize; 2], resize: Resize) -> Request {
        let image = grey(picture[0], picture[1], |x, y| (x * 3 + y) as u8);
        Request {
            width: 32,
            height: 32,
            picture: Some(Picture { mask: Some(mask), resize, ..Picture::new(image, 0.5) }),
            ..super::super::common::tests::request(1, 0, None)
        }
    }

    fn sharp(width: usize, height: usize) -> Mask {
        let image = grey(width, height, |x, _| if (12..20).contains(&x) { 255 } else { 0 });
        Mask { blur: 0.0, ..Mask::new(image) }
    }

    fn config() -> ModelConfig {
        ModelConfig::builtin("sd15").expect("built in")
    }

    #[test]
    fn what_is_black_stays_to_the_byte() -> Result<()> {
        for (blur, picture, resize) in
            [(0.0, [32, 32], Resize::Just), (1.5, [40, 24], Resize::Crop), (2.0, [25, 31], Resize::Fill)]
        {
            let mask = Mask { blur, ..sharp(picture[0], picture[1]) };
            let request = request(mask, picture, resize);
            let canvas = Canvas::new(&request, &config())?.expect("a picture");
            let finished = canvas.finished(grey(32, 32, |_, _| 200))?;
            let old = &request.picture.as_ref().expect("a picture").image;
            assert_eq!((finished.width, finished.height), (picture[0], picture[1]));
            let masked = canvas.masked.as_ref().expect("a mask");
            let pixels = finished.pixels.chunks(4).zip(old.pixels.chunks(4)).zip(&masked.own);
            for (at, ((new, old), share)) in pixels.enumerate() {
                assert!(*share > 0 || new == old, "pixel {at}");
                assert!(*share < 255 || new[0] == 200, "pixel {at}: {new:?}");
            }
            let reach = (2.5 * blur + 0.5) as usize;
            assert!(masked.own.iter().enumerate().all(|(at, share)| {
                let x = at % picture[0];
                *share == 0 || (x + reach >= 12 && x < 20 + reach)
            }));
            assert!(masked.own.contains(&255) || blur > 0.0);
        }
        Ok(())
    }

    #[test]
    fn a_latent_is_drawn_where_the_mask_touches_it() -> Result<()> {
        let request = request(sharp(32, 32), [32, 32], Resize::Just);
        let canvas = Canvas::new(&request, &config())?.expect("a picture");
        assert_eq!(canvas.mask(), Some(&[0.0, 1.0, 1.0, 0.0].repeat(4)[..]));
        assert_eq!(canvas.told(8), [0.0, 1.0, 1.0, 0.0].repeat(4));
        let around = canvas.planes_around();
        let zero = |x: usize| around[x] == 0.0 && around[32 * 32 + x] == 0.0;
        assert!((0..32).all(|x| zero(x) == (12..20).contains(&x)));
        Ok(())
    }

    #[test]
    fn content_is_what_was_asked_for() -> Result<()> {
        let (latents, noise) = (vec![2.0; 16], vec![3.0; 16]);
        for (content, inside) in [
            (MaskedContent::Original, 2.0),
            (MaskedContent::Noise, 3.0),
            (MaskedContent::Zero, 0.0),
            (MaskedContent::Fill, 2.0),
        ] {
            let request = request(Mask { content, ..sharp(32, 32) }, [32, 32], Resize::Just);
            let canvas = Canvas::new(&request, &config())?.expect("a picture");
            assert_eq!(canvas.content(&latents, &noise), [2.0, inside, inside, 2.0].repeat(4), "{content:?}");
        }
        Ok(())
    }

    /// Between 0 and 40 lies what is between them, and nothing of what was hidden.
    #[test]
    fn a_fill_is_of_the_colours_around() {
        let rgb: Vec<u8> = (0..16 * 16)
            .flat_map(|i| {
                [if i % 16 < 4 {
                    0
                } else if i % 16 > 11 {
                    40
                } else {
                    255
                }; 3]
            })
            .collect();
        let mask: Vec<u8> = (0..16 * 16).map(|i| if (4..12).contains(&(i % 16)) { 255 } else { 0 }).collect();
        let filled = filled(&rgb, &mask, [16, 16]);
        let row: Vec<u8> = (0..16).map(|x| filled[(8 * 16 + x) * 3]).collect();
        assert!(row[..4] == [0; 4] && row[12..] == [40; 4], "{row:?}");
        assert!(row.is_sorted() && row[7] > 5 && row[8] < 35, "{row:?}");
        assert_eq!(super::filled(&rgb, &[255; 256], [16, 16])[0], 128, "nothing is known");
    }

    /// As the authors have it: what is as grey as `m` takes part in the last `m` of the steps.
    #[test]
    fn a_differential_mask_opens_step_by_step() -> Result<()> {
        let image = grey(32, 32, |x, _| [0, 64, 128, 255][x / 8]);
        let mask = Mask { blur: 0.0, differential: true, ..Mask::new(image) };
        let request = request(mask, [32, 32], Resize::Just);
        let canvas = Canvas::new(&request, &config())?.expect("a picture");
        let after = |step| canvas.drawn_after(step, 4)[..4].to_vec();
        assert_eq!(after(0), [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(after(1), [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(after(2), [0.0, 1.0, 1.0, 1.0]);
        assert_eq!(after(3), [0.0, 1.0, 1.0, 1.0]);
        Ok(())
    }

    #[test]
    fn a_mask_that_leaves_nothing_is_refused() {
        let black = Mask::new(grey(7, 9, |_, _| 0));
        let error = |request: &Request| Canvas::new(request, &config()).err().map(|error| error.to_string());
        let said = error(&request(black, [32, 32], Resize::Just)).expect("refused");
        assert!(said.starts_with("mask: nothing of it is white"), "{said}");
        // White only where the picture is cut off.
        let edge = Mask { blur: 0.0, ..Mask::new(grey(64, 32, |x, _| if x < 8 { 255 } else { 0 })) };
        assert!(error(&request(edge.clone(), [64, 32], Resize::Crop)).is_some());
        assert!(error(&request(edge, [64, 32], Resize::Just)).is_none());
    }
}
