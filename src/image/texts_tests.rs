//! Texts of every coding out of every kind of file; files that lie and files cut anywhere.

use proptest::prelude::*;

use super::texts::{Kind, MAX_TEXT, Texts};
use super::{Rgba, encode_png};

/// A PNG chunk with the right checksum.
pub(crate) fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind.as_slice(), data].concat();
    let sum = crc32fast::hash(&body).to_be_bytes();
    [&(data.len() as u32).to_be_bytes(), body.as_slice(), &sum].concat()
}

/// A PNG with these chunks between its header and its pixels.
pub(crate) fn png_with(chunks: &[Vec<u8>]) -> Vec<u8> {
    let picture = Rgba { width: 1, height: 1, pixels: vec![9; 4] };
    let plain = encode_png(&picture, &[]).expect("a PNG");
    let (head, tail) = plain.split_at(8 + 25);
    [head, chunks.concat().as_slice(), tail].concat()
}

/// EXIF of one tag in its second directory, `UserComment`, or in its first.
pub(crate) fn exif(big: bool, tag: u16, value: &[u8]) -> Vec<u8> {
    let u16 = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let u32 = |value: usize| if big { (value as u32).to_be_bytes() } else { (value as u32).to_le_bytes() };
    let field = |tag: u16, kind: u16, count: usize, at: usize| {
        [u16(tag).as_slice(), &u16(kind), &u32(count), &u32(at)].concat()
    };
    let mut file = if big { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
    file.extend(u32(8));
    if tag == 0x9286 {
        file.extend([u16(1).as_slice(), &field(0x8769, 4, 1, 26), &u32(0)].concat());
        file.extend([u16(1).as_slice(), &field(tag, 7, value.len(), 44), &u32(0)].concat());
    } else {
        file.extend([u16(1).as_slice(), &field(tag, 2, value.len(), 26), &u32(0)].concat());
    }
    [file.as_slice(), value].concat()
}

pub(crate) fn jpeg(exif: &[u8]) -> Vec<u8> {
    let length = ((2 + 6 + exif.len()) as u16).to_be_bytes();
    [
        b"\xff\xd8\xff\xe0\0\x04ab\xff\xe1".as_slice(),
        &length,
        b"Exif\0\0",
        exif,
        b"\xff\xda\0\x02pixels\xff\xd9",
    ]
    .concat()
}

pub(crate) fn webp(exif: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WEBPVP8 \x03\0\0\0abc\0EXIF".to_vec();
    file.extend((exif.len() as u32).to_le_bytes());
    file.extend(exif);
    file
}

/// A text as A1111 (`big`) or others write it into a user comment.
pub(crate) fn utf16(text: &str, big: bool) -> Vec<u8> {
    let units =
        text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() });
    b"UNICODE\0".iter().copied().chain(units).collect()
}

fn found(bytes: &[u8], keyword: &str) -> Option<String> {
    Texts::read(bytes).expect("a picture").text(keyword).map(|found| found.text)
}

#[test]
fn every_chunk_of_a_png() {
    let deflated = |text: &[u8]| fdeflate::compress_to_vec(text);
    for (kind, data) in [
        (b"tEXt", b"k\0caf\xe9".to_vec()),
        (b"tEXt", "k\0café".as_bytes().to_vec()),
        (b"zTXt", [b"k\0\0", deflated(b"caf\xe9").as_slice()].concat()),
        (b"zTXt", [b"k\0\0", deflated("café".as_bytes()).as_slice()].concat()),
        (b"iTXt", ["k\0\0\0fr\0clé\0café".as_bytes()].concat()),
        (b"iTXt", [b"k\0\x01\0\0\0", deflated("café".as_bytes()).as_slice()].concat()),
    ] {
        let file = png_with(&[chunk(kind, &data)]);
        assert_eq!(found(&file, "k").as_deref(), Some("café"), "{}", String::from_utf8_lossy(kind));
        assert_eq!(Texts::read(&file).expect("a PNG").damage, None);
    }
}

/// What cannot be unpacked stands in nobody's way.
#[test]
fn a_huge_text_beside_a_small_one() {
    let bomb = fdeflate::compress_to_vec(&vec![b'a'; MAX_TEXT + 1]);
    let bomb = chunk(b"zTXt", &[b"workflow\0\0", bomb.as_slice()].concat());
    let long = chunk(b"tEXt", &[b"prompt\0".as_slice(), &vec![b'b'; MAX_TEXT + 1]].concat());
    let file = png_with(&[bomb, long, chunk(b"tEXt", b"parameters\0small"), chunk(b"zTXt", b"k\0\0broken")]);
    assert_eq!(found(&file, "parameters").as_deref(), Some("small"));
    let texts = Texts::read(&file).expect("a PNG");
    for keyword in ["workflow", "prompt", "k"] {
        assert!(texts.has(keyword) && texts.text(keyword).is_none(), "{keyword}");
    }
    assert!(!texts.has("absent"));
}

