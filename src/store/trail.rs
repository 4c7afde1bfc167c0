//! A file's SHA-256 over interruptions: its states at some offsets, to go on from and to hold the file against.

use std::collections::VecDeque;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest, Sha256};

/// The state of a file's SHA-256 after its first `at` bytes. Two files with one state there agree in all bytes before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Offset in the file, in bytes.
    pub at: u64,
    /// The hasher's state, lower-case hexadecimal.
    pub state: String,
}

/// The hash of a file whose bytes come one after the other, from its first one or from a mark.
pub(super) struct Trail {
    hasher: Sha256,
    /// Bytes hashed, those before this pass included.
    at: u64,
    /// Where the next states are to be noted, ascending.
    stops: VecDeque<u64>,
    /// States noted in this pass, ascending; the first is no later than any byte that is still needed.
    noted: VecDeque<(u64, Sha256)>,
    /// Marks of an earlier pass that lie ahead, ascending.
    ahead: VecDeque<Mark>,
    /// Whether a state was another than the earlier pass had there.
    differs: bool,
}

impl Trail {
    /// From the file's first byte, to be held against the marks of an earlier pass.
    pub(super) fn new(marks: &[Mark]) -> Trail {
        Trail::at(0, Sha256::new(), marks)
    }

    /// From the mark at offset `at`; `None` where there is none, or one of another version's hasher.
    pub(super) fn resume(marks: &[Mark], at: u64) -> Option<Trail> {
        let mark = marks.iter().find(|mark| mark.at == at)?;
        Some(Trail::at(at, mark.hasher()?, marks))
    }

    fn at(at: u64, hasher: Sha256, marks: &[Mark]) -> Trail {
        let ahead = marks.iter().filter(|mark| mark.at > at).cloned().collect();
        let noted = VecDeque::from([(at, hasher.clone())]);
        Trail { hasher, at, stops: VecDeque::new(), noted, ahead, differs: false }
    }

    /// Notes the state at these offsets too, ascending, as far as they lie ahead.
    pub(super) fn stop_at(&mut self, stops: impl Iterator<Item = u64>) {
        self.stops = stops.filter(|&stop| stop > self.at).collect();
    }

    /// Takes the file's next bytes.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while let Some(stop) = self.next_stop(bytes.len() as u64) {
            let (before, after) = bytes.split_at((stop - self.at) as usize);
            self.hash(before);
            bytes = after;
            self.arrive();
        }
        self.hash(bytes);
    }

    /// The first offset within the next `len` bytes at which there is something to do.
    fn next_stop(&self, len: u64) -> Option<u64> {
        let marked = self.ahead.front().map(|mark| mark.at);
        let next = self.stops.front().copied().into_iter().chain(marked).min()?;
        (next <= self.at + len).then_some(next)
    }

    fn hash(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.at += bytes.len() as u64;
    }

    /// Notes the state, and compares it with that of an earlier pass.
    fn arrive(&mut self) {
        if self.stops.pop_front_if(|stop| *stop <= self.at).is_some() {
            self.noted.push_back((self.at, self.hasher.clone()));
        }
        if let Some(mark) = self.ahead.pop_front_if(|mark| mark.at <= self.at) {
            self.differs |= mark.state != state(&self.hasher);
        }
    }

    /// Whether the bytes turned out to be others than those of an earlier pass.
    pub(super) fn differs(&self) -> bool {
        self.differs
    }

    /// Whether bytes that an earlier pass has seen are still to come.
    pub(super) fn will_compare(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// What to keep where bytes from offset `needed` on have to come again: a mark to go on from, no later than that,
    /// and a later one, so that bytes already seen are seen again before any new ones. Where those from `other` on may be
    /// enough, that one and the one before it too.
    pub(super) fn marks(&mut self, needed: u64, other: Option<u64>) -> Vec<Mark> {
        let noted = self.noted.back().map(|(at, hasher)| Mark::new(*at, hasher));
        let Some(last) = self.ahead.back().cloned().or(noted) else { return Vec::new() };
        // What lies before the first of both is not needed any more.
        while self.noted.get(1).is_some_and(|(at, _)| *at <= needed && *at < last.at) {
            self.noted.pop_front();
        }
        let before = |offset: u64| self.noted.iter().rfind(|(at, _)| *at < offset);
        let first = self.noted.front().filter(|(at, _)| *at < last.at);
        let others = other.into_iter().flat_map(|other| {
            let there = self.noted.iter().find(|(at, _)| *at == other);
            [before(other), there].into_iter().flatten()
        });
        let mut marks: Vec<Mark> =
            first.into_iter().chain(others).map(|(at, hasher)| Mark::new(*at, hasher)).collect();
        marks.extend(self.ahead.iter().filter(|mark| Some(mark.at) == other).cloned());
        marks.push(last);
        marks.sort_by_key(|mark| mark.at);
        marks.dedup();
        marks
    }

    /// The hash of all bytes so far, lower-case hexadecimal.
    pub(super) fn sha256(&self) -> String {
        hex(&self.hasher.clone().finalize())
    }
}

