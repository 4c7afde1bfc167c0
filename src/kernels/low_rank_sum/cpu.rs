//! The twin of the kernel of low-rank matrices' gradients.

use super::{Params, Spec};

/// The sums over all rows, packed as the kernel packs them.
pub fn low_rank_sum(spec: &Spec, params: &Params, narrow: &[f32], wide: &[f32]) -> Vec<f32> {
    let [rank, columns, width] = [4 * params.rank4, 4 * params.wide4, 4 * params.row4].map(|n| n as usize);
    let mut output = vec![0.0; rank * columns];
    for row in 0..params.rows as usize {
        for column in 0..columns {
            let value = at(spec, params, wide, row, column, width);
            for r in 0..rank {
                let place = if spec.by_rank {
                    (r / 4 * columns + column) * 4 + r % 4
                } else {
                    (column / 4 * rank + r) * 4 + column % 4
                };
                output[place] += params.scale * narrow[row * rank + r] * value;
            }
        }
    }
    output
}

fn at(spec: &Spec, params: &Params, wide: &[f32], row: usize, column: usize, width: usize) -> f32 {
    if !spec.conv {
        return wide[row * width + 4 * params.first4 as usize + column];
    }
    let [in_h, in_w, out_h, out_w] =
        [params.in_h, params.in_w, params.out_h, params.out_w].map(|n| n as usize);
    let [full_h, full_w, kernel] = [params.full_h, params.full_w, params.kernel_w].map(|n| n as usize);
    let (tap, c) = (column / width, column % width);
    let along =
        |at: usize, tap: usize, pad: u32| (at * params.stride as usize + tap).wrapping_sub(pad as usize);
    let y = along(row / out_w % out_h, tap / kernel, params.pad_top);
    let x = along(row % out_w, tap % kernel, params.pad_left);
    if y >= full_h || x >= full_w {
        return 0.0;
    }
    let [y, x] = if spec.upsample { [y / 2, x / 2] } else { [y, x] };
    wide[((row / out_w / out_h * in_h + y) * in_w + x) * width + c]
}
