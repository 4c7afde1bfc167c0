//! Pictures larger than what the denoiser sees at once: it looks at overlapping windows of the latents, and in each cell their
//! answers are averaged (MultiDiffusion, <https://arxiv.org/abs/2302.08113>; diffusers' `StableDiffusionPanoramaPipeline`).
//!
//! diffusers takes the sampler's step in every window and averages the latents; a step is linear in the answer and in what the sampler
//! keeps, so that the step of the averaged answer is the same.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::limits::SIZE_RANGE;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::kernels::Circular;

/// How large the windows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Windows {
    /// Pixels of a side, a multiple of the autoencoder's scale.
    pub size: usize,
    /// How many of them neighbours share, a multiple too; half a window is usual.
    pub overlap: usize,
}

/// The name of the field of a picture's metadata.
pub(super) const FIELD: &str = "Tiles";

impl fmt::Display for Windows {
    /// `512:256`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.size, self.overlap)
    }
}

impl FromStr for Windows {
    type Err = String;

    /// `512:256`, or `512` with the usual overlap.
    fn from_str(text: &str) -> std::result::Result<Windows, String> {
        let (size, overlap) =
            text.split_once(':').map_or((text, None), |(size, overlap)| (size, Some(overlap)));
        let pixels = |text: &str| text.trim().parse().ok();
        let read = || {
            let usual = Windows::of(pixels(size)?);
            Some(Windows { overlap: overlap.map_or(Some(usual.overlap), pixels)?, ..usual })
        };
        read().ok_or_else(|| format!("{text:?} is no tile; expected SIZE:OVERLAP in pixels such as 512:256"))
    }
}

impl Windows {
    /// With the usual overlap: half a window, in whole cells of any autoencoder.
    pub fn of(size: usize) -> Windows {
        Windows { size, overlap: size / 16 * 8 }
    }

    pub(super) fn check(self, config: &ModelConfig) -> Result<()> {
        let invalid = |message: String| Err(Error::InvalidInput { field: "tiles", message });
        let (Windows { size, overlap }, scale) = (self, config.vae.scale());
        if !SIZE_RANGE.contains(&size) || size % scale != 0 {
            let (low, high) = (SIZE_RANGE.start(), SIZE_RANGE.end());
            return invalid(format!(
                "{size} pixels asked for, expected a multiple of {scale} from {low} to {high}"
            ));
        }
        if overlap >= size || overlap % scale != 0 {
            return invalid(format!(
                "an overlap of {overlap} pixels asked for, expected a multiple of {scale} that is less than the {size} of a window"
            ));
        }
        Ok(())
    }

    /// Height and width of a window of latents `[h, w]`, and where windows begin: rows, columns. One goes on at the other border
    /// where these meet.
    pub(super) fn places(self, [h, w]: [usize; 2], scale: usize, circular: Circular) -> Places {
        let stride = (self.size - self.overlap) / scale;
        let side = |all: usize| (self.size / scale).min(all);
        let begins = |all: usize, meets: bool| -> Vec<usize> {
            let side = side(all);
            if side == all {
                return vec![0];
            }
            if meets {
                return (0..all.div_ceil(stride)).map(|i| i * stride).collect();
            }
            (0..=(all - side).div_ceil(stride)).map(|i| (i * stride).min(all - side)).collect()
        };
        let (rows, columns) = (begins(h, circular.y), begins(w, circular.x));
        let at = rows.iter().flat_map(|y| columns.iter().map(|x| [*y, *x])).collect();
        Places { all: [h, w], size: [side(h), side(w)], at }
    }
}

/// Windows of maps.
pub(super) struct Places {
    /// Height and width of the maps,
    all: [usize; 2],
    /// and of a window.
    pub size: [usize; 2],
    /// Row and column of each.
    pub at: Vec<[usize; 2]>,
}

impl Places {
    /// Which cell of a map each cell of a window is, row by row.
    fn cells(&self, [top, left]: [usize; 2]) -> impl Iterator<Item = usize> {
        let ([h, w], [high, wide]) = (self.all, self.size);
        (0..high).flat_map(move |y| (0..wide).map(move |x| (top + y) % h * w + (left + x) % w))
    }

