//! `cargo xtask golden`: remakes the golden files from diffusers, in a Python environment of its own.

use crate::sh::{self, cmd, say};
use crate::tools;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

const SCRIPT: &str = "tests/golden/make_goldens.py";
const REQUIREMENTS: &str = "tests/golden/requirements.txt";

pub fn run() -> Result<()> {
    let python = python()?;
    sh::run(cmd(python).arg(SCRIPT))?;
    say("the golden files are made again; `git diff --stat tests/golden` shows what changed");
    Ok(())
}

/// The environment's Python, with exactly the required packages (PyTorch is among them: gigabytes).
pub fn python() -> Result<PathBuf> {
    let wanted =
        fs::read_to_string(sh::root().join(REQUIREMENTS)).with_context(|| format!("no {REQUIREMENTS}"))?;
    let folder = tools::cache()?.join("golden-python");
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    // Written last, so that an interrupted installation is taken up again.
    let stamp = folder.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) && runs(&python) {
        return Ok(python);
    }
    if !runs(&python) {
        say(format!("making a Python environment in {}", folder.display()));
        let base = if sh::which("python3").is_some() { "python3" } else { "python" };
        sh::run(cmd(base).args(["-m", "venv", "--clear"]).arg(&folder))?;
    }
    sh::run(cmd(&python).args(["-m", "pip", "install", "--requirement", REQUIREMENTS]))?;
    fs::write(&stamp, wanted)?;
    Ok(python)
}

fn runs(python: &Path) -> bool {
    sh::ask(cmd(python).args(["-c", "import pip"])).is_some()
}
