//! The twin of the kernel of group norms' gradients.

use super::Params;
use crate::kernels::group_norm::cpu::Input;

/// The gradient of both inputs side by side, `[N, HW, C1 + C2]`, from that of what was made of them.
pub fn group_norm_grad(
    params: &Params,
    silu: bool,
    input: Input,
    [gamma, beta]: [&[f32]; 2],
    grad: &[f32],
) -> Vec<f32> {
    let [rows, c1, c2] = [params.rows, params.channels1, params.channels2].map(|n| n as usize);
    let channels = c1 + c2;
    let width = channels / params.groups as usize;
    let x = |row: usize, c: usize| {
        f64::from(if c < c1 { input.first[row * c1 + c] } else { input.second[row * c2 + c - c1] })
    };
    let mut output = vec![0.0; grad.len()];
    for image in 0..params.batch as usize {
        for group in 0..params.groups as usize {
            let places: Vec<[usize; 2]> = (image * rows..(image + 1) * rows)
                .flat_map(|row| (group * width..(group + 1) * width).map(move |c| [row, c]))
                .collect();
            let mean = |value: &dyn Fn(usize) -> f64| {
                (0..places.len()).map(value).sum::<f64>() / places.len() as f64
            };
            let center = mean(&|i| x(places[i][0], places[i][1]));
            let variance = mean(&|i| (x(places[i][0], places[i][1]) - center).powi(2));
            let scale = 1.0 / (variance + f64::from(params.eps)).sqrt();
            let normal: Vec<f64> = places.iter().map(|[row, c]| (x(*row, *c) - center) * scale).collect();
            let way = |(&[row, c], normal): (&[usize; 2], &f64)| {
                let [gamma, beta] = [gamma[c], beta[c]].map(f64::from);
                let y = normal * gamma + beta;
                let sigmoid = 1.0 / (1.0 + (-y).exp());
                let slope = if silu { sigmoid + y * sigmoid * (1.0 - sigmoid) } else { 1.0 };
                f64::from(grad[row * channels + c]) * slope * gamma
            };
            let way: Vec<f64> = places.iter().zip(&normal).map(way).collect();
            let all = mean(&|i| way[i]);
            let along = mean(&|i| way[i] * normal[i]);
            for (i, [row, c]) in places.iter().enumerate() {
                output[row * channels + c] = (scale * (way[i] - all - normal[i] * along)) as f32;
            }
        }
    }
    output
}