#[test]
fn a_wrong_checksum_is_told_of() {
    let mut text = chunk(b"tEXt", b"k\0value");
    text[12] ^= 1;
    let file = png_with(&[text]);
    let texts = Texts::read(&file).expect("a PNG");
    assert_eq!(texts.text("k").map(|found| found.sound), Some(false));
    assert_eq!(texts.damage, None, "the rest is whole");
    let mut other = chunk(b"gAMA", b"abcd");
    other[9] ^= 1;
    let file = png_with(&[other, chunk(b"tEXt", b"k\0value")]);
    let texts = Texts::read(&file).expect("a PNG");
    assert_eq!(texts.text("k").map(|found| found.sound), Some(true));
    assert_eq!(texts.damage.as_deref(), Some("the checksum of its gAMA chunk is wrong"));
    let mut file = png_with(&[]);
    file[20] ^= 1;
    assert!(Texts::read(&file).unwrap_err().to_string().contains("checksum of its header"));
}

#[test]
fn user_comments_of_every_coding() {
    const TEXT: &str = "яблоко, 日本 a cat";
    for big in [true, false] {
        for comment in [
            utf16(TEXT, true),
            utf16(TEXT, false),
            [b"UNICODE\0\xff\xfe", &utf16(TEXT, false)[8..]].concat(),
            [b"UNICODE\0\xfe\xff", &utf16(TEXT, true)[8..]].concat(),
            [b"UNICODE\0", TEXT.as_bytes(), b"\0\0"].concat(),
            [b"ASCII\0\0\0", TEXT.as_bytes(), b"\0"].concat(),
            [b"\0\0\0\0\0\0\0\0", TEXT.as_bytes()].concat(),
            TEXT.as_bytes().to_vec(),
        ] {
            let exif = exif(big, 0x9286, &comment);
            for file in [jpeg(&exif), webp(&exif), webp(&[b"Exif\0\0", exif.as_slice()].concat())] {
                assert_eq!(found(&file, "UserComment").as_deref(), Some(TEXT), "{comment:?}");
                assert_eq!(Texts::read(&file).expect("a picture").damage, None);
            }
        }
    }
}

#[test]
fn what_is_no_letter_is_marked() {
    let read = |comment: &[u8]| found(&jpeg(&exif(true, 0x9286, comment)), "UserComment");
    assert_eq!(read(b"JIS\0\0\0\0\0a\x1b$B\x24\x22\x1b(Bb").as_deref(), Some("a\u{fffd}b"));
    assert_eq!(read(b"UNICODE\0\0a\xd8\0\0b").as_deref(), Some("a\u{fffd}b"));
    assert_eq!(read(b"short").as_deref(), Some("short"));
}

#[test]
fn other_tags_and_comments() {
    assert_eq!(found(&webp(&exif(false, 0x0110, b"prompt:{}\0")), "Model").as_deref(), Some("prompt:{}"));
    assert_eq!(found(&jpeg(&exif(true, 0x010e, b"abcdef\0")), "ImageDescription").as_deref(), Some("abcdef"));
    let comment = b"\xff\xd8\xff\xff\xfe\0\x06abcd\xff\xd9";
    assert_eq!(found(comment, "Comment").as_deref(), Some("abcd"));
}

#[test]
fn kinds() {
    assert_eq!(Kind::of(b"\x89PNG\r\n"), Some(Kind::Png));
    assert_eq!(Kind::of(b"RIFF....WAVE"), None);
    for file in [b"GIF89a".as_slice(), b"", b"hello"] {
        assert!(Texts::read(file).unwrap_err().to_string().contains("neither a PNG, a JPEG nor a WebP"));
    }
}

/// A directory that points to itself, lengths beyond the file, counts that lie.
#[test]
fn lying_exif() {
    let good = exif(true, 0x9286, &utf16("a", true));
    assert_eq!(found(&jpeg(&good), "UserComment").as_deref(), Some("a"));
    // Offsets of: the first directory, its count, its field's value, the comment's length and place.
    for at in [4, 8, 10, 18, 30, 34] {
        for value in [[0xff; 4], [0, 0, 0, 8], [0x7f, 0xff, 0xff, 0xf0]] {
            let mut bytes = good.clone();
            bytes[at..at + 4].copy_from_slice(&value);
            let _ = found(&jpeg(&bytes), "UserComment");
            let _ = found(&webp(&bytes), "UserComment");
        }
    }
}

proptest! {
    #[test]
    fn damaged_files_never_panic(at in 0_usize..300, value: u8, cut in 0_usize..300) {
        let exif = exif(true, 0x9286, &utf16("a cat", true));
        let text = chunk(b"zTXt", &[b"k\0\0", fdeflate::compress_to_vec(b"abc").as_slice()].concat());
        for mut file in [jpeg(&exif), webp(&exif), png_with(&[text])] {
            let length = file.len();
            file[at % length] = value;
            file.truncate(length - cut % 40);
            if let Ok(texts) = Texts::read(&file) {
                let _ = texts.all();
            }
        }
    }
}
