//! LoRAs on the command line: the file is given, its weight stands there or in the prompt, as A1111 has it.

use opengen::pipeline::networks;
use opengen::prompt::lora_tags;
use opengen::weights::LoraOption;

/// Takes out of a prompt the tags (`<lora:name:0.8>`) that name a file that is given, and weighs it by them. Tags of others
/// stay, and are told as left out.
pub fn take(prompt: &str, loras: &mut [LoraOption]) -> String {
    for tag in lora_tags(prompt) {
        if let Some(lora) = loras.iter_mut().find(|lora| lora.name() == tag.name) {
            lora.strength = networks::strength(&tag);
        }
    }
    networks::without(prompt, |name| loras.iter().any(|lora| lora.name() == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_weigh_the_files_that_are_given() {
        let mut loras = ["a/shiny.safetensors", "b.safetensors:0.3"].map(|text| text.parse().unwrap());
        let kept = take("an apple <lora:shiny:0.5:0.8>, red <lora:b><lora:other:1>", &mut loras);
        assert_eq!(kept, "an apple , red <lora:other:1>");
        assert_eq!(
            loras.each_ref().map(|lora| (lora.strength.unet, lora.strength.text)),
            [(0.8, 0.5), (1.0, 1.0)]
        );
    }
}
