//! The readers of data from outside, as plain functions of bytes, and inputs to begin with.

mod changes;
mod files;
mod folder;
mod pictures;
mod typed;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use opengen::error::Result;

/// A reader.
pub struct Target {
    pub name: &'static str,
    /// Reads the bytes; gives a number for what came of it, so that it can be told whether that is something new.
    pub read: Read,
    pub seeds: Seeds,
    /// What it looks for.
    pub words: &'static [&'static str],
    /// Inputs become no longer, unless one was to begin with. What takes long with long ones is for `tests/hostile`.
    pub longest: usize,
    /// Most inputs are cut to this length, where it is shorter: what is long is mostly the same again and again.
    pub usual: usize,
}

type Read = fn(&[u8]) -> u64;
type Seeds = fn() -> Vec<Vec<u8>>;

impl Target {
    /// One that takes inputs of up to 16 KiB.
    const fn new(name: &'static str, read: Read, seeds: Seeds, words: &'static [&'static str]) -> Target {
        const LONGEST: usize = 16 << 10;
        Target { name, read, seeds, words, longest: LONGEST, usual: LONGEST }
    }

    /// The same with shorter inputs, most of them no longer than `usual`.
    const fn shorter(self, usual: usize, longest: usize) -> Target {
        Target { usual, longest, ..self }
    }
}

/// All of them.
pub const TARGETS: [Target; 12] = [
    Target::new("headers", files::header, files::headers, &files::HEADER_WORDS),
    Target::new("names", files::names, files::name_lists, &files::NAME_WORDS),
    Target::new("recognition", files::recognition, files::whole_headers, &files::NAME_WORDS),
    Target::new("import", files::import, files::files, &files::HEADER_WORDS),
    Target::new("loras", changes::lora, changes::loras, &changes::LORA_WORDS),
    Target::new("pictures", pictures::picture, pictures::pictures, &pictures::CHUNK_WORDS),
    Target::new("parameters", pictures::parameters, pictures::texts, &pictures::TEXT_WORDS),
    Target::new("embeddings", changes::embedding, changes::embeddings, &files::HEADER_WORDS),
    // As long as those to begin with, now and then two chunks with something to spare: what is longer is read in the same way,
    // and takes as much longer.
    Target::new("prompts", typed::prompt, typed::prompts, &typed::PROMPT_WORDS).shorter(64, 1 << 10),
    Target::new("templates", typed::template, typed::templates, &typed::TEMPLATE_WORDS),
    Target::new("configurations", folder::configuration, folder::configurations, &folder::JSON_WORDS),
    Target::new("tokenizers", folder::tokenizer, folder::tokenizers, &folder::TOKENIZER_WORDS),
];

/// What a reader may hold beside what is as large as its input.
pub const ROOM: u64 = 64 << 20;

/// Reads once; what came of it, or what is wrong.
pub fn read(target: &Target, input: &[u8]) -> std::result::Result<u64, String> {
    let mut result = Ok(0);
    let held = allocation_counter::measure(|| {
        result = catch_unwind(AssertUnwindSafe(|| (target.read)(input)));
    });
    match result {
        Err(_) => Err("it panics".to_string()),
        Ok(_) if held.bytes_max > input.len() as u64 + ROOM => {
            Err(format!("it holds {} bytes at once", held.bytes_max))
        }
        Ok(outcome) => Ok(outcome),
    }
}

/// A number for a result: of an error its kind and its words, numbers and what was quoted left out.
fn outcome<T>(result: &Result<T>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match result {
        Ok(_) => "ok".hash(&mut hasher),
        Err(error) => {
            let words = error.to_string();
            let quoted = words.split(['"', '`']).step_by(2).collect::<String>();
            let plain = quoted.chars().filter(|letter| letter.is_ascii_alphabetic() || *letter == ' ');
            (error.code(), plain.take(48).collect::<String>()).hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// A file of the goldens: this module is compiled as a test, and in `guided`.
fn golden(path: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let golden = here.map(|folder| folder.join("tests/golden")).find(|folder| folder.is_dir());
    golden.expect("the folder of goldens").join(path)
}

fn bytes_of(path: &str) -> Vec<u8> {
    std::fs::read(golden(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
