//! `cargo xtask stored`: writes `tests/data/stored`'s model of the present packed format, after that got a new number.

use crate::sh::{self, cmd, say};
use anyhow::Result;

/// What packs the model, and holds later versions of the engine to it.
const TEST: &str = "weights::tests::repacking::the_present_format_is_what_is_stored_as_it";

pub fn run() -> Result<()> {
    let test = ["test", "--package", "opengen", "--lib", TEST, "--", "--exact"];
    sh::run(cmd("cargo").args(test).env("OPENGEN_WRITE_STORED", "1"))?;
    say("tests/data/stored has a model of the present format; commit it with the new number");
    Ok(())
}
