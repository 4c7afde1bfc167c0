//! A Brownian path whose values depend on its seed alone, not on the times that are asked for, nor on their order: what the
//! SDE samplers of k-diffusion, A1111 and ComfyUI draw their noise from.
//!
//! The path is X. Li, P. Kidger and others' virtual Brownian tree, <https://arxiv.org/abs/2001.01328>, appendix E: its value
//! at the middle of an interval, given those at its ends, is normal (a Brownian bridge), and each interval has a seed of its
//! own, derived from the path's. Numbers are those of torchsde 0.2.6's `BrownianTree`
//! (<https://github.com/google-research/torchsde>, Apache-2.0) on the processor, as k-diffusion's `BrownianTreeNoiseSampler`
//! uses it, bit for bit in f32; how NumPy's `SeedSequence` derives seeds is M. O'Neill's `seed_seq_fe`,
//! <https://www.pcg-random.org/posts/developing-a-seed_seq-alternative.html>.

use super::noise::NoiseSource;

/// Words of entropy that torchsde's tree keeps in its pool.
const POOL: usize = 24;

/// A path between two times, one per element of a picture's latents, that starts at zero.
#[derive(Debug, Clone)]
pub struct BrownianTree {
    source: NoiseSource,
    seeds: SeedSequence,
    /// How many elements there are: C·H·W of one picture.
    n: usize,
    start: f64,
    end: f64,
    /// From the start to the end.
    whole: Vec<f32>,
    /// The intervals of the last walk from the top, outermost first: the next one shares most of it.
    walked: Vec<(Place, Vec<f32>)>,
}

/// Where an interval is in the tree: which of its level's, and on which level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    index: u64,
    depth: u32,
}

/// An interval of the tree.
#[derive(Debug, Clone, Copy)]
struct Interval {
    place: Place,
    start: f64,
    end: f64,
}

impl Interval {
    fn middle(&self) -> f64 {
        rounded(0.5 * (self.end + self.start))
    }

    fn left(&self) -> Interval {
        let place = Place { index: 2 * self.place.index, depth: self.place.depth + 1 };
        Interval { place, start: self.start, end: self.middle() }
    }

    fn right(&self) -> Interval {
        let place = Place { index: 2 * self.place.index + 1, depth: self.place.depth + 1 };
        Interval { place, start: self.middle(), end: self.end }
    }
}

impl BrownianTree {
    /// The path of a seed between two times, `from` < `to`, of `n` elements; `source` draws what its seeds begin.
    pub fn new(source: NoiseSource, seed: u64, n: usize, from: f64, to: f64) -> Self {
        let seeds = SeedSequence::new(seed);
        let [first] = seeds.state(&[]);
        let scale = (to - from).sqrt() as f32;
        let whole = randn(source, first, n).iter().map(|z| z * scale).collect();
        BrownianTree { source, seeds, n, start: rounded(from), end: rounded(to), whole, walked: Vec::new() }
    }

    /// Unit noise for a step from one level of noise down to another: the path's increment there over the square root of
    /// the distance.
    pub fn noise(&mut self, from: f64, to: f64) -> Vec<f32> {
        let (low, high) = if to < from { (to, from) } else { (from, to) };
        // A path that runs from low to high levels is followed backwards.
        let sign: f32 = if to < from { -1.0 } else { 1.0 };
        let scale = ((high as f32) - (low as f32)).abs().sqrt();
        self.increment(low, high).iter().map(|w| w * sign / scale).collect()
    }

