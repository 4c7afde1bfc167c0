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
