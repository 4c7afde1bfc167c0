//! The files of a diffusers folder, wherever they lie: on disk, or in a browser's hands.

use crate::error::{Error, Result};

/// A folder whose files are named by their paths inside it.
pub trait Files {
    /// What errors call the folder.
    fn place(&self) -> String;

    /// What a model is called that lies in it.
    fn title(&self) -> String;

    /// Whether there is such a file, or a folder of that name.
    fn has(&self, path: &str) -> bool;

    /// The names of the files directly inside one of its folders.
    fn list(&self, folder: &str) -> Vec<String>;

    /// A text of at most `most` bytes; `None` where there is no such file.
    fn text(&self, path: &str, most: u64) -> Result<Option<String>>;

    /// What errors call one of its files.
    fn name(&self, path: &str) -> String {
        match self.place() {
            place if place.is_empty() => path.to_string(),
            place => format!("{place}/{path}"),
        }
    }

    /// An error where a text has more bytes than are read.
    fn within(&self, path: &str, bytes: u64, most: u64) -> Result<()> {
        match bytes {
            _ if bytes <= most => Ok(()),
            _ => Err(Error::BadFile {
                file: self.name(path),
                message: format!("{bytes} bytes long, at most {most} expected"),
            }),
        }
    }
}

/// A folder on disk.
#[cfg(not(target_arch = "wasm32"))]
pub struct Disk<'a>(pub &'a std::path::Path);

#[cfg(not(target_arch = "wasm32"))]
impl Disk<'_> {
    fn io(&self, path: &str, error: &std::io::Error) -> Error {
        Error::Io { path: self.name(path), message: error.to_string() }
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Files for Disk<'_> {
    fn place(&self) -> String {
        self.0.display().to_string()
    }

    fn title(&self) -> String {
        let whole = self.0.canonicalize().ok();
        let name = whole.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        name.unwrap_or_else(|| "model".to_string())
    }

    fn has(&self, path: &str) -> bool {
        self.0.join(path).exists()
    }

    fn list(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join(folder)).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    fn text(&self, path: &str, most: u64) -> Result<Option<String>> {
        let whole = self.0.join(path);
        let size = match std::fs::metadata(&whole) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io(path, &error)),
        };
        self.within(path, size, most)?;
        std::fs::read_to_string(&whole).map(Some).map_err(|error| self.io(path, &error))
    }
}
