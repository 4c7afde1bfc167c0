//! How a side is cut into tiles.

use std::ops::Range;

/// A part of a side: what is made, and what is read for that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub core: Range<usize>,
    pub read: Range<usize>,
}

impl Span {
    /// The same where each is so many.
    pub fn times(&self, by: usize) -> Span {
        let times = |range: &Range<usize>| range.start * by..range.end * by;
        Span { core: times(&self.core), read: times(&self.read) }
    }

    /// What is read, counted from the start of another range.
    pub fn read_within(&self, other: &Range<usize>) -> Range<usize> {
        self.read.start - other.start..self.read.end - other.start
    }
}

/// Cuts `range`, which lies within `all`, so that each part reads `margin` more on both sides, where there is more. All read as
/// many, `side` or all that there is.
pub fn spans(range: Range<usize>, all: Range<usize>, side: usize, margin: usize) -> Vec<Span> {
    let len = side.min(all.len());
    if len == all.len() {
        return vec![Span { core: range, read: all }];
    }
    let step = len - 2 * margin;
    // Parts of about one size rather than a small one at the end.
    let parts = range.len().div_ceil(step);
    let border = |part: usize| range.start + range.len() * part / parts;
    let span = |part: usize| {
        let core = border(part)..border(part + 1);
        let start = core.start.saturating_sub(margin).clamp(all.start, all.end - len);
        Span { core, read: start..start + len }
    };
    (0..parts).map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Every pixel is made once, with all that is around it, by parts of one size.
        #[test]
        fn parts_have_what_they_need(
            all in 1usize..300, before in 0usize..20, behind in 0usize..20, side in 1usize..80, margin in 0usize..20,
        ) {
            let side = side.max(2 * margin + 1);
            let range = before.min(all - 1)..all.saturating_sub(behind).max(before.min(all - 1) + 1);
            let spans = spans(range.clone(), 0..all, side, margin);
            prop_assert_eq!(spans[0].core.start, range.start);
            prop_assert_eq!(spans[spans.len() - 1].core.end, range.end);
            for pair in spans.windows(2) {
                prop_assert_eq!(pair[0].core.end, pair[1].core.start);
            }
            for Span { core, read } in &spans {
                prop_assert!(!core.is_empty());
                prop_assert_eq!(read.len(), side.min(all));
                prop_assert!(read.start <= core.start.saturating_sub(margin) && read.end >= (core.end + margin).min(all));
                prop_assert!(read.end <= all);
            }
        }
    }
}
