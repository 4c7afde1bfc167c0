//! The twin of the kernel that adds the sums of cuts.

use crate::kernels::gemm::cpu::Epilogue;

/// `[m, n]` (half as many columns with `geglu`) from `[cuts, m, n]`.
pub fn gemm_sum(sums: &[f32], [m, n]: [usize; 2], epilogue: Epilogue) -> Vec<f32> {
    let mut out = Vec::new();
    for row in 0..m {
        let added = |column: usize| sums.chunks(m * n).map(|cut| cut[row * n + column]).sum();
        epilogue.append(&mut out, row, (0..n).map(added).collect());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::gemm::Act;

    #[test]
    fn cuts_are_added_before_the_epilogue() {
        let epilogue = Epilogue {
            bias: Some(&[1.0, 0.0]),
            time: None,
            residual: Some(&[0.0, 0.5, 0.0, 0.0]),
            act: Act::Relu,
            slope: None,
            act_last: false,
            geglu: false,
        };
        let sums = [1.0, 2.0, 3.0, 4.0, 10.0, -20.0, 30.0, 40.0];
        assert_eq!(gemm_sum(&sums, [2, 2], epilogue), [12.0, 0.5, 34.0, 44.0]);
    }
}
