//! A1111's prompts that change while a picture is drawn: `[red:green:0.5]`, `[green:0.5]`, `[red::0.5]`, `[cat|dog]`, in each
//! other as deep as one likes.
//!
//! A bracket is one of these where all in it is whole; any other is text, as it stands. A `|` outside of `[ ]`, or a backslash
//! with nothing behind it, makes all of a prompt text, as in A1111.

use std::ops::Range;

/// How a pass counts: in evaluations of the denoiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// Those that a whole run of it has.
    pub all: usize,
    /// In a second pass (hires fix) those of the first: numbers go on counting where that ended, shares are 1 more.
    pub before: Option<usize>,
}

/// The texts of a prompt, each with the evaluation up to which it is read, counted from 0, it included. At least one.
pub fn timeline(prompt: &str, steps: Steps) -> Vec<(usize, String)> {
    let Some(parts) = parse(prompt) else { return vec![(steps.all, prompt.to_string())] };
    let mut ends = vec![steps.all];
    collect(&parts, steps, &mut ends);
    ends.sort_unstable();
    ends.dedup();
    let mut texts: Vec<(usize, String)> = Vec::new();
    for end in ends {
        let mut text = String::new();
        render(prompt, &parts, (end, steps), &mut text);
        match texts.last_mut() {
            Some((last, same)) if *same == text => *last = end,
            _ => texts.push((end, text)),
        }
    }
    texts
}

/// Whether a prompt is other words at some time.
pub fn changes(prompt: &str) -> bool {
    parse(prompt).is_some_and(|parts| parts.iter().any(|part| !matches!(part, Part::Text(_))))
}

/// A piece of a prompt; texts are where they stand in it.
#[derive(Debug)]
enum Part {
    Text(Range<usize>),
    Scheduled { before: Vec<Part>, after: Vec<Part>, when: When },
    Alternating(Vec<Vec<Part>>),
}

/// A number that says when: of evaluations, or with a point in it a share of all.
#[derive(Debug, Clone, Copy)]
struct When {
    value: f64,
    share: bool,
}

impl When {
    /// SIGNED_NUMBER of lark's common grammar, with blanks around it.
    fn parse(text: &str) -> Option<When> {
        const LONGEST: usize = 24;
        let text = text.trim();
        let numeric = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
        let plain =
            text.len() <= LONGEST && text.chars().all(numeric) && text.contains(|c: char| c.is_ascii_digit());
        let value = plain.then(|| text.parse::<f64>().ok()).flatten().filter(|value| value.is_finite())?;
        Some(When { value, share: text.contains('.') })
    }

    /// The last evaluation before it.
    fn last(self, steps: Steps) -> i64 {
        let all = steps.all as f64;
        let value = match (self.share, steps.before) {
            (true, None) => self.value * all,
            (true, Some(_)) => (self.value - 1.0) * all,
            (false, before) => self.value - before.unwrap_or(0) as f64,
        };
        value.min(all) as i64
    }
}

/// Evaluations at which something ends.
fn collect(parts: &[Part], steps: Steps, ends: &mut Vec<usize>) {
    for part in parts {
        match part {
            Part::Text(_) => {}
            Part::Scheduled { before, after, when } => {
                ends.extend(usize::try_from(when.last(steps)).ok().filter(|last| *last >= 1));
                collect(before, steps, ends);
                collect(after, steps, ends);
            }
            Part::Alternating(choices) => {
                ends.extend(1..=steps.all);
                ends.sort_unstable();
                ends.dedup();
                choices.iter().for_each(|choice| collect(choice, steps, ends));
            }
        }
    }
}

/// The text of what ends at an evaluation.
fn render(prompt: &str, parts: &[Part], (end, steps): (usize, Steps), out: &mut String) {
    for part in parts {
        match part {
            Part::Text(range) => out.push_str(&prompt[range.clone()]),
            Part::Scheduled { before, after, when } => {
                let is_before = end as i64 <= when.last(steps);
                render(prompt, if is_before { before } else { after }, (end, steps), out);
            }
            Part::Alternating(choices) => {
                // The first end may be 0 where a run has no evaluations; it takes the first choice.
                let turn = end.saturating_sub(1) % choices.len().max(1);
                choices.get(turn).into_iter().for_each(|choice| render(prompt, choice, (end, steps), out));
            }
        }
    }
}

/// A bracket that is open.
struct Open {
    start: usize,
    square: bool,
    /// Between its colons or bars.
    segments: Vec<Vec<Part>>,
    /// Where those stand.
    colons: Vec<usize>,
    bars: Vec<usize>,
    /// Something in it is in no whole bracket.
    broken: bool,
    /// How deep what changes lies in what changes.
    depth: usize,
}

