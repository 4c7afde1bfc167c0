//! Networks that are merged into a model, as a prompt names them and as a picture's settings tell of them.

use crate::error::Result;
use crate::image::Parameters;
use crate::prompt::{LoraTag, lora_tags};
use crate::weights::{During, Merged, Moment, Strength};

/// The field of a picture's settings by which A1111 knows files again.
pub(super) const HASHES: &str = "Lora hashes";

/// How much a tag asks for.
pub fn strength(tag: &LoraTag) -> Strength {
    let [text, unet] = tag.weights;
    let [start, end] = tag.span.map(|number| number.and_then(Moment::of));
    Strength { unet, text, blocks: tag.blocks.clone(), during: During { start, end } }
}

/// A prompt without the tags of networks that are `known` by name.
pub fn without(prompt: &str, known: impl Fn(&str) -> bool) -> String {
    let mut kept = prompt.to_string();
    for tag in lora_tags(prompt).iter().filter(|tag| known(&tag.name)) {
        kept = kept.replacen(&tag.text, "", 1);
    }
    kept.trim().to_string()
}

/// Writes into a picture's settings what was merged into its model: tags in the prompt, and the files' hashes.
pub fn tell(merged: &Merged, parameters: &mut Parameters) -> Result<()> {
    if merged.is_empty() {
        return Ok(());
    }
    let (mut tags, mut hashes) = (String::new(), Vec::new());
    for (name, strength, hash) in merged.hashes()? {
        tags += &format!(" <lora:{name}:{}>", strength.tag());
        hashes.push(format!("{name}: {hash}"));
    }
    append(&mut parameters.prompt, &tags);
    parameters.fields.push((HASHES.to_string(), hashes.join(", ")));
    Ok(())
}

/// Puts tags behind a prompt, on a line of their own where a comment would hide them.
fn append(prompt: &mut String, tags: &str) {
    if prompt.lines().last().is_some_and(|line| line.contains('#')) {
        prompt.push('\n');
    }
    *prompt += tags;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::without_comments;

    #[test]
    fn tags_are_read_behind_every_prompt() {
        for prompt in ["", "an apple", "# fruit", "an apple # red", "# fruit\nan apple"] {
            let mut told = prompt.to_string();
            append(&mut told, " <lora:a:1> <lora:b:0.5>");
            assert_eq!(lora_tags(&without_comments(&told)).len(), 2, "{told:?}");
            assert_eq!(without(&told, |_| true), prompt, "{told:?}");
        }
    }
}
