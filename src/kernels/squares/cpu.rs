//! The twin of the squares kernel.

use super::{SUMS, sum_of};

/// The sums of squares of groups of four values, each in the one that the kernel adds it to.
pub fn squares(values: &[f32]) -> Vec<f32> {
    let mut sums = vec![0f64; SUMS as usize];
    for (group, values) in values.chunks_exact(4).enumerate() {
        sums[sum_of(group as u32) as usize] += values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}
