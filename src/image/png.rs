//! PNG files: pixels and text chunks, both ways.

use std::io::Cursor;

use png::{BitDepth, ColorType, Compression, Decoder, Encoder, Limits, Transformations};

use super::origin::{MadeOf, XMP};
use super::{MAX_TEXT, Parameters, Rgba, Texts};
use crate::error::{Error, Result};

/// The largest picture that is read: 32 megapixels, 128 MiB as RGBA.
pub const MAX_PIXELS: usize = 1 << 25;

/// What a PNG file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    pub image: Rgba,
    /// Keyword and text of every text chunk that can be read.
    pub texts: Vec<(String, String)>,
}

impl Decoded {
    /// The first text of that keyword.
    pub fn text(&self, keyword: &str) -> Option<&str> {
        self.texts.iter().find(|(key, _)| key == keyword).map(|(_, text)| text.as_str())
    }
}

/// A picture that a model made, as a PNG file with its settings beside the mark of where it comes from, which is there with
/// and without them.
pub fn encode_made(image: &Rgba, of: MadeOf, settings: Option<&str>) -> Result<Vec<u8>> {
    let settings = settings.map(|text| (Parameters::KEYWORD, text));
    let mark = of.xmp();
    let texts: Vec<(&str, &str)> = settings.into_iter().chain([(XMP, mark.as_str())]).collect();
    encode_png(image, &texts)
}

/// A PNG file with `texts` (keyword, text) as tEXt where Latin-1 can hold them, else iTXt, in which XMP is always.
/// Opaque pictures become RGB.
pub fn encode_png(image: &Rgba, texts: &[(&str, &str)]) -> Result<Vec<u8>> {
    image.check()?;
    let side = |value: usize| {
        u32::try_from(value).map_err(|_| Error::InvalidInput {
            field: "image",
            message: format!("{}x{} is too large for a PNG", image.width, image.height),
        })
    };
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, side(image.width)?, side(image.height)?);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Balanced);
    for (keyword, text) in texts {
        // NUL ends a text in the format.
        let (keyword, text) = ((*keyword).to_string(), text.replace('\0', ""));
        let added = match is_latin1(&text) && keyword != XMP {
            true => encoder.add_text_chunk(keyword, text),
            false => encoder.add_itxt_chunk(keyword, text),
        };
        added.map_err(unwritable)?;
    }
    let opaque = image.pixels.chunks_exact(4).all(|pixel| pixel[3] == 255);
    encoder.set_color(if opaque { ColorType::Rgb } else { ColorType::Rgba });
    let mut writer = encoder.write_header().map_err(unwritable)?;
    if opaque {
        let rgb: Vec<u8> =
            image.pixels.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        writer.write_image_data(&rgb).map_err(unwritable)?;
    } else {
        writer.write_image_data(&image.pixels).map_err(unwritable)?;
    }
    writer.finish().map_err(unwritable)?;
    Ok(bytes)
}

/// Whether a text may stand in a tEXt chunk: in Latin-1, and not in bytes that readers take for UTF-8 (`Ã©` for `é`).
fn is_latin1(text: &str) -> bool {
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    bytes.is_some_and(|bytes| bytes.is_ascii() || std::str::from_utf8(&bytes).is_err())
}

/// Reads any PNG of at most 32 megapixels as RGBA, with its texts.
pub fn decode_png(bytes: &[u8]) -> Result<Decoded> {
    let limits = Limits { bytes: 4 * MAX_PIXELS + 4 * MAX_TEXT };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(unreadable)?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    if width.checked_mul(height).is_none_or(|pixels| pixels > MAX_PIXELS) {
        return Err(bad(format!("{width}x{height} pixels, at most {MAX_PIXELS} in all are read")));
    }
    let size =
        reader.output_buffer_size().ok_or_else(|| bad(format!("{width}x{height} pixels are too many")))?;
    let mut raw = vec![0; size];
    let info = reader.next_frame(&mut raw).map_err(unreadable)?;
    raw.truncate(info.buffer_size());
    let pixels = match info.color_type {
        ColorType::Rgba => raw,
        ColorType::Rgb => raw.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect(),
        ColorType::GrayscaleAlpha => raw.chunks_exact(2).flat_map(|p| [p[0], p[0], p[0], p[1]]).collect(),
        ColorType::Grayscale => raw.iter().flat_map(|p| [*p, *p, *p, 255]).collect(),
        ColorType::Indexed => return Err(bad("a palette that was not expanded".to_string())),
    };
    reader.finish().map_err(unreadable)?;
    Ok(Decoded { image: Rgba::new(width, height, pixels)?, texts: Texts::read(bytes)?.all() })
}

