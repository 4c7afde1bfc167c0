//! A picture with more room on its sides (outpainting): how it grows, what is there before a run, and where old becomes new.

use crate::error::{Error, Result};
use crate::image::{Filter, MAX_PIXELS, Rgba, resize};
use crate::pipeline::limits::{DEFAULT_OVERLAP, MAX_OVERLAP};
use crate::sample::Generator;

/// How far a picture grows on its sides. The new part is drawn, the old one stays but where it overlaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extend {
    /// Pixels of the picture on the left, on the top, on the right and on the bottom.
    pub sides: [usize; 4],
    /// Over so many pixels of the picture new becomes old; behind them nothing changes.
    pub overlap: usize,
}

impl Extend {
    /// On the left, on the top, on the right and on the bottom, with the usual overlap.
    pub fn by(sides: [usize; 4]) -> Extend {
        Extend { sides, overlap: DEFAULT_OVERLAP }
    }

    /// Width and height of a grown picture.
    pub fn size(&self, [width, height]: [usize; 2]) -> [usize; 2] {
        let [left, top, right, bottom] = self.sides;
        let grown =
            |side: usize, before: usize, after: usize| side.saturating_add(before).saturating_add(after);
        [grown(width, left, right), grown(height, top, bottom)]
    }

    pub(in crate::pipeline) fn check(&self, picture: [usize; 2]) -> Result<()> {
        let invalid = |field, message| Err(Error::InvalidInput { field, message });
        if self.sides == [0; 4] {
            let message = "0 pixels on every side; say on which side the picture shall grow, and by how many"
                .to_string();
            return invalid("extend", message);
        }
        let [width, height] = self.size(picture);
        if width.saturating_mul(height) > MAX_PIXELS {
            let most = MAX_PIXELS / 1_000_000;
            let message = format!(
                "the picture would have {width}×{height} pixels, up to {most} million are drawn on; extend it by less"
            );
            return invalid("extend", message);
        }
        if self.overlap > MAX_OVERLAP {
            return invalid(
                "overlap",
                format!("{} pixels asked for, expected 0 to {MAX_OVERLAP}", self.overlap),
            );
        }
        Ok(())
    }

    /// How far a place of the grown picture is beyond the old one, in pixels on the side where that is most; 0 in there.
    fn beyond(&self, [x, y]: [usize; 2], [width, height]: [usize; 2]) -> usize {
        let [left, top, ..] = self.sides;
        let side = |at: usize, before: usize, len: usize| {
            before.saturating_sub(at).max((at + 1).saturating_sub(before + len))
        };
        side(x, left, width).max(side(y, top, height))
    }

    /// What is drawn anew of the grown picture, `[height, width]`: its new part, what overlaps, and what `masked` has of the old one.
    pub(in crate::pipeline) fn mask(&self, picture: [usize; 2], masked: Option<&[u8]>) -> Vec<u8> {
        let [left, top, right, bottom] = self.sides;
        let [width, height] = self.size(picture);
        // From the middle of a pixel to the nearest side that grows.
        let inside = |[x, y]: [usize; 2]| {
            let ways = [(left, x), (top, y), (right, picture[0] - 1 - x), (bottom, picture[1] - 1 - y)];
            ways.into_iter()
                .filter(|(grows, _)| *grows > 0)
                .map(|(_, way)| way as f64 + 0.5)
                .fold(f64::INFINITY, f64::min)
        };
        let value = |at: usize| {
            let place = [at % width, at / width];
            if self.beyond(place, picture) > 0 {
                return 255;
            }
            let old = [place[0] - left, place[1] - top];
            let overlap = (1.0 - inside(old) / self.overlap as f64).max(0.0);
            masked
                .map_or(0, |masked| masked[old[1] * picture[0] + old[0]])
                .max((overlap * 255.0).round() as u8)
        };
        (0..width * height).map(value).collect()
    }

