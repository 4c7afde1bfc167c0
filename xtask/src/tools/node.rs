//! Node, and the packages of this repository's own scripts.

use crate::sh::{self, cmd};
use crate::tools;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The page's tests, and TypeScript for the package.
pub const TESTS: &str = "tests/web";

/// What puts the page's modules together.
pub const BUNDLE: &str = "xtask/bundle";

/// Whether there is Node without installing it.
pub fn is_here() -> bool {
    sh::which("node").is_some() && sh::which("npm").is_some()
}

/// One of those folders, with its packages installed as its lock file says.
pub fn ensure(folder: &str) -> Result<PathBuf> {
    if !is_here() {
        tools::apt_install(&["nodejs", "npm"], "no Node")?;
    }
    let folder = sh::root().join(folder);
    // npm writes this file last.
    let installed = changed(&folder.join("node_modules/.package-lock.json"));
    if installed.is_none() || installed < changed(&folder.join("package-lock.json")) {
        sh::run(cmd("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    }
    Ok(folder)
}

fn changed(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|meta| meta.modified()).ok()
}
