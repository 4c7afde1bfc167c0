//! Maps for ControlNets that follow from a picture without a network, as sd-webui-controlnet makes them.
//!
//! <https://github.com/Mikubill/sd-webui-controlnet/tree/main/annotator>; what OpenCV does there is done here.

mod canny;
mod lines;

use std::fmt;
use std::str::FromStr;

pub use canny::{Norm, canny};
pub use lines::{lineart, scribble};

/// How a map is made of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preprocessor {
    /// The picture is the map.
    #[default]
    None,
    /// Edges of one pixel, white on black: brightness changes by `low` and somewhere along the edge by more than `high`.
    Canny { low: u32, high: u32 },
    /// Soft lines, white on black, where a picture is darker than what is around.
    Lineart,
    /// Broad lines, white on black.
    Scribble,
    /// The mean colour of each square of 64 pixels.
    Colour,
    /// The picture, for a network that draws its details anew.
    Tile,
    /// The picture without what is drawn anew.
    Inpaint,
}

/// OpenCV's usual thresholds, and sd-webui-controlnet's.
const CANNY: Preprocessor = Preprocessor::Canny { low: 100, high: 200 };
/// Pixels along a side of a square of colour.
const SQUARE: usize = 64;

impl Preprocessor {
    /// Each in its usual way.
    pub const ALL: [Preprocessor; 7] = [
        Preprocessor::None,
        CANNY,
        Preprocessor::Lineart,
        Preprocessor::Scribble,
        Preprocessor::Colour,
        Preprocessor::Tile,
        Preprocessor::Inpaint,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Preprocessor::None => "none",
            Preprocessor::Canny { .. } => "canny",
            Preprocessor::Lineart => "lineart",
            Preprocessor::Scribble => "scribble",
            Preprocessor::Colour => "color",
            Preprocessor::Tile => "tile",
            Preprocessor::Inpaint => "inpaint",
        }
    }

    /// sd-webui-controlnet's name of it.
    pub fn a1111_name(self) -> &'static str {
        match self {
            Preprocessor::None => "none",
            Preprocessor::Canny { .. } => "canny",
            Preprocessor::Lineart => "lineart_standard (from white bg & black line)",
            Preprocessor::Scribble => "scribble_xdog",
            Preprocessor::Colour => "t2ia_color_grid",
            Preprocessor::Tile => "tile_resample",
            Preprocessor::Inpaint => "inpaint_only",
        }
    }

    /// The one of that name, in its usual way.
    pub fn from_a1111_name(name: &str) -> Option<Preprocessor> {
        Preprocessor::ALL.into_iter().find(|kind| kind.a1111_name() == name)
    }

    /// A map `[height, width, 3]` of a picture of that size, which is never empty.
    pub fn of(self, rgb: &[u8], size: [usize; 2]) -> Vec<u8> {
        let grey = |values: Vec<u8>| values.into_iter().flat_map(|value| [value; 3]).collect();
        match self {
            Preprocessor::None | Preprocessor::Tile | Preprocessor::Inpaint => rgb.to_vec(),
            Preprocessor::Canny { low, high } => grey(canny(rgb, size, [low, high], Norm::L1)),
            Preprocessor::Lineart => grey(lineart(rgb, size)),
            Preprocessor::Scribble => grey(scribble(rgb, size)),
            Preprocessor::Colour => colours(rgb, size),
        }
    }
}

impl fmt::Display for Preprocessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Preprocessor::Canny { low, high } if *self != CANNY => write!(f, "canny,{low},{high}"),
            _ => f.write_str(self.name()),
        }
    }
}

impl FromStr for Preprocessor {
    type Err = String;

    /// A name, or `canny,LOW,HIGH`.
    fn from_str(text: &str) -> Result<Preprocessor, String> {
        if let Some(thresholds) = text.strip_prefix("canny,") {
            let numbers = thresholds
                .split_once(',')
                .and_then(|(low, high)| Some((low.parse::<u32>().ok()?, high.parse::<u32>().ok()?)));
            let (low, high) =
                numbers.ok_or_else(|| format!("{text:?} are no thresholds, expected canny,100,200"))?;
            return Ok(Preprocessor::Canny { low, high });
        }
        let names = || Preprocessor::ALL.map(Preprocessor::name).join(", ");
        let found = Preprocessor::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| format!("{text:?} is none of {}", names()))
    }
}

/// Squares of one colour each, their mean; where a side is no multiple of them, those are a little larger.
fn colours(rgb: &[u8], [width, height]: [usize; 2]) -> Vec<u8> {
    let [across, down] = [width, height].map(|side| (side / SQUARE).max(1));
    let cell = |x: usize, y: usize| (y * down / height) * across + x * across / width;
    let mut sums = vec![[0u64; 4]; across * down];
    for (at, pixel) in rgb.chunks_exact(3).enumerate() {
        let sum = &mut sums[cell(at % width, at / width)];
        sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u64::from(*value));
        sum[3] += 1;
    }
    let mean = |[r, g, b, count]: [u64; 4]| [r, g, b].map(|sum| ((sum + count / 2) / count.max(1)) as u8);
    let means: Vec<[u8; 3]> = sums.into_iter().map(mean).collect();
    (0..width * height).flat_map(|at| means[cell(at % width, at / width)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for kind in Preprocessor::ALL.into_iter().chain([Preprocessor::Canny { low: 5, high: 70 }]) {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("canny,x,1".parse::<Preprocessor>().is_err_and(|told| told.contains("canny,100,200")));
        assert!("hed".parse::<Preprocessor>().is_err_and(|told| told.contains("canny, lineart")));
    }

    #[test]
    fn squares_have_the_colour_of_their_mean() {
        let rgb: Vec<u8> =
            (0..130 * 64).flat_map(|at| if at % 130 < 65 { [10, 20, 30] } else { [50, 60, 71] }).collect();
        let map = Preprocessor::Colour.of(&rgb, [130, 64]);
        assert_eq!((&map[..3], &map[map.len() - 3..]), (&[10, 20, 30][..], &[50, 60, 71][..]));
        let tiny = Preprocessor::Colour.of(&[0, 0, 0, 1, 2, 4], [2, 1]);
        assert_eq!(tiny, [1, 1, 2, 1, 1, 2]);
    }

    /// A single pixel, a line, thresholds in the wrong order.
    #[test]
    fn every_size_has_a_map() {
        for size in [[1, 1], [1, 7], [9, 1], [2, 2]] {
            let rgb: Vec<u8> = (0..size[0] * size[1] * 3).map(|at| (at * 97 % 256) as u8).collect();
            for kind in Preprocessor::ALL.into_iter().chain([Preprocessor::Canny { low: 200, high: 100 }]) {
                assert_eq!(kind.of(&rgb, size).len(), rgb.len(), "{kind} {size:?}");
            }
        }
    }
}
