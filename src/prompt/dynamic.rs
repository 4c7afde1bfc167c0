//! Dynamic prompts: templates of which a run's seed makes a prompt, in the syntax of sd-dynamic-prompts. `{a|b}` is one of the
//! two, `{2$$a|b|c}` two of three with commas between, `{1-2$$ and $$a|b|c}` one or two with another word between, `{0.5::a|b}`
//! weighs, `__colour__` is a line of a list of that name; all of it in each other. `\{`, `\}` and `\|` are letters.

use std::collections::BTreeMap;
use std::ops::Range;

use super::MAX_CHARS;
use crate::error::{Error, Result};

/// Lists of lines by name, such as `colour` or `clothes/hats`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wildcards(BTreeMap<String, Vec<String>>);

/// Deeper than this nothing lies in each other.
const DEEPEST: usize = 32;
/// So many choices are made for a prompt.
const MOST: usize = 10_000;
/// So many lists are named where one is missing.
const NAMED: usize = 8;

impl Wildcards {
    /// Adds a list: a line each, but for empty ones and those that begin with `#`.
    pub fn insert(&mut self, name: impl Into<String>, text: &str) {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        self.0.insert(name.into(), lines.map(str::to_string).collect());
    }

    fn missing(&self, name: &str) -> Error {
        let known: Vec<&str> = self.0.keys().take(NAMED).map(String::as_str).collect();
        let more =
            if self.0.len() > NAMED { format!(" and {} more", self.0.len() - NAMED) } else { String::new() };
        let known = match known.as_slice() {
            [] => "there are none".to_string(),
            known => format!("known are {}{more}", known.join(", ")),
        };
        refused(format!("there is no list for __{name}__; {known}"))
    }
}

fn refused(message: String) -> Error {
    Error::InvalidInput { field: "prompt", message }
}

/// The prompts that a seed makes of templates, one after the other by one generator; each has the field that errors name.
pub fn expand<const N: usize>(templates: [&str; N], wildcards: &Wildcards, seed: u64) -> Result<[String; N]> {
    let mut expander = Expander { wildcards, state: seed, left: MOST, open: Vec::new() };
    let mut prompts = [const { String::new() }; N];
    for (prompt, template) in prompts.iter_mut().zip(templates) {
        expander.text(template, prompt)?;
    }
    Ok(prompts)
}

struct Expander<'a> {
    wildcards: &'a Wildcards,
    /// Of the generator.
    state: u64,
    /// Choices that may still be made.
    left: usize,
    /// The lists that are being read, one in the other.
    open: Vec<String>,
}

/// Something to choose and its weight.
struct Choice<'a> {
    text: &'a str,
    weight: f64,
}

impl Expander<'_> {
    fn text(&mut self, text: &str, out: &mut String) -> Result<()> {
        if text.len() > MAX_CHARS * 4 {
            return Err(refused(format!("a template has {MAX_CHARS} characters at most")));
        }
        let ends = ends(text);
        self.part(text, 0..text.len(), (&ends, 0), out)
    }

    /// Expands a part of a text, of which `ends` says where each brace closes.
    fn part(
        &mut self,
        text: &str,
        range: Range<usize>,
        (ends, depth): (&BTreeMap<usize, usize>, usize),
        out: &mut String,
    ) -> Result<()> {
        if depth + self.open.len() > DEEPEST {
            return Err(refused(format!("its braces and lists lie more than {DEEPEST} deep in each other")));
        }
        let mut at = range.start;
        while let Some(c) = text[at..range.end].chars().next() {
            let rest = &text[at..range.end];
            if let Some(escaped) = rest.strip_prefix('\\').and_then(|rest| rest.chars().next()) {
                if !"{}|".contains(escaped) {
                    out.push('\\');
                }
                out.push(escaped);
                at += 1 + escaped.len_utf8();
            } else if let Some(end) = ends.get(&at).filter(|end| **end < range.end) {
                self.choose(text, at + 1..*end, (ends, depth), out)?;
                at = end + 1;
            } else if let Some(name) = wildcard(rest) {
                self.list(name, out)?;
                at += name.len() + 4;
            } else {
                out.push(c);
                at += c.len_utf8();
            }
            if out.len() > MAX_CHARS * 4 {
                return Err(refused(format!("it becomes longer than {MAX_CHARS} characters")));
            }
        }
        Ok(())
    }

    /// What is between braces.
    fn choose(
        &mut self,
        text: &str,
        range: Range<usize>,
        (ends, depth): (&BTreeMap<usize, usize>, usize),
        out: &mut String,
    ) -> Result<()> {
        let (count, separator, range) = counted(text, range, ends);
        let options = options(text, range, ends);
        let choices: Vec<Choice<'_>> = options.iter().map(|range| weighed(&text[range.clone()])).collect();
        let count = self.between(count);
        for (nth, index) in self.some(&choices, count)?.into_iter().enumerate() {
            if nth > 0 {
                out.push_str(&separator);
            }
            let (option, own) = (&options[index], choices[index].text.len());
            self.part(text, option.end - own..option.end, (ends, depth + 1), out)?;
        }
        Ok(())
    }

    /// A line of a list.
    fn list(&mut self, name: &str, out: &mut String) -> Result<()> {
        if let Some(first) = self.open.iter().position(|open| open == name) {
            let way: Vec<&str> = self.open[first..].iter().map(String::as_str).chain([name]).collect();
            return Err(refused(format!("the list __{name}__ leads back to itself: {}", way.join(" → "))));
        }
        let wildcards = self.wildcards;
        let lines = wildcards.0.get(name).ok_or_else(|| wildcards.missing(name))?;
        let choices: Vec<Choice<'_>> = lines.iter().map(|line| weighed(line)).collect();
        let Some(index) = self.some(&choices, 1)?.first().copied() else {
            return Err(refused(format!("the list __{name}__ is empty")));
        };
        self.open.push(name.to_string());
        self.text(choices[index].text, out)?;
        self.open.pop();
        Ok(())
    }

    /// So many different choices, by their weights.
    fn some(&mut self, choices: &[Choice<'_>], count: usize) -> Result<Vec<usize>> {
        let mut left: Vec<usize> = (0..choices.len()).collect();
        let mut taken = Vec::new();
        while taken.len() < count && !left.is_empty() {
            self.left = self.left.checked_sub(1).ok_or_else(|| {
                refused(format!("its lists lead to more than {MOST} choices; let fewer of them name others"))
            })?;
            let all: f64 = left.iter().map(|index| choices[*index].weight).sum();
            let mut at = self.share() * all;
            let found = left.iter().position(|index| {
                at -= choices[*index].weight;
                at < 0.0
            });
            taken.push(left.remove(found.unwrap_or(left.len() - 1)));
        }
        Ok(taken)
    }

    /// A whole number of a range.
    fn between(&mut self, [low, high]: [usize; 2]) -> usize {
        let span = high.saturating_sub(low);
        if span == 0 { low } else { low + (self.share() * (span + 1) as f64) as usize }
    }

    /// A number from 0 to 1, without 1: SplitMix64 (Steele et al. 2014).
    fn share(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / 2f64.powi(64)
    }
}

