//! Files compressed ahead of time: `F.br` and `F.gz` beside each `F` that gains from it, by `xtask/bundle/compress.mjs`.

use crate::sh::{self, cmd};
use crate::tools::{self, node};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Compresses what gains under a folder. Results are kept between builds.
pub fn folder(folder: &Path) -> Result<()> {
    let script = node::ensure(node::BUNDLE)?.join("compress.mjs");
    sh::run(cmd("node").arg(script).arg(folder).arg(tools::cache()?.join("compressed")))
}

/// The lengths of a file in `dist` as it is, in gzip and in brotli.
pub fn lengths(path: &Path) -> Result<[u64; 3]> {
    let raw = path.metadata()?.len();
    let length = |extension| beside(path, extension).metadata().map_or(raw, |meta| meta.len());
    Ok([raw, length("gz"), length("br")])
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_is_added_not_replaced() {
        assert_eq!(beside(Path::new("a/b.js"), "br"), Path::new("a/b.js.br"));
    }
}
