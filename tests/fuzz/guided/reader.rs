//! One reader of `tests/fuzz` for libFuzzer: `OPENGEN_FUZZ_TARGET` says which. In the folder `OPENGEN_FUZZ_FOLDER` its seeds
//! and its words are written first, in `corpus` and `words`.

#![no_main]

#[allow(dead_code, reason = "libFuzzer begins with short inputs of its own accord")]
#[path = "../targets/mod.rs"]
mod targets;

use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use targets::{TARGETS, Target, read};

static READER: OnceLock<Target> = OnceLock::new();

fn reader() -> &'static Target {
    READER.get_or_init(|| {
        let names = TARGETS.map(|target| target.name).join(", ");
        let asked = std::env::var("OPENGEN_FUZZ_TARGET").unwrap_or_default();
        let found = TARGETS.into_iter().find(|target| target.name == asked);
        found.unwrap_or_else(|| panic!("OPENGEN_FUZZ_TARGET is one of {names}"))
    })
}

/// What libFuzzer begins with.
fn prepare() -> std::io::Result<()> {
    let Some(folder) = std::env::var_os("OPENGEN_FUZZ_FOLDER").map(PathBuf::from) else { return Ok(()) };
    let corpus = folder.join("corpus");
    std::fs::create_dir_all(&corpus)?;
    for (index, seed) in (reader().seeds)().iter().enumerate() {
        std::fs::write(corpus.join(format!("seed{index}")), seed)?;
    }
    let escaped = |byte: u8| format!("\\x{byte:02x}");
    let line = |word: &&str| format!("\"{}\"\n", word.bytes().map(escaped).collect::<String>());
    std::fs::write(folder.join("words"), reader().words.iter().map(line).collect::<String>())
}

/// Inputs are no longer than this, as they are in `cargo xtask fuzz`.
fn longest() -> usize {
    static LONGEST: OnceLock<usize> = OnceLock::new();
    *LONGEST.get_or_init(|| (reader().seeds)().iter().map(Vec::len).fold(reader().longest, usize::max))
}

fuzz_target!(
    init: prepare().expect("the folder is written"),
    |bytes: &[u8]| -> Corpus {
        if bytes.len() > longest() {
            return Corpus::Reject;
        }
        read(reader(), bytes).expect("a typed error or a correct read, in little memory");
        Corpus::Keep
    }
);
