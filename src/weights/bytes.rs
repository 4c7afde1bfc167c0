//! Bytes of a packed model on their way to where they are computed with.

use std::any::Any;
use std::ops::Range;
use std::rc::Rc;

use crc32fast::Hasher;

use super::crc;

/// How much is hashed at once where it has to be copied for that: it stays in the processor's cache.
const WINDOW: usize = 128 << 10;

/// Bytes that lie outside of the program's memory, as a browser's do.
pub trait Elsewhere {
    /// How many there are.
    fn count(&self) -> usize;
    /// Some of them, where they are.
    fn part(&self, range: Range<usize>) -> Rc<dyn Elsewhere>;
    /// Copies all of them to a place that is as long.
    fn copy_to(&self, place: &mut [u8]);
    /// Themselves, for a device that takes them from there.
    fn as_any(&self) -> &dyn Any;
}

/// Bytes in the program's memory, or elsewhere: from there they reach a device without a copy in a module's memory, which
/// never shrinks again.
#[derive(Clone)]
pub enum Bytes<'a> {
    Slice(&'a [u8]),
    Elsewhere(Rc<dyn Elsewhere>),
}

impl<'a> From<&'a [u8]> for Bytes<'a> {
    fn from(bytes: &'a [u8]) -> Bytes<'a> {
        Bytes::Slice(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Bytes<'a> {
    fn from(bytes: &'a Vec<u8>) -> Bytes<'a> {
        Bytes::Slice(bytes)
    }
}

impl<'a> Bytes<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Bytes::Slice(bytes) => bytes.len(),
            Bytes::Elsewhere(bytes) => bytes.count(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some of them, where they are. Panics outside of them.
    pub fn part(&self, range: Range<usize>) -> Bytes<'a> {
        match self {
            Bytes::Slice(bytes) => Bytes::Slice(&bytes[range]),
            Bytes::Elsewhere(bytes) => {
                assert!(range.start <= range.end && range.end <= self.len(), "{range:?} of {}", self.len());
                Bytes::Elsewhere(bytes.part(range))
            }
        }
    }

    /// Copies all of them. Panics where the place is not as long.
    pub fn copy_to(&self, place: &mut [u8]) {
        match self {
            Bytes::Slice(bytes) => place.copy_from_slice(bytes),
            Bytes::Elsewhere(bytes) => bytes.copy_to(place),
        }
    }

    /// Their CRC-32.
    pub fn sum(&self) -> u32 {
        let mut hasher = Hasher::new();
        self.hash_into(&mut hasher);
        hasher.finalize()
    }

    /// Adds them to a CRC-32.
    pub fn hash_into(&self, hasher: &mut Hasher) {
        match self {
            // A processor has instructions for it.
            Bytes::Slice(bytes) if !cfg!(target_arch = "wasm32") => hasher.update(bytes),
            _ => self.hash_in_windows(hasher),
        }
    }

    fn hash_in_windows(&self, hasher: &mut Hasher) {
        let mut window = vec![0; self.len().min(WINDOW).div_ceil(8)];
        for from in (0..self.len()).step_by(WINDOW) {
            let seen = self.part(from..self.len().min(from + WINDOW));
            seen.copy_to(&mut bytemuck::cast_slice_mut::<_, u8>(&mut window)[..seen.len()]);
            let (words, rest) = window.split_at_mut(seen.len() / 8);
            crc::add(hasher, words);
            hasher.update(&bytemuck::cast_slice::<_, u8>(rest)[..seen.len() % 8]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In another's memory, for the test's sake.
    struct Theirs(Rc<Vec<u8>>, Range<usize>);

    impl Elsewhere for Theirs {
        fn count(&self) -> usize {
            self.1.len()
        }

        fn part(&self, range: Range<usize>) -> Rc<dyn Elsewhere> {
            Rc::new(Theirs(self.0.clone(), self.1.start + range.start..self.1.start + range.end))
        }

        fn copy_to(&self, place: &mut [u8]) {
            place.copy_from_slice(&self.0[self.1.clone()]);
        }

        fn as_any(&self) -> &dyn Any {
            self
        }
    }

    #[test]
    fn parts_are_the_bytes_that_they_name_wherever_they_lie() {
        let all: Vec<u8> = (0..=255).cycle().take(300_001).collect();
        let theirs: Rc<dyn Elsewhere> = Rc::new(Theirs(Rc::new(all.clone()), 0..all.len()));
        for bytes in [Bytes::from(&all), Bytes::Elsewhere(theirs)] {
            let part = bytes.part(70_000..70_010);
            let mut place = [0; 10];
            part.copy_to(&mut place);
            assert_eq!(place, all[70_000..70_010]);
            assert_eq!((bytes.len(), part.len(), bytes.part(5..5).is_empty()), (300_001, 10, true));
            for (some, expected) in [(&part, &place[..]), (&bytes, &all[..])] {
                assert_eq!(some.sum(), crc32fast::hash(expected));
            }
        }
    }

    #[test]
    #[should_panic(expected = "3..9 of 8")]
    fn a_part_lies_within() {
        let theirs: Rc<dyn Elsewhere> = Rc::new(Theirs(Rc::new(vec![0; 8]), 0..8));
        Bytes::Elsewhere(theirs).part(3..9);
    }
}
