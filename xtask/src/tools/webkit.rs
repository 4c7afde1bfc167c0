//! WebKitGTK for the tests of the page: Safari's engine where there is no Safari.

use crate::sh;
use crate::tools;

/// What its tests need: the browser with its driver, and a screen that is only in memory.
const PACKAGES: [&str; 2] = ["webkit2gtk-driver", "xvfb"];

/// Whether it is here, after an attempt to install Debian's. It is not needed: without it its tests leave themselves out.
pub fn ensure() -> bool {
    find()
        || (sh::which("apt-get").is_some() && tools::apt_install(&PACKAGES, "no WebKitGTK").is_ok() && find())
}

fn find() -> bool {
    ["WebKitWebDriver", "Xvfb"].iter().all(|program| sh::which(program).is_some())
}
