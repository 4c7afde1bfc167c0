//! What A1111's prompts may hold that is not followed here. It is said, when a picture is drawn as well as when one's
//! settings are read; nothing is dropped in silence.

/// How many of a kind are named; the rest is counted.
const NAMED: usize = 5;

/// A prompt without `<lora:name:0.8>` and the like, and these tags.
pub fn without_networks(prompt: &str) -> (String, Vec<&str>) {
    let (mut kept, mut tags) = (String::with_capacity(prompt.len()), Vec::new());
    let (mut open, mut from) = (None, 0);
    // One pass: the last `<` before a `>` opens the only tag that may end there, for tags hold no other.
    for (at, _) in prompt.match_indices(['<', '>']) {
        if prompt[at..].starts_with('<') {
            open = Some(at);
        } else if let Some(start) = open.take()
            && is_network(&prompt[start + 1..at])
        {
            kept.push_str(&prompt[from..start]);
            tags.push(&prompt[start..=at]);
            from = at + 1;
        }
    }
    kept.push_str(&prompt[from..]);
    (kept, tags)
}

/// `kind:name` or `kind:name:weight`.
fn is_network(tag: &str) -> bool {
    let Some((kind, name)) = tag.split_once(':') else { return false };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !kind.is_empty() && kind.chars().all(word) && !name.is_empty() && !name.contains('\n')
}

/// Sentences about everything in a prompt that is not followed.
pub fn notices(prompt: &str) -> Vec<String> {
    let (kept, tags) = without_networks(prompt);
    let mut notices: Vec<String> = tags
        .iter()
        .take(NAMED)
        .map(|tag| format!("“{tag}” is left out: such networks are not loaded here."))
        .collect();
    if tags.len() > NAMED {
        notices.push(format!("{} more networks are left out.", tags.len() - NAMED));
    }
    let (scheduled, alternating) = changing(&kept);
    for (found, does) in [
        (scheduled, "would change words while the picture is drawn"),
        (alternating, "would take turns from step to step"),
    ] {
        if let Some((first, rest)) = found.split_first() {
            let more =
                if rest.is_empty() { String::new() } else { format!(" and {} more like it", rest.len()) };
            notices.push(format!(
                "“{}”{more} {does}; that is not done here: it is read as it stands.",
                brief(first)
            ));
        }
    }
    if has_and(&kept) {
        let text =
            "AND would draw several prompts into one picture; that is not done here: it is read as a word.";
        notices.push(text.to_string());
    }
    notices
}

/// The brackets that schedule (`[red:green:0.5]`, `[green:0.5]`, `[red::0.5]`) and those that alternate (`[cat|dog]`).
fn changing(prompt: &str) -> (Vec<&str>, Vec<&str>) {
    struct Open {
        start: usize,
        colon: Option<usize>,
        bar: bool,
    }
    let (mut scheduled, mut alternating) = (Vec::new(), Vec::new());
    let mut open: Vec<Open> = Vec::new();
    let mut escaped = false;
    for (at, c) in prompt.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match (c, open.last_mut()) {
            ('\\', _) => escaped = true,
            ('[', _) => open.push(Open { start: at, colon: None, bar: false }),
            (':', Some(bracket)) => bracket.colon = Some(at),
            ('|', Some(bracket)) => bracket.bar = true,
            (']', Some(_)) => {
                let Some(Open { start, colon, bar }) = open.pop() else { continue };
                let whole = &prompt[start..=at];
                if bar {
                    alternating.push(whole);
                } else if colon.is_some_and(|colon| is_number(&prompt[colon + 1..at])) {
                    scheduled.push(whole);
                }
            }
            _ => {}
        }
    }
    (scheduled, alternating)
}

fn is_number(text: &str) -> bool {
    const LONGEST: usize = 24;
    text.len() <= LONGEST && text.trim().parse::<f64>().is_ok_and(f64::is_finite)
}

/// The word `AND`, by itself.
fn has_and(prompt: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    prompt
        .match_indices("AND")
        .any(|(at, found)| !prompt[..at].ends_with(word) && !prompt[at + found.len()..].starts_with(word))
}

/// At most so much as a sentence can hold.
fn brief(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn networks() {
        for (prompt, kept, tags) in [
            ("a <lora:shiny:0.8> b", "a  b", vec!["<lora:shiny:0.8>"]),
            ("<hypernet:x><lyco:y:1:2>", "", vec!["<hypernet:x>", "<lyco:y:1:2>"]),
            ("a < b, <lora:x>", "a < b, ", vec!["<lora:x>"]),
            ("<<lora:x>>", "<>", vec!["<lora:x>"]),
            ("a < b > c <lora> <:x> <a b:c> <lora:\n>", "a < b > c <lora> <:x> <a b:c> <lora:\n>", vec![]),
            ("<|endoftext|> >_< <3", "<|endoftext|> >_< <3", vec![]),
        ] {
            assert_eq!(without_networks(prompt), (kept.to_string(), tags), "{prompt}");
        }
    }

    #[test]
    fn what_is_not_followed_is_said() {
        let said = |prompt: &str| notices(prompt).join("\n");
        assert_eq!(said("a (red:1.2) [blue] cat, [x: y], a:b, [a\\|b], [SAND] BRAND"), "");
        assert!(said("a [red:green:0.5] apple").starts_with("“[red:green:0.5]” would change words"));
        for scheduled in ["[red:5]", "[red::0.5]", "[a:[b:c:0.1]: 0.9 ]", "[(red:1.1):green:.5]"] {
            assert!(said(scheduled).contains("would change words"), "{scheduled}");
        }
        assert!(said("a [cat|dog]").starts_with("“[cat|dog]” would take turns"));
        assert!(said("a cat AND a dog").starts_with("AND would draw"));
        assert!(said(&"[a|b]".repeat(9)).contains("“[a|b]” and 8 more like it would take turns"));
        assert_eq!(notices(&"<lora:x:1>".repeat(100)).len(), NAMED + 1);
        assert!(said(&"<lora:x:1>".repeat(100)).ends_with("95 more networks are left out."));
        assert!(said(&format!("[{}|x]", "long ".repeat(100))).chars().count() < 200);
    }

    proptest! {
        #[test]
        fn any_text_is_read(prompt in "(\\PC|[<>\\[\\]:|\\\\]|AND|<lora:x>){0,80}") {
            let (kept, tags) = without_networks(&prompt);
            let lengths: usize = tags.iter().map(|tag| tag.len()).sum();
            prop_assert_eq!(kept.len() + lengths, prompt.len());
            let _ = notices(&prompt);
        }
    }
}
