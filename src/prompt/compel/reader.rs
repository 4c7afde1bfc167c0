//! Expressions of compel's syntax, each tried where it may stand: what it holds, and where it ends.

use std::collections::HashMap;

use super::{MAX_WEIGHT, plain};

/// What `+` and `-` multiply by.
const PLUS: f64 = 1.1;
const MINUS: f64 = 0.9;
/// Brackets that lie deeper are text, so that time does not grow with the square of a prompt's length.
const DEEPEST: usize = 50;
/// What means something, each of which `\` makes a letter.
const SYNTAX: [char; 8] = ['(', ')', '"', ',', '.', '+', '-', '='];

#[derive(Debug, Clone)]
pub enum Node {
    Text(String),
    Weighed(f64, Vec<Node>),
    Swap(Vec<Node>),
    Lora(String),
}

/// What stands in an operator's brackets.
#[derive(Debug)]
pub struct Options {
    pub numbers: Vec<Option<f64>>,
    pub normalize: bool,
}

/// A node list and where it ends.
type Match = Option<(Vec<Node>, usize)>;

pub struct Reader<'a> {
    letters: &'a [char],
    /// Brackets by where they open.
    known: HashMap<usize, Match>,
    depth: usize,
}

/// An operator's targets and options, and where it ends.
pub type Operator = Option<(Vec<Vec<Node>>, Options, usize)>;

impl<'a> Reader<'a> {
    pub fn new(letters: &'a [char]) -> Self {
        Reader { letters, known: HashMap::new(), depth: 0 }
    }

    fn at(&self, at: usize) -> Option<char> {
        self.letters.get(at).copied()
    }

    fn is_blank(&self, at: usize) -> bool {
        self.at(at).is_some_and(char::is_whitespace)
    }

    fn skip(&self, mut at: usize) -> usize {
        while self.is_blank(at) {
            at += 1;
        }
        at
    }

    /// Where a text ends that stands here, blanks before it left aside.
    fn literal(&self, at: usize, text: &str) -> Option<usize> {
        let mut at = self.skip(at);
        for c in text.chars() {
            if self.at(at) != Some(c) {
                return None;
            }
            at += 1;
        }
        Some(at)
    }

    fn text(&self, from: usize, to: usize) -> String {
        self.letters[from..to].iter().collect()
    }

    /// A whole prompt; all of it is read.
    pub fn prompt(&mut self, mut at: usize) -> Vec<Node> {
        let mut nodes = Vec::new();
        while at < self.letters.len() {
            let found = self.swap(at).or_else(|| self.lora(at)).or_else(|| self.attention(at));
            let found = found.or_else(|| self.quoted(at)).or_else(|| self.bracket(at));
            at = match found {
                Some((more, end)) => {
                    nodes.extend(more);
                    end
                }
                None if self.is_blank(at) => self.skip(at),
                None => {
                    let end = (at..self.letters.len()).find(|end| self.is_blank(*end));
                    let end = end.unwrap_or(self.letters.len());
                    nodes.push(Node::Text(plain(&self.text(at, end))));
                    end
                }
            };
        }
        nodes
    }

    /// What may stand in brackets, up to what may not.
    fn inside(&mut self, mut at: usize) -> (Vec<Node>, usize) {
        let mut nodes = Vec::new();
        loop {
            let found = self.lora(at).or_else(|| self.attention(at)).or_else(|| self.swap(at));
            let found =
                found.or_else(|| self.bracket(at)).or_else(|| self.quoted(at)).or_else(|| self.word(at));
            let mark = || {
                let at = self.skip(at);
                let c = self.at(at).filter(|c| matches!(c, ',' | '.'))?;
                Some((vec![Node::Text(c.to_string())], at + 1))
            };
            let Some((more, end)) = found.or_else(mark) else { return (nodes, at) };
            nodes.extend(more);
            at = end;
        }
    }

    /// `(…)`.
    fn bracket(&mut self, at: usize) -> Match {
        let at = self.literal(at, "(")?;
        if let Some(known) = self.known.get(&at) {
            return known.clone();
        }
        if self.depth >= DEEPEST {
            return None;
        }
        self.depth += 1;
        let (nodes, end) = self.inside(at);
        self.depth -= 1;
        let found = self.literal(end, ")").map(|end| (nodes, end));
        self.known.insert(at, found.clone());
        found
    }