    /// The grown picture before anything is drawn: the new part mirrors the old one, the farther away the more blurred and the more
    /// noisy, so that colours go on and nothing is there twice.
    pub(super) fn grown(&self, picture: &Rgba, noise: &mut Generator) -> Rgba {
        /// Squares of so many pixels are one in what is blurred, in parts of the shorter side.
        const BLURRED: usize = 12;
        /// A standard deviation in steps of colour.
        const NOISE: f32 = 24.0;
        let old = [picture.width, picture.height];
        let size @ [width, height] = self.size(old);
        let mirrored = |at: usize, before: usize, len: usize| {
            let at = (at as isize - before as isize).rem_euclid(2 * len as isize) as usize;
            at.min(2 * len - 1 - at)
        };
        let [left, top, ..] = self.sides;
        let from = |[x, y]: [usize; 2]| (mirrored(y, top, old[1]) * old[0] + mirrored(x, left, old[0])) * 4;
        let mut pixels: Vec<u8> = (0..width * height)
            .flat_map(|at| &picture.pixels[from([at % width, at / width])..][..4])
            .copied()
            .collect();
        let square = (width.min(height) / BLURRED).max(1);
        let small = size.map(|side| side.div_ceil(square));
        let blurred =
            resize(&resize(&pixels, 4, size, small, Filter::Triangle), 4, small, size, Filter::Triangle);
        let reach = self.sides.into_iter().max().unwrap_or_default() as f32;
        for (y, row) in pixels.chunks_exact_mut(width * 4).enumerate() {
            let noise = noise.randn(width);
            for (x, pixel) in row.chunks_exact_mut(4).enumerate() {
                let beyond = self.beyond([x, y], old);
                let share = (beyond as f32 / reach).sqrt();
                for (c, value) in pixel.iter_mut().enumerate().filter(|_| beyond > 0) {
                    let soft = f32::from(blurred[(y * width + x) * 4 + c]);
                    let noisy = if c < 3 { NOISE * noise[x] } else { 0.0 };
                    let new = f32::from(*value) * (1.0 - share) + (soft + noisy) * share;
                    *value = new.round().clamp(0.0, 255.0) as u8;
                }
            }
        }
        Rgba { width, height, pixels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::NoiseSource;

    fn picture(width: usize, height: usize) -> Rgba {
        let pixel = |i: usize| [(i * 31) as u8, (i * 7) as u8, (i / width * 9) as u8, 255];
        Rgba { width, height, pixels: (0..width * height).flat_map(pixel).collect() }
    }

    #[test]
    fn the_old_part_lies_in_the_grown_picture_as_it_is() {
        let old = picture(21, 13);
        for sides in [[3, 0, 0, 0], [0, 50, 7, 1], [40, 0, 40, 30]] {
            let grown = Extend::by(sides).grown(&old, &mut NoiseSource::Torch.generator(1));
            let [left, top, right, bottom] = sides;
            assert_eq!([grown.width, grown.height], [21 + left + right, 13 + top + bottom]);
            for (i, pixel) in old.pixels.chunks(4).enumerate() {
                let at = (i / 21 + top) * grown.width + i % 21 + left;
                assert_eq!(&grown.pixels[at * 4..at * 4 + 4], pixel, "{sides:?}, {i}");
            }
            assert!(grown.pixels.chunks(4).all(|pixel| pixel[3] == 255));
        }
    }

    /// Near the old part it mirrors that, far away it is the colours of all around.
    #[test]
    fn the_new_part_goes_on_from_the_edge() {
        let width = 60;
        let pixels =
            (0..width * 40).flat_map(|i| if i % width < 30 { [0, 0, 0, 255] } else { [200, 100, 40, 255] });
        let old = Rgba { width, height: 40, pixels: pixels.collect() };
        let grown = Extend::by([0, 0, 60, 0]).grown(&old, &mut NoiseSource::Torch.generator(1));
        let mean = |from: usize| {
            let rows = (0..40).flat_map(|y| (from..from + 4).map(move |x| (y * 120 + x) * 4));
            rows.map(|at| f32::from(grown.pixels[at])).sum::<f32>() / 160.0
        };
        assert!((mean(60) - 200.0).abs() < 12.0, "{}", mean(60));
        assert!(mean(116) < 60.0, "{}: the far end of what is mirrored", mean(116));
        let row: Vec<u8> = (0..40).map(|y| grown.pixels[(y * 120 + 119) * 4 + 2]).collect();
        assert!(row.iter().any(|value| *value != row[0]), "{row:?}: there is noise");
    }

    #[test]
    fn a_mask_is_white_where_the_picture_is_new_and_ends_behind_the_overlap() {
        let extend = Extend { sides: [4, 0, 0, 3], overlap: 8 };
        let masked: Vec<u8> = (0..30 * 20).map(|at| if at == 5 * 30 + 25 { 77 } else { 0 }).collect();
        let mask = extend.mask([30, 20], Some(&masked));
        assert_eq!(mask.len(), 34 * 23);
        for (at, value) in mask.into_iter().enumerate() {
            let [x, y] = [at % 34, at / 34];
            match () {
                () if x < 4 || y >= 20 => assert_eq!(value, 255, "{x}, {y}"),
                () if [x, y] == [29, 5] => assert_eq!(value, 77),
                () if x >= 12 && y < 12 => assert_eq!(value, 0, "{x}, {y}"),
                () => assert!(value > 0 && value < 255, "{x}, {y}: {value}"),
            }
        }
        let sharp = Extend { overlap: 0, ..extend }.mask([30, 20], None);
        assert!(sharp.iter().all(|value| [0, 255].contains(value)));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let said = |sides, overlap| match (Extend { sides, overlap }).check([640, 480]) {
            Err(Error::InvalidInput { field, message }) => format!("{field}: {message}"),
            other => panic!("{other:?}"),
        };
        assert!(said([0; 4], 16).starts_with("extend: 0 pixels on every side; say on which side"));
        let text = said([0, 0, 99_999, 0], 16);
        assert!(
            text.contains("100639×480 pixels, up to 33 million are drawn on; extend it by less"),
            "{text}"
        );
        assert!(said([usize::MAX; 4], 16).contains("extend it by less"));
        assert!(said([8, 0, 0, 0], 257).starts_with("overlap: 257 pixels asked for"));
        Extend::by([1, 0, 0, 0]).check([640, 480]).expect("possible");
    }
}
