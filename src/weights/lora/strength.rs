//! How much of a network is merged.

use super::During;

/// How much of a network's change is added; 1 is as trained, 0 nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Strength {
    /// Of the UNet's change.
    pub unet: f64,
    /// Of the text encoder's.
    pub text: f64,
    /// Beside these, that of each block: of the text encoder, of the twelve on the way down, of the middle, of the twelve on the
    /// way up. Empty: 1 each.
    pub blocks: Vec<f64>,
    /// When its change of the UNet counts.
    pub during: During,
}

impl Strength {
    /// Of both alike.
    pub fn of(both: f64) -> Strength {
        Strength { unet: both, text: both, blocks: Vec::new(), during: During::default() }
    }

    /// The same in one step of a run of so many: nothing of the UNet's where it does not count.
    pub fn in_step(&self, i: usize, steps: usize) -> Strength {
        let unet = if self.during.holds(i, steps) { self.unet } else { 0.0 };
        Strength { unet, during: During::default(), ..self.clone() }
    }

    /// Of what changes a tensor of that canonical name.
    pub fn at(&self, tensor: &str) -> f64 {
        let is_text = tensor.starts_with("text_encoder");
        let block = if is_text { Some(0) } else { block_of(tensor) };
        let share = block.and_then(|block| self.blocks.get(block)).copied().unwrap_or(1.0);
        share * if is_text { self.text } else { self.unet }
    }

    /// As a tag has it behind the name: `0.8`, `0.5:0.8` (text encoder, UNet), the blocks, and when.
    pub fn tag(&self) -> String {
        let Strength { unet, text, blocks, during } = self;
        let both = if unet == text { unet.to_string() } else { format!("{text}:{unet}") };
        match blocks.as_slice() {
            [] => format!("{both}{during}"),
            blocks => {
                let list: Vec<String> = blocks.iter().map(f64::to_string).collect();
                format!("{both}:lbw={}{during}", list.join(","))
            }
        }
    }
}

/// The place of a UNet's tensor among the twenty-six.
fn block_of(tensor: &str) -> Option<usize> {
    let path = tensor.strip_prefix("unet.")?;
    let number = |text: &str| text.split('.').next()?.parse::<usize>().ok();
    // Two layers a block on the way down and then the way to the next, three on the way up.
    let layer = |rest: &str| {
        let (_, inner) = rest.split_once('.')?;
        let (kind, inner) = inner.split_once('.')?;
        match kind {
            "downsamplers" | "upsamplers" => Some(2),
            _ => number(inner),
        }
    };
    let place =
        |first: usize, rest: &str| Some(first + 3 * number(rest)? + layer(rest)?).filter(|at| *at < 26);
    if let Some(rest) = path.strip_prefix("down_blocks.") {
        return place(2, rest);
    }
    if let Some(rest) = path.strip_prefix("up_blocks.") {
        return place(14, rest);
    }
    match path {
        path if path.starts_with("conv_in.") => Some(1),
        path if path.starts_with("mid_block.") => Some(13),
        _ => None,
    }
}

/// A LoRA's file, and how much of it is merged.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug, Clone, PartialEq)]
pub struct LoraOption {
    pub path: std::path::PathBuf,
    pub strength: Strength,
}

#[cfg(not(target_arch = "wasm32"))]
impl LoraOption {
    /// What a prompt calls it: the file's name without its ending.
    pub fn name(&self) -> String {
        self.path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
    }

    /// Reads its file.
    pub fn open(&self) -> crate::Result<super::Asked> {
        let file = std::rc::Rc::new(super::LoraFile::open(&self.name(), &self.path)?);
        Ok(super::Asked { file, strength: self.strength.clone() })
    }
}

/// A LoRA's file and weights: `FILE`, `FILE:0.8`, `FILE:0.8:0.5` (UNet, then text encoder).
#[cfg(not(target_arch = "wasm32"))]
impl std::str::FromStr for LoraOption {
    type Err = crate::Error;

    fn from_str(text: &str) -> crate::Result<LoraOption> {
        let mut path = text;
        let mut weights = Vec::new();
        while let Some((before, last)) = path.rsplit_once(':')
            && let Ok(weight) = last.parse::<f64>()
            && weights.len() < 2
        {
            if !weight.is_finite() {
                let message = format!("weighs by {last}, which is no number");
                return Err(crate::Error::InvalidInput { field: "lora", message });
            }
            weights.insert(0, weight);
            path = before;
        }
        let unet = weights.first().copied().unwrap_or(1.0);
        let text = weights.get(1).copied().unwrap_or(unet);
        let strength = Strength { text, ..Strength::of(unet) };
        Ok(LoraOption { path: std::path::PathBuf::from(path), strength })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_stand_behind_the_file() {
        let option = |path: &str, unet, text| LoraOption {
            path: path.into(),
            strength: Strength { text, ..Strength::of(unet) },
        };
        for (text, expected) in [
            ("a.safetensors", option("a.safetensors", 1.0, 1.0)),
            ("a.safetensors:0.8", option("a.safetensors", 0.8, 0.8)),
            ("a.safetensors:-0.5:0", option("a.safetensors", -0.5, 0.0)),
            ("C:\\loras\\a.safetensors:2", option("C:\\loras\\a.safetensors", 2.0, 2.0)),
        ] {
            assert_eq!(text.parse::<LoraOption>().unwrap(), expected, "{text}");
        }
        assert!("a:inf".parse::<LoraOption>().is_err());
    }

    /// As the blocks of the original code are numbered: <https://github.com/CompVis/stable-diffusion>.
    #[test]
    fn each_block_has_its_weight() {
        let strength = Strength { text: 3.0, blocks: (0..26).map(f64::from).collect(), ..Strength::of(2.0) };
        for (name, expected) in [
            ("text_encoder.text_model.encoder.layers.3.mlp.fc1.weight", 0.0),
            ("unet.conv_in.weight", 2.0),
            ("unet.down_blocks.0.attentions.0.proj_in.weight", 4.0),
            ("unet.down_blocks.0.downsamplers.0.conv.weight", 8.0),
            ("unet.down_blocks.3.resnets.1.conv1.weight", 24.0),
            ("unet.mid_block.attentions.0.proj_in.weight", 26.0),
            ("unet.up_blocks.0.resnets.0.conv1.weight", 28.0),
            ("unet.up_blocks.0.upsamplers.0.conv.weight", 32.0),
            ("unet.up_blocks.3.attentions.2.proj_out.weight", 50.0),
            ("unet.time_embedding.linear_1.weight", 2.0),
        ] {
            assert_eq!(strength.at(name), expected, "{name}");
        }
    }
}
