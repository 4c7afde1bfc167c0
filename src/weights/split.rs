//! A file cut into parts, and an index that says how they belong together: so a host that takes no large files can serve it.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::disk::{WeightFile, io};
use crate::error::{Error, Result};

/// What follows a file's name in its index's; pages know an index by it.
pub const INDEX: &str = ".index.json";
/// How much is copied at once, in bytes.
const PIECE: usize = 1 << 20;

/// What a cut file's index says; one behind the other its parts are the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitIndex {
    /// The file's name.
    pub file: String,
    /// Of the whole file.
    pub bytes: u64,
    /// Of the whole file, lower-case hexadecimal.
    pub sha256: String,
    pub parts: Vec<SplitPart>,
}

/// A part of a cut file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitPart {
    /// Relative to the index.
    pub path: String,
    pub bytes: u64,
}

/// Cuts a weight file into parts of at most `most` bytes in a folder, and writes the index beside them: its path. `tell` is
/// told how many bytes of how many are done.
pub fn split(path: &Path, most: u64, folder: &Path, tell: &mut dyn FnMut(u64, u64)) -> Result<PathBuf> {
    if most == 0 {
        let message = "a part has at least one byte".to_string();
        return Err(Error::InvalidInput { field: "size", message });
    }
    // A file that is whole, and is one of weights.
    WeightFile::open(path)?.header()?;
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let source = File::open(path).map_err(failed(path))?;
    let bytes = source.metadata().map_err(failed(path))?.len();
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    let count = bytes.div_ceil(most);
    let width = (count - 1).to_string().len().max(3);
    let (mut source, mut hasher, mut piece) = (BufReader::new(source), Sha256::new(), vec![0; PIECE]);
    let (mut parts, mut done) = (Vec::new(), 0);
    for number in 0..count {
        let part = SplitPart { path: format!("{file}.{number:0width$}"), bytes: most.min(bytes - done) };
        let to = folder.join(&part.path);
        let mut out = BufWriter::new(File::create(&to).map_err(failed(&to))?);
        let mut left = part.bytes;
        while left > 0 {
            let piece = &mut piece[..left.min(PIECE as u64) as usize];
            source.read_exact(piece).map_err(failed(path))?;
            hasher.update(&*piece);
            out.write_all(piece).map_err(failed(&to))?;
            left -= piece.len() as u64;
            done += piece.len() as u64;
            tell(done, bytes);
        }
        out.flush().map_err(failed(&to))?;
        parts.push(part);
    }
    let sha256 = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let index = SplitIndex { file: file.clone(), bytes, sha256, parts };
    let to = folder.join(format!("{file}{INDEX}"));
    let text = serde_json::to_string_pretty(&index)
        .map_err(|error| Error::Json { file: file.clone(), message: error.to_string() })?;
    std::fs::write(&to, text + "\n").map_err(failed(&to))?;
    Ok(to)
}

/// The system's error, with the file.
fn failed(path: &Path) -> impl Fn(std::io::Error) -> Error {
    move |error| io(&path.display().to_string(), &error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A safetensors file of one tensor of so many bytes.
    fn file(len: usize) -> Vec<u8> {
        let header = format!(r#"{{"x":{{"dtype":"U8","shape":[{len}],"data_offsets":[0,{len}]}}}}"#);
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.bytes());
        bytes.extend((0..len).map(|i| i as u8));
        bytes
    }

    #[test]
    fn parts_one_behind_the_other_are_the_file() {
        let place = tempfile::tempdir().unwrap();
        let (path, out) = (place.path().join("m.safetensors"), place.path().join("out"));
        let whole = file(3000);
        std::fs::write(&path, &whole).unwrap();
        for most in [1, 700, whole.len() as u64, 1 << 40] {
            let mut told = 0;
            let index = split(&path, most, &out, &mut |done, _| told = done).unwrap();
            assert_eq!(index, out.join("m.safetensors.index.json"));
            let index: SplitIndex = serde_json::from_str(&std::fs::read_to_string(index).unwrap()).unwrap();
            let parts = index.parts.iter().map(|part| std::fs::read(out.join(&part.path)).unwrap());
            assert_eq!(parts.flatten().collect::<Vec<u8>>(), whole, "{most}");
            assert_eq!((index.bytes, told), (whole.len() as u64, whole.len() as u64));
            assert!(index.parts.iter().all(|part| part.bytes <= most));
            let hash: String = Sha256::digest(&whole).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!((index.file.as_str(), index.sha256), ("m.safetensors", hash));
        }
    }

    #[test]
    fn what_is_no_whole_weight_file_is_not_cut() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("m.safetensors");
        for bytes in [&file(3000)[..2000], b"no model at all"] {
            std::fs::write(&path, bytes).unwrap();
            assert!(split(&path, 100, &place.path().join("out"), &mut |_, _| {}).is_err());
        }
        std::fs::write(&path, file(10)).unwrap();
        let error = split(&path, 0, place.path(), &mut |_, _| {}).unwrap_err().to_string();
        assert!(error.contains("at least one byte"), "{error}");
    }
}
