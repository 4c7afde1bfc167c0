//! The twin of the difference kernel.

/// `weights · (x − y)`, place by place.
pub fn difference(x: &[f32], y: &[f32], weights: &[f32]) -> Vec<f32> {
    x.iter().zip(y).zip(weights).map(|((x, y), weight)| weight * (x - y)).collect()
}
