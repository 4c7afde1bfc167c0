//! What a bare machine lacks: found on PATH, or installed.

pub mod chromium;
pub mod firefox;
pub mod node;
pub mod trunk;
pub mod vulkan;
pub mod wasm;
pub mod webkit;

use crate::sh::{self, cmd, say};
use anyhow::{Context, Result, bail};
use std::env;
use std::path::PathBuf;

/// Where results that outlast a build folder rest: `$XDG_CACHE_HOME/opengen`, `~/.cache/opengen`.
pub fn cache() -> Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || env::home_dir().map(|home| home.join(".cache"));
    Ok(base.or_else(home).context("this user has no home folder")?.join("opengen"))
}

/// Installs Debian packages where apt-get is, as root or through a `sudo` that asks nothing.
pub fn apt_install(packages: &[&str], why: &str) -> Result<()> {
    if sh::which("apt-get").is_none() {
        bail!("{why}: please install {} (there is no apt-get here to do it)", packages.join(" "));
    }
    say(format!("{why}: installing {}", packages.join(" ")));
    if apt(packages).is_ok() {
        return Ok(());
    }
    // A fresh machine has no package lists.
    sh::run(apt_get()?.args(["update", "-q"]))
        .and_then(|()| apt(packages))
        .with_context(|| format!("{why}: please run `sudo apt-get install {}`", packages.join(" ")))
}

/// Installs a program of Debian's where there is none and apt-get is. What tests do with it they leave out otherwise, or say that they
/// lack it.
pub fn program(name: &str, package: &str) -> Result<()> {
    if sh::which(name).is_some() || sh::which("apt-get").is_none() {
        return Ok(());
    }
    apt_install(&[package], &format!("no {name}"))
}

/// Whether a Debian package is installed.
pub fn apt_has(package: &str) -> bool {
    sh::ask(cmd("dpkg-query").args(["-W", "-f=${Status}", package]))
        .is_some_and(|text| text.ends_with(" installed"))
}

fn apt(packages: &[&str]) -> Result<()> {
    sh::run(apt_get()?.args(["install", "-y", "-q", "--no-install-recommends"]).args(packages))
}

fn apt_get() -> Result<std::process::Command> {
    let root = sh::ask(cmd("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    let mut command = if root { cmd("apt-get") } else { cmd("sudo") };
    if !root {
        command.args(["-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    }
    command.env("DEBIAN_FRONTEND", "noninteractive");
    Ok(command)
}
