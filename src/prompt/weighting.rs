//! What the weights of words do to what a text encoder made of them.

/// How a weight changes a token's hidden state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weighting {
    /// It is multiplied, then all are rescaled to their old mean: A1111's.
    TimesWithMean,
    /// It is multiplied: A1111's without norm.
    Times,
    /// Its distance from what the empty prompt has in its place is multiplied: ComfyUI's.
    FromEmpty,
}

impl Weighting {
    /// Weighs the hidden states `[tokens, hidden]` of one chunk by `weights` `[tokens]`; `empty` `[tokens, hidden]` are those of the
    /// empty prompt, where they count.
    pub fn apply(self, states: &mut [f32], weights: &[f32], empty: &[f32]) {
        if weights.is_empty() || weights.iter().all(|weight| *weight == 1.0) {
            return;
        }
        let mean = |values: &[f32]| values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64;
        let before = mean(states);
        let hidden = (states.len() / weights.len()).max(1);
        for (token, (row, weight)) in states.chunks_exact_mut(hidden).zip(weights).enumerate() {
            match self {
                Weighting::FromEmpty if *weight != 1.0 => {
                    let empty = empty.chunks_exact(hidden).nth(token).unwrap_or(&[]);
                    let values = row.iter_mut().zip(empty);
                    values.for_each(|(value, empty)| *value = (*value - empty) * weight + empty);
                }
                Weighting::FromEmpty => {}
                Weighting::Times | Weighting::TimesWithMean => {
                    row.iter_mut().for_each(|value| *value *= weight);
                }
            }
        }
        let scale = before / mean(states);
        // A mean of nothing cannot be restored (all weights zero).
        if self == Weighting::TimesWithMean && scale.is_finite() {
            states.iter_mut().for_each(|value| *value = (f64::from(*value) * scale) as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_keep_the_mean() {
        let apply =
            |states: &mut [f32], weights: &[f32]| Weighting::TimesWithMean.apply(states, weights, &[]);
        let mut states = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        apply(&mut states, &[1.0, 2.0, 0.5]);
        // Sums: 21 before, 3 + 14 + 5.5 after.
        let scale = 21.0 / 22.5;
        for (value, expected) in states.iter().zip([1.0, 2.0, 6.0, 8.0, 2.5, 3.0]) {
            assert!((value - expected * scale).abs() < 1e-6, "{states:?}");
        }
        let mut same = [0.1, -0.7];
        apply(&mut same, &[1.0, 1.0]);
        assert_eq!(same, [0.1, -0.7]);
        let mut none = [1.0, 2.0];
        apply(&mut none, &[0.0, 0.0]);
        assert_eq!(none, [0.0, 0.0]);
        apply(&mut [], &[]);
    }

    #[test]
    fn others_leave_it() {
        let mut states = [1.0, 2.0, 3.0, 4.0];
        Weighting::Times.apply(&mut states, &[1.0, 2.0], &[]);
        assert_eq!(states, [1.0, 2.0, 6.0, 8.0]);
        Weighting::FromEmpty.apply(&mut states, &[0.5, 1.0], &[2.0, 2.0, 9.0, 9.0]);
        assert_eq!(states, [1.5, 2.0, 6.0, 8.0]);
    }
}
