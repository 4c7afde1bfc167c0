//! Texts of fewer chunks are made as long as the others.

use super::Read;
use crate::error::Result;
use crate::prompt::{MAX_PARTS, Tokenizers};

/// What makes texts of fewer chunks as long as the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filling {
    /// Their own chunks again, where that comes out even.
    Again,
    /// Empty chunks: compel's.
    Empty,
}

/// As many chunks for each text: again and again what there is, where not too many come of that, for then attention sees what it
/// saw of the text alone; else empty ones behind.
pub fn fill(
    read: &mut Read,
    rows: usize,
    tokenizers: &Tokenizers,
    (length, by): (usize, Filling),
) -> Result<()> {
    const LONGER: usize = 4;
    for encoded in read.values_mut() {
        // Encoders that pad with other tokens may count others.
        let most = encoded.iter().map(|encoded| encoded.chunks.len()).max().unwrap_or(1);
        for (tokenizer, encoded) in tokenizers.iter().zip(encoded) {
            let empty = tokenizer.empty(length)?;
            encoded.chunks.resize(most, empty);
        }
    }
    let counts =
        || read.values().flat_map(|encoded| encoded.first()).map(|encoded| encoded.chunks.len().max(1));
    let most = counts().max().unwrap_or(1);
    let common = counts().fold(1, |a, b| if a > MAX_PARTS { a } else { lcm(a, b) });
    let is_short = common <= LONGER * most && common * rows <= MAX_PARTS;
    let all = if by == Filling::Again && is_short { common } else { most };
    for encoded in read.values_mut() {
        for (tokenizer, encoded) in tokenizers.iter().zip(encoded) {
            match by {
                Filling::Again => tokenizer.fill(&mut encoded.chunks, all, length)?,
                Filling::Empty => encoded.chunks.resize(all, tokenizer.empty(length)?),
            }
        }
    }
    Ok(())
}

fn lcm(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x.max(1) * b
}
