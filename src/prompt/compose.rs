//! A1111's `AND`: several prompts drawn into one picture, each by its weight (Liu et al. 2022,
//! <https://arxiv.org/abs/2206.01714>).

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    pub text: String,
    /// By which what it adds to the picture without a prompt is multiplied; 1 where none is said.
    pub weight: f64,
}

/// The prompts between the words `AND`. Where one ends in a colon and a number, that is its weight, also where it is alone.
pub fn components(prompt: &str) -> Vec<Component> {
    const AND: &str = "AND";
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut texts = Vec::new();
    let mut from = 0;
    for (at, _) in prompt.match_indices(AND) {
        let to = at + AND.len();
        if !prompt[..at].ends_with(word) && !prompt[to..].starts_with(word) {
            texts.push(&prompt[from..at]);
            from = to;
        }
    }
    texts.push(&prompt[from..]);
    texts.into_iter().map(weighed).collect()
}

fn weighed(text: &str) -> Component {
    let split = text.trim_end().rsplit_once(':');
    let weight = split.and_then(|(_, number)| weight(number.trim_start()));
    match split.zip(weight) {
        Some(((text, _), weight)) => Component { text: text.trim_end().to_string(), weight },
        None => Component { text: text.to_string(), weight: 1.0 },
    }
}

/// `[+-]`, digits with or without a point among them; no exponent.
fn weight(number: &str) -> Option<f64> {
    /// As far as weights of words go.
    const MOST: f64 = 1000.0;
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    let plain = digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    let value: f64 =
        (plain && digits.contains(|c: char| c.is_ascii_digit())).then(|| number.parse().ok())??;
    Some(value.clamp(-MOST, MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_a1111() {
        let show = |prompt: &str| {
            let show = |component: Component| format!("{}={}", component.text, component.weight);
            components(prompt).into_iter().map(show).collect::<Vec<_>>().join("|")
        };
        for (prompt, expected) in [
            ("a cat", "a cat=1"),
            ("a cat AND a dog", "a cat =1| a dog=1"),
            ("a cat :1.2 AND a dog : -.5 AND sky", "a cat=1.2| a dog=-0.5| sky=1"),
            ("SAND and BRAND_AND AND_x", "SAND and BRAND_AND AND_x=1"),
            ("(AND)", "(=1|)=1"),
            ("AND", "=1|=1"),
            ("one\nAND\ntwo :2\n", "one\n=1|\ntwo=2"),
            // A1111 takes these for weights too.
            ("16:9", "16=9"),
            ("a:1.", "a=1"),
            ("a:b:0.5", "a:b=0.5"),
            ("(a:1.2)", "(a:1.2)=1"),
            ("a:1e3", "a:1e3=1"),
            ("a: ", "a: =1"),
            ("a:+-1", "a:+-1=1"),
            ("a:1.2.3", "a:1.2.3=1"),
            ("a:.", "a:.=1"),
            ("a:99999999", "a=1000"),
            ("", "=1"),
        ] {
            assert_eq!(show(prompt), expected, "{prompt:?}");
        }
    }
}
