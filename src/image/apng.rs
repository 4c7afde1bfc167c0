//! Animated PNG files: a film of pictures that any browser plays.

use png::{BitDepth, ColorType, Compression, Encoder};

use super::Rgba;
use super::origin::{MadeOf, XMP};
use crate::error::{Error, Result};

/// The most frames of a film.
pub const MAX_FRAMES: usize = 240;

/// An animated PNG that plays `frames`, all of one size, again and again, `delay_ms` (at least 1) each. The first frame
/// is what a viewer without animation shows. The mark of pictures that a model made is in it.
pub fn encode_apng(frames: &[Rgba], delay_ms: u16) -> Result<Vec<u8>> {
    let bad = |message: String| Error::InvalidInput { field: "frames", message };
    let Some(first) = frames.first() else { return Err(bad("there are none".to_string())) };
    if frames.len() > MAX_FRAMES {
        return Err(bad(format!("{} given, at most {MAX_FRAMES} are taken", frames.len())));
    }
    if let Some(other) = frames.iter().find(|f| (f.width, f.height) != (first.width, first.height)) {
        let (w, h) = (other.width, other.height);
        return Err(bad(format!("one is {w}x{h}, the first {}x{}", first.width, first.height)));
    }
    let side = |value: usize| u32::try_from(value).map_err(|_| bad(format!("{value} pixels are too many")));
    let unwritable = |error: png::EncodingError| bad(error.to_string());
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, side(first.width)?, side(first.height)?);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_color(ColorType::Rgba);
    encoder.set_compression(Compression::Balanced);
    let mark = encoder.add_itxt_chunk(XMP.to_string(), MadeOf::Words.xmp());
    mark.map_err(unwritable)?;
    encoder.set_animated(frames.len() as u32, 0).map_err(unwritable)?;
    encoder.set_frame_delay(delay_ms.max(1), 1000).map_err(unwritable)?;
    let mut writer = encoder.write_header().map_err(unwritable)?;
    for frame in frames {
        frame.check()?;
        writer.write_image_data(&frame.pixels).map_err(unwritable)?;
    }
    writer.finish().map_err(unwritable)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(side: usize, value: u8) -> Rgba {
        Rgba { width: side, height: side, pixels: [value, value, value, 255].repeat(side * side) }
    }

    #[test]
    fn a_film_is_read_back_frame_by_frame() -> Result<()> {
        let frames = [flat(8, 10), flat(8, 200), flat(8, 90)];
        let bytes = encode_apng(&frames, 80)?;
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().expect("a PNG");
        let control = reader.info().animation_control().expect("an animation");
        assert_eq!((control.num_frames, control.num_plays), (3, 0));
        for frame in &frames {
            let mut pixels = vec![0; frame.pixels.len()];
            reader.next_frame(&mut pixels).expect("a frame");
            assert_eq!(pixels, frame.pixels);
            let control = reader.info().frame_control().expect("its timing");
            assert_eq!((control.delay_num, control.delay_den), (80, 1000));
        }
        // Whoever knows no animation sees the first frame.
        let still = crate::image::decode_png(&bytes)?;
        assert_eq!(still.image, frames[0]);
        assert_eq!(still.text(XMP), Some(MadeOf::Words.xmp().as_str()));
        Ok(())
    }

    #[test]
    fn no_frames_too_many_and_odd_ones_are_refused() {
        for frames in [vec![], vec![flat(8, 0), flat(9, 0)], vec![flat(1, 0); MAX_FRAMES + 1]] {
            assert!(encode_apng(&frames, 80).is_err(), "{} frames", frames.len());
        }
    }
}
