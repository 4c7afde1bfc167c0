//! Pictures made larger or smaller, and laid on a canvas of another shape.

use std::f64::consts::PI;

use super::Rgba;

/// What a resized pixel is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Lanczos with three lobes: for pictures.
    Lanczos,
    /// Bilinear: for masks, which it does not make ring.
    Triangle,
    /// Keys' cubic as Pillow has it.
    Cubic,
}

impl Filter {
    /// How far it reaches, in pixels of the smaller picture.
    fn support(self) -> f64 {
        match self {
            Filter::Lanczos => 3.0,
            Filter::Triangle => 1.0,
            Filter::Cubic => 2.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) };
        match self {
            Filter::Lanczos if x.abs() < 3.0 => sinc(x) * sinc(x / 3.0),
            Filter::Triangle if x.abs() < 1.0 => 1.0 - x.abs(),
            Filter::Cubic => cubic(x, -0.5),
            _ => 0.0,
        }
    }
}

/// R. G. Keys' cubic, "Cubic convolution interpolation for digital image processing" (1981), with its coefficient.
pub(super) fn cubic(x: f64, a: f64) -> f64 {
    match x.abs() {
        x if x < 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
        x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * a,
        _ => 0.0,
    }
}

/// The first pixel that counts for one of the result, and the shares of those from it on; behind the last one comes the first
/// again.
pub(super) type Taps = (usize, Vec<f64>);

/// For each of `to` pixels in a row of `from`: as Pillow has it, whose filters grow with what they shrink. Where the row's ends
/// meet (`wraps`), a filter goes on at the other one.
pub(super) fn taps(filter: Filter, from: usize, to: usize, wraps: bool) -> Vec<Taps> {
    let ratio = from as f64 / to as f64;
    let scale = ratio.max(1.0);
    let support = filter.support() * scale;
    let of = |i: usize| {
        let centre = (i as f64 + 0.5) * ratio;
        let inside = |x: f64| if wraps { x.floor() } else { x.clamp(0.0, from as f64).floor() };
        let (first, last) = (inside(centre - support + 0.5), inside(centre + support + 0.5));
        let count = (last - first) as usize;
        let shares: Vec<f64> =
            (0..count).map(|i| filter.at((first + i as f64 - centre + 0.5) / scale)).collect();
        let sum: f64 = shares.iter().sum();
        (wrapped(first as isize, from), shares.into_iter().map(|share| share / sum).collect())
    };
    (0..to).map(of).collect()
}

/// A place in a row of `len` whose ends meet.
pub(super) fn wrapped(at: isize, len: usize) -> usize {
    at.rem_euclid(len as isize) as usize
}

/// Values of 8 bits `[height, width, channels]` at another size, each side rounded to 8 bits by itself (Pillow's `resize`).
pub fn resize(values: &[u8], channels: usize, from: [usize; 2], to: [usize; 2], filter: Filter) -> Vec<u8> {
    resize_tile(values, channels, from, to, filter, [false; 2])
}

/// The same of a picture whose left and right borders meet, or its top and bottom ones, as `wraps` says.
pub fn resize_tile(
    values: &[u8],
    channels: usize,
    [width, height]: [usize; 2],
    [to_width, to_height]: [usize; 2],
    filter: Filter,
    wraps: [bool; 2],
) -> Vec<u8> {
    let mut wide = values.to_vec();
    if to_width != width {
        let taps = taps(filter, width, to_width, wraps[0]);
        wide = rows(&wide, width * channels, |row, out| {
            for (first, shares) in &taps {
                out.extend(
                    (0..channels).map(|c| summed(shares, |i| row[(first + i) % width * channels + c])),
                );
            }
        });
    }
    if to_height == height {
        return wide;
    }
    let row = to_width * channels;
    let taps = taps(filter, height, to_height, wraps[1]);
    let of = |(first, shares): &Taps| -> Vec<u8> {
        (0..row).map(|x| summed(shares, |i| wide[(first + i) % height * row + x])).collect()
    };
    taps.iter().flat_map(of).collect()
}

