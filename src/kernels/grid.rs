//! Dispatch sizes within WebGPU's limit of 65535 workgroups per dimension.

/// The most workgroups WebGPU promises per dimension.
pub const MAX_PER_DIMENSION: u32 = 65535;

/// A grid of at least `count` workgroups, x folded into y; the kernel numbers them with `linear_workgroup` and
/// guards against the surplus.
pub fn fold(count: u32) -> [u32; 3] {
    let rows = count.div_ceil(MAX_PER_DIMENSION).max(1);
    [count.div_ceil(rows), rows, 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_covers_the_count_and_keeps_the_limit() {
        for count in [0, 1, 65535, 65536, 131_071, 1_000_003, 100_000_000] {
            let [x, y, z] = fold(count);
            assert!(x * y * z >= count && x * y - count < y, "{count} became {x}×{y}");
            assert!(x <= MAX_PER_DIMENSION && y <= MAX_PER_DIMENSION);
        }
    }
}
