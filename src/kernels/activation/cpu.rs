//! The twin of the activation kernel.

use crate::kernels::gemm::Act;
use crate::kernels::gemm::cpu::activate;

/// `act(x)`.
pub fn forward(act: Act, x: &[f32]) -> Vec<f32> {
    x.iter().map(|&x| activate(act, x)).collect()
}

/// `grad · act′(x)`.
pub fn back(act: Act, x: &[f32], grad: &[f32]) -> Vec<f32> {
    x.iter().zip(grad).map(|(&x, grad)| grad * slope(act, x)).collect()
}

/// Values times GELU of their gates, which alternate.
pub fn gated(x: &[f32]) -> Vec<f32> {
    x.chunks_exact(2).map(|pair| pair[0] * activate(Act::Gelu, pair[1])).collect()
}

/// The gradients of values and gates in turns.
pub fn gated_back(x: &[f32], grad: &[f32]) -> Vec<f32> {
    let pair = |(pair, grad): (&[f32], &f32)| {
        [grad * activate(Act::Gelu, pair[1]), grad * pair[0] * slope(Act::Gelu, pair[1])]
    };
    x.chunks_exact(2).zip(grad).flat_map(pair).collect()
}

/// The derivative of an activation.
fn slope(act: Act, x: f32) -> f32 {
    let wide = f64::from(x);
    let gate = |a: f64| {
        let sigmoid = 1.0 / (1.0 + (-a * wide).exp());
        (sigmoid + a * wide * sigmoid * (1.0 - sigmoid)) as f32
    };
    match act {
        Act::None | Act::Prelu => 1.0,
        Act::Silu => gate(1.0),
        Act::QuickGelu => gate(1.702),
        Act::Gelu => {
            let below = 0.5 * (1.0 + libm::erf(wide * std::f64::consts::FRAC_1_SQRT_2));
            (below + wide * (-0.5 * wide * wide).exp() / (2.0 * std::f64::consts::PI).sqrt()) as f32
        }
        Act::Relu => f32::from(x > 0.0),
        Act::LeakyRelu => {
            if x > 0.0 {
                1.0
            } else {
                0.2
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_what_differences_say() {
        for act in [Act::Silu, Act::Gelu, Act::QuickGelu, Act::Relu, Act::LeakyRelu] {
            for x in [-2.5f32, -0.7, 0.3, 1.9] {
                let step = 1e-2;
                let difference = (activate(act, x + step) - activate(act, x - step)) / (2.0 * step);
                assert!((slope(act, x) - difference).abs() < 1e-3, "{act:?} at {x}");
            }
        }
    }
}
