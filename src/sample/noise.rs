//! Noise by name: which generator draws it, and the generators of a batch.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::brownian::BrownianTree;
use super::philox::PhiloxGenerator;
use super::torch::TorchGenerator;
use super::{Evaluation, Trajectory};
use crate::error::{Error, Result};

/// Where the initial latents and ancestral noise come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoiseSource {
    /// PyTorch's CPU generator: diffusers, ComfyUI, A1111's "CPU".
    #[default]
    Torch,
    /// Philox: CUDA's generator, A1111's "GPU" and "NV".
    Philox,
}

impl NoiseSource {
    pub const ALL: [NoiseSource; 2] = [NoiseSource::Torch, NoiseSource::Philox];

    pub fn name(self) -> &'static str {
        match self {
            NoiseSource::Torch => "torch",
            NoiseSource::Philox => "philox",
        }
    }

    /// A1111's name of the same source, as in a picture's metadata.
    pub fn a1111_name(self) -> &'static str {
        match self {
            NoiseSource::Torch => "CPU",
            NoiseSource::Philox => "NV",
        }
    }

    /// The source of A1111's name; "GPU" is CUDA's own Philox, which "NV" is everywhere.
    pub fn from_a1111_name(name: &str) -> Option<Self> {
        match name {
            "CPU" => Some(NoiseSource::Torch),
            "GPU" | "NV" => Some(NoiseSource::Philox),
            _ => None,
        }
    }

    pub fn generator(self, seed: u64) -> Generator {
        match self {
            NoiseSource::Torch => Generator::Torch(Box::new(TorchGenerator::new(seed))),
            NoiseSource::Philox => Generator::Philox(PhiloxGenerator::new(seed)),
        }
    }

    /// The unit noise a batch of `[B, C, H, W]` starts from: picture `i` has its own generator, seeded `seed + i`.
    pub fn noise(self, seed: u64, shape: [usize; 4]) -> Vec<f32> {
        let [batch, channels, height, width] = shape;
        Generators::new(self, seed, batch).randn(channels * height * width)
    }
}

impl fmt::Display for NoiseSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for NoiseSource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        super::by_name("rng", text, &Self::ALL.map(|source| (source.name(), source)))
    }
}

/// One picture's generator; it goes on from call to call.
#[derive(Debug, Clone)]
pub enum Generator {
    Torch(Box<TorchGenerator>),
    Philox(PhiloxGenerator),
}

impl Generator {
    /// The next `n` normal numbers: for one picture, `[C, H, W]` in row-major order.
    pub fn randn(&mut self, n: usize) -> Vec<f32> {
        match self {
            Generator::Torch(generator) => generator.randn(n),
            Generator::Philox(generator) => generator.randn(n),
        }
    }
}

/// A batch's generators, one per picture, as diffusers takes a list of them.
#[derive(Debug, Clone)]
pub struct Generators {
    source: NoiseSource,
    seeds: Vec<u64>,
    generators: Vec<Generator>,
    /// A Brownian path for each, once a run asks for one.
    paths: Vec<BrownianTree>,
}

impl Generators {
    /// Picture `i` is seeded `seed + i`, so that it comes out the same when made alone.
    pub fn new(source: NoiseSource, seed: u64, batch: usize) -> Self {
        Generators::seeded(source, (0..batch as u64).map(|i| seed.wrapping_add(i)))
    }

    /// One generator per seed.
    pub fn seeded(source: NoiseSource, seeds: impl Iterator<Item = u64>) -> Self {
        let seeds: Vec<u64> = seeds.collect();
        let generators = seeds.iter().map(|seed| source.generator(*seed)).collect();
        Generators { source, seeds, generators, paths: Vec::new() }
    }

    /// Begins each anew at its seed and `delta` more; Brownian paths stay the seed's own, as in A1111 (ENSD).
    pub fn begin_at(&mut self, delta: u64) {
        let seeds = self.seeds.iter().map(|seed| seed.wrapping_add(delta));
        self.generators = seeds.map(|seed| self.source.generator(seed)).collect();
    }