    /// How far the path gets between two times, which are taken to lie within its own.
    fn increment(&mut self, from: f64, to: f64) -> Vec<f32> {
        let [from, to] = [from, to].map(|time| rounded(time.clamp(self.start, self.end)));
        let top = Interval { place: Place { index: 0, depth: 0 }, start: self.start, end: self.end };
        let mut parts = Vec::new();
        if from < to {
            cut(top, from, to, &mut Vec::new(), &mut parts);
        }
        let mut sum: Option<Vec<f32>> = None;
        for path in parts {
            let part = self.walk(&path);
            match &mut sum {
                Some(sum) => sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part),
                None => sum = Some(part.to_vec()),
            }
        }
        sum.unwrap_or_else(|| vec![0.0; self.n])
    }

    /// The increment over the interval at the end of a walk down from the top.
    fn walk(&mut self, path: &[Interval]) -> &[f32] {
        let known = self.walked.iter().zip(&path[1..]).take_while(|((place, _), to)| *place == to.place);
        let known = known.count();
        self.walked.truncate(known);
        for pair in path.windows(2).skip(known) {
            let (parent, child) = (pair[0], pair[1]);
            let above = self.walked.last().map_or(&self.whole, |(_, values)| values);
            let values = self.half(&parent, above, child.place == parent.left().place);
            self.walked.push((child.place, values));
        }
        self.walked.last().map_or(&self.whole, |(_, values)| values)
    }

    /// The increment over one half of an interval whose own is `whole`.
    fn half(&self, parent: &Interval, whole: &[f32], left: bool) -> Vec<f32> {
        let Place { index, depth } = parent.place;
        let [seed] = self.seeds.state(&[index, u64::from(depth)]);
        let noise = randn(self.source, seed, self.n);
        let middle = parent.middle();
        let share = 1.0 / (parent.end - parent.start);
        let (before, after) = (middle - parent.start, parent.end - middle);
        let deviation = (before * after * share).sqrt() as f32;
        let (before, share) = (before as f32, share as f32);
        let of = |(w, z): (&f32, &f32)| {
            let there = before * w * share + deviation * z;
            if left { there } else { w - there }
        };
        whole.iter().zip(&noise).map(of).collect()
    }
}

/// The walks to the intervals of the tree that together are `from` … `to`, in their order.
fn cut(at: Interval, from: f64, to: f64, above: &mut Vec<Interval>, parts: &mut Vec<Vec<Interval>>) {
    above.push(at);
    let middle = at.middle();
    // An interval that has no middle of its own is not cut further.
    if (from <= at.start && to >= at.end) || middle <= at.start || middle >= at.end {
        parts.push(above.clone());
    } else {
        if from < middle {
            cut(at.left(), from, to.min(middle), above, parts);
        }
        if to > middle {
            cut(at.right(), from.max(middle), to, above, parts);
        }
    }
    above.pop();
}

/// To six decimals, as Python's `round` does it: of the number's exact value.
fn rounded(time: f64) -> f64 {
    format!("{time:.6}").parse().unwrap_or(time)
}

/// Unit noise of a generator that begins at a seed.
fn randn(source: NoiseSource, seed: u32, n: usize) -> Vec<f32> {
    source.generator(u64::from(seed)).randn(n)
}

/// NumPy's `SeedSequence` with a pool of 24 words: seeds out of entropy, and of keys that are spawned from it.
#[derive(Debug, Clone)]
struct SeedSequence {
    pool: [u32; POOL],
    hash: Hash,
}

impl SeedSequence {
    fn new(entropy: u64) -> Self {
        let entropy: Vec<u32> = words(entropy).collect();
        let mut hash = Hash { constant: 0x43b0_d7e5, factor: 0x931e_8875 };
        let mut pool = [0; POOL];
        for (i, word) in pool.iter_mut().enumerate() {
            *word = hash.of(entropy.get(i).copied().unwrap_or_default());
        }
        for from in 0..POOL {
            for to in (0..POOL).filter(|to| *to != from) {
                pool[to] = mixed(pool[to], hash.of(pool[from]));
            }
        }
        SeedSequence { pool, hash }
    }

    /// `SeedSequence(entropy, spawn_key=key, pool_size=24).generate_state(N)`: a key comes behind as many words of entropy as
    /// the pool has, of which a seed fills the first alone.
    fn state<const N: usize>(&self, key: &[u64]) -> [u32; N] {
        let SeedSequence { mut pool, mut hash } = *self;
        for word in key.iter().copied().flat_map(words) {
            pool.iter_mut().for_each(|to| *to = mixed(*to, hash.of(word)));
        }
        let mut hash = Hash { constant: 0x8b51_f9dd, factor: 0x58f3_8ded };
        std::array::from_fn(|i| hash.of(pool[i % POOL]))
    }
}

