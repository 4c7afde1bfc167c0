//! The twin of the kernel of layer norms' gradients.

use super::Params;

/// The gradient of `input`, `[rows, C]`, from that of what was made of it.
pub fn layer_norm_grad(params: &Params, input: &[f32], gamma: &[f32], grad: &[f32]) -> Vec<f32> {
    let channels = params.channels as usize;
    let mut output = Vec::with_capacity(input.len());
    for (row, grad) in input.chunks_exact(channels).zip(grad.chunks_exact(channels)) {
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / channels as f64;
        let center = mean(&mut row.iter().map(|&x| f64::from(x)));
        let variance = mean(&mut row.iter().map(|&x| (f64::from(x) - center).powi(2)));
        let scale = 1.0 / (variance + f64::from(params.eps)).sqrt();
        let normal: Vec<f64> = row.iter().map(|&x| (f64::from(x) - center) * scale).collect();
        let way: Vec<f64> = grad.iter().zip(gamma).map(|(g, gamma)| f64::from(g * gamma)).collect();
        let all = mean(&mut way.iter().copied());
        let along = mean(&mut way.iter().zip(&normal).map(|(way, normal)| way * normal));
        output.extend(
            way.iter().zip(&normal).map(|(way, normal)| (scale * (way - all - normal * along)) as f32),
        );
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::layer_norm;

    #[test]
    fn it_is_what_differences_say() {
        let params = Params { rows: 1, channels: 4, eps: 1e-5 };
        let (x, gamma, grad) = ([0.3, -1.2, 0.8, 2.0], [1.0, 0.5, -2.0, 1.5], [0.7, -0.1, 0.4, 1.0]);
        let found = layer_norm_grad(&params, &x, &gamma, &grad);
        let loss = |x: &[f32]| {
            let params = layer_norm::Params { rows: 1, channels: 4, eps: 1e-5 };
            let y = layer_norm::cpu::layer_norm(&params, x, &gamma, &[0.0; 4]);
            y.iter().zip(grad).map(|(y, g)| f64::from(y * g)).sum::<f64>()
        };
        for (i, found) in found.into_iter().enumerate() {
            let moved = |by: f32| {
                let mut x = x;
                x[i] += by;
                loss(&x)
            };
            let difference = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((f64::from(found) - difference).abs() < 1e-3, "{i}: {found} and {difference}");
        }
    }
}
