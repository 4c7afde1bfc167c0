//! Tags of a prompt that name networks to be merged, as A1111 and its extensions have them.

use super::without_networks;

/// How many weights a list of blocks has (A1111's extension LoRA Block Weight): of those with a transformer, or of all.
const BLOCKS: [usize; 2] = [17, 26];

/// Of those seventeen, the places among the twenty-six.
const WITH_TRANSFORMER: [usize; 17] = [0, 2, 3, 5, 6, 8, 9, 13, 17, 18, 19, 20, 21, 22, 23, 24, 25];

/// A tag of a prompt that names a network: `<lora:name:0.8>`.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraTag {
    /// As it stands in the prompt.
    pub text: String,
    pub name: String,
    /// Of the text encoder's change, and of the UNet's.
    pub weights: [f64; 2],
    /// Beside these, that of each of 26 blocks: of the text encoder, of the twelve on the way down, of the middle, of the twelve
    /// on the way up. Empty: 1 each.
    pub blocks: Vec<f64>,
    /// When it begins and when it ends to count, each a step or, below 1, a share of the steps; to be checked.
    pub span: [Option<f64>; 2],
}

/// A prompt without the tags of networks that are no LoRAs.
pub fn without_other_networks(prompt: &str) -> String {
    let (_, tags) = without_networks(prompt);
    let others = tags.into_iter().filter(|tag| LoraTag::of(tag).is_none());
    others.fold(prompt.to_string(), |kept, tag| kept.replacen(tag, "", 1))
}

/// The tags of a prompt that name LoRAs (`<lora:name>`, `<lora:name:0.8>`, `<lora:name:0.5:0.8>` with the text encoder's
/// weight first, `te=`, `unet=`, `lbw=`, `start=`, `stop=` and `step=4-8` by name, and `<lyco:…>`), in their order.
pub fn lora_tags(prompt: &str) -> Vec<LoraTag> {
    let (_, tags) = without_networks(prompt);
    tags.into_iter().filter_map(LoraTag::of).collect()
}

impl LoraTag {
    fn of(tag: &str) -> Option<LoraTag> {
        let mut parts = tag.strip_prefix('<')?.strip_suffix('>')?.split(':');
        let (kind, name) = (parts.next()?, parts.next()?.trim());
        if !matches!(kind, "lora" | "lyco") || name.is_empty() {
            return None;
        }
        let (mut plain, mut named, mut blocks, mut span) = (Vec::new(), [None; 2], Vec::new(), [None; 2]);
        let weight = |text: &str| text.trim().parse::<f64>().ok().filter(|weight| weight.is_finite());
        for part in parts {
            match part.split_once('=') {
                Some(("te", value)) => named[0] = weight(value),
                Some(("unet", value)) => named[1] = weight(value),
                Some(("start", value)) => span[0] = weight(value),
                Some(("stop", value)) => span[1] = weight(value),
                Some(("step", both)) => {
                    if let Some((start, stop)) = both.split_once('-') {
                        span = [weight(start), weight(stop)];
                    }
                }
                Some(("lbw", list)) => blocks = blocks_of(list).unwrap_or_default(),
                Some(_) => {}
                None => plain.extend(weight(part)),
            }
        }
        let text = named[0].or(plain.first().copied()).unwrap_or(1.0);
        let unet = named[1].or(plain.get(1).copied()).unwrap_or(text);
        Some(LoraTag { text: tag.to_string(), name: name.to_string(), weights: [text, unet], blocks, span })
    }
}

/// Lists that LoRA Block Weight has names for: the text encoder, then inputs, middle and outputs that have transformers.
const PRESETS: [(&str, &str); 10] = [
    ("NONE", "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"),
    ("ALL", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"),
    ("INS", "1,1,1,1,0,0,0,0,0,0,0,0,0,0,0,0,0"),
    ("IND", "1,0,0,0,1,1,1,0,0,0,0,0,0,0,0,0,0"),
    ("INALL", "1,1,1,1,1,1,1,0,0,0,0,0,0,0,0,0,0"),
    ("MIDD", "1,0,0,0,1,1,1,1,1,1,1,1,0,0,0,0,0"),
    ("OUTD", "1,0,0,0,0,0,0,0,1,1,1,1,0,0,0,0,0"),
    ("OUTS", "1,0,0,0,0,0,0,0,0,0,0,0,1,1,1,1,1"),
    ("OUTALL", "1,0,0,0,0,0,0,0,1,1,1,1,1,1,1,1,1"),
    ("ALL0.5", "0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5"),
];

/// A list of 17 or 26 weights, or the name of one, as 26.
fn blocks_of(list: &str) -> Option<Vec<f64>> {
    let named = PRESETS.iter().find(|(name, _)| *name == list.trim());
    let list = named.map_or(list, |(_, weights)| *weights);
    let weights: Vec<f64> =
        list.split(',').map(|weight| weight.trim().parse().ok()).collect::<Option<Vec<f64>>>()?;
    let finite = weights.iter().all(|weight| weight.is_finite());
    match weights.len() {
        len if !finite || !BLOCKS.contains(&len) => None,
        17 => {
            let mut all = vec![0.0; 26];
            WITH_TRANSFORMER.iter().zip(weights).for_each(|(at, weight)| all[*at] = weight);
            Some(all)
        }
        _ => Some(weights),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_name_networks_and_weigh_them() {
        let seventeen = "lbw=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17";
        let prompt = format!(
            "an apple <lora:shiny:0.5:0.8>, <lyco: round > red <hypernet:x:1><lora::2><lora:b:te=0:{seventeen}>"
        );
        let tags = lora_tags(&prompt);
        let told: Vec<(&str, f64, f64)> =
            tags.iter().map(|tag| (tag.name.as_str(), tag.weights[0], tag.weights[1])).collect();
        assert_eq!(told, [("shiny", 0.5, 0.8), ("round", 1.0, 1.0), ("b", 0.0, 0.0)]);
        let blocks = &tags[2].blocks;
        assert_eq!(
            (blocks.len(), blocks[0], blocks[1], blocks[2], blocks[13], blocks[25]),
            (26, 1.0, 0.0, 2.0, 8.0, 17.0)
        );
        for (name, weights) in PRESETS {
            let [named, listed] =
                [name, weights].map(|list| lora_tags(&format!("<lora:a:1:lbw={list}>")).remove(0));
            assert_eq!((named.blocks.len(), &named.blocks), (26, &listed.blocks), "{name}");
        }
        let spans: Vec<_> = lora_tags("<lora:a:1:start=4:stop=0.8><lora:b:step=5-10><lora:c:stop=x>")
            .into_iter()
            .map(|tag| tag.span)
            .collect();
        assert_eq!(spans, [[Some(4.0), Some(0.8)], [Some(5.0), Some(10.0)], [None; 2]]);
        assert!(lora_tags("<lora:a:1:lbw=1,2,3>")[0].blocks.is_empty());
    }
}
