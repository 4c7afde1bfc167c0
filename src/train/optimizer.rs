//! AdamW (Loshchilov & Hutter 2017, <https://arxiv.org/abs/1711.05101>), as PyTorch computes it, and what half precision asks for beside it.

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

/// What the loss is multiplied by on the way back where that goes by f16, so that small gradients are not rounded to nothing
/// (Micikevicius et al. 2017, <https://arxiv.org/abs/1710.03740>): halved where one became too large, whose step is left out, doubled
/// after many that held. Numbers are those of PyTorch's `GradScaler`.
#[cfg(feature = "gpu")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossScale {
    factor: f64,
    /// Steps that held since it was changed; `None` in f32, where it stays 1.
    held: Option<u32>,
}

#[cfg(feature = "gpu")]
impl LossScale {
    const FIRST: f64 = 65536.0;
    /// So many steps have to hold before more is tried.
    const INTERVAL: u32 = 2000;

    pub fn of(elem: crate::kernels::Elem) -> LossScale {
        match elem {
            crate::kernels::Elem::F32 => LossScale { factor: 1.0, held: None },
            crate::kernels::Elem::F16 => LossScale { factor: LossScale::FIRST, held: Some(0) },
        }
    }

    /// A power of two, 1 or more.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// A gradient is no number. Whether a smaller factor may help.
    pub fn overflowed(&mut self) -> bool {
        let smaller = self.held.is_some() && self.factor > 1.0;
        if smaller {
            *self = LossScale { factor: self.factor / 2.0, held: Some(0) };
        }
        smaller
    }

    /// All gradients of a step were numbers.
    pub fn held(&mut self) {
        let Some(held) = &mut self.held else { return };
        *held += 1;
        if *held == LossScale::INTERVAL {
            *self = LossScale { factor: self.factor * 2.0, held: Some(0) };
        }
    }
}

#[cfg(all(test, feature = "gpu"))]
mod tests {
    use super::LossScale;
    use crate::kernels::Elem;

    #[test]
    fn a_loss_in_half_precision_is_scaled_by_what_holds() {
        let mut scale = LossScale::of(Elem::F16);
        assert!(scale.overflowed());
        assert_eq!(scale.factor(), 32768.0);
        (1..LossScale::INTERVAL).for_each(|_| scale.held());
        assert_eq!(scale.factor(), 32768.0);
        scale.held();
        assert_eq!(scale.factor(), 65536.0);
        assert_eq!((0..20).filter(|_| scale.overflowed()).count(), 16, "until nothing is left to take away");
        assert_eq!(scale.factor(), 1.0);
        let mut single = LossScale::of(Elem::F32);
        (0..2 * LossScale::INTERVAL).for_each(|_| single.held());
        assert!(!single.overflowed() && single.factor() == 1.0);
    }
}
