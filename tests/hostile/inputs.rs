//! Inputs made to take long, for every reader of data from outside, and how each is read.

use std::sync::LazyLock;

use opengen::config::{SchedulerConfig, UnetConfig};
use opengen::pipeline::recall;
use opengen::prompt::{Dialect, MAX_CHARS, Steps, Tokenizer, Wildcards, components, expand, timeline};
use opengen::weights::{Header, read_embedding};

/// An input of any length, and its reader.
pub struct Hostile {
    pub reader: &'static str,
    /// What it is made of.
    pub unit: String,
    /// The longest that the reader looks at, in bytes.
    pub most: usize,
    pub read: Box<dyn Fn(usize)>,
}

/// As long as a text in a picture may be, less what stands around the unit: a longer one would not be read at all.
const TEXT: usize = opengen::image::MAX_TEXT - (1 << 10);
/// As long as anything else is tried.
const FILE: usize = 8 << 20;

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
    Tokenizer::from_json(include_bytes!("../data/tokenizer/tokenizer.json")).expect("tokenizer.json")
});

/// All of them.
pub fn all() -> Vec<Hostile> {
    [texts(), graphs(), containers(), prompts(), headers(), configurations()].into_iter().flatten().collect()
}

fn hostile(reader: &'static str, unit: &str, most: usize, read: impl Fn(usize) + 'static) -> Hostile {
    Hostile { reader, unit: unit.to_string(), most, read: Box::new(read) }
}

/// `unit` again and again, `length` bytes in all.
fn repeated(unit: &str, length: usize) -> String {
    unit.repeat(length / unit.len())
}

/// Texts in pictures, as A1111 writes them.
fn texts() -> Vec<Hostile> {
    let units = [
        "<",
        "<lora:",
        "<lora:a>",
        "[",
        "[a:",
        "[a|",
        "(",
        ":",
        "aa:",
        "aa:\"",
        "aa:[",
        "aa:{\"\":",
        "aa:\"\\\",",
        "\\",
        "a a",
        "Steps: 1, ",
        "Steps: 1\n",
        "\n",
        "Negative prompt:",
        "AND ",
        "Template:\n",
        "é",
    ];
    let read = |unit: &'static str| {
        move |length| {
            let text = format!("{}\nSteps: 1, Sampler: Euler", repeated(unit, length));
            let _ = recall::from_file(&png(&[chunk(
                b"iTXt",
                &[b"parameters\0\0\0\0\0", text.as_bytes()].concat(),
            )]));
        }
    };
    units.map(|unit| hostile("parameters", unit, TEXT, read(unit))).into()
}

