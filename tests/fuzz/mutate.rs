//! Inputs made of others by small changes, the same ones for the same seed.

use std::collections::HashSet;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::targets::Target;

/// Inputs that led to something new are kept, so many at most.
const KEPT: usize = 2000;
/// One of so many inputs may be longer than a target's are usually.
const LONG: u32 = 64;

/// Numbers where something may turn over, as text.
const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "1e999",
    "NaN",
    "255",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775808",
    "18446744073709551615",
    "99999999999999999999",
];

/// What is known to lead somewhere, and what came of changing it.
pub struct Pool {
    random: StdRng,
    words: &'static [&'static str],
    inputs: Vec<Vec<u8>>,
    seen: HashSet<u64>,
    longest: usize,
    usual: usize,
}

impl Pool {
    /// Inputs for a reader, to begin with its own.
    pub fn new(seed: u64, target: &Target) -> Pool {
        let (inputs, words) = ((target.seeds)(), target.words);
        assert!(!inputs.is_empty(), "something to change");
        let longest = inputs.iter().map(Vec::len).max().unwrap_or(0).max(target.longest);
        let usual = target.usual.min(longest);
        Pool { random: StdRng::seed_from_u64(seed), words, inputs, seen: HashSet::new(), longest, usual }
    }

    /// Another input.
    pub fn next(&mut self) -> Vec<u8> {
        let short = self.usual < self.longest && !self.random.random_ratio(1, LONG);
        let limit = if short { self.usual } else { self.longest };
        let whole = &self.inputs[self.random.random_range(0..self.inputs.len())];
        let beyond = whole.len().saturating_sub(limit);
        let from = if beyond > 0 { self.random.random_range(0..=beyond) } else { 0 };
        let mut input = whole[from..whole.len() - (beyond - from)].to_vec();
        // Mostly one change, sometimes many.
        while {
            self.change(&mut input);
            self.random.random_ratio(2, 5)
        } {}
        input.truncate(limit);
        input
    }

    /// Tells what came of an input: whatever came for the first time makes it one to go on from.
    pub fn learn(&mut self, input: &[u8], outcome: u64) {
        if self.seen.insert(outcome) && self.inputs.len() < KEPT {
            self.inputs.push(input.to_vec());
        }
    }

    /// How many different things came of all inputs.
    pub fn outcomes(&self) -> usize {
        self.seen.len()
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let random = &mut self.random;
        let length = input.len();
        let at = random.random_range(0..=length);
        let reach = 8usize.pow(random.random_range(0..4));
        let end = (at + random.random_range(0..=reach)).min(length);
        match random.random_range(0..10) {
            0 if at < length => input[at] ^= 1 << random.random_range(0..8),
            1 if at < length => input[at] = random.random(),
            2 => input.truncate(at),
            3 => drop(input.drain(at..end)),
            4 => {
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
            5 => {
                let number: u64 = match random.random_range(0..4) {
                    0 => random.random_range(0..64),
                    1 => 1u64.checked_shl(random.random_range(0..64)).unwrap_or(0),
                    2 => u64::MAX << random.random_range(0..64),
                    _ => random.random(),
                };
                let bytes = number.to_le_bytes();
                let width = [1, 2, 4, 8][random.random_range(0..4)];
                let end = length.min(at + width);
                input.splice(at..end, bytes[..width].iter().copied());
            }
            6 if !self.words.is_empty() => {
                let word = self.words[random.random_range(0..self.words.len())];
                input.splice(at..at, word.bytes());
            }
            7 => {
                let digits = |byte: &u8| byte.is_ascii_digit();
                let from = input.iter().skip(at).position(digits).map_or(length, |found| at + found);
                let end =
                    input[from..].iter().position(|byte| !digits(byte)).map_or(length, |found| from + found);
                let number = NUMBERS[random.random_range(0..NUMBERS.len())];
                input.splice(from..end, number.bytes());
            }
            8 => {
                let other = &self.inputs[random.random_range(0..self.inputs.len())];
                let from = random.random_range(0..=other.len());
                let taken = other[from..].iter().take(end - at + 16).copied().collect::<Vec<_>>();
                input.splice(at..end, taken);
            }
            _ => {
                let text = random.random_range(b' '..=b'~');
                input.insert(at, text);
            }
        }
    }
}
