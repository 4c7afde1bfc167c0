//! Philox4x32-10, the generator of CUDA's `randn`, as A1111 computes it on the host ("NV" source).
//!
//! J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

/// A stream of normal numbers; each call of [`Self::randn`] is one draw.
#[derive(Debug, Clone)]
pub struct PhiloxGenerator {
    key: [u32; 2],
    /// How many draws there have been: the counter's first word.
    draw: u32,
}

impl PhiloxGenerator {
    pub fn new(seed: u64) -> Self {
        PhiloxGenerator { key: [seed as u32, (seed >> 32) as u32], draw: 0 }
    }

    /// The next draw of `n` values. Element `i` depends on seed, draw and `i` only.
    pub fn randn(&mut self, n: usize) -> Vec<f32> {
        let draw = self.draw;
        self.draw = self.draw.wrapping_add(1);
        (0..n)
            .map(|i| {
                let words = philox([draw, 0, i as u32, 0], self.key);
                box_muller(words[0], words[1])
            })
            .collect()
    }
}

/// Ten rounds on one counter.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    const MULTIPLIER: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
    const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let a = u64::from(counter[0]) * u64::from(MULTIPLIER[0]);
        let b = u64::from(counter[2]) * u64::from(MULTIPLIER[1]);
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
    }
    counter
}

/// Two words to one normal number, r = √(−2 ln u)·sin v. The scales are f32, the arithmetic f64, as in A1111.
fn box_muller(x: u32, y: u32) -> f32 {
    let scale = f64::from(2.328_306_4e-10_f32);
    let scale_tau = f64::from((2.328_306_4e-10_f64 * 6.283_185_5) as f32);
    let u = f64::from(x) * scale + scale / 2.0;
    let v = f64::from(y) * scale_tau + scale_tau / 2.0;
    ((-2.0 * u.ln()).sqrt() * v.sin()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors published with Random123 (`kat_vectors`, philox4x32-10).
    #[test]
    fn known_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let ones = philox([u32::MAX; 4], [u32::MAX; 2]);
        assert_eq!(ones, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi = philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]);
        assert_eq!(pi, [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn seed_zero_begins_as_published() {
        let values = PhiloxGenerator::new(0).randn(4);
        for (value, expected) in values.iter().zip([-0.924_662_59, -0.425_344_15, -2.643_845_7, 0.145_183_88])
        {
            assert!((f64::from(*value) - expected).abs() < 1e-6 * expected.abs(), "{value} {expected}");
        }
    }

    #[test]
    fn draws_differ_and_do_not_depend_on_the_count() {
        let mut one = PhiloxGenerator::new(1 << 40 | 5);
        let mut two = one.clone();
        let (a, b) = (one.randn(100), one.randn(100));
        assert_ne!(a, b);
        assert_eq!(two.randn(3), a[..3]);
        assert_eq!(two.randn(50), b[..50]);
        assert_ne!(PhiloxGenerator::new(5).randn(100), a, "the seed's high word counts");
    }
}
