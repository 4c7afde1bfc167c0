//! Pictures: RGBA in memory, maps of them, PNG files, what PNG, JPEG and WebP files say in words, and A1111's `parameters` text.

mod apng;
mod chunks;
mod exif;
mod hidden;
mod interpolate;
pub mod maps;
mod origin;
mod parameters;
mod png;
mod resize;
mod texts;

pub use apng::{MAX_FRAMES, encode_apng};
pub use hidden::hidden;
pub use interpolate::{Interpolation, interpolate};
pub use origin::{MadeOf, XMP, user_comment};
pub use parameters::{Parameters, TEMPLATES};
pub use png::{Decoded, MAX_PIXELS, decode_png, encode_made, encode_png};
pub use resize::{Filter, Placement, Resize, blur, resize, resize_tile, same_shape};
pub use texts::{Kind, MAX_TEXT, Text, Texts};

use crate::error::{Error, Result};

/// A picture of 8-bit RGBA, not premultiplied, rows from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgba {
    pub width: usize,
    pub height: usize,
    /// `[height, width, 4]`
    pub pixels: Vec<u8>,
}

impl Rgba {
    /// Takes pixels whose count fits the size.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Result<Self> {
        let image = Rgba { width, height, pixels };
        image.check()?;
        Ok(image)
    }

    /// How light each pixel is, `[height, width]`, what is transparent as black: what a mask says. The luma of ITU-R BT.601.
    pub fn light(&self) -> Vec<u8> {
        let light = |pixel: &[u8]| {
            let light = 299 * u32::from(pixel[0]) + 587 * u32::from(pixel[1]) + 114 * u32::from(pixel[2]);
            ((light + 500) / 1000 * u32::from(pixel[3]) / 255) as u8
        };
        self.pixels.chunks_exact(4).map(light).collect()
    }

    /// The public fields agree with each other.
    fn check(&self) -> Result<()> {
        let expected = self.width.checked_mul(self.height).and_then(|n| n.checked_mul(4));
        if expected == Some(self.pixels.len()) && !self.pixels.is_empty() {
            return Ok(());
        }
        Err(Error::InvalidInput {
            field: "image",
            message: format!("{}x{} pixels do not fit {} bytes", self.width, self.height, self.pixels.len()),
        })
    }
}

/// The peak signal-to-noise ratio of two pictures' colours in dB: infinite where they are equal, NaN (which passes no
/// comparison) where their sizes differ.
pub fn psnr(a: &Rgba, b: &Rgba) -> f64 {
    if (a.width, a.height) != (b.width, b.height) || a.pixels.len() != b.pixels.len() {
        return f64::NAN;
    }
    let colours = |image: &Rgba| -> Vec<u8> {
        image.pixels.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
    };
    let (a, b) = (colours(a), colours(b));
    let squared: f64 = a.iter().zip(&b).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum();
    10.0 * (255.0 * 255.0 * a.len() as f64 / squared).log10()
}

#[cfg(test)]
pub(crate) use hidden::tests::hiding;
#[cfg(test)]
pub(crate) mod texts_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn psnr_of_known_differences() -> Result<()> {
        let grey = |value: u8| Rgba::new(2, 1, vec![value, value, value, 255, value, value, value, 0]);
        assert_eq!(psnr(&grey(7)?, &grey(7)?), f64::INFINITY);
        assert!((psnr(&grey(0)?, &grey(255)?)).abs() < 1e-9);
        assert!((psnr(&grey(100)?, &grey(101)?) - 48.1308).abs() < 1e-3);
        assert!(psnr(&grey(0)?, &Rgba::new(1, 2, vec![0; 8])?).is_nan());
        Ok(())
    }

    #[test]
    fn sizes_must_fit() {
        for (width, height, bytes) in [(2, 2, 15), (0, 0, 0), (usize::MAX, 2, 8)] {
            assert!(Rgba::new(width, height, vec![0; bytes]).is_err());
        }
    }
}