    /// What is between quotation marks, and where it ends; `\"` is one of its letters, unless no other mark ends it.
    fn between_quotes(&self, at: usize) -> Option<(Vec<char>, usize)> {
        let from = self.literal(at, "\"")?;
        let (mut at, mut last) = (from, None);
        let end = loop {
            match self.at(at) {
                Some('\\') if self.at(at + 1) == Some('"') => {
                    last = Some(at + 1);
                    at += 2;
                }
                Some('"') => break at,
                None | Some('\n' | '\r') => break last?,
                Some(_) => at += 1,
            }
        };
        Some((self.letters[from..end].to_vec(), end + 1))
    }

    /// `"…"`, read as what stands in brackets.
    fn quoted(&mut self, at: usize) -> Match {
        let (text, end) = self.between_quotes(at)?;
        if text.iter().all(|c| c.is_whitespace()) {
            return Some((vec![Node::Text(String::new())], end));
        }
        let mut inner = Reader { letters: &text, known: HashMap::new(), depth: self.depth };
        let (nodes, read) = inner.inside(0);
        (inner.skip(read) == text.len()).then_some((nodes, end))
    }

    /// `"…"`, read as a prompt of its own.
    fn quoted_prompt(&mut self, at: usize) -> Match {
        let (text, end) = self.between_quotes(at)?;
        let nodes = Reader { letters: &text, known: HashMap::new(), depth: self.depth }.prompt(0);
        Some((nodes, end))
    }

    /// A word without syntax.
    fn word(&mut self, at: usize) -> Match {
        let from = self.skip(at);
        let mut at = from;
        let syntax = |c: Option<char>| c.is_some_and(|c| SYNTAX.contains(&c));
        while let Some(c) = self.at(at) {
            let next = self.at(at + 1);
            at += match c {
                '\\' if syntax(next) => 2,
                '+' | '-' if next.is_some() && !syntax(next) && !self.is_blank(at + 1) => 1,
                c if c.is_whitespace() || SYNTAX.contains(&c) => break,
                _ => 1,
            };
        }
        (at > from).then(|| (vec![Node::Text(plain(&self.text(from, at)))], at))
    }

    /// What an operator may stand behind.
    fn target(&mut self, at: usize) -> Match {
        self.quoted(at).or_else(|| self.bracket(at)).or_else(|| self.word(at))
    }

    /// `+`, `--`: what they multiply by.
    fn signs(&self, at: usize) -> Option<(f64, usize)> {
        let from = self.skip(at);
        let sign = self.at(from).filter(|c| matches!(c, '+' | '-'))?;
        let end = (from..self.letters.len()).find(|end| self.at(*end) != Some(sign));
        let end = end.unwrap_or(self.letters.len());
        let base: f64 = if sign == '+' { PLUS } else { MINUS };
        let count = i32::try_from(end - from).unwrap_or(i32::MAX);
        Some((base.powi(count).min(MAX_WEIGHT), end))
    }

    /// A number with a point, which may have a sign, or a whole one.
    fn number(&self, at: usize) -> Option<(f64, usize)> {
        let from = self.skip(at);
        let digits = |from: usize| {
            let end = (from..self.letters.len()).find(|at| !self.letters[*at].is_ascii_digit());
            end.unwrap_or(self.letters.len())
        };
        let signed = from + usize::from(matches!(self.at(from), Some('+' | '-')));
        let whole = digits(signed);
        let end = match self.at(whole) {
            Some('.') if whole > signed || digits(whole + 1) > whole + 1 => digits(whole + 1),
            _ if whole > signed && self.at(from) != Some('+') => whole,
            _ => return None,
        };
        let number: f64 = self.text(from, end).parse().ok()?;
        Some((number.clamp(-MAX_WEIGHT, MAX_WEIGHT), end))
    }

    /// What weighs a word or a phrase.
    fn attention(&mut self, at: usize) -> Match {
        let target = self.target(at);
        let explicit = || {
            let (nodes, end) = target.clone()?;
            let end = self.literal(self.literal(end, ".attend")?, "(")?;
            let (weight, end) = self.signs(end).or_else(|| self.number(end))?;
            Some((nodes, weight, self.literal(end, ")")?))
        };
        let (nodes, weight, end) = explicit().or_else(|| {
            let start = self.skip(at);
            let phrase = self.quoted(start).or_else(|| self.bracket(start));
            let is_phrase = phrase.is_some();
            let (nodes, end) = phrase.or_else(|| self.word(start))?;
            if self.is_blank(end) {
                return None;
            }
            let signs = self.signs(end);
            let number = || if is_phrase { self.number(end) } else { None };
            let (weight, end) = signs.or_else(number)?;
            Some((nodes, weight, end))
        })?;
        Some((vec![Node::Weighed(weight, nodes)], end))
    }

