//! The page as it is served: both engines compiled and bound to JavaScript, and every file that `www/index.html` names.
//!
//! `index.html` is the one list of what the page consists of: its `data-trunk` links are read here as trunk reads them,
//! so that `trunk serve` builds the same page for those who have trunk, and nobody needs it; only the engine for several
//! threads comes besides ([`threads`]), which a page does without. What is released has its
//! modules put together besides ([`bundle`]).

use crate::bundle;
use crate::compress;
use crate::lint;
use crate::page::{self, Asset};
use crate::sh::{self, Parts, cmd, say};
use crate::tools::wasm::{TARGET, Toolchain};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use wasm_bindgen_cli_support::Bindgen;

/// The engine that computes on several threads, its features, and the folder in cargo's own that it is compiled in. It is
/// no link of `index.html`, for trunk cannot compile it.
pub const THREADS: &str = "opengen-threads";
const THREADS_FEATURES: &str = "module,cpu,train";
const THREADS_TARGET: &str = "threads";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Release,
    Debug,
}

impl Profile {
    /// The folder that cargo keeps its results in.
    fn folder(self) -> &'static str {
        match self {
            Profile::Release => "release",
            Profile::Debug => "debug",
        }
    }
}

/// What is done with the compiler's warnings and clippy's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Warnings {
    Shown,
    /// They end the build, once all are shown.
    Denied,
}

/// Builds the page to be looked at and returns its folder. Cheap when nothing changed.
pub fn build(profile: Profile, parts: &mut Parts) -> Result<PathBuf> {
    put_together(profile, Warnings::Shown, parts, |folder| match profile {
        Profile::Release => bundle::folder_if_possible(folder),
        Profile::Debug => Ok(()), // as it is written
    })
}

/// Builds the page as a site wants it: in few files, with its compressed twins beside every file that gains from one. The compiler
/// works on a module by itself on one core, so the engine for several threads is compiled beside the others.
pub fn whole(warnings: Warnings, parts: &mut Parts) -> Result<PathBuf> {
    let profile = Profile::Release;
    let toolchain = toolchain_for_threads(parts)?;
    let dist = thread::scope(|scope| {
        let compiling = toolchain.map(|toolchain| scope.spawn(move || compile_threads(toolchain, profile)));
        let dist = put_together(profile, warnings, parts, bundle::folder);
        if let Some(compiling) = compiling {
            parts.part(&format!("the module {THREADS}, the rest of it"), || {
                compiling.join().expect("a thread that waits for cargo panics only by a fault")
            })?;
        }
        dist
    })?;
    if toolchain.is_some() {
        add_threads(profile, parts, &dist)?;
    }
    parts.part("compression", || compress::folder(&dist))?;
    Ok(dist)
}

/// Adds to a built page the engine that computes on several threads; where it cannot be compiled, says so in one line.
pub fn threads(profile: Profile, parts: &mut Parts, dist: &Path) -> Result<bool> {
    let Some(toolchain) = toolchain_for_threads(parts)? else { return Ok(false) };
    parts.part(&format!("the module {THREADS}"), || compile_threads(toolchain, profile))?;
    add_threads(profile, parts, dist)?;
    Ok(true)
}

/// What compiles for several threads; where nothing does, that is said in one line.
fn toolchain_for_threads(parts: &mut Parts) -> Result<Option<Toolchain>> {
    let toolchain = Toolchain::ensure()?;
    if parts.part("the standard library's source", || Ok(toolchain.has_source()))? {
        return Ok(Some(toolchain));
    }
    say("the page computes on one thread of the processor: `rustup component add rust-src` gives it more");
    Ok(None)
}

fn compile_threads(toolchain: Toolchain, profile: Profile) -> Result<()> {
    let mut build = build_of(toolchain, profile, THREADS, THREADS_FEATURES);
    toolchain.apply_threads(&mut build)?;
    // Apart from the others: what is compiled for a compiler with its switch set is compiled anew without it.
    sh::run(build.arg("--target-dir").arg(target()?.join(THREADS_TARGET)))
}

/// Adds the engine that is compiled for several threads to a page.
fn add_threads(profile: Profile, parts: &mut Parts, dist: &Path) -> Result<()> {
    let folder = sh::root().join("dist.threads");
    clear(&folder)?;
    fs::create_dir_all(&folder)?;
    parts.part(&format!("{THREADS} for JavaScript"), || bind(profile, THREADS, &folder))?;
    // Whoever asks meanwhile finds none of it, or all.
    for name in files(&folder)?.iter().rev() {
        fs::rename(folder.join(name), dist.join(name))
            .with_context(|| format!("cannot place {}", name.display()))?;
    }
    clear(&folder)
}

