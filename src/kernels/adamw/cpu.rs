//! The twin of the AdamW kernel.

use super::Params;

/// Changes values, their running means and those of the squares, from the first group on, by gradients.
pub fn adamw(params: &Params, gradients: &[f32], [values, means, squares]: [&mut [f32]; 3]) {
    let first = 4 * params.first as usize;
    for at in first..first + 4 * params.groups as usize {
        let gradient = params.share * gradients[at];
        means[at] = params.beta1 * means[at] + (1.0 - params.beta1) * gradient;
        squares[at] = params.beta2 * squares[at] + (1.0 - params.beta2) * gradient * gradient;
        let spread = (params.square_scale * squares[at]).sqrt() + params.eps;
        values[at] = params.kept * values[at] - params.rate * means[at] / spread;
    }
}