/// Where each brace that opens closes; one that does not is a letter.
fn ends(text: &str) -> BTreeMap<usize, usize> {
    let (mut ends, mut open, mut escaped) = (BTreeMap::new(), Vec::new(), false);
    for (at, c) in text.char_indices() {
        match c {
            _ if std::mem::take(&mut escaped) => {}
            '\\' => escaped = true,
            '{' => open.push(at),
            '}' => drop(open.pop().map(|start| ends.insert(start, at))),
            _ => {}
        }
    }
    ends
}

/// The name of `__name__` at the start of a text.
fn wildcard(rest: &str) -> Option<&str> {
    let inside = rest.strip_prefix("__")?;
    let name = &inside[..inside.find("__")?];
    let plain = |c: char| c.is_alphanumeric() || "_-/. ".contains(c);
    (!name.is_empty() && name.trim() == name && name.chars().all(plain)).then_some(name)
}

/// The positions in a part of a text where something stands in no inner braces.
fn outside<'a>(
    text: &'a str,
    range: Range<usize>,
    ends: &'a BTreeMap<usize, usize>,
) -> impl Iterator<Item = (usize, char)> + 'a {
    let (mut at, end) = (range.start, range.end);
    std::iter::from_fn(move || {
        loop {
            let c = text[at..end].chars().next()?;
            let here = at;
            if c == '\\' {
                at += 1 + text[at + 1..end].chars().next().map_or(0, char::len_utf8);
                continue;
            }
            if let Some(close) = ends.get(&here).filter(|close| **close < end) {
                at = close + 1;
                continue;
            }
            at += c.len_utf8();
            return Some((here, c));
        }
    })
}

/// `2$$`, `1-3$$`, with ` and $$` behind it what stands between: how many, that, and where the rest begins.
fn counted(
    text: &str,
    range: Range<usize>,
    ends: &BTreeMap<usize, usize>,
) -> ([usize; 2], String, Range<usize>) {
    const MANY: usize = 1000;
    let usual = ([1, 1], ", ".to_string(), range.clone());
    let Some((numbers, behind)) = text[range.clone()].split_once("$$") else { return usual };
    let (low, high) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let number = |text: &str| text.trim().parse::<usize>().ok().map(|number| number.min(MANY));
    let (Some(low), Some(high)) = (number(low), number(high)) else { return usual };
    let start = range.end - behind.len();
    let bar = outside(text, start..range.end, ends).find(|(_, c)| *c == '|').map_or(range.end, |(at, _)| at);
    let (separator, start) = match text[start..bar].split_once("$$") {
        Some((separator, _)) => (separator.to_string(), start + separator.len() + 2),
        None => (", ".to_string(), start),
    };
    ([low.min(high), high.max(low)], separator, start..range.end)
}

/// What bars part.
fn options(text: &str, range: Range<usize>, ends: &BTreeMap<usize, usize>) -> Vec<Range<usize>> {
    let bars = outside(text, range.clone(), ends).filter(|(_, c)| *c == '|').map(|(at, _)| at);
    let mut from = range.start;
    let mut options = Vec::new();
    for bar in bars.chain([range.end]) {
        options.push(from..bar);
        from = bar + 1;
    }
    options
}

