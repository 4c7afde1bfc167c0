//! A1111's prompt syntax: `(w)` ×1.1, `[w]` ÷1.1, `(w:1.3)`, backslash escapes, `BREAK`.

/// A run of text of one weight, or the end of a chunk.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    Text { text: String, weight: f64 },
    Break,
}

const BRACKET: f64 = 1.1;
/// Nested brackets stop counting here, so that weights stay finite.
const MAX_WEIGHT: f64 = 1000.0;

/// Splits a prompt at its weights. Never fails: unmatched and odd brackets are text, unclosed ones reach to the end.
pub fn parse(prompt: &str) -> Vec<Piece> {
    let mut parser = Parser::default();
    let mut rest = prompt;
    while let Some(c) = rest.chars().next() {
        let taken = parser.take(c, rest);
        rest = &rest[taken..];
    }
    parser.finish()
}

#[derive(Default)]
struct Parser {
    pieces: Vec<Piece>,
    round: Brackets,
    square: Brackets,
}

/// The brackets of one kind, nested in each other. They are multiplied in at the end, in one pass over the pieces: done
/// at each closing bracket, `((((…` would take quadratic time.
#[derive(Default)]
struct Brackets {
    /// In the order in which they open.
    all: Vec<Bracket>,
    /// Which of `all` are open.
    open: Vec<usize>,
}

/// What lies between two brackets, `[start, end)` in pieces, and by what its weights are multiplied.
struct Bracket {
    start: usize,
    end: usize,
    by: f64,
}

impl Brackets {
    fn open(&mut self, start: usize) {
        self.open.push(self.all.len());
        self.all.push(Bracket { start, end: usize::MAX, by: 1.0 });
    }

    /// Closes the innermost bracket; `false` where none is open.
    fn close(&mut self, end: usize, by: f64) -> bool {
        let bracket = self.open.pop().and_then(|index| self.all.get_mut(index));
        bracket.map(|bracket| (bracket.end, bracket.by) = (end, by)).is_some()
    }

    /// Multiplies the weights of `pieces`.
    fn apply(mut self, pieces: &mut [Piece], by: f64) {
        while self.close(pieces.len(), by) {}
        let mut brackets = self.all.into_iter().peekable();
        // Ends and products of the brackets around a piece, the innermost last.
        let mut around: Vec<(usize, f64)> = Vec::new();
        for (index, piece) in pieces.iter_mut().enumerate() {
            while around.last().is_some_and(|(end, _)| *end <= index) {
                around.pop();
            }
            while let Some(bracket) = brackets.next_if(|bracket| bracket.start == index) {
                let outer = around.last().map_or(1.0, |(_, product)| *product);
                if bracket.end > index {
                    around.push((bracket.end, (outer * bracket.by).clamp(-MAX_WEIGHT, MAX_WEIGHT)));
                }
            }
            if let (Piece::Text { weight, .. }, Some((_, product))) = (piece, around.last()) {
                *weight = (*weight * product).clamp(-MAX_WEIGHT, MAX_WEIGHT);
            }
        }
    }
}

impl Parser {
    /// Handles what `rest` begins with (`c`). Gives its length in bytes.
    fn take(&mut self, c: char, rest: &str) -> usize {
        match c {
            '\\' => {
                // An escaped bracket or backslash is text; any other backslash vanishes.
                let escaped = rest[1..].chars().next().filter(|c| "()[]\\".contains(*c));
                self.text(&rest[1..1 + usize::from(escaped.is_some())]);
                1 + usize::from(escaped.is_some())
            }
            '(' => {
                self.round.open(self.pieces.len());
                1
            }
            '[' => {
                self.square.open(self.pieces.len());
                1
            }
            ':' => match explicit_weight(rest) {
                Some((weight, length)) if self.round.close(self.pieces.len(), weight) => length,
                _ => self.literal(1, rest),
            },
            ')' if self.round.close(self.pieces.len(), BRACKET) => 1,
            ']' if self.square.close(self.pieces.len(), 1.0 / BRACKET) => 1,
            ')' | ']' => self.literal(1, rest),
            _ => {
                let length = rest.find(['\\', '(', ')', '[', ']', ':']).unwrap_or(rest.len());
                self.with_breaks(&rest[..length]);
                length
            }
        }
    }

    fn literal(&mut self, length: usize, rest: &str) -> usize {
        self.text(&rest[..length]);
        length
    }

