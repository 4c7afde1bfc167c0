//! A Chromium for the tests of the page.

use crate::sh;
use crate::tools;
use anyhow::{Context, Result};
use std::path::PathBuf;

/// The browser's path; installs Debian's where there is none.
pub fn ensure() -> Result<PathBuf> {
    if let Some(found) = find() {
        return Ok(found);
    }
    tools::apt_install(&["chromium"], "no Chromium or Chrome")?;
    find().context("chromium was installed but is not on PATH")
}

fn find() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let mac = PathBuf::from("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome");
    names.iter().find_map(|name| sh::which(name)).or_else(|| mac.exists().then_some(mac))
}
