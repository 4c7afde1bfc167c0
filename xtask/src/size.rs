//! `cargo xtask size`: what a visitor downloads, and the limit that holds it.

use crate::compress;
use crate::dist;
use crate::sh::line;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

/// What a visitor fetches over the wire besides a model until the first picture, in bytes.
const FIRST: u64 = 1_700_000;

/// What a page that was used in every way keeps for offline use, one engine included.
const KEPT: u64 = 4_000_000;

/// What nobody fetches without asking for it, besides the parts that the service worker names.
const ASKED_FOR: &[&str] = &["docs"];

/// The modules of the engine; a visitor fetches one of them.
const ENGINES: &[(&str, &str)] = &[
    ("opengen-gpu", "on the GPU"),
    ("opengen-cpu", "on the CPU"),
    (dist::THREADS, "on several threads of the CPU"),
];

/// Files that belong to a model; the page fetches them with its own progress bar.
const MODEL: &[&str] = &["gguf", "safetensors"];

pub fn run(dist: &Path) -> Result<()> {
    line!("{:>12} {:>12} {:>12}  file", "bytes", "gzip", "brotli");
    let parts = parts(&fs::read_to_string(dist.join("sw.js")).context("cannot read the page's sw.js")?)?;
    let mut shell = [0; 3];
    let mut later = 0;
    let mut engines = vec![[0; 3]; ENGINES.len()];
    for name in dist::files(dist)? {
        let is = |kinds: &[&str]| name.extension().is_some_and(|kind| kinds.iter().any(|k| kind == *k));
        if is(&["br", "gz"]) {
            continue;
        }
        let [raw, gzip, brotli] = compress::lengths(&dist.join(&name))?;
        let model = if is(MODEL) { " (model, not counted)" } else { "" };
        line!("{raw:>12} {gzip:>12} {brotli:>12}  {}{model}", name.display());
        if !model.is_empty() {
            continue;
        }
        let text = name.to_string_lossy();
        let engine = ENGINES.iter().position(|(engine, _)| text.starts_with(engine));
        let asked_for = ASKED_FOR.iter().any(|folder| name.starts_with(folder));
        if engine.is_none() && (asked_for || parts.iter().any(|part| *part == text)) {
            later += brotli;
            continue;
        }
        let total = engine.map_or(&mut shell, |index| &mut engines[index]);
        *total = [total[0] + raw, total[1] + gzip, total[2] + brotli];
    }
    let mut largest = 0;
    for ((_, place), engine) in ENGINES.iter().zip(engines) {
        let [raw, gzip, brotli] = [0, 1, 2].map(|coding| shell[coding] + engine[coding]);
        line!("{raw:>12} {gzip:>12} {brotli:>12}  the page without a model for a visitor {place}");
        largest = largest.max(brotli);
    }
    let kept = largest + later;
    line!("{largest:>38}  until the first picture (limit {FIRST})");
    line!("{kept:>38}  everything kept offline, one engine (limit {KEPT})");
    if largest > FIRST {
        bail!("the page without a model is {largest} bytes in brotli, above its limit of {FIRST}");
    }
    if kept > KEPT {
        bail!("the page keeps {kept} bytes for offline use, above its limit of {KEPT}");
    }
    Ok(())
}

/// What the first picture does not need: the files of `PARTS` in sw.js.
fn parts(sw: &str) -> Result<Vec<String>> {
    let (_, after) = sw.split_once("const PARTS = {").context("sw.js has no PARTS")?;
    let (parts, _) = after.split_once("\n};").context("the PARTS of sw.js do not end")?;
    Ok(parts.split('\'').skip(1).step_by(2).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn the_parts_are_those_that_the_service_worker_names() {
        let sw = include_str!("../../www/sw.js");
        let parts = parts(sw).unwrap();
        for part in ["opengen-gpu_bg.wasm", "languages.json", "learn/learn.js", "css/learn.css"] {
            assert!(parts.iter().any(|name| name == part), "{part}");
        }
        assert!(!parts.iter().any(|name| name == "main.js"));
        assert!(super::parts("const SHELL = [];").is_err());
    }
}