fn rows(values: &[u8], len: usize, mut each: impl FnMut(&[u8], &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    values.chunks_exact(len).for_each(|row| each(row, &mut out));
    out
}

fn summed(shares: &[f64], value: impl Fn(usize) -> u8) -> u8 {
    let sum: f64 = shares.iter().enumerate().map(|(i, share)| share * f64::from(value(i))).sum();
    (sum + 0.5).clamp(0.0, 255.0) as u8
}

/// Whether a size is another scaled, each side rounded to whole pixels by whoever scaled it.
pub fn same_shape(a: [usize; 2], b: [usize; 2]) -> bool {
    let across = (a[0] * b[1]).abs_diff(b[0] * a[1]);
    across <= a[0].max(a[1]).max(b[0]).max(b[1])
}

/// A Gaussian blur of values `[height, width]` by a standard deviation in pixels, cut off where A1111 cuts its masks' off:
/// beyond that, what was 0 stays 0.
pub fn blur(values: &[u8], [width, height]: [usize; 2], deviation: f64) -> Vec<u8> {
    let reach = (2.5 * deviation + 0.5) as isize;
    if reach == 0 {
        return values.to_vec();
    }
    let bell: Vec<f64> = (-reach..=reach).map(|x| (-0.5 * (x as f64 / deviation).powi(2)).exp()).collect();
    let sum: f64 = bell.iter().sum();
    let shares: Vec<f64> = bell.into_iter().map(|share| share / sum).collect();
    let along = |values: &[u8], len: usize, step: usize, at: usize| {
        let here = (at / step % len) as isize;
        let value = |i: usize| {
            let there = (here + i as isize - reach).clamp(0, len as isize - 1);
            values[(at as isize + (there - here) * step as isize) as usize]
        };
        summed(&shares, value)
    };
    let wide: Vec<u8> = (0..values.len()).map(|at| along(values, width, 1, at)).collect();
    (0..values.len()).map(|at| along(&wide, height, width, at)).collect()
}

/// How a picture is brought to a size of another shape. A1111's names and diffusers' (default, crop, fill).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resize {
    /// Width and height each by its own factor.
    #[default]
    Just,
    /// As small as covers the size; what is beyond is cut off on both sides.
    Crop,
    /// As large as fits into the size; the rest repeats the picture's edges.
    Fill,
}

impl Resize {
    pub const ALL: [Resize; 3] = [Resize::Just, Resize::Crop, Resize::Fill];

    pub fn name(self) -> &'static str {
        match self {
            Resize::Just => "just",
            Resize::Crop => "crop",
            Resize::Fill => "fill",
        }
    }
}

/// Where a picture lies on a canvas: scaled, then moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Width and height of the picture as it is.
    pub picture: [usize; 2],
    pub canvas: [usize; 2],
    /// Width and height of the whole picture at the canvas's scale.
    pub scaled: [usize; 2],
    /// Its left and top edge on the canvas: below 0 where it is cut off.
    pub at: [isize; 2],
}

impl Placement {
    /// A picture on a canvas.
    pub fn new(picture: [usize; 2], canvas: [usize; 2], resize: Resize) -> Placement {
        let [width, height] = canvas;
        let across = [width, (picture[1] * width / picture[0]).max(1)];
        let down = [(picture[0] * height / picture[1]).max(1), height];
        let wider = picture[0] * height > width * picture[1];
        let scaled = match (resize, wider) {
            (Resize::Just, _) => canvas,
            (Resize::Crop, true) | (Resize::Fill, false) => down,
            (Resize::Crop, false) | (Resize::Fill, true) => across,
        };
        let at = [0, 1].map(|side| (canvas[side] / 2) as isize - (scaled[side] / 2) as isize);
        Placement { picture, canvas, scaled, at }
    }

