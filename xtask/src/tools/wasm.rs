//! A Rust toolchain that can compile for wasm32: the installed one, rustup's, or Debian's.

use crate::sh::{self, cmd, say};
use crate::tools;
use anyhow::{Result, bail};
use std::env;
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
    let added = || sh::run_for(cmd("rustup").args(["target", "add", TARGET]), RUSTUP_LIMIT).unwrap_or(false);
    sh::which("rustup").is_some() && added() && has_target()
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
}
