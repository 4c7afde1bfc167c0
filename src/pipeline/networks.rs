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
    let mut hashes = Vec::new();
    for (name, strength, hash) in merged.hashes()? {
        parameters.prompt += &format!(" <lora:{name}:{}>", strength.tag());
        hashes.push(format!("{name}: {hash}"));
    }
    parameters.fields.push((HASHES.to_string(), hashes.join(", ")));
    Ok(())
}
