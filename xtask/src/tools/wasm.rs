//! A Rust toolchain that can compile for wasm32: the installed one, rustup's, or Debian's.

use crate::sh::{self, cmd, say};
use crate::tools;
use anyhow::{Context, Result, bail};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub const TARGET: &str = "wasm32-unknown-unknown";

/// Forces one way (`installed`, `rustup`, `debian`), so that each can be tested alone.
const FORCE: &str = "OPENGEN_WASM_TOOLCHAIN";

/// rustup's servers may be out of reach without saying so.
const RUSTUP_LIMIT: Duration = Duration::from_secs(60);

/// Debian's Rust for the web: compiler, standard library's source and the linker of the same LLVM.
const DEBIAN: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy", "lld-22"];

/// Atomic instructions, a memory that is shared and comes from outside, and what wasm-bindgen gives each thread its own
/// stack and variables with.
const THREADS: &[&str] = &[
    "-Ctarget-feature=+atomics,+bulk-memory,+mutable-globals",
    "-Clink-arg=--shared-memory",
    "-Clink-arg=--import-memory",
    "-Clink-arg=--max-memory=4294967296",
    "-Clink-arg=--export=__heap_base",
    "-Clink-arg=--export=__tls_align",
    "-Clink-arg=--export=__tls_base",
    "-Clink-arg=--export=__tls_size",
    "-Clink-arg=--export=__wasm_init_tls",
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Toolchain {
    /// The toolchain that is active here, which has the target.
    Active,
    /// Debian's packages, which build the standard library from source.
    Debian,
}

impl Toolchain {
    /// Finds or installs one, and says in one line which it took.
    pub fn ensure() -> Result<Toolchain> {
        let forced = env::var(FORCE).ok();
        let may = |way: &str| forced.as_deref().is_none_or(|force| force == way);
        if may("installed") && has_target() {
            say(format!("{TARGET}: the active Rust toolchain has it"));
            return Ok(Toolchain::Active);
        }
        if may("rustup") && rustup() {
            say(format!("{TARGET}: added with rustup"));
            return Ok(Toolchain::Active);
        }
        if may("debian") && sh::which("apt-get").is_some() {
            let missing: Vec<_> = DEBIAN.iter().copied().filter(|package| !tools::apt_has(package)).collect();
            if !missing.is_empty() {
                tools::apt_install(&missing, TARGET)?;
            }
            say(format!("{TARGET}: Debian's rustc-web, which builds the standard library from source"));
            return Ok(Toolchain::Debian);
        }
        match forced {
            Some(way) => {
                bail!("{TARGET}: no toolchain by {FORCE}={way} (it can be installed, rustup or debian)")
            }
            None => bail!(
                "{TARGET}: please run `rustup target add {TARGET}` (no rustup, no apt-get answered here)"
            ),
        }
    }

    /// Makes a command use this toolchain.
    pub fn apply(self, command: &mut Command) -> Result<()> {
        if self == Toolchain::Debian {
            let path = env::var_os("PATH").unwrap_or_default();
            let first = std::iter::once(PathBuf::from("/usr/bin"));
            command.env("PATH", env::join_paths(first.chain(env::split_paths(&path)))?);
            for name in ["RUSTUP_TOOLCHAIN", "RUSTDOC", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"] {
                command.env_remove(name);
            }
            command.env("RUSTC", "/usr/bin/rustc");
            command.env("RUSTC_BOOTSTRAP", "1");
            command.env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort");
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "/usr/bin/wasm-ld-22");
            // rustup points this at its own compiler's libraries.
            if let Some(all) = env::var_os("LD_LIBRARY_PATH") {
                let kept = env::split_paths(&all).filter(|folder| !is_rustups(folder));
                command.env("LD_LIBRARY_PATH", env::join_paths(kept)?);
            }
        }
        // .cargo/config.toml holds this target's flags; these variables would replace them.
        command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        Ok(())
    }

    /// Whether the standard library can be compiled here for several threads, for which its source is needed.
    pub fn has_source(self) -> bool {
        self == Toolchain::Debian
            || has_source()
            || rustup_adds(&["component", "add", "rust-src"], has_source)
    }

    /// Makes a command compile for several threads over one memory, the standard library included, which no toolchain
    /// brings compiled for that. The compiler's switch for what is not stable is set for this command alone.
    pub fn apply_threads(self, command: &mut Command) -> Result<()> {
        self.apply(command)?;
        command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort");
        let flags = own_flags()?.into_iter().chain(THREADS.iter().map(|flag| (*flag).to_owned()));
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.collect::<Vec<_>>().join("\x1f"));
        Ok(())
    }

    /// The cargo program of this toolchain.
    pub fn cargo(self) -> &'static str {
        match self {
            Toolchain::Active => "cargo",
            Toolchain::Debian => "/usr/bin/cargo",
        }
    }
}

