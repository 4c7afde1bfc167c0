//! Shapes of pictures that are learnt from: as many pixels as the size asked for, in shapes of several aspects, of which a picture takes
//! the one most like its own (aspect ratio bucketing: NovelAI 2022, and kohya's sd-scripts, whose shapes these are at 512×512).

use crate::config::{Denoiser, ModelConfig};
use crate::error::{Error, Result};

/// Latents of a side below which a picture shows nothing.
const LEAST: usize = 8;
/// Sides are from the square's side divided by this to it times this.
const SPREAD: usize = 2;

/// The pixels that sides are a multiple of: latents that the denoiser halves on its way down, to the last.
pub(super) fn step(config: &ModelConfig) -> usize {
    let Denoiser::Unet(unet) = &config.denoiser;
    config.vae.scale() << unet.block_out_channels.len().saturating_sub(1)
}

/// Refuses a size that the model cannot learn at: width and height in pixels.
pub(super) fn check(config: &ModelConfig, [width, height]: [usize; 2]) -> Result<()> {
    let (step, least) = (step(config), LEAST * config.vae.scale());
    if [width, height].iter().all(|side| *side >= least && side.is_multiple_of(step)) {
        return Ok(());
    }
    let message = format!("{width}x{height} asked for, expected multiples of {step} from {least} on");
    Err(Error::InvalidInput { field: "size", message })
}

/// All shapes for a size, widths and heights in pixels.
pub(super) fn all(config: &ModelConfig, [width, height]: [usize; 2]) -> Vec<[usize; 2]> {
    shapes(width * height, step(config), LEAST * config.vae.scale())
}

fn shapes(area: usize, step: usize, least: usize) -> Vec<[usize; 2]> {
    let side = area.isqrt();
    let from = (side / SPREAD).max(least).next_multiple_of(step);
    let square = (side / step * step).max(from);
    let mut all = vec![[square; 2]];
    for width in (from..=SPREAD * side).step_by(step) {
        let height = (area / width).min(SPREAD * side) / step * step;
        if height >= from {
            all.extend([[width, height], [height, width]]);
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// The one most like a picture; its own where that is among them.
pub(super) fn of([width, height]: [usize; 2], all: &[[usize; 2]]) -> Option<[usize; 2]> {
    let aspect = |[width, height]: [usize; 2]| width as f64 / height.max(1) as f64;
    let far = |shape: &[usize; 2]| (aspect(*shape) - aspect([width, height])).abs();
    let own = all.iter().find(|shape| **shape == [width, height]);
    own.or_else(|| all.iter().min_by(|a, b| far(a).total_cmp(&far(b)))).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_kohyas_at_512() {
        // `make_bucket_resolutions((512, 512), 256, 1024, 64)` of sd-scripts.
        let wide = [[576, 448], [640, 384], [704, 320], [768, 320], [832, 256], [896, 256], [960, 256]];
        let wide = wide.into_iter().chain([[1024, 256]]);
        let mut expected = vec![[512, 512]];
        expected.extend(wide.flat_map(|[width, height]| [[width, height], [height, width]]));
        // 448 goes with 585, of which 576 is left; 320 with 819, 768; 256 with 1024.
        expected.sort_unstable();
        assert_eq!(shapes(512 * 512, 64, 64), expected);
    }

    #[test]
    fn a_toys_shapes_have_its_pixels_and_no_more() {
        let all = shapes(128 * 128, 32, 64);
        let wide: Vec<_> = all.iter().filter(|[width, height]| width >= height).collect();
        assert_eq!(wide, [&[128, 128], &[160, 96], &[192, 64], &[224, 64], &[256, 64]]);
        assert!(
            all.iter().all(|[width, height]| width * height <= 128 * 128 && all.contains(&[*height, *width]))
        );
        // So small a size has one shape.
        assert_eq!(shapes(64 * 64, 32, 64), [[64, 64]]);
    }

    #[test]
    fn a_picture_takes_the_shape_most_like_its_own() {
        let all = shapes(512 * 512, 64, 64);
        let shapes = [
            ([2000, 2000], [512, 512]),
            ([3000, 2000], [640, 384]),
            ([2000, 3000], [384, 640]),
            ([1920, 1080], [640, 384]),
            ([9000, 100], [1024, 256]),
            ([100, 9000], [256, 1024]),
            ([768, 320], [768, 320]),
        ];
        for (picture, shape) in shapes {
            assert_eq!(of(picture, &all), Some(shape), "{picture:?}");
        }
    }
}
