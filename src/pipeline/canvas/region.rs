//! A rectangle of a picture.

use crate::image::Rgba;

/// A rectangle of a picture, in its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    /// Left and top.
    pub at: [usize; 2],
    /// Width and height.
    pub size: [usize; 2],
}

impl Region {
    /// All of a picture.
    pub fn whole(size: [usize; 2]) -> Region {
        Region { at: [0, 0], size }
    }

    /// The smallest that has all that is not 0 of a mask `[height, width]`, and `padding` pixels more on each side, as far as the
    /// picture goes (A1111's `get_crop_region`); none where all is 0.
    pub fn around(mask: &[u8], [width, height]: [usize; 2], padding: usize) -> Option<Region> {
        let rows = |y: &usize| mask[y * width..][..width].iter().any(|value| *value > 0);
        let columns = |x: &usize| mask[*x..].iter().step_by(width).any(|value| *value > 0);
        let (top, bottom) = ((0..height).find(rows)?, (0..height).rfind(rows)?);
        let (left, right) = ((0..width).find(columns)?, (0..width).rfind(columns)?);
        let at = [left.saturating_sub(padding), top.saturating_sub(padding)];
        let end = [(right + 1 + padding).min(width), (bottom + 1 + padding).min(height)];
        Some(Region { at, size: [end[0] - at[0], end[1] - at[1]] })
    }

    /// The same, wider or higher, in the shape of a canvas, as far as a picture of that size goes (A1111's `expand_crop_region`).
    pub fn in_shape_of(self, canvas: [usize; 2], picture: [usize; 2]) -> Region {
        let too_wide = self.size[0] * canvas[1] > canvas[0] * self.size[1];
        let (short, other) = if too_wide { (1, 0) } else { (0, 1) };
        let more = (self.size[other] * canvas[short] / canvas[other]).saturating_sub(self.size[short]);
        let mut wider = self;
        wider.size[short] = (self.size[short] + more).min(picture[short]);
        wider.at[short] = self.at[short].saturating_sub(more / 2).min(picture[short] - wider.size[short]);
        wider
    }

    /// Where its pixels lie among those of a picture of that width, row by row.
    pub fn places(self, width: usize) -> impl Iterator<Item = usize> {
        let Region { at: [left, top], size: [wide, high] } = self;
        (top..top + high).flat_map(move |y| (left..left + wide).map(move |x| y * width + x))
    }

    /// A place of the picture as one of the region, if it is in there.
    pub fn within(self, place: [usize; 2]) -> Option<[usize; 2]> {
        let side = |i: usize| place[i].checked_sub(self.at[i]).filter(|at| *at < self.size[i]);
        Some([side(0)?, side(1)?])
    }

    /// That part of a picture.
    pub fn of(self, picture: &Rgba) -> Rgba {
        let pixel = |at: usize| &picture.pixels[at * 4..at * 4 + 4];
        let pixels = self.places(picture.width).flat_map(pixel).copied().collect();
        Rgba { width: self.size[0], height: self.size[1], pixels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_what_is_masked_and_some_more() {
        let mut mask = vec![0; 20 * 10];
        assert_eq!(Region::around(&mask, [20, 10], 4), None);
        mask[3 * 20 + 5] = 1;
        mask[6 * 20 + 11] = 255;
        assert_eq!(Region::around(&mask, [20, 10], 0), Some(Region { at: [5, 3], size: [7, 4] }));
        assert_eq!(Region::around(&mask, [20, 10], 4), Some(Region { at: [1, 0], size: [15, 10] }));
        assert_eq!(Region::around(&mask, [20, 10], usize::MAX / 4), Some(Region::whole([20, 10])));
    }

    /// What A1111's `expand_crop_region` gives.
    #[test]
    fn a_region_grows_into_the_shape_of_the_canvas() {
        let grown = |at, size, canvas| {
            let Region { at, size } = Region { at, size }.in_shape_of(canvas, [100, 80]);
            (at, size)
        };
        assert_eq!(grown([40, 30], [20, 10], [64, 64]), ([40, 25], [20, 20]));
        assert_eq!(grown([40, 30], [10, 20], [64, 64]), ([35, 30], [20, 20]));
        assert_eq!(grown([0, 70], [20, 10], [64, 64]), ([0, 60], [20, 20]), "not over the edge");
        assert_eq!(grown([95, 0], [5, 20], [128, 64]), ([60, 0], [40, 20]), "nor over the other");
        assert_eq!(grown([5, 0], [90, 20], [64, 64]), ([5, 0], [90, 80]), "as far as the picture goes");
        assert_eq!(grown([10, 10], [20, 20], [64, 64]), ([10, 10], [20, 20]));
    }
}
