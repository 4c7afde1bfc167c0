//! AdamW (Loshchilov & Hutter 2017, <https://arxiv.org/abs/1711.05101>), as PyTorch computes it.

use crate::error::{Error, Result};

/// The optimizer's settings, and how far it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    pub betas: [f64; 2],
    pub eps: f64,
    pub weight_decay: f64,
    /// Steps so far.
    pub steps: u64,
}

impl Default for AdamW {
    /// PyTorch's defaults, before the first step.
    fn default() -> AdamW {
        AdamW { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 1e-2, steps: 0 }
    }
}

impl AdamW {
    /// Changes a tensor by its gradient, times `share`, at a learning rate: its values, and the running means of its gradient and of
    /// the squares.
    pub fn change(
        &self,
        rate: f64,
        (gradient, share): (&[f32], f64),
        [values, means, squares]: [&mut [f32]; 3],
    ) {
        let [b1, b2] = self.betas;
        let corrections = [b1, b2].map(|beta| 1.0 - beta.powf(self.steps as f64));
        let state = means.iter_mut().zip(squares.iter_mut());
        for ((value, gradient), (mean, square)) in values.iter_mut().zip(gradient).zip(state) {
            let gradient = f64::from(*gradient) * share;
            *mean = (b1 * f64::from(*mean) + (1.0 - b1) * gradient) as f32;
            *square = (b2 * f64::from(*square) + (1.0 - b2) * gradient * gradient) as f32;
            let spread = (f64::from(*square) / corrections[1]).sqrt() + self.eps;
            let decayed = f64::from(*value) * (1.0 - rate * self.weight_decay);
            *value = (decayed - rate * f64::from(*mean) / corrections[0] / spread) as f32;
        }
    }
}

/// The factor by which gradients are multiplied so that all of them together are no longer than `most`, and how long they are;
/// [`Error::NoNumbers`] where one is no number.
#[cfg(feature = "cpu")]
pub fn clipping<'a>(gradients: impl Iterator<Item = &'a [f32]>, most: f64) -> Result<(f64, f64)> {
    let square = |gradient: &[f32]| gradient.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
    share_of(gradients.map(square).sum(), most)
}

/// The same of the sum of their squares.
pub fn share_of(squares: f64, most: f64) -> Result<(f64, f64)> {
    let length = squares.sqrt();
    if !length.is_finite() {
        return Err(Error::NoNumbers);
    }
    Ok(((most / (length + 1e-6)).min(1.0), length))
}
