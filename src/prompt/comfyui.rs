//! ComfyUI's prompt syntax: `(w)` ×1.1 and `(w:1.3)`, which counts as it stands however deep it lies; `\(` and `\)`. Square
//! brackets, `BREAK` and `AND` are words.

use std::ops::Range;

use super::Embeddings;
use super::chunks::{Chunk, Encoded, Frame};

/// What stands in front of an embedding's name.
const EMBEDDING: &str = "embedding:";

const BRACKET: f64 = 1.1;
/// Weights stay finite.
const MAX_WEIGHT: f64 = 1000.0;
/// Brackets that lie deeper are text, so that time does not grow with the square of a prompt's length.
const DEEPEST: usize = 100;
/// A word of fewer tokens is not cut where a chunk ends.
const LONG_WORD: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Letter {
    Open,
    Close,
    Text(char),
}

/// Texts of one weight each, in order. Never fails: brackets that do not match are text.
pub fn parse(prompt: &str) -> Vec<(String, f64)> {
    let letters = letters(prompt);
    let mut pieces = Vec::new();
    let mut left = vec![Part { range: 0..letters.len(), weight: 1.0, depth: 0, is_text: false }];
    while let Some(Part { range, weight, depth, is_text }) = left.pop() {
        if is_text || depth > DEEPEST {
            pieces.push((text(&letters[range]), weight));
            continue;
        }
        let first = left.len();
        for item in items(&letters, range) {
            let bracket = letters[item.clone()].first() == Some(&Letter::Open)
                && letters[item.clone()].last() == Some(&Letter::Close);
            if !bracket {
                left.push(Part { range: item, weight, depth, is_text: true });
                continue;
            }
            let inside = item.start + 1..item.end - 1;
            let (range, weight) = match explicit(&letters, inside.clone()) {
                Some((colon, weight)) => (inside.start..colon, weight),
                None => (inside, weight * BRACKET),
            };
            let weight = weight.clamp(-MAX_WEIGHT, MAX_WEIGHT);
            left.push(Part { range, weight, depth: depth + 1, is_text: false });
        }
        left[first..].reverse();
    }
    pieces
}

/// Letters that are still to be split at their brackets, or are text.
struct Part {
    range: Range<usize>,
    weight: f64,
    depth: usize,
    is_text: bool,
}

fn letters(prompt: &str) -> Vec<Letter> {
    let mut letters = Vec::with_capacity(prompt.len());
    let mut chars = prompt.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next_if(|next| "()".contains(*next)) } else { None };
        letters.push(match (escaped, c) {
            (Some(bracket), _) => Letter::Text(bracket),
            (None, '(') => Letter::Open,
            (None, ')') => Letter::Close,
            (None, c) => Letter::Text(c),
        });
    }
    letters
}

fn text(letters: &[Letter]) -> String {
    let char = |letter: &Letter| match letter {
        Letter::Open => '(',
        Letter::Close => ')',
        Letter::Text(c) => *c,
    };
    letters.iter().map(char).collect()
}

/// Outermost brackets and what is between them; what is open at the end reaches to it. Where more brackets close than open,
/// all is text until as many have opened.
fn items(letters: &[Letter], range: Range<usize>) -> Vec<Range<usize>> {
    let (mut items, mut start, mut level) = (Vec::new(), range.start, 0i64);
    for at in range.clone() {
        match letters[at] {
            Letter::Open => {
                if level == 0 && start < at {
                    items.push(start..at);
                    start = at;
                }
                level += 1;
            }
            Letter::Close => {
                level -= 1;
                if level == 0 {
                    items.push(start..at + 1);
                    start = at + 1;
                }
            }
            Letter::Text(_) => {}
        }
    }
    if start < range.end {
        items.push(start..range.end);
    }
    items
}

/// The last colon in a bracket and the number behind it, where it is one.
fn explicit(letters: &[Letter], inside: Range<usize>) -> Option<(usize, f64)> {
    const LONGEST: usize = 24;
    let colon = letters[inside.clone()].iter().rposition(|letter| *letter == Letter::Text(':'))?;
    let colon = inside.start + colon;
    let number = &letters[colon + 1..inside.end];
    let number = if number.len() <= LONGEST { text(number) } else { return None };
    let weight: f64 = number.trim().parse().ok()?;
    (colon > inside.start && weight.is_finite()).then_some((colon, weight))
}

/// The words of a text.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '\n']).filter(|word| !word.is_empty())
}

