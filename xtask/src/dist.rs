//! The page as it is served: compiled, bundled and compressed ahead of time into `dist/`.

use crate::compress;
use crate::sh::{self, cmd, say};
use crate::tools;
use crate::tools::wasm::Toolchain;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Release,
    Debug,
}

/// Builds the page and returns its folder. Cheap when nothing changed.
pub fn build(profile: Profile) -> Result<PathBuf> {
    let start = Instant::now();
    let toolchain = Toolchain::ensure()?;
    let folders = [tools::trunk()?, tools::wasm_bindgen()?];
    let mut trunk = cmd(folders[0].join("trunk"));
    trunk.args(["build", "--skip-version-check"]);
    if profile == Profile::Release {
        trunk.arg("--release");
    }
    toolchain.apply(&mut trunk, &folders)?;
    // trunk refuses any value of this variable but true and false.
    trunk.env_remove("NO_COLOR");
    sh::run(&mut trunk)?;
    let dist = sh::root().join("dist");
    if profile == Profile::Release {
        compress::folder(&dist)?;
    }
    say(format!("the page is in dist/ ({})", sh::time(start.elapsed())));
    Ok(dist)
}

/// Every file under a folder, as paths relative to it, sorted.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in next.read_dir().with_context(|| format!("cannot list {}", next.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(folder)?.to_path_buf());
            }
        }
    }
    found.sort();
    Ok(found)
}
