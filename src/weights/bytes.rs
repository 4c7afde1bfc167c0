//! Bytes of a packed model on their way to where they are computed with.

use std::ops::Range;

use crc32fast::Hasher;

/// How much of the browser's bytes is looked at once: it stays in the processor's nearest cache.
#[cfg(target_arch = "wasm32")]
const WINDOW: usize = 64 << 10;

/// Bytes in the program's memory, or in the browser's: from there they reach a device without a copy in the module's memory,
/// which never shrinks again.
#[derive(Clone)]
pub enum Bytes<'a> {
    Slice(&'a [u8]),
    #[cfg(target_arch = "wasm32")]
    Array(js_sys::Uint8Array),
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
            #[cfg(target_arch = "wasm32")]
            Bytes::Array(array) => array.length() as usize,
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
            #[cfg(target_arch = "wasm32")]
            Bytes::Array(array) => {
                assert!(range.start <= range.end && range.end <= self.len(), "{range:?} of {}", self.len());
                Bytes::Array(array.subarray(range.start as u32, range.end as u32))
            }
        }
    }

    /// Copies all of them. Panics where the place is not as long.
    pub fn copy_to(&self, place: &mut [u8]) {
        match self {
            Bytes::Slice(bytes) => place.copy_from_slice(bytes),
            #[cfg(target_arch = "wasm32")]
            Bytes::Array(array) => array.copy_to(place),
        }
    }

    /// Adds them to a CRC-32.
    pub fn hash_into(&self, hasher: &mut Hasher) {
        match self {
            Bytes::Slice(bytes) => hasher.update(bytes),
            #[cfg(target_arch = "wasm32")]
            Bytes::Array(_) => {
                let mut window = vec![0; self.len().min(WINDOW)];
                for from in (0..self.len()).step_by(WINDOW) {
                    let seen = self.part(from..self.len().min(from + WINDOW));
                    let window = &mut window[..seen.len()];
                    seen.copy_to(window);
                    hasher.update(window);
                }
            }
        }
    }

    /// Their CRC-32.
    pub fn crc32(&self) -> u32 {
        let mut hasher = Hasher::new();
        self.hash_into(&mut hasher);
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_bytes_that_they_name() {
        let all: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let bytes = Bytes::from(&all);
        let part = bytes.part(70_000..70_010);
        let mut place = [0; 10];
        part.copy_to(&mut place);
        assert_eq!(place, all[70_000..70_010]);
        assert_eq!((bytes.len(), part.len(), bytes.part(5..5).is_empty()), (100_000, 10, true));
        assert_eq!(part.crc32(), crc32fast::hash(&place));
    }
}
