//! What a picture's file says in words: the text chunks of PNG, the EXIF comments of JPEG and WebP.
//!
//! Pixels are passed over. Every file is walked once, and a text is unpacked only when it is asked for and no further
//! than [`MAX_TEXT`]: a file of n bytes costs time and memory of the order of n, whatever it claims.

use super::{chunks, exif};
use crate::error::{Error, Result};

/// The longest text that is read, in bytes.
pub const MAX_TEXT: usize = 1 << 20;
/// The most texts of a file that are looked at; real ones have a handful.
pub(super) const MAX_TEXTS: usize = 1 << 10;
/// How many texts of one keyword are tried before none of them counts as readable.
const TRIES: usize = 4;

/// The kinds of picture files that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Png,
    Jpeg,
    Webp,
}

impl Kind {
    /// What a file's first bytes say it is.
    pub fn of(bytes: &[u8]) -> Option<Kind> {
        match bytes {
            [0x89, b'P', b'N', b'G', ..] => Some(Kind::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Kind::Jpeg),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Kind::Webp),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::Png => "PNG",
            Kind::Jpeg => "JPEG",
            Kind::Webp => "WebP",
        }
    }
}

/// What a picture's file says in words, not yet unpacked.
#[derive(Debug)]
pub struct Texts<'a> {
    pub kind: Kind,
    entries: Vec<Entry<'a>>,
    /// What is wrong with the rest of the file.
    pub damage: Option<String>,
}

/// One text as it lies in the file.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub keyword: &'a str,
    pub coding: Coding,
    pub bytes: &'a [u8],
    /// Whether its checksum, if it has one, is right.
    pub sound: bool,
}

/// How a text is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Coding {
    /// UTF-8 where the bytes are that, else Latin-1, as which PNG has it.
    Plain,
    /// The same, compressed by zlib.
    Deflated,
    /// EXIF's user comment: eight bytes say how the rest is written.
    Comment(exif::Order),
}

/// A text that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub text: String,
    /// Whether its checksum, if it has one, is right.
    pub sound: bool,
}

impl<'a> Texts<'a> {
    /// Walks a file. An error where it is of no kind that is read, or damaged from its first bytes on.
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        let Some(kind) = Kind::of(bytes) else {
            return Err(damaged("picture", "it is neither a PNG, a JPEG nor a WebP file"));
        };
        let (entries, damage) = match kind {
            Kind::Png => chunks::read(bytes)?,
            Kind::Jpeg => exif::read_jpeg(bytes),
            Kind::Webp => exif::read_webp(bytes),
        };
        Ok(Texts { kind, entries, damage })
    }

    /// The first readable text of that keyword.
    pub fn text(&self, keyword: &str) -> Option<Text> {
        let mut named = self.entries.iter().filter(|entry| entry.keyword == keyword).take(TRIES);
        named.find_map(|entry| Some(Text { text: entry.text()?, sound: entry.sound }))
    }

    /// Whether there is a text of that keyword, readable or not.
    pub fn has(&self, keyword: &str) -> bool {
        self.entries.iter().any(|entry| entry.keyword == keyword)
    }

    /// All that can be read.
    pub fn all(&self) -> Vec<(String, String)> {
        let readable = |entry: &Entry| Some((entry.keyword.to_string(), entry.text()?));
        self.entries.iter().filter_map(readable).collect()
    }
}

impl Entry<'_> {
    /// `None` where it is too long or breaks off.
    fn text(&self) -> Option<String> {
        if self.bytes.len() > MAX_TEXT {
            return None;
        }
        match self.coding {
            Coding::Plain => Some(plain(self.bytes)),
            Coding::Deflated => {
                fdeflate::decompress_to_vec_bounded(self.bytes, MAX_TEXT).ok().map(|bytes| plain(&bytes))
            }
            Coding::Comment(order) => Some(exif::comment(self.bytes, order)),
        }
    }
}

/// UTF-8 where the bytes are that, else Latin-1.
pub(super) fn plain(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_string(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
}

/// A file that cannot be read.
pub(super) fn damaged(kind: &str, message: &str) -> Error {
    Error::BadFile { file: kind.to_string(), message: message.to_string() }
}
