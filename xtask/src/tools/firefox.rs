//! A Firefox for the tests of the page.

use crate::sh;
use crate::tools;
use anyhow::{Context, Result};
use std::path::PathBuf;

/// The browser's path; installs Debian's where there is none.
pub fn ensure() -> Result<PathBuf> {
    if let Some(found) = find() {
        return Ok(found);
    }
    tools::apt_install(&["firefox-esr"], "no Firefox")?;
    find().context("firefox-esr was installed but is not on PATH")
}

fn find() -> Option<PathBuf> {
    let mac = PathBuf::from("/Applications/Firefox.app/Contents/MacOS/firefox");
    let found = ["firefox-esr", "firefox"].iter().find_map(|name| sh::which(name));
    found.or_else(|| mac.exists().then_some(mac))
}