impl Mark {
    fn new(at: u64, hasher: &Sha256) -> Mark {
        Mark { at, state: state(hasher) }
    }

    /// `None` where the state is none of this version's hasher.
    fn hasher(&self) -> Option<Sha256> {
        let mut state = SerializedState::<Sha256>::default();
        if self.state.len() != 2 * state.len() || !self.state.is_ascii() {
            return None;
        }
        for (byte, at) in state.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(self.state.get(at..at + 2)?, 16).ok()?;
        }
        Sha256::deserialize(&state).ok()
    }
}

fn state(hasher: &Sha256) -> String {
    hex(&hasher.serialize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = &[7; 1000];

    /// A pass over `FILE` as far as `to`, with stops at every hundredth byte.
    fn begun(to: usize) -> Trail {
        let mut trail = Trail::new(&[]);
        trail.stop_at((1..10).map(|stop| stop * 100));
        for slice in FILE[..to].chunks(33) {
            trail.update(slice);
        }
        trail
    }

    #[test]
    fn goes_on_in_another_session() {
        let marks = begun(555).marks(310, None);
        assert_eq!(marks.iter().map(|mark| mark.at).collect::<Vec<_>>(), [300, 500]);
        let kept: Vec<Mark> = serde_json::from_str(&serde_json::to_string(&marks).unwrap()).unwrap();
        let mut trail = Trail::resume(&kept, 300).unwrap();
        assert!(trail.will_compare());
        trail.update(&FILE[300..]);
        assert!(!trail.differs() && !trail.will_compare());
        assert_eq!(trail.sha256(), hex(&Sha256::digest(FILE)));
    }

    #[test]
    fn a_byte_that_was_another_is_noticed_on_the_way() {
        let marks = begun(555).marks(310, None);
        for from in [0, 300] {
            let mut trail = if from == 0 { Trail::new(&marks) } else { Trail::resume(&marks, 300).unwrap() };
            let mut other = FILE.to_vec();
            other[450] ^= 1;
            trail.update(&other[from..499]);
            assert!(!trail.differs());
            trail.update(&other[499..501]);
            assert!(trail.differs(), "from {from}");
        }
    }

    #[test]
    fn something_is_always_seen_twice() {
        // Nothing but the last stop's byte is needed: the mark to go on from lies before it all the same.
        let marks = begun(555).marks(500, None);
        assert_eq!(marks.iter().map(|mark| mark.at).collect::<Vec<_>>(), [400, 500]);
        // Interrupted again before the place that was reached before: that place stays a mark.
        let mut trail = Trail::resume(&marks, 400).unwrap();
        trail.update(&FILE[400..450]);
        assert_eq!(trail.marks(420, None), marks);
    }

    #[test]
    fn a_second_place_to_go_on_from_has_its_marks() {
        let at = |marks: &[Mark]| marks.iter().map(|mark| mark.at).collect::<Vec<_>>();
        let mut trail = begun(777);
        let marks = trail.marks(310, Some(600));
        assert_eq!(at(&marks), [300, 500, 600, 700]);
        assert_eq!(at(&trail.marks(310, Some(700))), [300, 600, 700]);
        // Begun there, and interrupted before it is reached again.
        let mut trail = Trail::resume(&marks, 500).unwrap();
        trail.update(&FILE[500..550]);
        assert_eq!(at(&trail.marks(310, Some(600))), [500, 600, 700]);
    }

    #[test]
    fn a_state_of_another_kind_is_none() {
        let mut marks = begun(555).marks(310, None);
        assert!(Trail::resume(&marks, 299).is_none());
        marks[0].state.pop();
        assert!(Trail::resume(&marks, 300).is_none());
        marks[0].state = "é".repeat(marks[1].state.len() / 2);
        assert!(Trail::resume(&marks, 300).is_none());
    }
}