/// Deeper than this a prompt is text.
const DEEPEST: usize = 32;

/// The pieces of a prompt; `None` where all of it is text.
fn parse(prompt: &str) -> Option<Vec<Part>> {
    let mut root: Vec<Part> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut chars = prompt.char_indices();
    while let Some((at, c)) = chars.next() {
        match (c, open.last_mut()) {
            ('\\', _) => {
                let (next, escaped) = chars.next().filter(|(_, c)| *c != '\n')?;
                text(segment(&mut root, &mut open), at..next + escaped.len_utf8());
            }
            ('(' | '[', _) => open.push(Open {
                start: at,
                square: c == '[',
                segments: vec![Vec::new()],
                colons: Vec::new(),
                bars: Vec::new(),
                broken: false,
                depth: 0,
            }),
            (':', Some(bracket)) => {
                bracket.colons.push(at);
                bracket.segments.push(Vec::new());
            }
            ('|', Some(bracket)) if bracket.square => {
                bracket.bars.push(at);
                bracket.segments.push(Vec::new());
            }
            ('|', _) => return None,
            (')' | ']', Some(bracket)) if bracket.square == (c == ']') => {
                let bracket = open.pop()?;
                close(prompt, bracket, at, (&mut root, &mut open))?;
            }
            (')' | ']', _) => {
                // Whatever is open has a bracket in it that is not.
                for bracket in std::mem::take(&mut open) {
                    spill(bracket, &mut root)?;
                }
                text(&mut root, at..at + 1);
            }
            _ => text(segment(&mut root, &mut open), at..at + c.len_utf8()),
        }
    }
    for bracket in open {
        spill(bracket, &mut root)?;
    }
    Some(root)
}

/// Where the next piece goes.
fn segment<'a>(root: &'a mut Vec<Part>, open: &'a mut [Open]) -> &'a mut Vec<Part> {
    open.last_mut().and_then(|bracket| bracket.segments.last_mut()).unwrap_or(root)
}

/// Adds text, to what stands right before it where that is text too.
fn text(parts: &mut Vec<Part>, range: Range<usize>) {
    match parts.last_mut() {
        Some(Part::Text(last)) if last.end == range.start => last.end = range.end,
        _ => parts.push(Part::Text(range)),
    }
}

/// Adds pieces, joining texts.
fn extend(parts: &mut Vec<Part>, more: Vec<Part>) {
    for part in more {
        match part {
            Part::Text(range) => text(parts, range),
            part => parts.push(part),
        }
    }
}

/// A bracket that is text, with what is in it; `None` where a `|` is in it, which is no text.
fn spill(bracket: Open, parts: &mut Vec<Part>) -> Option<()> {
    if !bracket.bars.is_empty() {
        return None;
    }
    text(parts, bracket.start..bracket.start + 1);
    for (index, segment) in bracket.segments.into_iter().enumerate() {
        if let Some(colon) = index.checked_sub(1).and_then(|index| bracket.colons.get(index)) {
            text(parts, *colon..colon + 1);
        }
        extend(parts, segment);
    }
    Some(())
}