    /// The canvas's pixels `[height, width, channels]`, from the picture's. Where it does not reach, its edge goes on, a little
    /// clearer: Pillow's bicubic filter makes that of an edge which diffusers and A1111 have it stretch.
    pub fn laid(&self, values: &[u8], channels: usize, filter: Filter) -> Vec<u8> {
        let scaled = resize(values, channels, self.picture, self.scaled, filter);
        let at = |[x, y]: [usize; 2], c: usize| i32::from(scaled[(y * self.scaled[0] + x) * channels + c]);
        // The nearest place of the scaled picture, and the one behind it where that is its edge seen from outside.
        let nearest = |side: usize, i: usize| {
            let (place, last) = (i as isize - self.at[side], self.scaled[side] - 1);
            match usize::try_from(place) {
                Err(_) => (0, 1.min(last)),
                Ok(place) if place > last => (last, last.saturating_sub(1)),
                Ok(place) => (place, place),
            }
        };
        let [width, height] = self.canvas;
        let mut canvas = Vec::with_capacity(width * height * channels);
        for y in 0..height {
            let (edge_y, behind_y) = nearest(1, y);
            for x in 0..width {
                let (edge_x, behind_x) = nearest(0, x);
                let value = |c| (9 * at([edge_x, edge_y], c) - at([behind_x, behind_y], c) + 4) / 8;
                canvas.extend((0..channels).map(|c| value(c).clamp(0, 255) as u8));
            }
        }
        canvas
    }

    /// What of the canvas's pixels `[height, width, 4]` lies on the picture, at its size; where it was cut off, `picture`.
    pub fn lifted(&self, canvas: &[u8], picture: &Rgba) -> Vec<u8> {
        let mut scaled = resize(&picture.pixels, 4, self.picture, self.scaled, Filter::Lanczos);
        for (at, pixel) in scaled.chunks_exact_mut(4).enumerate() {
            let (x, y) = (at % self.scaled[0], at / self.scaled[0]);
            if let Some(from) = self.on_canvas([x, y]) {
                pixel.copy_from_slice(&canvas[from * 4..from * 4 + 4]);
            }
        }
        resize(&scaled, 4, self.scaled, self.picture, Filter::Lanczos)
    }

    /// Whether a pixel of the picture is on the canvas.
    pub fn shows(&self, [x, y]: [usize; 2]) -> bool {
        let scaled = |side: usize, i: usize| {
            ((2 * i + 1) * self.scaled[side] / (2 * self.picture[side])).min(self.scaled[side] - 1)
        };
        self.on_canvas([scaled(0, x), scaled(1, y)]).is_some()
    }

