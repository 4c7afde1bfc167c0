//! Files compressed ahead of time: `F.br` and `F.gz` beside each `F` that gains from it.

use crate::dist;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Kinds of file that gain; a model's numbers and a picture do not.
const TEXT: &[&str] = &["html", "js", "mjs", "css", "wasm", "json", "svg", "webmanifest", "txt", "wgsl"];

/// Below this one network packet carries the file anyway.
const SMALLEST: u64 = 512;

#[derive(Clone, Copy)]
enum Coding {
    Brotli,
    Gzip,
}

impl Coding {
    const ALL: [Coding; 2] = [Coding::Brotli, Coding::Gzip];

    fn extension(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Gzip => "gz",
        }
    }

    fn encode(self, bytes: &[u8]) -> Result<Vec<u8>> {
        match self {
            Coding::Brotli => {
                let mut out = Vec::new();
                let mut writer = brotli::CompressorWriter::new(&mut out, 1 << 16, 11, 22);
                writer.write_all(bytes)?;
                drop(writer);
                Ok(out)
            }
            Coding::Gzip => {
                let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
                writer.write_all(bytes)?;
                Ok(writer.finish()?)
            }
        }
    }
}

/// Compresses what gains under a folder, a file on each core. Results are kept by content, since the folder is made anew.
pub fn folder(folder: &Path) -> Result<()> {
    let kept = kept()?;
    fs::create_dir_all(&kept)?;
    let mut paths = Vec::new();
    for name in dist::files(folder)? {
        let path = folder.join(&name);
        let bytes = path.metadata().with_context(|| format!("cannot read {}", path.display()))?.len();
        if gains(&name) && bytes >= SMALLEST {
            paths.push((bytes, path));
        }
    }
    // The largest first, so that no core ends with one alone.
    paths.sort();
    let paths = Mutex::new(paths);
    let work = || -> Result<()> {
        loop {
            let next = paths.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
            let Some((_, path)) = next else { return Ok(()) };
            file(&path, &kept)?;
        }
    };
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("a thread that compresses panics only by a fault"))
    })
}

/// Lays the compressed twins beside a file.
fn file(path: &Path, kept: &Path) -> Result<()> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    for coding in Coding::ALL {
        let ready = kept.join(format!("{digest}.{}", coding.extension()));
        if !ready.exists() {
            // Named only when whole: an interruption leaves nothing half, and two files may be alike.
            static PARTS: AtomicUsize = AtomicUsize::new(0);
            let part = ready.with_extension(format!("part-{}", PARTS.fetch_add(1, Ordering::Relaxed)));
            fs::write(&part, coding.encode(&bytes)?)?;
            fs::rename(&part, &ready)?;
        }
        fs::copy(&ready, beside(path, coding.extension()))?;
    }
    Ok(())
}

/// The lengths of a file in `dist` as it is, in gzip and in brotli.
pub fn lengths(path: &Path) -> Result<[u64; 3]> {
    let raw = path.metadata()?.len();
    let length = |extension| beside(path, extension).metadata().map_or(raw, |meta| meta.len());
    Ok([raw, length("gz"), length("br")])
}

fn gains(path: &Path) -> bool {
    path.extension().is_some_and(|kind| TEXT.iter().any(|text| kind == *text))
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

/// Where compressed files rest between builds.
fn kept() -> Result<PathBuf> {
    Ok(crate::tools::cache()?.join("compressed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn both_codings_give_back_what_went_in() {
        let text = b"a red apple on a light blue background, ".repeat(100);
        let brotli = Coding::Brotli.encode(&text).unwrap();
        let gzip = Coding::Gzip.encode(&text).unwrap();
        assert!(brotli.len() < gzip.len() && gzip.len() < text.len() / 10);
        let mut back = Vec::new();
        brotli::Decompressor::new(&brotli[..], 4096).read_to_end(&mut back).unwrap();
        assert_eq!(back, text);
        back.clear();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut back).unwrap();
        assert_eq!(back, text);
    }

    #[test]
    fn models_and_pictures_stay_as_they_are() {
        assert!(gains(Path::new("opengen-gpu_bg.wasm")) && gains(Path::new("a/sw.js")));
        assert!(!gains(Path::new("models/mini/mini.gguf")) && !gains(Path::new("icon.png")));
        assert!(!gains(Path::new("opengen-gpu.js.br")) && !gains(Path::new("LICENSE")));
    }

    #[test]
    fn the_extension_is_added_not_replaced() {
        assert_eq!(beside(Path::new("a/b.js"), "br"), Path::new("a/b.js.br"));
    }
}
