//! LoRAs on the command line: the file is given, its weight stands there or in the prompt, as A1111 has it.

use opengen::image::Parameters;
use opengen::prompt::without_networks;
use opengen::weights::LoraOption;

/// Takes out of a prompt the tags (`<lora:name:0.8>`, or with the text encoder's weight before the UNet's) that name a file
/// that is given, and weighs it by them. Tags of others stay, and are told as left out.
pub fn take(prompt: &str, loras: &mut [LoraOption]) -> String {
    let (_, tags) = without_networks(prompt);
    let mut kept = prompt.to_string();
    for tag in tags {
        let mut parts = tag.trim_matches(['<', '>']).split(':');
        let (kind, name) = (parts.next(), parts.next());
        let found = loras.iter_mut().find(|lora| Some(lora.name().as_str()) == name.map(str::trim));
        let (Some("lora" | "lyco"), Some(lora)) = (kind, found) else { continue };
        let weights: Vec<f64> = parts.map_while(|weight| weight.trim().parse().ok()).collect();
        lora.text = weights.first().copied().unwrap_or(1.0);
        lora.unet = weights.get(1).copied().unwrap_or(lora.text);
        kept = kept.replacen(tag, "", 1);
    }
    kept.trim().to_string()
}

/// Writes into a picture's settings what was merged into its model: tags in the prompt, and the hashes by which A1111 knows
/// files.
pub fn tell(merged: &[(&LoraOption, String, String)], parameters: &mut Parameters) {
    if merged.is_empty() {
        return;
    }
    for (LoraOption { unet, text, .. }, name, _) in merged {
        let weights = if unet == text { unet.to_string() } else { format!("{text}:{unet}") };
        parameters.prompt += &format!(" <lora:{name}:{weights}>");
    }
    let hashes: Vec<String> = merged.iter().map(|(_, name, hash)| format!("{name}: {hash}")).collect();
    parameters.fields.push(("Lora hashes".to_string(), hashes.join(", ")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_weigh_the_files_that_are_given() {
        let mut loras = ["a/shiny.safetensors", "b.safetensors:0.3"].map(|text| text.parse().unwrap());
        let kept = take("an apple <lora:shiny:0.5:0.8>, red <lora:b><lora:other:1>", &mut loras);
        assert_eq!(kept, "an apple , red <lora:other:1>");
        assert_eq!(loras.each_ref().map(|lora| (lora.unet, lora.text)), [(0.8, 0.5), (1.0, 1.0)]);
    }
}