    /// The place on the canvas of a pixel of the scaled picture.
    fn on_canvas(&self, [x, y]: [usize; 2]) -> Option<usize> {
        let there = |side: usize, i: usize| {
            usize::try_from(i as isize + self.at[side]).ok().filter(|at| *at < self.canvas[side])
        };
        Some(there(1, y)? * self.canvas[0] + there(0, x)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(i * 37 + i * i) % 256`, which Pillow was given too.
    fn row(n: usize) -> Vec<u8> {
        (0..n).map(|i| ((i * 37 + i * i) % 256) as u8).collect()
    }

    /// A tile put beside itself, above and below, and resized: its middle is the tile resized.
    #[test]
    fn borders_that_meet_are_read_across() {
        let [width, height] = [8, 6];
        let tile: Vec<u8> = row(width * height * 2);
        let line = |y: usize| tile[y % height * width * 2..][..width * 2].repeat(3);
        let thrice: Vec<u8> = (0..3 * height).flat_map(line).collect();
        for (filter, [to_width, to_height]) in
            [(Filter::Lanczos, [12, 9]), (Filter::Triangle, [16, 12]), (Filter::Cubic, [4, 3])]
        {
            let size = [to_width, to_height];
            let whole = resize(&thrice, 2, [width, height].map(|s| 3 * s), size.map(|side| 3 * side), filter);
            let middle =
                (to_height..2 * to_height).flat_map(|y| &whole[(3 * y + 1) * to_width * 2..][..to_width * 2]);
            let meeting = resize_tile(&tile, 2, [width, height], size, filter, [true; 2]);
            assert!(middle.eq(&meeting), "{filter:?}");
            assert_ne!(meeting, resize(&tile, 2, [width, height], size, filter), "{filter:?}");
            let across = resize_tile(&tile, 2, [width, height], size, filter, [true, false]);
            let middle = tile.chunks(width * 2).flat_map(|row| row.repeat(3)).collect::<Vec<u8>>();
            let whole = resize(&middle, 2, [3 * width, height], [3 * to_width, to_height], filter);
            let middle = (0..to_height).flat_map(|y| &whole[(3 * y + 1) * to_width * 2..][..to_width * 2]);
            assert!(middle.eq(&across), "{filter:?}");
        }
    }

    #[test]
    fn as_pillow_resizes() {
        for (n, filter, expected) in [
            (11, Filter::Lanczos, vec![19, 125, 141, 49, 183]),
            (5, Filter::Lanczos, vec![0, 2, 16, 36, 55, 71, 85, 101, 122, 145, 161, 169]),
            (11, Filter::Triangle, vec![45, 137, 80, 151]),
        ] {
            assert_eq!(resize(&row(n), 1, [n, 1], [expected.len(), 1], filter), expected, "{n} {filter:?}");
            assert_eq!(resize(&row(n), 1, [1, n], [1, expected.len()], filter), expected, "{n} {filter:?}");
        }
        let expected =
            [39, 124, 139, 93, 104, 110, 127, 107, 99, 134, 81, 84, 185, 145, 127, 138, 180, 133, 98, 174];
        assert_eq!(resize(&row(63), 1, [7, 9], [4, 5], Filter::Lanczos), expected);
    }

    #[test]
    fn a_picture_lies_as_in_diffusers() {
        let of = |picture, canvas, resize| {
            let Placement { scaled, at, .. } = Placement::new(picture, canvas, resize);
            (scaled, at)
        };
        assert_eq!(of([50, 30], [40, 32], Resize::Just), ([40, 32], [0, 0]));
        assert_eq!(of([50, 30], [40, 32], Resize::Crop), ([53, 32], [-6, 0]));
        assert_eq!(of([50, 30], [40, 32], Resize::Fill), ([40, 24], [0, 4]));
        assert_eq!(of([30, 50], [40, 32], Resize::Crop), ([40, 66], [0, -17]));
        assert_eq!(of([30, 50], [40, 32], Resize::Fill), ([19, 32], [11, 0]));
        assert_eq!(of([1, 5000], [32, 32], Resize::Fill).0, [1, 32], "never nothing");
    }

    #[test]
    fn edges_go_on_and_what_is_cut_off_stays() {
        let picture = Rgba { width: 4, height: 2, pixels: (0..32).map(|i| i * 8).collect() };
        let fill = Placement::new([4, 2], [4, 4], Resize::Fill);
        let laid = fill.laid(&picture.pixels, 4, Filter::Lanczos);
        assert_eq!(laid[16..48], picture.pixels[..]);
        let beyond: Vec<u8> = picture.pixels[..16].iter().map(|value| value.saturating_sub(16)).collect();
        assert_eq!(laid[..16], beyond);
        let beyond: Vec<u8> = picture.pixels[16..].iter().map(|value| value.saturating_add(16)).collect();
        assert_eq!(laid[48..], beyond);
        assert_eq!(fill.lifted(&laid, &picture), picture.pixels);

        let crop = Placement::new([4, 2], [2, 2], Resize::Crop);
        assert_eq!(crop.at, [-1, 0]);
        let lifted = crop.lifted(&[255; 16], &picture);
        for (at, (new, old)) in lifted.chunks(4).zip(picture.pixels.chunks(4)).enumerate() {
            let inside = (1..3).contains(&(at % 4));
            assert_eq!(new == [255; 4], inside, "pixel {at}");
            assert!(inside || new == old, "pixel {at}");
            assert_eq!(crop.shows([at % 4, at / 4]), inside, "pixel {at}");
        }
    }

    #[test]
    fn a_blur_ends() {
        let mut values = vec![0; 21 * 3];
        values[21 + 10] = 255;
        let blurred = blur(&values, [21, 3], 2.0);
        assert_eq!((blurred[21 + 4], blurred[21 + 16]), (0, 0));
        assert!(blurred[21 + 10] > blurred[21 + 9] && blurred[21 + 9] > 0, "{blurred:?}");
        assert_eq!(blur(&values, [21, 3], 0.0), values);
        assert_eq!(blur(&[255; 12], [4, 3], 3.0), [255; 12]);
    }
}
