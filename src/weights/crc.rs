//! CRC-32 without an instruction for it, as in WebAssembly: a few times as fast as by tables.
//!
//! A sum is the remainder of the bytes, read as a polynomial, by that of the CRC. A multiple of the latter with few terms
//! takes the front of the bytes away for a few exclusive ors of what follows, and the remainder stays as it was: only the end
//! is left to the tables (S. Russell, "Chorba: A novel CRC32 implementation", <https://arxiv.org/abs/2412.16398>).

use crc32fast::Hasher;

/// How many words before a word lie those that are added to it: of x^300 + x^155 + x^117 + x^89 + 1 the 128th power, a multiple
/// too, in which x^128 is two words.
const TAPS: [usize; 4] = [290, 366, 422, LEFT];

/// Words that stay at the end.
const LEFT: usize = 600;

/// Adds words, as bytes in their order in memory, to a CRC-32; changes them.
pub(super) fn add(hasher: &mut Hasher, words: &mut [u64]) {
    let Some(folded) = words.len().checked_sub(LEFT).filter(|folded| *folded > 0) else {
        return hasher.update(bytemuck::cast_slice(words));
    };
    // What the sum is so far, as a register, belongs to the next bytes; behind them it begins with nothing.
    words[0] ^= u64::from(!hasher.clone().finalize()).to_le();
    fold(words);
    *hasher = Hasher::new_with_initial_len(u32::MAX, hasher.total_len() + 8 * folded as u64);
    hasher.update(bytemuck::cast_slice(&words[folded..]));
}

/// Makes the last words those of the same remainder, with nothing before them.
fn fold(words: &mut [u64]) {
    let folded = words.len() - LEFT;
    for at in (0..words.len()).step_by(TAPS[0]) {
        let end = words.len().min(at + TAPS[0]);
        let (before, now) = words.split_at_mut(at);
        if at >= LEFT && end <= folded {
            let [a, b, c, d] = TAPS.map(|tap| &before[at - tap..end - tap]);
            for (word, (((a, b), c), d)) in now.iter_mut().zip(a.iter().zip(b).zip(c).zip(d)) {
                *word ^= a ^ b ^ c ^ d;
            }
            continue;
        }
        // At both ends some of them are not there, or not folded.
        for tap in TAPS {
            let (from, to) = (at.max(tap), end.min(folded + tap));
            if from < to {
                let earlier = &before[from - tap..to - tap];
                now[from - at..to - at].iter_mut().zip(earlier).for_each(|(word, earlier)| *word ^= earlier);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    #[test]
    fn sums_are_those_of_tables_whatever_the_length_and_however_bytes_come() {
        let mut random = StdRng::seed_from_u64(1);
        let mut words = vec![0u64; 5000];
        for lengths in [
            vec![0, 1, 599, 600, 601, 602],
            vec![889, 890, 891, 1],
            vec![1199, 1200, 1201, 5],
            vec![5000, 1490, 1491, 4000],
        ] {
            let [mut plain, mut ours] = [Hasher::new(), Hasher::new()];
            for length in lengths {
                random.fill(&mut words[..length]);
                plain.update(bytemuck::cast_slice(&words[..length]));
                add(&mut ours, &mut words[..length]);
                assert_eq!(ours.clone().finalize(), plain.clone().finalize(), "{length}");
                assert_eq!(ours.total_len(), plain.total_len());
            }
        }
    }
}
