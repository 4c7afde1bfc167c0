//! Node and the packages which the tests of the page use.

use crate::sh::{self, cmd};
use crate::tools;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The folder of the page's tests, with its packages installed as its lock file says.
pub fn ensure() -> Result<PathBuf> {
    if sh::which("node").is_none() || sh::which("npm").is_none() {
        tools::apt_install(&["nodejs", "npm"], "no Node")?;
    }
    let folder = sh::root().join("tests/web");
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
