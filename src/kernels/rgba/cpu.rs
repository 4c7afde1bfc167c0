//! The twin of the rgba kernel.

/// A colour in [-1, 1] as RGBA8, R in the low byte; opaque, but transparent where it is infinite or no number.
pub fn rgba8(color: [f32; 3]) -> u32 {
    let level = color.map(|x| ((x * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8);
    let alpha = if color.iter().all(|x| x.is_finite()) { 255 } else { 0 };
    u32::from_le_bytes([level[0], level[1], level[2], alpha])
}

/// Whether every pixel of RGBA8 bytes came from finite colours: see [`rgba8`].
pub fn is_finite(rgba: &[u8]) -> bool {
    rgba.chunks_exact(4).all(|pixel| pixel[3] != 0)
}

/// Pixels `[N, HW]` of a decoder output `[N, HW, 4]`.
pub fn rgba(input: &[f32]) -> Vec<u32> {
    input.chunks_exact(4).map(|pixel| rgba8([pixel[0], pixel[1], pixel[2]])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_shows() {
        let bytes = |color| rgba8(color).to_le_bytes();
        assert!(is_finite(&bytes([-1.0, 2.0, 0.5])));
        assert!(!is_finite(&bytes([0.0, f32::NAN, 0.0])));
        assert!(!is_finite(&[bytes([0.0; 3]), bytes([f32::INFINITY, 0.0, 0.0])].concat()));
    }

    #[test]
    fn black_white_and_beyond() {
        assert_eq!(rgba(&[-1.0, 1.0, 0.0, 9.0]), [u32::from_le_bytes([0, 255, 128, 255])]);
        assert_eq!(rgba(&[-7.0, 7.0, -1.0, 0.0]), [u32::from_le_bytes([0, 255, 0, 255])]);
    }
}