/// A bracket that ends at `at`: what changes, a weight, or text.
fn close(
    prompt: &str,
    bracket: Open,
    at: usize,
    (root, open): (&mut Vec<Part>, &mut Vec<Open>),
) -> Option<()> {
    let Open { square, broken, depth, .. } = bracket;
    let (colons, bars) = (bracket.colons.len(), bracket.bars.len());
    let when = || match bracket.segments.last().map(Vec::as_slice) {
        Some([Part::Text(range)]) => When::parse(&prompt[range.clone()]),
        _ => None,
    };
    let when = if square && !broken && bars == 0 && (1..=2).contains(&colons) { when() } else { None };
    let alternates = square && !broken && bars > 0 && colons == 0;
    if when.is_some() || alternates {
        if depth >= DEEPEST {
            return None;
        }
        if let Some(parent) = open.last_mut() {
            parent.depth = parent.depth.max(depth + 1);
        }
        let mut segments = bracket.segments;
        let part = match when {
            Some(when) => {
                segments.pop();
                let after = segments.pop().unwrap_or_default();
                Part::Scheduled { before: segments.pop().unwrap_or_default(), after, when }
            }
            None => Part::Alternating(segments),
        };
        segment(root, open).push(part);
        return Some(());
    }
    let is_weight = !broken && bars == 0 && colons <= usize::from(!square);
    if let Some(parent) = open.last_mut() {
        parent.broken |= !is_weight;
        parent.depth = parent.depth.max(depth);
    }
    let parts = segment(root, open);
    spill(bracket, parts)?;
    text(parts, at..at + 1);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn show(prompt: &str, steps: Steps) -> String {
        let texts = timeline(prompt, steps);
        texts.iter().map(|(end, text)| format!("{end}={text}")).collect::<Vec<_>>().join("|")
    }

    const TEN: Steps = Steps { all: 10, before: None };

    /// What A1111's own documentation says of these, at ten steps.
    #[test]
    fn as_a1111() {
        for (prompt, expected) in [
            ("test", "10=test"),
            ("a [b:3]", "3=a |10=a b"),
            ("a [b: 3]", "3=a |10=a b"),
            ("a [[[b]]:2]", "2=a |10=a [[b]]"),
            ("[(a:2):3]", "3=|10=(a:2)"),
            ("a [b : c : 1] d", "1=a b  d|10=a  c  d"),
            ("a[b:[c:d:2]:1]e", "1=abe|2=ace|10=ade"),
            ("a [unbalanced", "10=a [unbalanced"),
            ("a [b:.5] c", "5=a  c|10=a b c"),
            ("a [{b|d{:.5] c", "10=a [{b|d{:.5] c"),
            ("((a][:b:c [d:3]", "3=((a][:b:c |10=((a][:b:c d"),
            ("[a::3]", "3=a|10="),
            ("[a:0.0]", "10=a"),
            ("[a:b:-3] [c:99]", "10=b "),
            ("[a:1.0]", "10="),
        ] {
            assert_eq!(show(prompt, TEN), expected, "{prompt:?}");
        }
        let turns = |texts: [&str; 10]| {
            texts
                .iter()
                .enumerate()
                .map(|(i, text)| format!("{}={text}", i + 1))
                .collect::<Vec<_>>()
                .join("|")
        };
        let [a, b] = ["a", "(b:1.1)"];
        assert_eq!(show("[a|(b:1.1)]", TEN), turns([a, b, a, b, a, b, a, b, a, b]));
        let [f, m] = ["female", "male"];
        assert_eq!(show("[fe|]male", TEN), turns([f, m, f, m, f, m, f, m, f, m]));
        // What stays the same is one text.
        assert_eq!(show("[fe|||]male", TEN), "1=female|4=male|5=female|8=male|9=female|10=male");
    }

    /// The second pass goes on counting where the first ended.
    #[test]
    fn hires_fix_as_a1111() {
        let second = Steps { all: 10, before: Some(10) };
        assert_eq!(show("a [b:.5] c", second), "10=a b c");
        assert_eq!(show("a [b:1.5] c", second), "5=a  c|10=a b c");
        assert_eq!(show("a [b:13] c", second), "3=a  c|10=a b c");
        assert_eq!(show("a [b:3] c", second), "10=a b c");
    }

    #[test]
    fn what_is_no_schedule_is_text() {
        for prompt in [
            "a (red:1.2) [blue] cat, [x: y], a:b, [SAND] BRAND",
            "a | [b:c:3]",
            "[a:b:3] \\",
            "(a|b) [c:3]",
            "[a:b:c:3]",
            "[a (b:3]",
            "\\[a:b:3\\]",
            "[a\\:3]",
            "[a:b3]",
            "[a:inf] [a:nan] [a:1e999] [a:0x3]",
            "[(a:b:c):3]",
        ] {
            assert_eq!(show(prompt, TEN), format!("10={prompt}"), "{prompt:?}");
            assert!(!changes(prompt), "{prompt:?}");
        }
        assert!(changes("[a:3]") && changes("[a|b]"));
        // A broken bracket beside a whole one.
        assert_eq!(show("[a:b) [c:d:3]", TEN), "3=[a:b) c|10=[a:b) d");
    }

    #[test]
    fn deep_and_long_prompts_are_read_quickly() {
        let deep = |levels: usize| format!("{}x{}", "[a:".repeat(levels), ":3]".repeat(levels));
        assert_eq!(timeline(&deep(DEEPEST), TEN).len(), 2);
        assert_eq!(timeline(&deep(DEEPEST + 2), TEN).len(), 1, "too deep is text");
        for unit in ["[", "(", "[(", "[a:", "[a:]", "]", "[a:b:3]", "([a|b]"] {
            timeline(&unit.repeat(20_000 / unit.len()), TEN);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_scheduled(prompt in "(\\PC|[()\\[\\]:|\\\\ .0-9]|:3\\]){0,60}", all in 1usize..30) {
            let texts = timeline(&prompt, Steps { all, before: None });
            prop_assert!(texts.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 != pair[1].1));
            prop_assert_eq!(texts.last().map(|(end, _)| *end), Some(all));
            if !changes(&prompt) {
                prop_assert_eq!(&texts[0].1, &prompt);
            }
        }
    }
}
