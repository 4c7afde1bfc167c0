//! Canny's edges, as OpenCV's `Canny` finds them with an aperture of 3.
//!
//! J. Canny, "A Computational Approach to Edge Detection", 1986;
//! <https://github.com/opencv/opencv/blob/4.x/modules/imgproc/src/canny.cpp>.

/// How large a gradient counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norm {
    /// |dx| + |dy|, OpenCV's usual.
    L1,
    /// √(dx² + dy²).
    L2,
}

/// tan 22.5° in 15 bits.
const TAN_22: i32 = 13573;

/// 255 on an edge, else 0, `[height, width]`, of RGB `[height, width, 3]`: where the gradient of the channel in which it is
/// largest is the largest across the edge, above `thresholds`' first, and connected to a place above the second.
pub fn canny(rgb: &[u8], [width, height]: [usize; 2], thresholds: [u32; 2], norm: Norm) -> Vec<u8> {
    const MOST: u32 = 32767;
    let [low, high] = match norm {
        Norm::L1 => thresholds.map(|value| value.min(MOST) as i32),
        Norm::L2 => thresholds.map(|value| value.min(MOST).pow(2) as i32),
    };
    let (low, high) = (low.min(high), low.max(high));
    let gradients = gradients(rgb, [width, height], norm);
    // Beyond the picture nothing changes.
    let size_at = |x: isize, y: isize| match (usize::try_from(x), usize::try_from(y)) {
        (Ok(x), Ok(y)) if x < width && y < height => gradients[y * width + x].2,
        _ => 0,
    };
    let is_ridge = |at: usize| {
        let (dx, dy, size) = gradients[at];
        if size <= low {
            return false;
        }
        let (x, y) = ((at % width) as isize, (at / width) as isize);
        let (wide, high) = (dx.abs(), dy.abs() << 15);
        let tangent = wide * TAN_22;
        if high < tangent {
            size > size_at(x - 1, y) && size >= size_at(x + 1, y)
        } else if high > tangent + (wide << 16) {
            size > size_at(x, y - 1) && size >= size_at(x, y + 1)
        } else {
            let side = if (dx ^ dy) < 0 { -1 } else { 1 };
            size > size_at(x - side, y - 1) && size > size_at(x + side, y + 1)
        }
    };
    let ridges: Vec<bool> = (0..width * height).map(is_ridge).collect();
    let mut edges = vec![0; width * height];
    let mut open: Vec<usize> = Vec::new();
    for at in (0..width * height).filter(|&at| ridges[at] && gradients[at].2 > high) {
        edges[at] = 255;
        open.push(at);
    }
    while let Some(at) = open.pop() {
        let (x, y) = (at % width, at / width);
        for near_y in y.saturating_sub(1)..(y + 2).min(height) {
            for near_x in x.saturating_sub(1)..(x + 2).min(width) {
                let near = near_y * width + near_x;
                if ridges[near] && edges[near] == 0 {
                    edges[near] = 255;
                    open.push(near);
                }
            }
        }
    }
    edges
}

/// By Sobel's kernels of 3 over edges that go on: along x, along y, and how large, of the channel in which it is largest.
fn gradients(rgb: &[u8], [width, height]: [usize; 2], norm: Norm) -> Vec<(i32, i32, i32)> {
    let of = |at: usize| {
        let (x, y) = (at % width, at / width);
        let (left, right) = (x.saturating_sub(1), (x + 1).min(width - 1));
        let (above, below) = (y.saturating_sub(1), (y + 1).min(height - 1));
        let mut largest: Option<(i32, i32, i32)> = None;
        for c in 0..3 {
            let value = |x: usize, y: usize| i32::from(rgb[(y * width + x) * 3 + c]);
            let along = |a: [i32; 3], b: [i32; 3]| b[0] - a[0] + 2 * (b[1] - a[1]) + b[2] - a[2];
            let column = |x: usize| [above, y, below].map(|y| value(x, y));
            let row = |y: usize| [left, x, right].map(|x| value(x, y));
            let (dx, dy) = (along(column(left), column(right)), along(row(above), row(below)));
            let size = match norm {
                Norm::L1 => dx.abs() + dy.abs(),
                Norm::L2 => dx * dx + dy * dy,
            };
            if largest.is_none_or(|(_, _, most)| size > most) {
                largest = Some((dx, dy, size));
            }
        }
        largest.unwrap_or_default()
    };
    (0..width * height).map(of).collect()
}
