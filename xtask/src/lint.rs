//! Clippy's lints, by builds that tests and the page share.
//!
//! `cargo clippy` checks every dependency for itself, which no other build has a use for. Clippy's compiler takes the
//! place of rustc for this repository's own packages instead, and what they depend on is compiled once.

use crate::sh::{self, cmd, say};
use anyhow::{Result, bail};
use std::process::Command;

/// Makes cargo compile the repository's own packages with clippy's compiler.
pub fn by_clippy(command: &mut Command) -> &mut Command {
    command.env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver")
}

/// Whether the compiler has clippy beside it.
pub fn is_there() -> bool {
    sh::ask(cmd("clippy-driver").arg("--version")).is_some()
}

/// Runs a build; fails where there are warnings, once all are shown.
pub fn deny_warnings(build: &mut Command) -> Result<()> {
    build.arg("--message-format=json");
    let mut warnings = 0;
    let status = sh::each_line(build, |line| {
        if let Some(rendered) = diagnostic(line) {
            warnings += 1;
            sh::print(&rendered);
        }
    })?;
    if !status.success() {
        bail!("the build ended with {status}");
    }
    if warnings > 0 {
        bail!("{warnings} warnings; none is let through");
    }
    say("no warnings");
    Ok(())
}

/// What a line of cargo's JSON says of the code, if it does.
fn diagnostic(line: &str) -> Option<String> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let of_code = message["reason"] == "compiler-message" && message["message"]["level"] != "note";
    of_code.then(|| message["message"]["rendered"].as_str().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_and_errors_count_and_the_rest_does_not() {
        let line = |reason: &str, level: &str| {
            serde_json::json!({ "reason": reason, "message": { "level": level, "rendered": "look here" } })
                .to_string()
        };
        assert_eq!(diagnostic(&line("compiler-message", "warning")).as_deref(), Some("look here"));
        assert_eq!(diagnostic(&line("compiler-message", "error")).as_deref(), Some("look here"));
        assert_eq!(diagnostic(&line("compiler-message", "note")), None);
        assert_eq!(diagnostic(&line("compiler-artifact", "warning")), None);
        assert_eq!(diagnostic("   Compiling opengen"), None);
    }
}
