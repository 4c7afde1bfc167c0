//! What is hidden in a picture's alpha: NovelAI's settings, and those of extensions that follow it.
//!
//! The lowest bits of alpha, one column after the other from the left, each from above, are a word, a number of bits (32 of them,
//! the highest first) and so many bits of a text, which the word calls compressed by gzip or not. After NovelAI's own reader,
//! <https://github.com/NovelAI/novelai-image-metadata>.

use fdeflate::Decompressor;

use super::chunks::chunks;
use super::texts::{MAX_TEXT, plain};

/// What it begins with, and whether it is compressed.
const WORDS: [(&[u8; WORD], bool); 2] = [(b"stealth_pngcomp", true), (b"stealth_pnginfo", false)];
const WORD: usize = 15;
/// Rows whose first pixels hold the word, where there are so many.
const ROWS: usize = 8 * WORD;
/// The largest picture that is looked at; NovelAI's have three megapixels at most.
const MOST_PIXELS: usize = 1 << 22;
/// Bytes that are unpacked at a time.
const PIECE: usize = 1 << 16;

/// The text that is hidden in a PNG of 8-bit RGBA, not interlaced; none where there is none.
pub fn hidden(png: &[u8]) -> Option<String> {
    let (mut sides, mut deflated) = (None, Vec::new());
    for (kind, data) in chunks(png) {
        match (kind, data) {
            // 8 bits, RGBA, as PNG compresses and filters, rows in their order.
            (b"IHDR", [sizes @ .., 8, 6, 0, 0, 0]) => sides = sizes_of(sizes),
            (b"IDAT", data) if sides.is_some() => deflated.extend_from_slice(data),
            _ => {}
        }
    }
    let bytes = lowest_bits(&deflated, sides?)?;
    let (word, rest) = bytes.split_first_chunk::<WORD>()?;
    let (_, is_compressed) = WORDS.into_iter().find(|(known, _)| *known == word)?;
    let (bits, rest) = rest.split_first_chunk::<4>()?;
    let text = rest.get(..u32::from_be_bytes(*bits) as usize / 8)?;
    let text = if is_compressed { unpacked(text)? } else { text.to_vec() };
    (text.len() <= MAX_TEXT).then(|| plain(&text))
}

/// Width and height, where such a picture may hold something and is not too large.
fn sizes_of(bytes: &[u8]) -> Option<[usize; 2]> {
    let (width, height) = bytes.split_first_chunk::<4>()?;
    let side = |bytes: &[u8; 4]| usize::try_from(u32::from_be_bytes(*bytes)).ok();
    let [width, height] = [side(width)?, side(height.first_chunk()?)?];
    let pixels = width.checked_mul(height)?;
    (8 * (WORD + 4)..=MOST_PIXELS).contains(&pixels).then_some([width, height])
}

/// The lowest bits of a picture's alpha as bytes, column after column; none where they cannot be what is looked for.
fn lowest_bits(deflated: &[u8], [width, height]: [usize; 2]) -> Option<Vec<u8>> {
    let stride = 1 + 4 * width;
    let mut unpacking =
        Unpacking { input: deflated, output: Vec::new(), written: 0, state: Decompressor::new() };
    let mut bits = vec![0u8; (width * height).div_ceil(8)];
    let mut alpha = vec![0; width];
    for y in 0..height {
        let row = unpacking.up_to((y + 1) * stride, height * stride)?.get(y * stride..)?;
        unfilter(row, &mut alpha)?;
        for (x, value) in alpha.iter().enumerate() {
            let bit = x * height + y;
            bits[bit / 8] |= (value & 1) << (7 - bit % 8);
        }
        // Nearly all pictures end here.
        if y + 1 == ROWS && !WORDS.iter().any(|(word, _)| bits.starts_with(*word)) {
            return None;
        }
    }
    Some(bits)
}

/// A row's alpha, of the one above; PNG foretells each channel from itself. <https://www.w3.org/TR/png-3/#9Filters>
fn unfilter(row: &[u8], above: &mut [u8]) -> Option<()> {
    let (kind, row) = row.split_first()?;
    let (mut left, mut corner) = (0, 0);
    for (up, pixel) in above.iter_mut().zip(row.chunks_exact(4)) {
        let foretold = match kind {
            0 => 0,
            1 => left,
            2 => *up,
            3 => ((u16::from(left) + u16::from(*up)) / 2) as u8,
            4 => nearest(left, *up, corner),
            _ => return None,
        };
        corner = *up;
        *up = pixel[3].wrapping_add(foretold);
        left = *up;
    }
    Some(())
}

/// Paeth's: which of three is nearest to left + above − corner.
fn nearest(left: u8, up: u8, corner: u8) -> u8 {
    let [a, b, c] = [left, up, corner].map(i32::from);
    let far = |value: i32| (a + b - c - value).abs();
    match () {
        () if far(a) <= far(b) && far(a) <= far(c) => left,
        () if far(b) <= far(c) => up,
        () => corner,
    }
}

/// A stream of zlib's that is unpacked as far as it is looked at.
struct Unpacking<'a> {
    input: &'a [u8],
    output: Vec<u8>,
    written: usize,
    state: Decompressor,
}

impl Unpacking<'_> {
    /// The first `length` bytes of `most`; none where it breaks off before.
    fn up_to(&mut self, length: usize, most: usize) -> Option<&[u8]> {
        while self.written < length && !self.state.is_done() {
            self.output.resize((self.written + PIECE).min(most), 0);
            let (read, written) = self.state.read(self.input, &mut self.output, self.written, true).ok()?;
            self.input = &self.input[read..];
            self.written += written;
        }
        self.output.get(..length).filter(|_| self.written >= length)
    }
}

