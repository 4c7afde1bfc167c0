//! The comments in EXIF, and XMP packets, of JPEG and WebP files, where A1111 keeps its `parameters` and ComfyUI its graphs.
//!
//! Of EXIF (a TIFF directory: <https://www.cipa.jp/std/documents/download_e.html?DC-008-Translation-2023-E>) only four
//! tags are looked at, in the first directory and in the one it points to: no chain of directories is followed.

use super::origin::XMP;
use super::texts::{Coding, Entry, MAX_TEXTS};

/// In which order a number's bytes stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

/// The tags that hold words, and the keywords they are known by here.
const TAGS: [(u16, &str); 4] =
    [(0x9286, "UserComment"), (0x010e, "ImageDescription"), (0x010f, "Make"), (0x0110, "Model")];
/// Where the directory lies that has the user comment.
const EXIF_DIRECTORY: u16 = 0x8769;
const EXIF: &[u8] = b"Exif\0\0";
/// What stands before a JPEG file's XMP packet (XMP Specification Part 3, 1.1.3).
const JPEG_XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

/// The comments of a JPEG file: its segments up to the picture's own data.
pub(super) fn read_jpeg(bytes: &[u8]) -> (Vec<Entry<'_>>, Option<String>) {
    const COMMENT: u8 = 0xfe;
    const APP1: u8 = 0xe1;
    let mut entries = Vec::new();
    let mut rest = bytes.get(2..).unwrap_or_default();
    loop {
        match rest {
            // Any number of these may stand before a marker.
            [0xff, 0xff, ..] => rest = &rest[1..],
            // The picture's data, or the end.
            [0xff, 0xda | 0xd9, ..] => return (entries, None),
            [0xff, marker, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                let Some((segment, after)) = rest.split_at_checked(2 + length).filter(|_| length >= 2) else {
                    break;
                };
                let data = &segment[4..];
                match *marker {
                    APP1 => match data.strip_prefix(JPEG_XMP) {
                        Some(packet) => entries.push(plain(XMP, packet)),
                        None => entries.extend(data.strip_prefix(EXIF).map(read_tiff).unwrap_or_default()),
                    },
                    COMMENT => entries.push(plain("Comment", data)),
                    _ => {}
                }
                entries.truncate(MAX_TEXTS);
                rest = after;
            }
            _ => break,
        }
    }
    (entries, Some("it breaks off before its picture".to_string()))
}

/// The comments of a WebP file.
pub(super) fn read_webp(bytes: &[u8]) -> (Vec<Entry<'_>>, Option<String>) {
    let mut entries = Vec::new();
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let Some((kind, after)) = rest.split_first_chunk::<4>() {
        let Some((length, data)) = after.split_first_chunk() else { break };
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let Some(data) = data.get(..length) else {
            return (entries, Some("it breaks off before its end".to_string()));
        };
        if kind == b"EXIF" && entries.len() < MAX_TEXTS {
            entries.extend(read_tiff(data.strip_prefix(EXIF).unwrap_or(data)));
        }
        if kind == b"XMP " && entries.len() < MAX_TEXTS {
            entries.push(plain(XMP, data));
        }
        // Chunks begin at even places.
        rest = after.get(4 + length + length % 2..).unwrap_or_default();
    }
    (entries, None)
}

/// The comments of a TIFF directory and of the one for EXIF that it points to.
pub(super) fn read_tiff(bytes: &[u8]) -> Vec<Entry<'_>> {
    let order = match bytes {
        [b'I', b'I', 42, 0, ..] => Order::Little,
        [b'M', b'M', 0, 42, ..] => Order::Big,
        _ => return Vec::new(),
    };
    let tiff = Tiff { bytes, order };
    let mut entries = Vec::new();
    let mut next = tiff.u32(4);
    // The first directory, then the one for EXIF; no further.
    for _ in 0..2 {
        let Some(at) = next.take() else { break };
        let count = tiff.u16(at).unwrap_or(0);
        for field in (0..usize::from(count)).map_while(|i| at.checked_add(2 + 12 * i)) {
            match tiff.u16(field) {
                Some(EXIF_DIRECTORY) => next = tiff.u32(field + 8),
                Some(tag) => entries.extend(tiff.entry(tag, field)),
                None => break,
            }
        }
    }
    entries.truncate(MAX_TEXTS);
    entries
}