/// JSON in pictures.
fn graphs() -> Vec<Hostile> {
    let read = |keyword: &'static str, open: &'static str, unit: &'static str, close: &'static str| {
        move |length| {
            let text = format!("{open}{}{close}", repeated(unit, length));
            let data = [keyword.as_bytes(), b"\0\0\0\0\0", text.as_bytes()].concat();
            let _ = recall::from_file(&png(&[chunk(b"iTXt", &data)]));
        }
    };
    let node = r#""1":{"class_type":"KSampler","inputs":{"positive":["1",0],"latent_image":["1",0]}},"#;
    [
        ("prompt", "{", node, r#""2":{"class_type":"KSampler"}}"#),
        ("prompt", "{\"1\":", "[", ""),
        ("prompt", "{\"1\":", ": NaN", ""),
        ("parameters", "{\"prompt\":\"", "<", "\"}"),
        ("parameters", "{\"prompt\":\"a\"", ",\"k\":1", "}"),
        ("parameters", "", "{\"a\":", ""),
    ]
    .map(|(keyword, open, unit, close)| hostile("JSON", unit, TEXT, read(keyword, open, unit, close)))
    .into()
}

/// Files of many small parts.
fn containers() -> Vec<Hostile> {
    let bomb = fdeflate::compress_to_vec(&vec![b'a'; 1 << 22]);
    let bomb = chunk(b"zTXt", &[b"parameters\0\0", bomb.as_slice()].concat());
    let many = |part: Vec<u8>, make: fn(&[Vec<u8>]) -> Vec<u8>| {
        move |length: usize| {
            let parts = vec![part.clone(); length / part.len()];
            let _ = recall::from_file(&make(&parts));
        }
    };
    let field = [&[0x92, 0x86, 0, 7, 0, 0, 0, 40, 0, 0, 0, 0][..]].concat();
    vec![
        hostile("PNG", "empty text chunks", FILE, many(chunk(b"tEXt", b"parameters\0"), png)),
        hostile("PNG", "other chunks", FILE, many(chunk(b"abCd", b""), png)),
        hostile("PNG", "texts that unpack to 4 MB", FILE, many(bomb, png)),
        hostile("JPEG", "empty segments", FILE, many(vec![0xff, 0xe1, 0, 2], jpeg)),
        hostile("JPEG", "fill bytes", FILE, many(vec![0xff], jpeg)),
        hostile("WebP", "empty chunks", FILE, many(b"EXIF\0\0\0\0".to_vec(), webp)),
        hostile(
            "EXIF",
            "comments over each other",
            60_000,
            many(field, |fields| {
                let count = (fields.len() as u16).to_be_bytes();
                let exif = [b"EXIF\0\0\0\0MM\0*\0\0\0\x08", &count[..], fields.concat().as_slice()].concat();
                let mut file = webp(&[exif]);
                let length = (file.len() - 20) as u32;
                file[16..20].copy_from_slice(&length.to_le_bytes());
                file
            }),
        ),
    ]
}

/// What is typed.
fn prompts() -> Vec<Hostile> {
    let units = [
        "(", "(a", "(a)", "[", "[a", "(a:1.1)", "a:", "1:", "BREAK ", "BREAK", "<", "<lora:a>", "\\(", "a",
        "a ", ",", "é", "[a:b:3]", "[a|b]", "[[a]:3]", "AND", "a AND ", "{", "}", "{a", "{a|b}", "{2$$a|",
        "__", "__a", "&amp;", "amp;", "&", "\u{1b}[", "🍎", "!", "ab1",
    ];
    let read = |unit: &'static str| {
        move |length| {
            let prompt = repeated(unit, length);
            let _ = TOKENIZER.encode(Dialect::A1111, &prompt, 77);
            let _ = expand([prompt.as_str()], &Wildcards::default(), 1);
            let _ = (components(&prompt), timeline(&prompt, Steps { all: 20, before: None }));
        }
    };
    let as_comfyui = |unit: &'static str| {
        move |length| {
            let _ = TOKENIZER.encode(Dialect::ComfyUi, &repeated(unit, length), 77);
        }
    };
    let most = |unit: &str| MAX_CHARS * unit.len() / unit.chars().count();
    let comfyui = ["(", "(a", "((a)", ")", "(a:1.1)", ":", "\\(", "embedding:", "embedding:a,"];
    let comfyui = comfyui.map(|unit| hostile("ComfyUI's prompt", unit, most(unit), as_comfyui(unit)));
    units.map(|unit| hostile("prompt", unit, most(unit), read(unit))).into_iter().chain(comfyui).collect()
}

