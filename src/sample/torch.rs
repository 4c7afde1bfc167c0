//! PyTorch's CPU generator: what `torch.randn` draws, bit for bit.
//!
//! PyTorch has two paths for 16 values and more: a vectorized one with its own logarithm, sine and cosine (x86 with
//! AVX2 or AVX-512, so nearly every machine that makes pictures) and a scalar one that calls the C library. This is
//! the vectorized one; the two differ in the last bits only.

use rand_mt::Mt;

use super::cephes;

/// A stream of normal numbers that goes on from call to call, like `torch.Generator`.
#[derive(Debug, Clone)]
pub struct TorchGenerator {
    engine: Mt,
    /// The second value of a pair drawn by the short path.
    cached: Option<f64>,
}

/// Values per Box–Muller block: eight radii, then eight angles.
const BLOCK: usize = 16;

impl TorchGenerator {
    /// `torch.Generator().manual_seed(seed)`: only the low 32 bits count.
    pub fn new(seed: u64) -> Self {
        TorchGenerator { engine: Mt::new((seed & 0xffff_ffff) as u32), cached: None }
    }

    /// `torch.randn(n, generator=self)`.
    pub fn randn(&mut self, n: usize) -> Vec<f32> {
        if n < BLOCK {
            return (0..n).map(|_| self.normal() as f32).collect();
        }
        let mut values: Vec<f32> = (0..n).map(|_| self.uniform()).collect();
        values.chunks_exact_mut(BLOCK).for_each(box_muller);
        if !n.is_multiple_of(BLOCK) {
            let tail = &mut values[n - BLOCK..];
            tail.iter_mut().for_each(|value| *value = self.uniform());
            box_muller(tail);
        }
        values
    }

    /// A uniform number of [0, 1) with 24 bits.
    fn uniform(&mut self) -> f32 {
        (self.engine.next_u32() & 0x00ff_ffff) as f32 * (1.0 / 16_777_216.0)
    }

    /// A uniform number of [0, 1) with 53 bits.
    fn uniform_f64(&mut self) -> f64 {
        let high = u64::from(self.engine.next_u32());
        let low = u64::from(self.engine.next_u32());
        ((high << 32 | low) & ((1 << 53) - 1)) as f64 / (1u64 << 53) as f64
    }

    /// One normal number of the path for fewer than 16 values, in f64.
    fn normal(&mut self) -> f64 {
        if let Some(value) = self.cached.take() {
            return value;
        }
        let (u1, u2) = (self.uniform_f64(), self.uniform_f64());
        let radius = (-2.0 * (-u2).ln_1p()).sqrt();
        let theta = 2.0 * std::f64::consts::PI * u1;
        self.cached = Some(radius * theta.sin());
        radius * theta.cos()
    }
}

/// Sixteen uniform numbers to sixteen normal ones, in place.
fn box_muller(block: &mut [f32]) {
    let (radii, angles) = block.split_at_mut(BLOCK / 2);
    for (a, b) in radii.iter_mut().zip(angles) {
        let radius = (-2.0 * cephes::ln(1.0 - *a)).sqrt();
        let (sin, cos) = cephes::sin_cos(std::f32::consts::TAU * *b);
        // PyTorch's `* std + mean` turns a negative zero into zero.
        *a = radius * cos + 0.0;
        *b = radius * sin + 0.0;
    }
}