    /// `word.swap(other)`, with options.
    fn swap(&mut self, at: usize) -> Match {
        let (nodes, end) = self.target(at)?;
        let end = self.literal(self.literal(end, ".swap")?, "(")?;
        // Without commas, which begin the options.
        let (_, mut end) = self.excluding_commas(end);
        if let Some(options) = self.literal(end, ",") {
            end = self.options(options).1;
        }
        Some((vec![Node::Swap(nodes)], self.literal(end, ")")?))
    }

    fn excluding_commas(&mut self, mut at: usize) -> (Vec<Node>, usize) {
        let mut nodes = Vec::new();
        loop {
            let found = self.lora(at).or_else(|| self.attention(at)).or_else(|| self.bracket(at));
            let Some((more, end)) = found.or_else(|| self.quoted(at)).or_else(|| self.word(at)) else {
                return (nodes, at);
            };
            nodes.extend(more);
            at = end;
        }
    }

    /// Letters, digits, `_` and `-`.
    fn keyword(&self, at: usize) -> Option<(String, usize)> {
        let from = self.skip(at);
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let end = (from..self.letters.len()).find(|at| !is_part(self.letters[*at]));
        let end = end.unwrap_or(self.letters.len());
        (end > from).then(|| (self.text(from, end), end))
    }

    /// `withLora(name, 0.8)`.
    fn lora(&mut self, at: usize) -> Match {
        let end = self.literal(at, "useLora").or_else(|| self.literal(at, "withLora"))?;
        let (name, end) = self.keyword(self.literal(end, "(")?)?;
        let weighed = self.literal(end, ",").and_then(|end| self.number(end));
        let end = weighed.map_or(end, |(_, end)| end);
        Some((vec![Node::Lora(name)], self.literal(end, ")")?))
    }

    /// Any number of them; where they end.
    pub fn loras(&mut self, mut at: usize, names: &mut Vec<String>) -> usize {
        while let Some((nodes, end)) = self.lora(at) {
            names.extend(nodes.into_iter().filter_map(|node| match node {
                Node::Lora(name) => Some(name),
                _ => None,
            }));
            at = end;
        }
        at
    }

    /// Weights and flags between commas.
    fn options(&self, mut at: usize) -> (Options, usize) {
        let mut options = Options { numbers: Vec::new(), normalize: true };
        loop {
            let named = self.keyword(at).and_then(|(_, end)| {
                let value = self.literal(end, "=")?;
                self.number(value).map(|(_, end)| end).or_else(|| Some(self.keyword(value)?.1))
            });
            let (number, flag, end) = match (named, self.number(at), self.keyword(at)) {
                (Some(end), _, _) => (None, None, end),
                (None, Some((number, end)), _) => (Some(number), None, end),
                (None, None, Some((flag, end))) => (None, Some(flag), end),
                (None, None, None) => return (options, at),
            };
            at = end;
            let more = self.literal(at, ",");
            // As the last of them.
            match flag.as_deref() {
                Some("no_normalize") if more.is_none() => options.normalize = false,
                _ => options.numbers.push(number),
            }
            match more {
                Some(end) if self.keyword(end).is_some() || self.number(end).is_some() => at = end,
                _ => return (options, at),
            }
        }
    }

    /// `(target, target).name(options)`.
    pub fn operator(&mut self, at: usize, names: &[&str]) -> Operator {
        let (targets, end) = self.targets(at)?;
        let end = names.iter().find_map(|name| self.literal(end, name))?;
        let (options, end) = self.options(self.literal(end, "(")?);
        Some((targets, options, self.literal(end, ")")?))
    }

    fn targets(&mut self, at: usize) -> Option<(Vec<Vec<Node>>, usize)> {
        let mut at = self.literal(at, "(")?;
        let mut targets = Vec::new();
        loop {
            let (nodes, end) = self.target(at).or_else(|| self.quoted_prompt(at))?;
            targets.push(nodes);
            match self.literal(end, ",") {
                Some(end) => at = end,
                None => return Some((targets, self.literal(end, ")")?)),
            }
        }
    }
}
