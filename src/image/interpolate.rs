//! Planes of numbers at another size, as PyTorch's `interpolate` has it.

use super::resize::{Filter, Taps, cubic, taps, wrapped};

/// What a value between others is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    Nearest,
    /// From the middle of a value, not from its edge.
    NearestExact,
    Bilinear,
    /// With a filter that grows with what it shrinks.
    BilinearAntialiased,
    Bicubic,
    /// As Pillow's, whose cubic is another one.
    BicubicAntialiased,
}

impl Interpolation {
    /// For each of `to` values in a row of `from`, whose ends may meet.
    fn taps(self, from: usize, to: usize, wraps: bool) -> Vec<Taps> {
        match self {
            Interpolation::Nearest | Interpolation::NearestExact => {
                // In f32, as PyTorch counts.
                let middle = if self == Interpolation::Nearest { 0.0 } else { 0.5 };
                let scale = from as f32 / to as f32;
                (0..to).map(|i| ((((i as f32 + middle) * scale) as usize).min(from - 1), vec![1.0])).collect()
            }
            Interpolation::Bilinear => around(from, to, wraps, 1, |t| vec![1.0 - t, t]),
            Interpolation::Bicubic => around(from, to, wraps, 2, |t| {
                [1.0 + t, t, 1.0 - t, 2.0 - t].map(|x| cubic(x, KEYS)).to_vec()
            }),
            Interpolation::BilinearAntialiased => taps(Filter::Triangle, from, to, wraps),
            Interpolation::BicubicAntialiased => taps(Filter::Cubic, from, to, wraps),
        }
    }
}

/// PyTorch's coefficient of the cubic.
const KEYS: f64 = -0.75;

