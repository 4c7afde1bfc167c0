//! What a download is held against, and the errors that name it.

use crate::weights::marks;
use crate::{Error, Result};

/// What is known of a file before it arrives.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// For messages about the transfer.
    pub url: String,
    /// For messages about the file.
    pub file: String,
    /// Length of the file, when it is known; else its header says where its data ends.
    pub bytes: Option<u64>,
    /// Lower-case hexadecimal, when it is known.
    pub sha256: Option<String>,
    /// Weights that are infinite or no numbers are taken as they are.
    pub allow_non_finite: bool,
}

impl Expected {
    /// The first bytes tell a model from a web page, long before a header could be parsed.
    pub(super) fn check_opening(&self, opening: &[u8]) -> Result<()> {
        let Some(start) = opening.get(..16) else { return Ok(()) };
        if start.starts_with(b"GGUF") || start.starts_with(b"PK") {
            return Ok(());
        }
        // A file of the visitor's own has no server.
        if start.trim_ascii_start().starts_with(b"<") && !self.url.starts_with("blob:") {
            return Err(self.network("the server answered with a web page instead of a model".into()));
        }
        if let Some(error) = marks::no_weights(&self.file, opening) {
            return Err(error);
        }
        let looks_like_safetensors = start[5..8] == [0, 0, 0] && start[8] == b'{';
        if looks_like_safetensors {
            return Ok(());
        }
        let begins = start[..8].escape_ascii();
        Err(self.bad_file(format!("it begins with \"{begins}\", which is neither GGUF nor safetensors")))
    }

    /// The transfer failed; it may be tried again.
    pub(super) fn network(&self, message: String) -> Error {
        Error::Network { url: self.url.clone(), message, retryable: true }
    }

    /// The file itself is at fault.
    pub(super) fn bad_file(&self, message: String) -> Error {
        Error::BadFile { file: self.file.clone(), message }
    }
}
