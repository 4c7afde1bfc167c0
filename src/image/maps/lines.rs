//! Lines by differences of Gaussians: sd-webui-controlnet's `lineart_standard` and `scribble_xdog`.

/// Soft lines, 255 at most, `[height, width]`, of RGB `[height, width, 3]`: how much darker a place is than its surroundings
/// in every channel, by what is usual for places that are.
pub fn lineart(rgb: &[u8], size: [usize; 2]) -> Vec<u8> {
    const WIDE: f64 = 6.0;
    /// Below that it is no line.
    const FAINT: f32 = 8.0;
    const LEAST: f32 = 16.0;
    let (values, around) = (floats(rgb), blurred(&floats(rgb), size, WIDE));
    let darker: Vec<f32> = lowest(&around, &values).map(|value| value.clamp(0.0, 255.0)).collect();
    let mut lines: Vec<f32> = darker.iter().copied().filter(|value| *value > FAINT).collect();
    lines.sort_by(f32::total_cmp);
    let median = match lines.len() {
        0 => LEAST,
        odd if odd % 2 == 1 => lines[odd / 2],
        even => (lines[even / 2 - 1] + lines[even / 2]) / 2.0,
    };
    let usual = median.max(LEAST);
    darker.into_iter().map(|value| (value / usual * 127.0).clamp(0.0, 255.0) as u8).collect()
}

/// Broad lines, 0 or 255, `[height, width]`, of RGB `[height, width, 3]`.
pub fn scribble(rgb: &[u8], size: [usize; 2]) -> Vec<u8> {
    const NARROW: f64 = 0.5;
    const WIDE: f64 = 5.0;
    const THRESHOLD: u8 = 32;
    let values = floats(rgb);
    let [narrow, wide] = [NARROW, WIDE].map(|deviation| blurred(&values, size, deviation));
    let line = |darker: f32| {
        let paper = (255.0 - darker).clamp(0.0, 255.0) as u8;
        // In eight bits, as the original counts.
        if 2u8.wrapping_mul(255 - paper) > THRESHOLD { 255 } else { 0 }
    };
    lowest(&wide, &narrow).map(line).collect()
}

fn floats(rgb: &[u8]) -> Vec<f32> {
    rgb.iter().map(|value| f32::from(*value)).collect()
}

/// The least of each pixel's three differences.
fn lowest<'a>(a: &'a [f32], b: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
    let pixels = a.chunks_exact(3).zip(b.chunks_exact(3));
    pixels.map(|(a, b)| (a[0] - b[0]).min(a[1] - b[1]).min(a[2] - b[2]))
}

/// OpenCV's `GaussianBlur` of values `[height, width, 3]`: four deviations wide, mirrored at the edges.
fn blurred(values: &[f32], [width, height]: [usize; 2], deviation: f64) -> Vec<f32> {
    let reach = ((deviation * 8.0 + 1.0).round_ties_even() as usize | 1) / 2;
    let bell = (0..=2 * reach).map(|i| (-0.5 * ((i as f64 - reach as f64) / deviation).powi(2)).exp());
    let bell: Vec<f64> = bell.collect();
    let sum: f64 = bell.iter().sum();
    let shares: Vec<f32> = bell.into_iter().map(|share| (share / sum) as f32).collect();
    let along = |values: &[f32], len: usize, step: usize| -> Vec<f32> {
        let sources: Vec<Vec<usize>> =
            (0..len).map(|at| (0..shares.len()).map(|i| mirrored(at + i, reach, len)).collect()).collect();
        let value = |at: usize| {
            let here = at / step % len;
            let first = at - here * step;
            let taps = sources[here].iter().zip(&shares);
            taps.map(|(source, share)| share * values[first + source * step]).sum()
        };
        (0..values.len()).map(value).collect()
    };
    along(&along(values, width, 3), height, 3 * width)
}

/// The place `at - reach` of so many, where each end is a mirror through its last place.
fn mirrored(at: usize, reach: usize, len: usize) -> usize {
    let period = 2 * len.saturating_sub(1).max(1);
    // A whole number of periods more, so that it is none below 0.
    let there = (at + reach.next_multiple_of(period) - reach) % period;
    let there = if there >= len { period - there } else { there };
    there.min(len - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_mirrors() {
        let of = |len: usize| (0..9).map(|at| mirrored(at, 4, len)).collect::<Vec<_>>();
        assert_eq!(of(6), [4, 3, 2, 1, 0, 1, 2, 3, 4]);
        assert_eq!(of(2), [0, 1, 0, 1, 0, 1, 0, 1, 0]);
        assert_eq!(of(1), [0; 9]);
    }
}
