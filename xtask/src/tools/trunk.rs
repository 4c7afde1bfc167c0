//! trunk, which nobody needs here but some people have: that its way to the page works too.

use crate::bundle;
use crate::dist;
use crate::lint;
use crate::sh::{self, cmd};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// The trunk on PATH, if there is one.
pub fn find() -> Option<PathBuf> {
    sh::which("trunk")
}

/// Builds the page with trunk and holds its files, put together like ours, against those of `built`.
pub fn check(program: &Path, built: &Path) -> Result<()> {
    let folder = sh::root().join("target/trunk");
    let mut trunk = cmd(program);
    trunk.args(["build", "--release", "--skip-version-check", "--dist"]).arg(&folder);
    // trunk refuses any value of this variable but true and false.
    trunk.env_remove("NO_COLOR");
    // What it compiles is compiled already.
    if lint::is_there() {
        lint::by_clippy(&mut trunk);
    }
    sh::run(&mut trunk)?;
    bundle::folder(&folder)?;
    let names = |folder: &Path| -> Result<Vec<PathBuf>> {
        let mut names = dist::files(folder)?;
        names.retain(|name| name.extension().is_none_or(|kind| kind != "br" && kind != "gz"));
        names.retain(|name| !name.to_string_lossy().starts_with(dist::THREADS)); // which trunk cannot compile
        Ok(names)
    };
    let (ours, theirs) = (names(built)?, names(&folder)?);
    fs::remove_dir_all(&folder).context("cannot remove trunk's page")?;
    if ours != theirs {
        let lacks = |all: &[PathBuf], some: &[PathBuf]| {
            all.iter()
                .filter(|name| !some.contains(name))
                .map(|name| name.display().to_string())
                .collect::<Vec<_>>()
        };
        bail!("trunk's page lacks {:?} and has besides {:?}", lacks(&ours, &theirs), lacks(&theirs, &ours));
    }
    Ok(())
}
