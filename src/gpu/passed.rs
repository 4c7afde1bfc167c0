//! That a check at start has passed on this machine: a line in the user's cache folder. Native only.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;
use std::{env, fs};

use crate::kernels::gemm::Variant;

/// The last check that passed, beside the one at hand.
pub struct Passed {
    file: PathBuf,
    line: String,
}

impl Passed {
    /// The check of these variants by this very program on this adapter and driver; none where there is nowhere to keep it.
    pub fn of(info: &wgpu::AdapterInfo, variants: &[Variant]) -> Option<Passed> {
        let program = fs::metadata(env::current_exe().ok()?).ok()?;
        let built = program.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        // Kernels and what translates them are the program's: a new one checks again.
        let line = format!(
            "{:?} {:x}:{:x} {:?} {:?} {:?}, {variants:?}, program of {} bytes of {built:?}",
            info.name,
            info.vendor,
            info.device,
            info.backend,
            info.driver,
            info.driver_info,
            program.len(),
        );
        Some(Passed { file: folder(&|name| env::var_os(name))?.join("matrix-units"), line })
    }

    /// Whether it is the last one that passed.
    pub fn is_remembered(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|line| line == self.line)
    }

    /// Keeps it in place of the last one. Where that fails it is checked again at the next start.
    pub fn remember(&self) {
        if let Some(folder) = self.file.parent()
            && fs::create_dir_all(folder).is_ok()
        {
            let _ = fs::write(&self.file, &self.line);
        }
    }
}

/// The program's place among the user's caches.
fn folder(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = if cfg!(windows) {
        path("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        path("HOME").map(|home| home.join("Library/Caches"))
    } else {
        path("XDG_CACHE_HOME").or_else(|| path("HOME").map(|home| home.join(".cache")))
    };
    Some(caches?.join("opengen"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_passed_is_remembered_until_anything_differs() {
        let folder = env::temp_dir().join(format!("opengen-passed-{}", std::process::id()));
        let passed =
            |driver: &str| Passed { file: folder.join("cache/matrix-units"), line: driver.to_string() };
        assert!(!passed("driver 1").is_remembered());
        passed("driver 1").remember();
        assert!(passed("driver 1").is_remembered());
        assert!(!passed("driver 2").is_remembered());
        passed("driver 2").remember();
        assert!(!passed("driver 1").is_remembered());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn it_lies_where_the_user_keeps_caches() {
        let of = |variables: &[(&str, &str)]| {
            folder(&|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
        };
        assert_eq!(of(&[("HOME", "/home/a")]), Some(PathBuf::from("/home/a/.cache/opengen")));
        assert_eq!(
            of(&[("HOME", "/home/a"), ("XDG_CACHE_HOME", "/caches")]),
            Some(PathBuf::from("/caches/opengen"))
        );
        assert_eq!(of(&[("XDG_CACHE_HOME", "")]), None);
    }
}