    fn text(&mut self, text: &str) {
        self.pieces.push(Piece::Text { text: text.to_string(), weight: 1.0 });
    }

    /// Text in which the word `BREAK`, with the blanks around it, ends a chunk.
    fn with_breaks(&mut self, text: &str) {
        const BREAK: &str = "BREAK";
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let mut start = 0;
        for (at, _) in text.match_indices(BREAK) {
            let (before, after) = (&text[start..at], &text[at + BREAK.len()..]);
            if text[..at].ends_with(word) || after.starts_with(word) {
                continue;
            }
            self.text(before.trim_end());
            self.pieces.push(Piece::Break);
            start = text.len() - after.trim_start().len();
        }
        self.text(&text[start.min(text.len())..]);
    }

    /// Closes what is open, drops empty texts and joins neighbours of one weight, so that they are tokenized together.
    fn finish(mut self) -> Vec<Piece> {
        self.round.apply(&mut self.pieces, BRACKET);
        self.square.apply(&mut self.pieces, 1.0 / BRACKET);
        let mut joined: Vec<Piece> = Vec::new();
        for piece in self.pieces {
            match (joined.last_mut(), piece) {
                (_, Piece::Text { text, .. }) if text.is_empty() => {}
                (Some(Piece::Text { text: last, weight: a }), Piece::Text { text, weight: b }) if *a == b => {
                    last.push_str(&text);
                }
                (_, piece) => joined.push(piece),
            }
        }
        joined
    }
}

/// `: 1.3 )` at the start of `text`: the weight and the length in bytes.
fn explicit_weight(text: &str) -> Option<(f64, usize)> {
    let inner = text.strip_prefix(':')?;
    let end = inner.find(|c: char| !(c.is_whitespace() || c.is_ascii_digit() || "+-.".contains(c)))?;
    let weight: f64 = inner[..end].trim().parse().ok()?;
    (inner[end..].starts_with(')') && weight.is_finite()).then_some((weight, 1 + end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn show(prompt: &str) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text { text, weight } => format!("{text}={}", (weight * 1000.0).round() / 1000.0),
            Piece::Break => "BREAK".to_string(),
        };
        parse(prompt).iter().map(piece).collect::<Vec<_>>().join("|")
    }

    /// The examples of A1111's own `parse_prompt_attention`, and its corner cases.
    #[test]
    fn as_a1111() {
        for (prompt, expected) in [
            ("normal text", "normal text=1"),
            ("an (important) word", "an =1|important=1.1| word=1"),
            ("(unbalanced", "unbalanced=1.1"),
            ("\\(literal\\]", "(literal]=1"),
            ("(unnecessary)(parens)", "unnecessaryparens=1.1"),
            (
                "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
                "a =1|house=1.573| =1.1|on=1| a =1.1|hill=0.55|, sun, =1.1|sky=1.464|.=1.1",
            ),
            ("[less]", "less=0.909"),
            ("a:b", "a:b=1"),
            ("smile :) ]", "smile :) ]=1"),
            ("(a: 1.5 )", "a=1.5"),
            ("(a:-0.5)", "a=-0.5"),
            ("(a:1.2.3)", "a:1.2.3=1.1"),
            ("(a:)", "a:=1.1"),
            ("a:1.3)", "a:1.3)=1"),
            ("one \\ two \\\\ three", "one  two \\ three=1"),
            ("", ""),
            ("()", ""),
            ("a BREAK b", "a=1|BREAK|b=1"),
            ("BREAK", "BREAK"),
            ("(a BREAK b:2)", "a=2|BREAK|b=2"),
            ("BREAKFAST aBREAK BREAK_", "BREAKFAST aBREAK BREAK_=1"),
            ("x BREAK BREAK y", "x=1|BREAK|BREAK|y=1"),
        ] {
            assert_eq!(show(prompt), expected, "{prompt:?}");
        }
    }

    #[test]
    fn weights_stay_finite() {
        for unit in ["(", "[", "(a", "(a:9999999999)", "((a:-99999))", "[(", "(:1)"] {
            for piece in parse(&unit.repeat(3000)) {
                assert!(matches!(piece, Piece::Break | Piece::Text { weight: -1000.0..=1000.0, .. }));
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed(prompt in "(\\PC|[()\\[\\]:\\\\ ]|BREAK|[0-9.]){0,80}") {
            for piece in parse(&prompt) {
                let empty = matches!(&piece, Piece::Text { text, .. } if text.is_empty());
                prop_assert!(!empty);
            }
        }
    }
}
