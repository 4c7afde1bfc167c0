//! What is hidden of a picture, made of the colours around.

/// Red, green and blue by how far they are known, and that: 0 to 1.
type Known = [f32; 4];

/// A picture `[height, width, 3]` with what a mask hides made of the colours around, the softer the farther they are: averages
/// of ever larger squares, of which each place takes the smallest in which something is known (push and pull, Gortler et al.
/// 1996).
pub(super) fn filled(rgb: &[u8], mask: &[u8], [width, height]: [usize; 2]) -> Vec<u8> {
    let known = |(pixel, hidden): (&[u8], &u8)| -> Known {
        let share = 1.0 - f32::from(*hidden) / 255.0;
        [f32::from(pixel[0]) * share, f32::from(pixel[1]) * share, f32::from(pixel[2]) * share, share]
    };
    let finest: Vec<Known> = rgb.chunks_exact(3).zip(mask).map(known).collect();
    let whole = pulled(&finest, width, height);
    whole.into_iter().flat_map(|pixel| [0, 1, 2].map(|c| (pixel[c] + 0.5) as u8)).collect()
}

fn pulled(level: &[Known], width: usize, height: usize) -> Vec<Known> {
    const GREY: f32 = 127.5;
    if level.len() == 1 {
        let [r, g, b, share] = level[0];
        return vec![if share > 0.0 {
            [r / share, g / share, b / share, 1.0]
        } else {
            [GREY, GREY, GREY, 1.0]
        }];
    }
    let (wide, high) = (width.div_ceil(2), height.div_ceil(2));
    let mut coarse = vec![Known::default(); wide * high];
    for (at, pixel) in level.iter().enumerate() {
        let cell = &mut coarse[at / width / 2 * wide + at % width / 2];
        cell.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
    }
    for cell in coarse.iter_mut().filter(|cell| cell[3] > 1.0) {
        *cell = cell.map(|value| value / cell[3]);
    }
    let coarse = pulled(&coarse, wide, high);
    // Between the four nearest of the coarser level.
    let nearest = |i: usize, len: usize| {
        let other = if i.is_multiple_of(2) { (i / 2).saturating_sub(1) } else { (i / 2 + 1).min(len - 1) };
        [(i / 2, 0.75), (other, 0.25)]
    };
    let at = |(i, pixel): (usize, &Known)| -> Known {
        let mut whole = *pixel;
        for (y, down) in nearest(i / width, high) {
            for (x, across) in nearest(i % width, wide) {
                let share = (1.0 - pixel[3]) * down * across;
                whole.iter_mut().zip(coarse[y * wide + x]).for_each(|(sum, value)| *sum += share * value);
            }
        }
        whole
    };
    level.iter().enumerate().map(at).collect()
}
