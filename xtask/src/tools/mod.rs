//! What a bare machine lacks: found on PATH, found in the user's cache, or installed.

pub mod chromium;
pub mod exiftool;
pub mod firefox;
pub mod node;
pub mod vulkan;
pub mod wasm;

use crate::sh::{self, cmd, say};
use anyhow::{Context, Result, bail};
use std::env;
use std::path::PathBuf;

pub const TRUNK: &str = "0.21.14";

/// The folder that holds a ready `trunk`.
pub fn trunk() -> Result<PathBuf> {
    cargo_tool("trunk", "trunk", TRUNK, &["--locked"])
}

/// The folder that holds the `wasm-bindgen` that matches Cargo.lock. Its own lock file names yanked
/// versions, so it is installed without `--locked`.
pub fn wasm_bindgen() -> Result<PathBuf> {
    cargo_tool("wasm-bindgen-cli", "wasm-bindgen", &crate::lock::version("wasm-bindgen")?, &[])
}

/// Finds a cargo-installed program of exactly this version, or installs it once per user.
fn cargo_tool(package: &str, program: &str, version: &str, flags: &[&str]) -> Result<PathBuf> {
    let folder = cache()?.join("tools").join(format!("{package}-{version}")).join("bin");
    let cached = folder.join(format!("{program}{}", env::consts::EXE_SUFFIX));
    for path in sh::which(program).into_iter().chain([cached]) {
        if has_version(&path, version) {
            return path.parent().map(PathBuf::from).context("a program has no folder");
        }
    }
    say(format!("installing {package} {version} for this user (minutes, once)"));
    let root = folder.parent().context("a cache folder has no parent")?;
    let build = cache()?.join("build").join(format!("{package}-{version}"));
    let mut install = cmd("cargo");
    install.args(["install", package, "--version", version]).args(flags);
    install.arg("--root").arg(root).arg("--target-dir").arg(&build);
    // Built for a short wait: these programs run for seconds.
    install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    install.env("CARGO_PROFILE_RELEASE_LTO", "off");
    install.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    install.env("CARGO_PROFILE_RELEASE_STRIP", "true");
    // Where a first installation was interrupted the build folder lets it go on.
    sh::run(&mut install)?;
    std::fs::remove_dir_all(&build).ok();
    Ok(folder)
}

fn has_version(path: &PathBuf, version: &str) -> bool {
    // Both programs answer "NAME VERSION …".
    path.is_file()
        && sh::ask(cmd(path).arg("--version"))
            .is_some_and(|text| text.split_whitespace().nth(1) == Some(version))
}

/// Where tools that this command installs rest: `$XDG_CACHE_HOME/opengen`, `~/.cache/opengen`.
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
