//! What A1111's prompts may hold that is not followed here. It is said, when a picture is drawn as well as when one's
//! settings are read; nothing is dropped in silence.

use super::{Dialect, compel};

/// How many of a kind are named; the rest is counted.
const NAMED: usize = 5;

/// A prompt without `<lora:name:0.8>` and the like, and these tags.
pub fn without_networks(prompt: &str) -> (String, Vec<&str>) {
    without(prompt, is_network)
}

/// A prompt without the tags that its dialect has, and these: in ComfyUI's and compel's LoRAs alone, for which these have nodes and calls in their place;
/// in diffusers' none, where every character is text.
pub fn without_tags(dialect: Dialect, prompt: &str) -> (String, Vec<&str>) {
    match dialect {
        Dialect::A1111 => without_networks(prompt),
        Dialect::ComfyUi | Dialect::Compel => without(prompt, is_lora),
        Dialect::Diffusers => (prompt.to_string(), Vec::new()),
    }
}

/// A prompt without those of its tags, and these.
fn without(prompt: &str, is_one: impl Fn(&str) -> bool) -> (String, Vec<&str>) {
    let (mut kept, mut tags) = (String::with_capacity(prompt.len()), Vec::new());
    let (mut open, mut from) = (None, 0);
    // One pass: the last `<` before a `>` opens the only tag that may end there, for tags hold no other.
    for (at, _) in prompt.match_indices(['<', '>']) {
        if prompt[at..].starts_with('<') {
            open = Some(at);
        } else if let Some(start) = open.take()
            && is_one(&prompt[start + 1..at])
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

/// `lora:name` and the like.
fn is_lora(tag: &str) -> bool {
    is_network(tag) && (tag.starts_with("lora:") || tag.starts_with("lyco:"))
}

/// Sentences about everything in a prompt that is not followed.
pub fn notices(dialect: Dialect, prompt: &str) -> Vec<String> {
    let (_, tags) = without_tags(dialect, prompt);
    let mut notices: Vec<String> = tags
        .iter()
        .take(NAMED)
        .map(|tag| format!("“{tag}” is left out: no network of that name is here."))
        .collect();
    if tags.len() > NAMED {
        notices.push(format!("{} more networks are left out.", tags.len() - NAMED));
    }
    if dialect == Dialect::Compel
        && let Ok(parsed) = compel::parse(&without_tags(dialect, prompt).0)
    {
        if parsed.swaps {
            let text = ".swap(…) is not followed here: what stands before it is drawn.";
            notices.push(text.to_string());
        }
        let named = parsed.loras.iter().take(NAMED);
        notices.extend(named.map(|name| format!("withLora({name}) is left out: write <lora:{name}:0.8>.")));
    }
    notices
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
    fn a_dialect_has_tags_of_its_own() {
        let of = |dialect| without_tags(dialect, "a <lora:x:1><hypernet:y:1>");
        assert_eq!(of(Dialect::A1111), ("a ".to_string(), vec!["<lora:x:1>", "<hypernet:y:1>"]));
        assert_eq!(of(Dialect::ComfyUi), ("a <hypernet:y:1>".to_string(), vec!["<lora:x:1>"]));
        assert_eq!(of(Dialect::Compel), of(Dialect::ComfyUi));
        assert_eq!(of(Dialect::Diffusers), ("a <lora:x:1><hypernet:y:1>".to_string(), vec![]));
    }

    #[test]
    fn what_is_not_followed_is_said() {
        let said = |prompt: &str| notices(Dialect::A1111, prompt).join("\n");
        assert_eq!(said("a (red:1.2) [blue] cat, [red:green:0.5], [cat|dog] AND a:b"), "");
        assert_eq!(notices(Dialect::A1111, &"<lora:x:1>".repeat(100)).len(), NAMED + 1);
        assert!(said(&"<lora:x:1>".repeat(100)).ends_with("95 more networks are left out."));
    }

    #[test]
    fn what_compel_has_beside() {
        let said = notices(Dialect::Compel, "a cat.swap(dog) withLora(shiny, 0.5)");
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with(".swap(") && said[1].contains("<lora:shiny:0.8>"), "{said:?}");
        assert_eq!(notices(Dialect::Compel, "a cat++ (dog)1.2"), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(prompt in "(\\PC|[<>\\[\\]:|\\\\]|AND|<lora:x>){0,80}") {
            let (kept, tags) = without_networks(&prompt);
            let lengths: usize = tags.iter().map(|tag| tag.len()).sum();
            prop_assert_eq!(kept.len() + lengths, prompt.len());
            for dialect in Dialect::ALL {
                let _ = notices(dialect, &prompt);
            }
        }
    }
}