struct Tiff<'a> {
    bytes: &'a [u8],
    order: Order,
}

impl<'a> Tiff<'a> {
    fn u16(&self, at: usize) -> Option<u16> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.order == Order::Big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32(&self, at: usize) -> Option<usize> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        let value =
            if self.order == Order::Big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        usize::try_from(value).ok()
    }

    /// The text of one field: tag, type, count, and where its bytes are (or, up to four, the bytes).
    fn entry(&self, tag: u16, field: usize) -> Option<Entry<'a>> {
        let (_, keyword) = TAGS.iter().find(|(known, _)| *known == tag)?;
        // Bytes, text, and bytes of no type.
        if !matches!(self.u16(field + 2)?, 1 | 2 | 7) {
            return None;
        }
        let length = self.u32(field + 4)?;
        let at = if length <= 4 { field + 8 } else { self.u32(field + 8)? };
        let bytes = self.bytes.get(at..at.checked_add(length)?)?;
        match *keyword {
            "UserComment" => Some(Entry { keyword, coding: Coding::Comment(self.order), bytes, sound: true }),
            _ => Some(plain(keyword, bytes)),
        }
    }
}

fn plain<'a>(keyword: &'static str, bytes: &'a [u8]) -> Entry<'a> {
    Entry { keyword, coding: Coding::Plain, bytes: trimmed(bytes), sound: true }
}

/// Without the zeros at its end.
fn trimmed(bytes: &[u8]) -> &[u8] {
    let len = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &bytes[..len]
}

/// EXIF's user comment: eight bytes that say how it is written, then the text. What cannot be read becomes U+FFFD.
pub(super) fn comment(bytes: &[u8], order: Order) -> String {
    let Some((code, text)) = bytes.split_first_chunk::<8>() else {
        return super::texts::plain(trimmed(bytes));
    };
    match code {
        b"UNICODE\0" => unicode(text, order),
        b"JIS\0\0\0\0\0" => jis(trimmed(text)),
        b"ASCII\0\0\0" | [0, 0, 0, 0, 0, 0, 0, 0] => super::texts::plain(trimmed(text)),
        _ => super::texts::plain(trimmed(bytes)),
    }
}

/// UTF-16 in whichever order makes letters of it: A1111 writes it big-endian in every file, others as the file's numbers
/// are. Some write UTF-8 in its place.
fn unicode(bytes: &[u8], order: Order) -> String {
    let short = trimmed(bytes);
    if !short.contains(&0) && std::str::from_utf8(short).is_ok() {
        return super::texts::plain(short);
    }
    let zeros = |offset: usize| bytes.iter().skip(offset).step_by(2).filter(|&&byte| byte == 0).count();
    let (order, text) = match bytes {
        [0xfe, 0xff, text @ ..] => (Order::Big, text),
        [0xff, 0xfe, text @ ..] => (Order::Little, text),
        _ => match (zeros(0), zeros(1)) {
            // The half that is zero in Latin letters comes first.
            (even, odd) if even > odd => (Order::Big, bytes),
            (even, odd) if even < odd => (Order::Little, bytes),
            _ => (order, bytes),
        },
    };
    let unit = |pair: &[u8]| match order {
        Order::Big => u16::from_be_bytes([pair[0], pair[1]]),
        Order::Little => u16::from_le_bytes([pair[0], pair[1]]),
    };
    let text: String = char::decode_utf16(text.chunks_exact(2).map(unit))
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    text.trim_end_matches('\0').to_string()
}

/// JIS X 0208 between its escapes: the ASCII in it.
fn jis(bytes: &[u8]) -> String {
    let (mut text, mut rest, mut width) = (String::new(), bytes, 1);
    while let Some(&byte) = rest.first() {
        let taken = match rest {
            [0x1b, b'$', b'@' | b'B', ..] => {
                width = 2;
                3
            }
            [0x1b, b'(', _, ..] => {
                width = 1;
                3
            }
            _ => {
                let ascii = width == 1 && byte.is_ascii();
                text.push(if ascii { char::from(byte) } else { char::REPLACEMENT_CHARACTER });
                width
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    text
}