/// `0.5::text`.
fn weighed(text: &str) -> Choice<'_> {
    let plain = |number: &&str| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let split = text.split_once("::").map(|(number, rest)| (number.trim(), rest));
    let weight = split.filter(|(number, _)| plain(number)).and_then(|(number, rest)| {
        let weight: f64 = number.parse().ok()?;
        Some(Choice { text: rest, weight: weight.min(1e9) })
    });
    weight.unwrap_or(Choice { text, weight: 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lists(lists: &[(&str, &str)]) -> Wildcards {
        let mut wildcards = Wildcards::default();
        lists.iter().for_each(|(name, text)| wildcards.insert(*name, text));
        wildcards
    }

    fn all(template: &str, wildcards: &Wildcards) -> Vec<String> {
        let one = |seed| expand([template], wildcards, seed).expect(template)[0].clone();
        let mut found: Vec<String> = (0..200).map(one).collect();
        found.sort();
        found.dedup();
        found
    }

    #[test]
    fn every_choice_is_made_by_some_seed() {
        let colours = lists(&[("colour", "red\n# no colour\n\n green "), ("deep/er", "dark __colour__")]);
        for (template, expected) in [
            ("a {red|green} apple", vec!["a green apple", "a red apple"]),
            ("{a|{b|c}}", vec!["a", "b", "c"]),
            ("{a|}x", vec!["ax", "x"]),
            ("{0::a|1::b}", vec!["b"]),
            ("{2$$a|b}", vec!["a, b", "b, a"]),
            ("{1-2$$ and $$a|b}", vec!["a", "a and b", "b", "b and a"]),
            ("{9$$a}", vec!["a"]),
            ("{0$$a|b}", vec![""]),
            ("\\{a\\|b\\} (c:1.2) \\(d\\)", vec!["{a|b} (c:1.2) \\(d\\)"]),
            ("{a\\|b}", vec!["a|b"]),
            ("{x", vec!["{x"]),
            ("x}", vec!["x}"]),
            ("{[a:b:0.5]}", vec!["[a:b:0.5]"]),
            ("a __colour__ apple", vec!["a green apple", "a red apple"]),
            ("__deep/er__", vec!["dark green", "dark red"]),
            ("{__colour__|blue}", vec!["blue", "green", "red"]),
            ("snake__case __", vec!["snake__case __"]),
            ("{2$$x", vec!["{2$$x"]),
            ("", vec![""]),
        ] {
            assert_eq!(all(template, &colours), expected, "{template:?}");
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_prompts() {
        let none = Wildcards::default();
        let one = expand(["{a|b|c|d} {a|b|c|d}", "{e|f|g|h}"], &none, 7).unwrap();
        assert_eq!(one, expand(["{a|b|c|d} {a|b|c|d}", "{e|f|g|h}"], &none, 7).unwrap());
        assert_ne!(all("{a|b}{a|b}", &none).len(), 2, "each choice by itself");
        let heavy = (0..1000).filter(|seed| expand(["{3::a|b}"], &none, *seed).unwrap()[0] == "a").count();
        assert!((700..800).contains(&heavy), "{heavy} of 1000, expected 750");
    }

    #[test]
    fn what_cannot_be_made_is_refused() {
        let said = |template: &str, lists: &Wildcards| expand([template], lists, 1).unwrap_err().to_string();
        let ring = lists(&[("a", "__b__"), ("b", "x __a__"), ("empty", "# nothing")]);
        assert!(said("__a__", &ring).contains("leads back to itself: a → b → a"), "{}", said("__a__", &ring));
        assert!(said("__c__", &ring).contains("no list for __c__; known are a, b, empty"));
        assert!(said("__c__", &Wildcards::default()).contains("there are none"));
        assert!(said("__empty__", &ring).contains("is empty"));
        let deep = format!("{}x{}", "{".repeat(100), "}".repeat(100));
        assert!(said(&deep, &ring).contains("32 deep"));
        let names: Vec<String> = (0..20).map(|i| format!("l{i}")).collect();
        let mut bomb = Wildcards::default();
        names.windows(2).for_each(|pair| bomb.insert(&pair[0], &format!("__{0}__ __{0}__", pair[1])));
        bomb.insert("l19", "x");
        assert!(said("__l0__", &bomb).contains("more than 10000 choices"));
        let long = lists(&[("long", &"x".repeat(60_000))]);
        assert!(said("__long__ __long__", &long).contains("longer than"));
    }

    proptest! {
        #[test]
        fn any_template_is_read(template in "(\\PC|[{}|\\\\_$:0-9-]|__a__|2\\$\\$){0,60}", seed: u64) {
            let wildcards = lists(&[("a", "x\ny")]);
            let _ = expand([template.as_str()], &wildcards, seed);
            if !template.contains(['{', '}', '\\']) && !template.contains("__") {
                prop_assert_eq!(&expand([template.as_str()], &wildcards, seed).unwrap()[0], &template);
            }
        }
    }
}
