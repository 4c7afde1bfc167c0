//! `cargo xtask size`: what a visitor downloads, and the limit that holds it.

use crate::compress;
use crate::dist;
use anyhow::{Result, bail};
use std::path::Path;

/// The page without a model over the wire, in bytes.
const LIMIT: u64 = 2_500_000;

/// Files that belong to a model; the page fetches them with its own progress bar.
const MODEL: &[&str] = &["gguf", "safetensors"];

pub fn run(dist: &Path) -> Result<()> {
    println!("{:>12} {:>12} {:>12}  file", "bytes", "gzip", "brotli");
    let mut total = [0; 3];
    for name in dist::files(dist)? {
        let is = |kinds: &[&str]| name.extension().is_some_and(|kind| kinds.iter().any(|k| kind == *k));
        if is(&["br", "gz"]) {
            continue;
        }
        let [raw, gzip, brotli] = compress::lengths(&dist.join(&name))?;
        let model = if is(MODEL) { " (model, not counted)" } else { "" };
        println!("{raw:>12} {gzip:>12} {brotli:>12}  {}{model}", name.display());
        if model.is_empty() {
            total = [total[0] + raw, total[1] + gzip, total[2] + brotli];
        }
    }
    println!("{:>12} {:>12} {:>12}  the page without a model", total[0], total[1], total[2]);
    if total[2] > LIMIT {
        bail!("the page without a model is {} bytes in brotli, above its limit of {LIMIT}", total[2]);
    }
    Ok(())
}
