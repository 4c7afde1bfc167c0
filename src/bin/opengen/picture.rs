//! Pictures that commands are given.

use std::path::Path;

use opengen::error::{Error, Result};
use opengen::image::{Kind, Rgba, decode_png};

use crate::generate::io;

/// Reads a PNG.
pub fn read(path: &Path) -> Result<Rgba> {
    let bytes = std::fs::read(path).map_err(|e| io(path, &e))?;
    decode_png(&bytes).map(|decoded| decoded.image).map_err(|error| match error {
        Error::BadFile { message, .. } => Error::BadFile {
            file: path.display().to_string(),
            message: match Kind::of(&bytes) {
                Some(Kind::Png) => message,
                _ => "is no PNG; pictures are read from PNG files here".to_string(),
            },
        },
        other => other,
    })
}
