//! The twin of the add kernel.

use super::Params;

/// `x + factor · y`, both `[N, HW, C]`; `y` may be of one image for all. Without factors it is the same for all, and where one is 0 what
/// `y` holds does not count, infinite or not.
pub fn add(params: &Params, x: &[f32], y: &[f32], factors: Option<&[f32]>, out: &mut [f32]) {
    let image_len = 4 * params.image_groups as usize;
    let images = x.chunks_exact(image_len).zip(out.chunks_exact_mut(image_len));
    for (image, (x, out)) in images.enumerate() {
        let y = &y[image % params.images as usize * image_len..][..image_len];
        match factors.map(|factors| factors[params.first as usize + image]) {
            Some(0.0) => out.copy_from_slice(x),
            by => {
                let by = by.unwrap_or(params.factor);
                out.iter_mut().zip(x).zip(y).for_each(|((out, x), y)| *out = x + by * y);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_has_its_factor_and_zero_hides_what_is_no_number() {
        let params = Params { groups: 2, image_groups: 1, images: 2, first: 1, factor: 1.0 };
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let y = [f32::NAN, f32::INFINITY, 0.0, 1.0, 1.0, 2.0, 3.0, 4.0];
        let mut out = [0.0; 8];
        add(&params, &x, &y, Some(&[9.0, 0.0, 0.5]), &mut out);
        assert_eq!(out, [1.0, 2.0, 3.0, 4.0, 5.5, 7.0, 8.5, 10.0]);
        let shared = Params { images: 1, first: 0, ..params };
        add(&shared, &x, &[1.0, 0.0, 0.0, 2.0], None, &mut out);
        assert_eq!(out, [2.0, 2.0, 3.0, 6.0, 6.0, 6.0, 7.0, 10.0]);
    }
}