/// A number's words of 32 bits, the lowest first, none of them an empty one at the end.
fn words(value: u64) -> impl Iterator<Item = u32> {
    let (low, high) = (value as u32, (value >> 32) as u32);
    std::iter::once(low).chain((high != 0).then_some(high))
}

/// A hash of words whose constant goes on from word to word.
#[derive(Debug, Clone, Copy)]
struct Hash {
    constant: u32,
    factor: u32,
}

impl Hash {
    fn of(&mut self, word: u32) -> u32 {
        let word = word ^ self.constant;
        self.constant = self.constant.wrapping_mul(self.factor);
        folded(word.wrapping_mul(self.constant))
    }
}

fn mixed(a: u32, b: u32) -> u32 {
    folded(a.wrapping_mul(0xca01_f9dd).wrapping_sub(b.wrapping_mul(0x4973_f715)))
}

fn folded(word: u32) -> u32 {
    word ^ (word >> 16)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// What torchsde, NumPy and k-diffusion give; see `tests/golden/make_samplers.py`.
    #[derive(Deserialize)]
    struct Fixtures {
        seed_sequences: Vec<Sequence>,
        brownian: Vec<Path>,
    }

    #[derive(Deserialize)]
    struct Sequence {
        entropy: u64,
        key: Vec<u64>,
        state: [u32; 4],
    }

    #[derive(Deserialize)]
    struct Path {
        seed: u64,
        shape: [usize; 3],
        ends: [f64; 2],
        /// From, to, the first bits and a checksum of all.
        noises: Vec<(f64, f64, Vec<u32>, u32)>,
    }

    fn fixtures() -> Fixtures {
        serde_json::from_str(include_str!("../../tests/data/brownian.json")).expect("brownian.json")
    }

    #[test]
    fn seeds_are_numpys() {
        for Sequence { entropy, key, state } in fixtures().seed_sequences {
            assert_eq!(SeedSequence::new(entropy).state(&key), state, "{entropy} {key:?}");
        }
    }

    /// Bit for bit, whatever was asked for before.
    #[test]
    fn paths_are_torchsdes() {
        for Path { seed, shape, ends, noises } in fixtures().brownian {
            let n = shape.iter().product();
            let mut tree = BrownianTree::new(NoiseSource::Torch, seed, n, ends[0], ends[1]);
            let mut backwards = tree.clone();
            for (from, to, first, crc32) in &noises {
                let noise = tree.noise(*from, *to);
                let bits: Vec<u32> = noise[..first.len()].iter().map(|value| value.to_bits()).collect();
                assert_eq!(&bits, first, "seed {seed} {shape:?}: {from} to {to}");
                assert_eq!(crc32fast::hash(bytemuck::cast_slice(&noise)), *crc32, "{seed}: {from} to {to}");
            }
            for (from, to, _, crc32) in noises.iter().rev() {
                let noise = backwards.noise(*from, *to);
                assert_eq!(crc32fast::hash(bytemuck::cast_slice(&noise)), *crc32, "{seed}: {from} to {to}");
            }
        }
    }

    #[test]
    fn noise_is_of_unit_spread_and_parts_add_up() {
        let mut tree = BrownianTree::new(NoiseSource::Philox, 5, 4096, 0.03, 14.6);
        for (from, to) in [(14.6, 7.0), (7.0, 6.9), (0.2, 0.03)] {
            let noise = tree.noise(from, to);
            let square = noise.iter().map(|z| f64::from(*z).powi(2)).sum::<f64>() / 4096.0;
            assert!((square - 1.0).abs() < 0.1, "{from} to {to}: {square}");
        }
        let (whole, a, b) = (tree.increment(1.0, 9.0), tree.increment(1.0, 4.3), tree.increment(4.3, 9.0));
        let off = (0..4096).map(|i| (whole[i] - a[i] - b[i]).abs()).fold(0.0, f32::max);
        assert!(off < 1e-5, "{off:e}");
        assert_eq!(tree.increment(3.0, 3.0), [0.0; 4096]);
        // Levels beyond the ends are taken as the ends.
        assert_eq!(tree.increment(0.0, 20.0), tree.increment(0.03, 14.6));
    }
}
