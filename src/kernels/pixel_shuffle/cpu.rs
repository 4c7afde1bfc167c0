//! The twin of the pixel shuffle.

/// Fills `out`, `[N, h · factor, w · factor, 4]`, from `[N, h, w, C]`; `base` is `[N, h, w, 4]`.
pub fn shuffle_into(
    x: &[f32],
    base: Option<&[f32]>,
    [_, h, w, c]: [usize; 4],
    factor: usize,
    out: &mut [f32],
) {
    let (wide, tall, area) = (w * factor, h * factor, factor * factor);
    for (index, pixel) in out.chunks_exact_mut(4).enumerate() {
        let (image, row, column) = (index / (wide * tall), index / wide % tall, index % wide);
        let small = (image * h + row / factor) * w + column / factor;
        let within = row % factor * factor + column % factor;
        for (color, value) in pixel.iter_mut().enumerate() {
            let own = if color < 3 { x[small * c + color * area + within] } else { 0.0 };
            *value = own + base.map_or(0.0, |base| base[small * 4 + color]);
        }
    }
}

/// Fills `out`, `[N, h, w, C]`, from `[N, h · factor, w · factor, 4]`.
pub fn unshuffle_into(x: &[f32], [_, _, w, c]: [usize; 4], factor: usize, out: &mut [f32]) {
    let (wide, area) = (w * factor, factor * factor);
    for (index, pixel) in out.chunks_exact_mut(c).enumerate() {
        let (line, column) = (index / w, index % w);
        for (channel, value) in pixel.iter_mut().enumerate() {
            let (color, within) = (channel / area, channel % area);
            let at = (line * factor + within / factor) * wide + column * factor + within % factor;
            *value = if color < 3 { x[at * 4 + color] } else { 0.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_become_channels_in_pytorchs_order_and_come_back() {
        let picture: Vec<f32> = (0..2 * 4 * 2 * 4).map(|i| if i % 4 == 3 { 0.0 } else { i as f32 }).collect();
        let size = [2, 2, 1, 12];
        let mut channels = vec![0.0; 2 * 2 * 12];
        unshuffle_into(&picture, size, 2, &mut channels);
        // torch.nn.functional.pixel_unshuffle: all positions of the first channel, then of the second.
        assert_eq!(channels[..12], [0.0, 4.0, 8.0, 12.0, 1.0, 5.0, 9.0, 13.0, 2.0, 6.0, 10.0, 14.0]);
        let mut back = vec![0.0; picture.len()];
        shuffle_into(&channels, None, size, 2, &mut back);
        assert_eq!(back, picture);
        let base: Vec<f32> = (0..2 * 2 * 4).map(|i| 100.0 * i as f32).collect();
        shuffle_into(&channels, Some(&base), size, 2, &mut back);
        assert_eq!(back[4 * 3..4 * 3 + 3], [picture[12], picture[13] + 100.0, picture[14] + 200.0]);
    }
}
