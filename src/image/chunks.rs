//! The text chunks of a PNG file: tEXt, zTXt, iTXt and the comments in eXIf. <https://www.w3.org/TR/png-3/#11textinfo>

use super::exif;
use super::texts::{Coding, Entry, Kind, MAX_TEXTS, damaged};
use crate::error::Result;

const SIGNATURE: usize = 8;

/// The texts of a PNG file and what is wrong with the rest of it. An error where not even its header can be read.
pub(super) fn read(bytes: &[u8]) -> Result<(Vec<Entry<'_>>, Option<String>)> {
    let mut rest = bytes.get(SIGNATURE..).unwrap_or_default();
    match chunk(rest) {
        Some(Chunk { kind: b"IHDR", data, sound: true, rest: after }) if data.len() == 13 => rest = after,
        Some(Chunk { kind: b"IHDR", .. }) => {
            return Err(damaged(Kind::Png.name(), "the checksum of its header is wrong"));
        }
        _ => return Err(damaged(Kind::Png.name(), "it breaks off in its header")),
    }
    let (mut entries, mut damage) = (Vec::new(), None);
    loop {
        let Some(Chunk { kind, data, sound, rest: after }) = chunk(rest) else {
            damage = damage.or(Some("it breaks off before its end".to_string()));
            break;
        };
        rest = after;
        let entry = text(kind, data, sound).filter(|_| entries.len() < MAX_TEXTS);
        match (entry, kind) {
            (Some(entry), _) => entries.push(entry),
            (None, b"IEND") => break,
            (None, b"eXIf") if sound => {
                entries.extend(exif::read_tiff(data));
                entries.truncate(MAX_TEXTS);
            }
            (None, _) if !sound => {
                let kind = String::from_utf8_lossy(kind);
                damage = damage.or(Some(format!("the checksum of its {kind} chunk is wrong")));
            }
            (None, _) => {}
        }
    }
    Ok((entries, damage))
}

struct Chunk<'a> {
    kind: &'a [u8; 4],
    data: &'a [u8],
    /// Whether its checksum is right.
    sound: bool,
    /// What follows it.
    rest: &'a [u8],
}

/// The chunk at the start of `bytes`; `None` where it is not whole.
fn chunk(bytes: &[u8]) -> Option<Chunk<'_>> {
    let (length, bytes) = bytes.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (data, after) = bytes.split_at_checked(length.checked_add(4)?)?;
    let (sum, rest) = after.split_first_chunk()?;
    let sound = crc32fast::hash(data) == u32::from_be_bytes(*sum);
    let (kind, data) = data.split_first_chunk()?;
    Some(Chunk { kind, data, sound, rest })
}

/// All chunks whose checksums are right, by what they are called; none of a file that is no PNG.
pub(super) fn chunks(png: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    let rest = png.get(SIGNATURE..).filter(|_| Kind::of(png) == Some(Kind::Png)).unwrap_or_default();
    let all = std::iter::successors(chunk(rest), |last| chunk(last.rest));
    all.filter(|chunk| chunk.sound).map(|chunk| (chunk.kind, chunk.data))
}

/// A text chunk's keyword and text.
fn text<'a>(kind: &[u8; 4], data: &'a [u8], sound: bool) -> Option<Entry<'a>> {
    const LONGEST_KEYWORD: usize = 79;
    if !matches!(kind, b"tEXt" | b"zTXt" | b"iTXt") {
        return None;
    }
    let end = data.iter().take(LONGEST_KEYWORD + 1).position(|&byte| byte == 0)?;
    let keyword = std::str::from_utf8(&data[..end]).ok()?;
    let rest = &data[end + 1..];
    let (coding, bytes) = match (kind, rest) {
        (b"tEXt", text) => (Coding::Plain, text),
        (b"zTXt", [0, deflated @ ..]) => (Coding::Deflated, deflated),
        // Whether it is compressed and by what; a language tag; the keyword translated; the text.
        (b"iTXt", [compressed, 0, rest @ ..]) => {
            let mut parts = rest.splitn(3, |&byte| byte == 0);
            let text = parts.nth(2)?;
            (if *compressed == 0 { Coding::Plain } else { Coding::Deflated }, text)
        }
        _ => return None,
    };
    Some(Entry { keyword, coding, bytes, sound })
}