fn bad(message: String) -> Error {
    Error::BadFile { file: "PNG".to_string(), message }
}

fn unreadable(error: png::DecodingError) -> Error {
    bad(error.to_string())
}

fn unwritable(error: png::EncodingError) -> Error {
    Error::InvalidInput { field: "image", message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn picture(width: usize, height: usize, alpha: u8) -> Rgba {
        let pixel = |i: usize| [(i * 7) as u8, (i * 13) as u8, (i * 29) as u8, alpha];
        Rgba { width, height, pixels: (0..width * height).flat_map(pixel).collect() }
    }

    #[test]
    fn round_trip_with_texts() -> Result<()> {
        let texts = [
            ("parameters", "a café\nSteps: 4, Size: 3x5"),
            ("Title", "яблоко 🍎 שלום"),
            ("Source", "Ã© Ã¤"),
            ("Comment", ""),
        ];
        for alpha in [255, 100] {
            let image = picture(3, 5, alpha);
            let decoded = decode_png(&encode_png(&image, &texts)?)?;
            assert_eq!(decoded.image, image);
            for (keyword, text) in texts {
                assert_eq!(decoded.text(keyword), Some(text));
            }
            assert_eq!(decoded.text("absent"), None);
        }
        Ok(())
    }

    /// Where readers that know only one kind of chunk look for it.
    #[test]
    fn latin_texts_are_text_chunks_and_others_international() -> Result<()> {
        let bytes = encode_png(&picture(1, 1, 255), &[("parameters", "é"), ("Title", "я")])?;
        let at = |needle: &[u8]| bytes.windows(needle.len()).position(|window| window == needle);
        assert!(at(b"tEXtparameters\0\xe9").is_some());
        assert!(at(b"iTXtTitle\0").is_some());
        Ok(())
    }

    #[test]
    fn a_picture_of_a_model_is_marked_with_and_without_its_settings() -> Result<()> {
        let image = picture(2, 2, 255);
        for (settings, of, kind) in [
            (Some("a cat\nSteps: 4"), MadeOf::Words, "trainedAlgorithmicMedia"),
            (None, MadeOf::Words, "trainedAlgorithmicMedia"),
            (None, MadeOf::Picture, "compositeWithTrainedAlgorithmicMedia"),
        ] {
            let bytes = encode_made(&image, of, settings)?;
            let decoded = decode_png(&bytes)?;
            assert_eq!(decoded.text(Parameters::KEYWORD), settings);
            let mark = decoded.text(XMP).unwrap_or_default();
            assert!(mark.contains(&format!("digitalsourcetype/{kind}\"/>")), "{mark}");
            // Neither compressed, nor of a language, nor with its keyword translated.
            let chunk = b"iTXtXML:com.adobe.xmp\0\0\0\0\0<?xpacket";
            assert!(bytes.windows(chunk.len()).any(|window| window == chunk));
        }
        Ok(())
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let mut image = picture(2, 2, 255);
        for keyword in ["", &"k".repeat(80), "я"] {
            assert!(encode_png(&image, &[(keyword, "text")]).is_err(), "{keyword:?}");
        }
        let nul = encode_png(&image, &[("k", "a\0b")]).and_then(|bytes| decode_png(&bytes));
        assert_eq!(nul.ok().and_then(|decoded| decoded.text("k").map(str::to_string)).as_deref(), Some("ab"));
        image.width = 3;
        assert!(encode_png(&image, &[]).is_err());
    }

    /// Every colour type and depth that a stranger's file may have.
    #[test]
    fn other_colour_types() -> std::result::Result<(), Box<dyn std::error::Error>> {
        let cases: [(ColorType, BitDepth, &[u8], [u8; 4]); 6] = [
            (ColorType::Grayscale, BitDepth::Eight, &[9], [9, 9, 9, 255]),
            (ColorType::Grayscale, BitDepth::One, &[0x80], [255, 255, 255, 255]),
            (ColorType::GrayscaleAlpha, BitDepth::Eight, &[9, 8], [9, 9, 9, 8]),
            (ColorType::Rgb, BitDepth::Sixteen, &[1, 0, 2, 0, 3, 0], [1, 2, 3, 255]),
            (ColorType::Rgba, BitDepth::Eight, &[1, 2, 3, 4], [1, 2, 3, 4]),
            (ColorType::Indexed, BitDepth::Eight, &[1], [4, 5, 6, 255]),
        ];
        for (color, depth, data, expected) in cases {
            let mut bytes = Vec::new();
            let mut encoder = Encoder::new(&mut bytes, 1, 1);
            encoder.set_color(color);
            encoder.set_depth(depth);
            if color == ColorType::Indexed {
                encoder.set_palette(vec![1, 2, 3, 4, 5, 6]);
            }
            let mut writer = encoder.write_header()?;
            writer.write_image_data(data)?;
            writer.finish()?;
            assert_eq!(decode_png(&bytes)?.image.pixels, expected, "{color:?} {depth:?}");
        }
        Ok(())
    }

    #[test]
    fn compressed_texts_are_read_and_bounded() -> std::result::Result<(), Box<dyn std::error::Error>> {
        for (count, read) in [(1000, true), (MAX_TEXT + 10, false)] {
            let mut bytes = Vec::new();
            let mut encoder = Encoder::new(&mut bytes, 1, 1);
            encoder.set_color(ColorType::Grayscale);
            encoder.add_ztxt_chunk("parameters".to_string(), "a".repeat(count))?;
            encoder.write_header()?.write_image_data(&[0])?;
            // What is too long is left out; the picture and the other texts are read all the same.
            let decoded = decode_png(&bytes)?;
            assert_eq!(decoded.text("parameters").map(str::len), read.then_some(count), "{count}");
        }
        Ok(())
    }

    /// A header that claims 2^31 by 2^31 pixels, or a hundred megapixels, allocates nothing.
    #[test]
    fn lying_headers() -> Result<()> {
        let good = encode_png(&picture(1, 1, 255), &[])?;
        for (width, height) in
            [(0x7fff_ffff_u32, 0x7fff_ffff_u32), (10_000, 10_000), (0, 1), (0x7fff_ffff, 1)]
        {
            let mut bytes = good.clone();
            bytes[16..20].copy_from_slice(&width.to_be_bytes());
            bytes[20..24].copy_from_slice(&height.to_be_bytes());
            let crc = crc32fast::hash(&bytes[12..29]);
            bytes[29..33].copy_from_slice(&crc.to_be_bytes());
            let error = decode_png(&bytes).unwrap_err().to_string();
            assert!(error.starts_with("PNG: "), "{error}");
        }
        Ok(())
    }

    #[test]
    fn truncated_files_are_errors() -> Result<()> {
        let good = encode_png(&picture(9, 9, 7), &[("parameters", "text")])?;
        for length in 0..good.len() - 12 {
            assert!(decode_png(&good[..length]).is_err(), "{length} of {} bytes", good.len());
        }
        assert!(decode_png(b"<!doctype html>").is_err());
        Ok(())
    }

    proptest! {
        #[test]
        fn any_text_survives(text in "\\PC{0,200}", width in 1_usize..9, height in 1_usize..9) {
            let image = picture(width, height, 200);
            let decoded = decode_png(&encode_png(&image, &[("parameters", &text)]).unwrap()).unwrap();
            prop_assert_eq!(decoded.text("parameters"), Some(text.as_str()));
            prop_assert_eq!(decoded.image, image);
        }

        #[test]
        fn damaged_files_never_panic(at in 0_usize..400, value: u8, cut in 0_usize..400) {
            let mut bytes = encode_png(&picture(9, 9, 7), &[("parameters", "text"), ("t", "я")]).unwrap();
            let at = at % bytes.len();
            bytes[at] = value;
            bytes.truncate(bytes.len() - cut % 20);
            let _ = decode_png(&bytes);
        }

        #[test]
        fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(decode_png(&bytes).is_err());
        }
    }
}