    /// The same of maps that are so many times as large.
    pub fn enlarged(&self, scale: usize) -> Places {
        let times = |[y, x]: [usize; 2]| [y * scale, x * scale];
        Places {
            all: times(self.all),
            size: times(self.size),
            at: self.at.iter().copied().map(times).collect(),
        }
    }

    /// What a window shows of maps `[n, h, w, channels]`.
    pub fn seen(&self, maps: &[f32], channels: usize, at: [usize; 2]) -> Vec<f32> {
        let one = self.all[0] * self.all[1] * channels;
        let of = |map: &[f32]| -> Vec<f32> {
            self.cells(at).flat_map(|cell| &map[cell * channels..][..channels]).copied().collect()
        };
        maps.chunks_exact(one).flat_map(of).collect()
    }

    /// Adds what was answered in a window to maps of all.
    pub fn add(&self, maps: &mut [f32], answer: &[f32], channels: usize, at: [usize; 2]) {
        let (one, each) = (self.all[0] * self.all[1] * channels, self.size[0] * self.size[1] * channels);
        for (map, answer) in maps.chunks_exact_mut(one).zip(answer.chunks_exact(each)) {
            for (cell, values) in self.cells(at).zip(answer.chunks_exact(channels)) {
                let to = &mut map[cell * channels..][..channels];
                to.iter_mut().zip(values).for_each(|(to, value)| *to += value);
            }
        }
    }

    /// Makes means of sums over all windows.
    pub fn mean(&self, maps: &mut [f32], channels: usize) {
        let mut counts = vec![0u32; self.all[0] * self.all[1]];
        self.at.iter().flat_map(|at| self.cells(*at)).for_each(|cell| counts[cell] += 1);
        for (cell, count) in maps.chunks_exact_mut(channels).zip(counts.iter().cycle()) {
            cell.iter_mut().for_each(|value| *value /= *count as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By diffusers' `get_views` where its sizes are multiples of the stride.
    #[test]
    fn windows_cover_everything() {
        let windows = Windows { size: 32, overlap: 16 };
        let at = |all, circular| windows.places(all, 4, circular).at;
        assert_eq!(at([8, 16], Circular::NONE), [[0, 0], [0, 4], [0, 8]]);
        assert_eq!(at([8, 16], Circular { x: true, y: true }), [[0, 0], [0, 4], [0, 8], [0, 12]]);
        assert_eq!(at([10, 8], Circular::NONE), [[0, 0], [2, 0]], "the last ends with the picture");
        assert_eq!(windows.places([6, 16], 4, Circular::NONE).size, [6, 8]);
        let pixels = windows.places([10, 8], 4, Circular::NONE).enlarged(4);
        assert_eq!((pixels.all, pixels.size, &pixels.at[..]), ([40, 32], [32, 32], &[[0, 0], [8, 0]][..]));
        assert_eq!("512:128".parse(), Ok(Windows { size: 512, overlap: 128 }));
        assert_eq!("512".parse::<Windows>().map(|windows| windows.to_string()), Ok("512:256".to_string()));
        assert!(["", "x", "512:", "512:1:2"].iter().all(|text| text.parse::<Windows>().is_err()));
        assert_eq!(Windows::of(72), Windows { size: 72, overlap: 32 });
    }

    #[test]
    fn what_all_windows_see_is_everything_again() {
        let maps: Vec<f32> = (0..2 * 5 * 7 * 3).map(|i| i as f32).collect();
        for circular in [Circular::NONE, Circular { x: true, y: true }] {
            let places = Windows { size: 4, overlap: 1 }.places([5, 7], 1, circular);
            let mut mixed = vec![0.0; maps.len()];
            for at in &places.at {
                let seen = places.seen(&maps, 3, *at);
                places.add(&mut mixed, &seen, 3, *at);
            }
            places.mean(&mut mixed, 3);
            assert_eq!(mixed, maps);
        }
    }
}
