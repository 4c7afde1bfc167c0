//! `cargo xtask pkg`: the npm package, which is the page's own client with its engine, its model and its types.

use crate::dist::{self, copy};
use crate::sh::{self, cmd, say};
use crate::tools::node;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// What the client consists of, all in one folder: modules find each other and the engine by relative address.
const CLIENT: &[&str] = &[
    "client.js",
    "clip/merges.txt",
    "database.js",
    "detect.js",
    "engines.js",
    "errors.js",
    "folder.js",
    "gathered.js",
    "layout.js",
    "hash.js",
    "judge.js",
    "knows.js",
    "limits.js",
    "link.js",
    "models.js",
    "networks.js",
    "options.js",
    "pixels.js",
    "preview.js",
    "registers.js",
    "source.js",
    "spawn.js",
    "stored.js",
    "stream.js",
    "threads.js",
    "through.js",
    "train.js",
    "worker.js",
    "opengen-gpu.js",
    "opengen-gpu_bg.wasm",
    "opengen-learn.js",
    "opengen-learn_bg.wasm",
    "opengen-cpu.js",
    "opengen-cpu_bg.wasm",
];

/// Types that are written by hand; those of the modules come from their JSDoc.
const TYPES: &[&str] = &["api.d.ts", "protocol.d.ts"];

/// What npm shows beside the code.
const LEGAL: &[&str] = &["LICENSE-MIT", "LICENSE-APACHE", "THIRD_PARTY.md"];

/// Fills `pkg/dist` from the built page and packs it; returns the tarball.
pub fn pack(page: &Path) -> Result<PathBuf> {
    let package = sh::root().join("pkg");
    let folder = package.join("dist");
    let tarball = package.join(tarball_name(&fs::read_to_string(package.join("package.json"))?)?);
    for old in [&folder, &tarball] {
        remove(old)?;
    }
    let www = sh::root().join("www");
    for name in CLIENT.iter().map(PathBuf::from).chain(models(page)?) {
        // As it is written where it is, the package's own before the page's; the engine is only in the built page.
        let own = [&package, &www].into_iter().find(|folder| folder.join(&name).exists());
        let from = own.map_or(page, |folder| folder.as_path());
        copy(&from.join(&name), &folder.join(&name))?;
    }
    for name in TYPES {
        copy(&sh::root().join("www").join(name), &folder.join(name))?;
    }
    let tools = node::ensure(node::TESTS)?;
    sh::run(cmd("node").arg(tools.join("node_modules/typescript/bin/tsc")).args(["--project", "pkg"]))?;
    for name in LEGAL {
        copy(&sh::root().join(name), &package.join(name))?;
    }
    sh::run(cmd("npm").args(["pack", "--loglevel", "error"]).current_dir(&package))?;
    let bytes = tarball.metadata().context("npm pack made no tarball")?.len();
    say(format!("the package is {} ({:.1} MB)", tarball.display(), bytes as f64 / 1e6));
    Ok(tarball)
}

/// The weights that the page comes with.
fn models(page: &Path) -> Result<Vec<PathBuf>> {
    let mut files = dist::files(page)?;
    files.retain(|path| path.extension().is_some_and(|kind| kind == "gguf"));
    Ok(files)
}

/// The name that npm gives the tarball of a package.json.
fn tarball_name(package: &str) -> Result<String> {
    let package: serde_json::Value =
        serde_json::from_str(package).context("pkg/package.json is not valid")?;
    let text = |key: &str| package[key].as_str().with_context(|| format!("pkg/package.json has no {key}"));
    Ok(format!("{}-{}.tgz", text("name")?, text("version")?))
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else if path.exists() {
        fs::remove_file(path)
    } else {
        Ok(())
    };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str) -> String {
        fs::read_to_string(sh::root().join(name)).unwrap()
    }

    #[test]
    fn package_and_crate_have_one_version() {
        let cargo: toml::Table = toml::from_str(&text("Cargo.toml")).unwrap();
        let version = cargo["workspace"]["package"]["version"].as_str().unwrap();
        assert_eq!(tarball_name(&text("pkg/package.json")).unwrap(), format!("opengen-{version}.tgz"));
    }

    #[test]
    fn a_package_without_a_version_is_refused() {
        assert!(tarball_name("{\"name\": \"opengen\"}").is_err());
        assert!(tarball_name("").is_err());
    }

    #[test]
    fn every_module_that_the_client_imports_is_packed() {
        for name in CLIENT.iter().filter(|name| name.ends_with(".js") && !name.starts_with("opengen-")) {
            for line in text(&format!("www/{name}")).lines().filter(|line| line.starts_with("import ")) {
                let (_, path) = line.rsplit_once("'./").unwrap();
                let imported = path.trim_end_matches("';");
                assert!(CLIENT.contains(&imported), "{name} imports {imported}");
            }
        }
    }
}