/// The `reach` values on both sides of each place, by how far it is behind the one before it; at the ends the last one again,
/// or what is at the other end.
fn around(from: usize, to: usize, wraps: bool, reach: usize, shares: impl Fn(f64) -> Vec<f64>) -> Vec<Taps> {
    let of = |i: usize| {
        let at = (i as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        // PyTorch leaves a cubic's place below 0, where a line's is cut off: both are the first value.
        let first = at.floor() as isize + 1 - reach as isize;
        if wraps {
            return (wrapped(first, from), shares(at - at.floor()));
        }
        let place = |k: usize| (first + k as isize).clamp(0, from as isize - 1) as usize;
        let shares = shares(at - at.floor());
        let (least, most) = (place(0), place(shares.len() - 1));
        let mut summed = vec![0.0; most - least + 1];
        shares.iter().enumerate().for_each(|(k, share)| summed[place(k) - least] += share);
        (least, summed)
    };
    (0..to).map(of).collect()
}

/// Planes `[.., height, width]` at another size, of which left and right borders, or top and bottom ones, may meet.
pub fn interpolate(
    values: &[f32],
    [width, height]: [usize; 2],
    [to_width, to_height]: [usize; 2],
    kind: Interpolation,
    wraps: [bool; 2],
) -> Vec<f32> {
    let (across, down) = (kind.taps(width, to_width, wraps[0]), kind.taps(height, to_height, wraps[1]));
    let mut out = Vec::with_capacity(values.len() / (width * height) * to_width * to_height);
    for plane in values.chunks_exact(width * height) {
        let wide: Vec<f64> = plane
            .chunks_exact(width)
            .flat_map(|row| {
                across.iter().map(|(first, shares)| summed(shares, |i| f64::from(row[(first + i) % width])))
            })
            .collect();
        for (first, shares) in &down {
            out.extend(
                (0..to_width).map(|x| summed(shares, |i| wide[(first + i) % height * to_width + x]) as f32),
            );
        }
    }
    out
}

fn summed(shares: &[f64], value: impl Fn(usize) -> f64) -> f64 {
    shares.iter().enumerate().map(|(i, share)| share * value(i)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(values: &[f32], expected: &[f32]) {
        assert_eq!(values.len(), expected.len());
        assert!(
            values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 2e-5),
            "{values:?}, expected {expected:?}"
        );
    }

    /// A tile put beside itself, above and below, at another size: its middle is the tile at that size.
    #[test]
    fn borders_that_meet_are_read_across() {
        let tile: Vec<f32> = (0..12).map(|i| ((i * 37 + i * i) % 256) as f32 / 8.0).collect();
        let thrice: Vec<f32> = (0..9).flat_map(|y| tile[y % 3 * 4..][..4].repeat(3)).collect();
        for kind in [
            Interpolation::Nearest,
            Interpolation::NearestExact,
            Interpolation::Bilinear,
            Interpolation::BilinearAntialiased,
            Interpolation::Bicubic,
            Interpolation::BicubicAntialiased,
        ] {
            for [width, height] in [[6, 4], [2, 2]] {
                let whole = interpolate(&thrice, [12, 9], [3 * width, 3 * height], kind, [false; 2]);
                let middle: Vec<f32> = (height..2 * height)
                    .flat_map(|y| whole[(3 * y + 1) * width..][..width].to_vec())
                    .collect();
                close(&interpolate(&tile, [4, 3], [width, height], kind, [true; 2]), &middle);
            }
        }
    }

    /// What PyTorch makes of `((i * 37 + i * i) % 256) / 8`.
    #[test]
    fn as_pytorch_interpolates() {
        let row: Vec<f32> = (0..7).map(|i| ((i * 37 + i * i) % 256) as f32 / 8.0).collect();
        let line = [0.0, 2.15909, 5.20455, 8.38636, 11.65909, 15.0, 18.5, 22.06818, 25.72727, 12.06818, 0.25];
        let more: [(Interpolation, [f32; 11], [f32; 4]); 6] = [
            (
                Interpolation::Nearest,
                [0.0, 0.0, 4.75, 4.75, 9.75, 15.0, 15.0, 20.5, 26.25, 26.25, 0.25],
                [0.0, 4.75, 15.0, 26.25],
            ),
            (
                Interpolation::NearestExact,
                [0.0, 0.0, 4.75, 9.75, 9.75, 15.0, 20.5, 20.5, 26.25, 0.25, 0.25],
                [0.0, 9.75, 20.5, 0.25],
            ),
            (Interpolation::Bilinear, line, [1.78125, 10.40625, 19.8125, 10.0]),
            (Interpolation::BilinearAntialiased, line, [2.5, 10.22, 20.11, 12.35714]),
            (
                Interpolation::Bicubic,
                [
                    -0.4336, 1.70971, 5.3581, 8.12378, 11.78137, 15.0, 18.28305, 23.58847, 27.32053,
                    12.40768, -2.1234,
                ],
                [1.38208, 10.60107, 19.56641, 9.99817],
            ),
            (
                Interpolation::BicubicAntialiased,
                [
                    -0.33398, 1.7083, 5.19421, 8.36157, 11.63016, 15.0, 18.47107, 22.9089, 26.91905, 11.3487,
                    -1.57812,
                ],
                [1.8776, 10.17966, 21.24431, 12.18581],
            ),
        ];
        for (kind, larger, smaller) in more {
            close(&interpolate(&row, [7, 1], [11, 1], kind, [false; 2]), &larger);
            close(&interpolate(&row, [1, 7], [1, 4], kind, [false; 2]), &smaller);
            close(
                &interpolate(&[row.clone(), row.clone()].concat(), [7, 1], [7, 1], kind, [false; 2]),
                &row.repeat(2),
            );
        }
        let squares: Vec<f32> = (0..6).map(|i| (i * i) as f32).collect();
        let expected = [
            -0.81564, -0.74712, 0.64393, 2.35503, 4.21289, 6.39941, 11.10156, 14.93066, 9.24142, 13.54595,
            21.55919, 27.5063,
        ];
        close(&interpolate(&squares, [3, 2], [4, 3], Interpolation::Bicubic, [false; 2]), &expected);
    }
}