fn is_rustups(folder: &Path) -> bool {
    folder.components().any(|part| part.as_os_str() == "toolchains")
}

fn has_target() -> bool {
    let folder = sh::ask(cmd("rustc").args(["--print", "target-libdir", "--target", TARGET]));
    let Some(files) = folder.and_then(|folder| Path::new(folder.trim()).read_dir().ok()) else {
        return false;
    };
    files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
}

fn rustup() -> bool {
    rustup_adds(&["target", "add", TARGET], has_target)
}

/// Adds something with rustup, if there is one; whether it is there then.
fn rustup_adds(what: &[&str], is_there: impl FnOnce() -> bool) -> bool {
    let added = || sh::run_for(cmd("rustup").args(what), RUSTUP_LIMIT).unwrap_or(false);
    sh::which("rustup").is_some() && added() && is_there()
}

fn has_source() -> bool {
    let root = sh::ask(cmd("rustc").args(["--print", "sysroot"]));
    root.is_some_and(|root| Path::new(root.trim()).join("lib/rustlib/src/rust/library/std").is_dir())
}

/// The target's flags in .cargo/config.toml.
fn own_flags() -> Result<Vec<String>> {
    let path = sh::root().join(".cargo/config.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let config: toml::Table = toml::from_str(&text).context(".cargo/config.toml is not valid TOML")?;
    let flags = config.get("target").and_then(|targets| targets.get(TARGET)?.get("rustflags")?.as_array());
    let flags = flags.with_context(|| format!(".cargo/config.toml has no rustflags of {TARGET}"))?;
    flags.iter().map(|flag| Ok(flag.as_str().context("a flag is no text")?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_puts_its_own_cargo_first_and_drops_rustups_choice() {
        let mut command = Command::new("true");
        Toolchain::Debian.apply(&mut command).unwrap();
        let env = |name: &str| {
            command
                .get_envs()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.map(|v| v.to_string_lossy()))
        };
        assert!(env("PATH").unwrap().unwrap().starts_with("/usr/bin:"));
        assert_eq!(env("RUSTUP_TOOLCHAIN"), Some(None));
        assert_eq!(env("RUSTC_BOOTSTRAP").unwrap().unwrap(), "1");
    }

    #[test]
    fn the_active_toolchain_stays_stable() {
        let mut command = Command::new("true");
        Toolchain::Active.apply(&mut command).unwrap();
        assert!(command.get_envs().all(|(key, _)| key != "RUSTC_BOOTSTRAP"));
    }

    #[test]
    fn threads_are_compiled_with_the_flags_of_the_others_and_their_own() {
        let mut command = Command::new("true");
        Toolchain::Active.apply_threads(&mut command).unwrap();
        let (_, flags) = command.get_envs().find(|(key, _)| *key == "CARGO_ENCODED_RUSTFLAGS").unwrap();
        let flags = flags.unwrap().to_string_lossy();
        assert!(flags.split('\x1f').any(|flag| flag == "-Ctarget-feature=+simd128"), "{flags}");
        assert!(flags.ends_with(THREADS[THREADS.len() - 1]), "{flags}");
    }
}