    /// `[B, C, H, W]` where `n` = C·H·W: the first call gives the initial latents, each later one a step's noise.
    pub fn randn(&mut self, n: usize) -> Vec<f32> {
        self.generators.iter_mut().flat_map(|generator| generator.randn(n)).collect()
    }

    /// The fresh unit noise `[B, C, H, W]` of a run's evaluation, n = C·H·W: the next draw, or what the pictures' Brownian paths do
    /// between two levels. Runs are one after the other: the ends of the paths are those of the first that asks.
    pub fn fresh(&mut self, run: &Trajectory, evaluation: &Evaluation, n: usize) -> Vec<f32> {
        let Some(([from, to], [low, high])) = evaluation.path.zip(run.paths) else { return self.randn(n) };
        if self.paths.is_empty() {
            let path = |seed: &u64| BrownianTree::new(self.source, *seed, n, low, high);
            self.paths = self.seeds.iter().map(path).collect();
        }
        self.paths.iter_mut().flat_map(|path| path.noise(from, to)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Draw {
        first: Vec<u32>,
        last: Vec<u32>,
        crc32: u32,
    }

    #[derive(Deserialize)]
    struct Case {
        seed: u64,
        shape: [usize; 4],
        #[serde(flatten)]
        draw: Draw,
    }

    #[derive(Deserialize)]
    struct Sequence {
        seed: u64,
        sizes: Vec<usize>,
        draws: Vec<Draw>,
    }

    #[derive(Deserialize)]
    struct Long {
        seed: u64,
        size: usize,
        #[serde(flatten)]
        draw: Draw,
    }

    #[derive(Deserialize)]
    struct Fixtures {
        cases: Vec<Case>,
        sequence: Sequence,
        long: Long,
    }

    /// Made by `training/fixtures_noise.py` with PyTorch.
    fn fixtures() -> Fixtures {
        serde_json::from_str(include_str!("../../tests/data/noise.json")).expect("noise.json")
    }

    fn check(values: &[f32], expected: &Draw, what: &str) {
        let bits: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
        assert_eq!(bits[..expected.first.len()], expected.first[..], "{what}: first values");
        assert_eq!(bits[bits.len() - expected.last.len()..], expected.last[..], "{what}: last values");
        assert_eq!(crc32fast::hash(bytemuck::cast_slice(values)), expected.crc32, "{what}: all values");
    }

    #[test]
    fn torch_randn_bit_for_bit() {
        for case in fixtures().cases {
            let values = NoiseSource::Torch.noise(case.seed, case.shape);
            check(&values, &case.draw, &format!("seed {} shape {:?}", case.seed, case.shape));
        }
    }

    #[test]
    fn torch_generator_goes_on() {
        let sequence = fixtures().sequence;
        let mut generator = NoiseSource::Torch.generator(sequence.seed);
        for (i, (&n, draw)) in sequence.sizes.iter().zip(&sequence.draws).enumerate() {
            check(&generator.randn(n), draw, &format!("draw {i} of {n}"));
        }
    }

    #[test]
    fn torch_a_million_values() {
        let long = fixtures().long;
        check(&NoiseSource::Torch.generator(long.seed).randn(long.size), &long.draw, "long");
    }

    #[test]
    fn a_picture_of_a_batch_is_the_picture_made_alone() {
        for source in NoiseSource::ALL {
            let batch = source.noise(u64::MAX, [3, 4, 5, 7]);
            assert_eq!(batch[..140], source.noise(u64::MAX, [1, 4, 5, 7]));
            assert_eq!(batch[280..], source.noise(1, [1, 4, 5, 7]), "{source}: seeds wrap");
        }
    }

    #[test]
    fn names() {
        for source in NoiseSource::ALL {
            assert_eq!(source.name().parse::<NoiseSource>().ok(), Some(source));
            assert_eq!(serde_json::to_string(&source).ok(), Some(format!("\"{source}\"")));
        }
        let error = "cuda".parse::<NoiseSource>().unwrap_err().to_string();
        assert!(
            error.contains("rng") && error.contains("cuda") && error.contains("torch, philox"),
            "{error}"
        );
    }
}