fn put_together(
    profile: Profile,
    warnings: Warnings,
    parts: &mut Parts,
    bundled: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let html = read(&sh::root().join("www/index.html"))?;
    let assets = page::assets(&html)?;
    let toolchain = parts.part("the wasm32 target", Toolchain::ensure)?;
    let folder = sh::root().join("dist.part");
    clear(&folder)?;
    fs::create_dir_all(&folder)?;
    for asset in &assets {
        match asset {
            Asset::Module { bin, features } => {
                parts.part(&format!("the module {bin}"), || {
                    compile(toolchain, (profile, warnings), bin, features)
                })?;
                parts.part(&format!("{bin} for JavaScript"), || bind(profile, bin, &folder))?;
            }
            Asset::Copy { from, to } => copy(&sh::root().join("www").join(from), &folder.join(to))?,
        }
    }
    fs::write(folder.join("index.html"), page::without_links(&html))?;
    parts.part("few files of many", || bundled(&folder))?;
    // Whoever serves the folder meanwhile has the old page or the new one.
    let dist = sh::root().join("dist");
    clear(&dist)?;
    fs::rename(&folder, &dist).context("cannot put dist/ in its place")?;
    say("the page is in dist/");
    Ok(dist)
}

/// One of the page's engines, as cargo leaves it. Clippy's compiler makes it where there is one, so that it is looked over and nothing
/// is compiled for that alone.
fn compile(
    toolchain: Toolchain,
    (profile, warnings): (Profile, Warnings),
    bin: &str,
    features: &str,
) -> Result<()> {
    let mut build = build_of(toolchain, profile, bin, features);
    toolchain.apply(&mut build)?;
    if lint::is_there() {
        lint::by_clippy(&mut build);
    } else if warnings == Warnings::Denied {
        bail!("there is no clippy: `rustup component add clippy`");
    }
    match warnings {
        Warnings::Shown => sh::run(&mut build),
        Warnings::Denied => lint::deny_warnings(&mut build),
    }
}

fn build_of(toolchain: Toolchain, profile: Profile, bin: &str, features: &str) -> Command {
    let mut build = cmd(toolchain.cargo());
    build.args(["build", "--package", "opengen", "--bin", bin, "--target", TARGET]);
    build.args(["--no-default-features", "--features", features]);
    if profile == Profile::Release {
        build.arg("--release");
    }
    build
}

/// The JavaScript around a compiled engine: `BIN.js` and `BIN_bg.wasm`. The library is the command line
/// `wasm-bindgen`, at the version of Cargo.lock, without the minutes that installing it takes.
fn bind(profile: Profile, bin: &str, folder: &Path) -> Result<()> {
    let within = if bin == THREADS { THREADS_TARGET } else { "" };
    let compiled = target()?.join(within).join(TARGET).join(profile.folder()).join(format!("{bin}.wasm"));
    let mut bindgen = Bindgen::new();
    bindgen.input_path(&compiled).out_name(bin).typescript(false).debug(profile == Profile::Debug);
    // The names of all functions, a tenth of what a visitor would fetch, tell nobody anything in a release.
    bindgen.remove_name_section(profile == Profile::Release).remove_producers_section(true);
    bindgen.web(true)?.generate(folder).with_context(|| format!("cannot bind {}", compiled.display()))
}

/// Where cargo builds.
fn target() -> Result<PathBuf> {
    let metadata =
        sh::ask(cmd("cargo").args(["metadata", "--no-deps", "--offline", "--format-version", "1"]))
            .context("`cargo metadata` failed")?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let folder = metadata["target_directory"].as_str().context("`cargo metadata` names no target folder")?;
    Ok(folder.into())
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

/// Copies a file, or a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        return files(from)?.iter().try_for_each(|name| copy(&from.join(name), &to.join(name)));
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_binds_the_modules_is_of_the_version_that_compiles_them() {
        let lock: toml::Table = toml::from_str(&read(&sh::root().join("Cargo.lock")).unwrap()).unwrap();
        let version = |name: &str| {
            let packages = lock["package"].as_array().unwrap();
            packages.iter().find(|package| package["name"].as_str() == Some(name)).unwrap()["version"].clone()
        };
        assert_eq!(version("wasm-bindgen"), version("wasm-bindgen-cli-support"));
    }
}
