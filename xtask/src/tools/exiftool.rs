//! exiftool, with which the tests of the page read what saved pictures say.

use crate::sh;
use crate::tools;
use anyhow::Result;

/// Installs Debian's where there is none. It is not needed: without it one test leaves itself out, and says so.
pub fn ensure() -> Result<()> {
    if sh::which("exiftool").is_some() || sh::which("apt-get").is_none() {
        return Ok(());
    }
    tools::apt_install(&["libimage-exiftool-perl"], "no exiftool")
}
