//! Texts of fewer chunks are made as long as the others.

use super::Tokens;
use crate::error::Result;
use crate::prompt::{Chunk, MAX_PARTS, Tokenizers};

/// What makes texts of fewer chunks as long as the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filling {
    /// Their own chunks again, where that comes out even.
    Again,
    /// Prompts that are read at once, from this row on, first end in their last state again and again: A1111's.
    Last { from: usize },
    /// Empty chunks: compel's.
    Empty,
}

/// As many chunks for each text: again and again what there is, where not too many come of that, for then attention sees what it
/// saw of the text alone; else empty ones behind.
pub fn fill(states: &mut [Tokens], tokenizers: &Tokenizers, (length, by): (usize, Filling)) -> Result<()> {
    const LONGER: usize = 4;
    for tokens in states.iter_mut() {
        level(tokens, tokenizers, length)?;
        if let Filling::Last { from } = by {
            end_alike(tokens, from);
        }
    }
    let counts = || states.iter().flat_map(|tokens| tokens.rows(0)).map(|row| row.len().max(1));
    let most = counts().max().unwrap_or(1);
    let common = counts().fold(1, |a, b| if a > MAX_PARTS { a } else { lcm(a, b) });
    let rows = states.first().map_or(1, |tokens| tokens.rows(0).len());
    let is_short = common <= LONGER * most && common * rows <= MAX_PARTS;
    let all = if by != Filling::Empty && is_short { common } else { most };
    for tokens in states {
        for (tokenizer, rows) in tokenizers.iter().zip(&mut tokens.texts) {
            for row in rows {
                match by {
                    Filling::Empty => row.resize(all, tokenizer.empty(length)?),
                    Filling::Again | Filling::Last { .. } => tokenizer.fill(row, all, length)?,
                }
            }
        }
    }
    Ok(())
}

/// Encoders that pad with other tokens may count others: each row as long in all of them.
fn level(tokens: &mut Tokens, tokenizers: &Tokenizers, length: usize) -> Result<()> {
    for row in 0..tokens.rows(0).len() {
        let most = tokens.texts.iter().map(|rows| rows[row].len()).max().unwrap_or(1);
        for (tokenizer, rows) in tokenizers.iter().zip(&mut tokens.texts) {
            rows[row].resize(most, tokenizer.empty(length)?);
        }
    }
    Ok(())
}

/// The rows from one on as long as the longest of them.
fn end_alike(tokens: &mut Tokens, from: usize) {
    for rows in &mut tokens.texts {
        let most = rows.iter().skip(from).map(Vec::len).max().unwrap_or(1);
        for row in rows.iter_mut().skip(from) {
            if let Some(last) = row.last() {
                let last = Chunk { repeats: true, ..last.clone() };
                row.resize(most, last);
            }
        }
    }
}

fn lcm(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x.max(1) * b
}