/// The embedding that a word asks for, or the name that none has, and what of the word is text.
pub fn embedding<'a>(
    word: &'a str,
    embeddings: &Embeddings,
) -> (Option<std::result::Result<usize, &'a str>>, &'a str) {
    let Some(name) = word.strip_prefix(EMBEDDING) else { return (None, word) };
    if let Some(found) = embeddings.named(name) {
        return (Some(Ok(found)), "");
    }
    let bare = name.trim_matches(',');
    // As many letters as the name has are no text, wherever its commas were.
    let behind = name.char_indices().nth(bare.chars().count()).map_or("", |(at, _)| &name[at..]);
    (Some(embeddings.named(bare).ok_or(bare)), behind)
}

/// Puts words' tokens (id, weight) into chunks. A word that does not fit begins the next chunk, a long one is cut.
pub fn chunks(frame: Frame, words: impl IntoIterator<Item = Vec<(u32, f32)>>) -> Encoded {
    let room = frame.max_length - 2;
    let (mut chunks, mut open, mut tokens): (Vec<Chunk>, Vec<(u32, f32)>, usize) =
        (Vec::new(), Vec::new(), 0);
    for word in words {
        tokens += word.len();
        // One that is longer than a chunk would else never find room.
        let is_long = word.len() >= LONG_WORD || word.len() > room;
        let mut rest = word.as_slice();
        while open.len() + rest.len() > room {
            let (now, later) = rest.split_at(if is_long { room - open.len() } else { 0 });
            open.extend_from_slice(now);
            chunks.push(frame.chunk(&open));
            open.clear();
            rest = later;
        }
        open.extend_from_slice(rest);
    }
    chunks.push(frame.chunk(&open));
    Encoded { chunks, tokens, unknown: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn show(prompt: &str) -> String {
        let show = |(text, weight): (String, f64)| format!("{text}={}", (weight * 1000.0).round() / 1000.0);
        parse(prompt).into_iter().map(show).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn as_comfyui() {
        for (prompt, expected) in [
            ("plain text", "plain text=1"),
            ("an (important) word", "an =1|important=1.1| word=1"),
            ("((a))", "a=1.21"),
            ("(a:1.3)", "a=1.3"),
            // A number stands for itself, whatever is around it.
            ("((a:1.3) b:2)", "a=1.3| b=2"),
            ("((a) b:2)", "a=2.2| b=2"),
            ("[less] BREAK AND", "[less] BREAK AND=1"),
            ("\\(literal\\) (b\\):2)", "(literal) =1|b)=2"),
            ("(a: 1.5 )", "a=1.5"),
            ("(a:b:0.5)", "a:b=0.5"),
            ("(a:x)", "a:x=1.1"),
            ("(:2)", ":2=1.1"),
            ("(a:1e1)", "a=10"),
            ("(a:inf)", "a:inf=1.1"),
            ("()", ""),
            ("", ""),
            ("smile :)", "smile :)=1"),
            (") (a) b", ") (a) b=1"),
            ("(a", "(a=1"),
            ("((a)", "(a=1.1"),
            ("a (b (c", "a =1|(b (c=1"),
            ("(0)", "0=1.1"),
        ] {
            assert_eq!(show(prompt), expected, "{prompt:?}");
        }
    }

    #[test]
    fn words_are_kept_together() {
        const FRAME: Frame = Frame { begin: 100, end: 101, pad: 102, max_length: 12 };
        let lengths = |words: &[usize]| {
            let words = words.iter().map(|len| vec![(7, 1.0); *len]);
            let text = |chunk: &Chunk| chunk.ids.iter().filter(|id| **id == 7).count();
            chunks(FRAME, words).chunks.iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(lengths(&[]), [0]);
        assert_eq!(lengths(&[5, 5]), [10]);
        assert_eq!(lengths(&[5, 6, 1]), [5, 7]);
        assert_eq!(lengths(&[5, 8]), [10, 3]);
        assert_eq!(lengths(&[25]), [10, 10, 5]);
        assert_eq!(lengths(&[10, 1]), [10, 1]);
        const SHORT: Frame = Frame { max_length: 5, ..FRAME };
        assert_eq!(chunks(SHORT, [vec![(7, 1.0); 4]]).chunks.len(), 2, "longer than a chunk");
    }

    proptest! {
        #[test]
        fn any_text_is_parsed(prompt in "(\\PC|[()\\\\: 0-9.]|:1.2\\)){0,80}") {
            for (_, weight) in parse(&prompt) {
                prop_assert!((-1000.0..=1000.0).contains(&weight));
            }
            let kept: usize = parse(&prompt).iter().map(|(text, _)| text.len()).sum();
            prop_assert!(kept <= prompt.len());
        }
    }
}
