//! The twin of the difference kernel.

/// `factor · (x − y)`.
pub fn difference(x: &[f32], y: &[f32], factor: f32) -> Vec<f32> {
    x.iter().zip(y).map(|(x, y)| factor * (x - y)).collect()
}
