//! Few files of the page's many, by Rollup: `xtask/bundle/bundle.mjs` says which and how.

use crate::sh::{self, cmd, say};
use crate::tools::node;
use anyhow::Result;
use std::path::Path;

/// Puts the modules and the style sheets of a built page together, in place.
pub fn folder(folder: &Path) -> Result<()> {
    let script = node::ensure(node::BUNDLE)?.join("bundle.mjs");
    sh::run(cmd("node").arg(script).arg(folder))
}

/// The same where nothing has to be installed for it but two npm packages; else the page stays as it is written,
/// which works as well and takes a visitor some forty requests more.
pub fn folder_if_possible(path: &Path) -> Result<()> {
    if !node::is_here() {
        say("no Node here: the page's modules are served one by one");
        return Ok(());
    }
    if let Err(error) = node::ensure(node::BUNDLE) {
        say(format!("the page's modules are served one by one: {error:#}"));
        return Ok(());
    }
    folder(path)
}