/// Model files.
fn headers() -> Vec<Hostile> {
    let gguf = |open: fn(u64) -> Vec<u8>, unit: Vec<u8>| {
        move |length: usize| {
            let count = length / unit.len();
            let file = [open(count as u64), unit.repeat(count)].concat();
            let _ = Header::parse("x", &file, 1 << 40);
        }
    };
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let entry = [text("k"), 4u32.to_le_bytes().to_vec(), 1u32.to_le_bytes().to_vec()].concat();
    let tensor =
        [text("a"), 0u32.to_le_bytes().to_vec(), 99u32.to_le_bytes().to_vec(), 0u64.to_le_bytes().to_vec()]
            .concat();
    let json = |open: &'static str, unit: &'static str| {
        move |length: usize| {
            let json = format!("{open}{}", repeated(unit, length));
            let file = [&(json.len() as u64).to_le_bytes(), json.as_bytes()].concat();
            let _ = Header::parse("x", &file, 1 << 40);
        }
    };
    let embedding = |unit: &'static str| {
        move |length: usize| {
            let json = format!("{{{}\"emb_params\":0}}", repeated(unit, length));
            let _ = read_embedding("x", &[&(json.len() as u64).to_le_bytes(), json.as_bytes()].concat());
        }
    };
    vec![
        hostile("embedding", "entries", FILE, embedding("\"a\":{},")),
        hostile("embedding", "brackets", FILE, embedding("[")),
        hostile(
            "GGUF",
            "metadata",
            1 << 20,
            gguf(|n| [b"GGUF\x03\0\0\0", &0u64.to_le_bytes()[..], &n.to_le_bytes()].concat(), entry),
        ),
        hostile(
            "GGUF",
            "tensors",
            1 << 20,
            gguf(|n| [b"GGUF\x03\0\0\0", &n.to_le_bytes()[..], &0u64.to_le_bytes()].concat(), tensor),
        ),
        hostile(
            "GGUF",
            "a list of texts",
            FILE,
            gguf(
                |n| {
                    let head = [b"GGUF\x03\0\0\0", &0u64.to_le_bytes()[..], &1u64.to_le_bytes()].concat();
                    [
                        head.as_slice(),
                        &1u64.to_le_bytes(),
                        b"k",
                        &9u32.to_le_bytes(),
                        &8u32.to_le_bytes(),
                        &n.to_le_bytes(),
                    ]
                    .concat()
                },
                text(""),
            ),
        ),
        hostile(
            "safetensors",
            "tensors of one name",
            FILE,
            json("{", r#""a":{"dtype":"F8","shape":[],"data_offsets":[0,0]},"#),
        ),
        hostile("safetensors", "metadata", FILE, json(r#"{"__metadata__":{"#, r#""k":"v","#)),
        hostile("safetensors", "brackets", FILE, json(r#"{"a":"#, "[")),
        hostile("safetensors", "dimensions", FILE, json(r#"{"a":{"shape":["#, "1,")),
    ]
}

/// A folder's JSON.
fn configurations() -> Vec<Hostile> {
    let scheduler =
        |unit: &'static str| move |length| _ = SchedulerConfig::from_json("s", &repeated(unit, length));
    let unet = |unit: &'static str| {
        move |length| _ = UnetConfig::from_json("u", &format!("{{\"a\":{}", repeated(unit, length)))
    };
    let mut all: Vec<_> = ["NaN", "-Infinity", "\"", "\\\"", "[", "é"]
        .map(|unit| hostile("scheduler_config.json", unit, TEXT, scheduler(unit)))
        .into();
    all.extend(["[", "\"", "1,"].map(|unit| hostile("config.json", unit, TEXT, unet(unit))));
    all
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind.as_slice(), data].concat();
    let sum = crc32fast::hash(&body).to_be_bytes();
    [&(data.len() as u32).to_be_bytes(), body.as_slice(), &sum].concat()
}

fn png(chunks: &[Vec<u8>]) -> Vec<u8> {
    let header = chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
    [b"\x89PNG\r\n\x1a\n".as_slice(), &header, &chunks.concat(), &chunk(b"IEND", b"")].concat()
}

fn jpeg(segments: &[Vec<u8>]) -> Vec<u8> {
    [b"\xff\xd8\xff\xe0\0\x02".as_slice(), &segments.concat(), b"\xff\xd9"].concat()
}

fn webp(chunks: &[Vec<u8>]) -> Vec<u8> {
    [b"RIFF\0\0\0\0WEBP".as_slice(), &chunks.concat()].concat()
}