/// What gzip packed. <https://www.rfc-editor.org/rfc/rfc1952>
fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    const NAMED: [u8; 2] = [8, 16]; // with a file's name, with a comment
    let ([0x1f, 0x8b, 8, flags, ..], mut rest) = bytes.split_first_chunk::<10>()? else { return None };
    if flags & 4 != 0 {
        let (length, after) = rest.split_first_chunk()?;
        rest = after.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for _ in NAMED.iter().filter(|flag| flags & **flag != 0) {
        rest = rest.get(rest.iter().position(|byte| *byte == 0)? + 1..)?;
    }
    let rest = if flags & 2 != 0 { rest.get(2..)? } else { rest };
    // zlib's with another header and another checksum behind.
    let (_, end) = rest.split_last_chunk::<8>()?;
    let stream = [&[0x78, 0x01], rest].concat();
    let mut state = Decompressor::new();
    state.ignore_adler32();
    let mut unpacking = Unpacking { input: &stream, output: Vec::new(), written: 0, state };
    let length =
        usize::try_from(u32::from_le_bytes(*end.last_chunk()?)).ok().filter(|all| *all <= MAX_TEXT)?;
    let text = unpacking.up_to(length, length)?.to_vec();
    (crc32fast::hash(&text) == u32::from_le_bytes(*end.first_chunk()?)).then_some(text)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::{Rgba, encode_png};
    use super::*;
    use png::{BitDepth, ColorType, Encoder, Filter};

    /// As NovelAI packs it.
    fn gzip(text: &[u8]) -> Vec<u8> {
        let zlib = fdeflate::compress_to_vec(text);
        let (sum, length) = (crc32fast::hash(text).to_le_bytes(), (text.len() as u32).to_le_bytes());
        [b"\x1f\x8b\x08\0\0\0\0\0\x02\xff", &zlib[2..zlib.len() - 4], &sum, &length].concat()
    }

    /// A picture that says so in its alpha, which is 254 or 255.
    pub(crate) fn hiding(word: &str, text: &[u8], [width, height]: [usize; 2]) -> Rgba {
        let text = if word.ends_with("comp") { gzip(text) } else { text.to_vec() };
        let bytes = [word.as_bytes(), &(8 * text.len() as u32).to_be_bytes(), &text].concat();
        let mut pixels: Vec<u8> =
            (0..width * height).flat_map(|at| [at as u8, (at / 7) as u8, 9, 254]).collect();
        for (bit, at) in (0..8 * bytes.len()).map(|bit| (bit, (bit % height) * width + bit / height)) {
            pixels[4 * at + 3] |= (bytes[bit / 8] >> (7 - bit % 8)) & 1;
        }
        Rgba { width, height, pixels }
    }

    #[test]
    fn a_text_in_the_alpha_is_found() {
        let text = "{\"Comment\": \"{\\\"prompt\\\": \\\"a café\\\"}\"}";
        for word in ["stealth_pngcomp", "stealth_pnginfo"] {
            for sides in [[64, 130], [200, 19], [40, 120]] {
                let image = hiding(word, text.as_bytes(), sides);
                let png = encode_png(&image, &[]).expect("a PNG");
                assert_eq!(hidden(&png).as_deref(), Some(text), "{word} {sides:?}");
            }
        }
        // However its rows are foretold.
        let image = hiding("stealth_pngcomp", text.as_bytes(), [64, 130]);
        for filter in
            [Filter::NoFilter, Filter::Sub, Filter::Up, Filter::Avg, Filter::Paeth, Filter::Adaptive]
        {
            let mut png = Vec::new();
            let mut encoder = Encoder::new(&mut png, 64, 130);
            encoder.set_color(ColorType::Rgba);
            encoder.set_depth(BitDepth::Eight);
            encoder.set_filter(filter);
            let written = encoder.write_header().and_then(|mut writer| {
                writer.write_image_data(&image.pixels)?;
                writer.finish()
            });
            written.expect("a PNG");
            assert_eq!(hidden(&png).as_deref(), Some(text), "{filter:?}");
        }
    }

    #[test]
    fn what_hides_nothing_is_passed_over() {
        let of = |image: &Rgba| hidden(&encode_png(image, &[]).expect("a PNG"));
        let good = hiding("stealth_pngcomp", b"a text", [64, 130]);
        assert!(of(&good).is_some());
        for (word, sides) in [("stealth_pngother", [64, 130]), ("tealth_pngcomp_", [200, 19])] {
            assert_eq!(of(&hiding(word, b"a text", sides)), None);
        }
        let opaque = Rgba { pixels: vec![255; good.pixels.len()], ..good.clone() };
        assert_eq!((of(&opaque), hidden(b"no PNG")), (None, None));
        // More than there is; a byte that is another; one bit more than may be.
        let mut longer = good.clone();
        longer.pixels[4 * 64 * 121 + 3] |= 1;
        let mut damaged = good;
        damaged.pixels[4 * (64 * 40 + 2) + 3] ^= 1;
        assert_eq!((of(&longer), of(&damaged)), (None, None));
        let png = encode_png(&damaged, &[]).expect("a PNG");
        for end in (0..png.len()).step_by(97) {
            assert_eq!(hidden(&png[..end]), None);
        }
        let bomb = vec![0; MAX_TEXT + 1];
        assert_eq!(of(&hiding("stealth_pngcomp", &bomb, [400, 400])), None);
    }
}
