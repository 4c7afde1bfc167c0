//! A ControlNet: a UNet's way down once more, steered by a map, whose every output is added to the UNet's own.
//!
//! Zhang, Rao and Agrawala 2023, <https://arxiv.org/abs/2302.05543>; names and order as in diffusers' `ControlNetModel`. A map
//! becomes a hint once; at each evaluation the network makes residuals of the hint and of what the denoiser reads, which the
//! denoiser's graph adds by factors that the host may change ([`Outside::Strengths`]). So the factors need no new plan, and a
//! network whose factors are all 0 need not run.

use super::unet::{self, Time, Unet};
use crate::config::ControlNetConfig;
use crate::kernels::gemm::Act;
use crate::plan::{Builder, Conv, Convert, ElemKind, Epilogue, Factor, Graph, Outside, Path, Shape, padded};

/// What tells the graphs of one control network from those of others in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Counted in the run: what goes in and out is named by it.
    pub control: usize,
    /// Which of the model's ControlNets it is.
    pub model: usize,
}

impl Slot {
    fn root(self) -> Path {
        Path::root(&ControlNetConfig::root(self.model))
    }
}

/// The map, [`Outside::ControlMap`] of `scale` times `h` × `w` pixels, as [`Outside::Hint`] of the latents' size:
/// diffusers' `ControlNetConditioningEmbedding`.
pub fn hint(config: &ControlNetConfig, slot: Slot, [h, w]: [usize; 2]) -> Graph {
    let mut b = Builder::new("control map");
    let path = slot.root().pp("controlnet_cond_embedding");
    let (scale, inputs) = (config.scale(), padded(config.conditioning_channels));
    let map = Shape::image(1, scale * h, scale * w, inputs);
    let map = b.input(Outside::ControlMap(slot.control), map);
    let same = Convert::Affine { scale: 1.0, shift: 0.0 };
    let mut x = b.convert("map", map, inputs, ElemKind::Activation, same);
    let widths = &config.conditioning_embedding_out_channels;
    let silu = || Epilogue::act(Act::Silu);
    let conv_in = path.pp("conv_in");
    x = b.conv2d(&conv_in, x, config.conditioning_channels, widths[0], Conv::same(), silu());
    for (i, pair) in widths.windows(2).enumerate() {
        let blocks = path.pp("blocks");
        x = b.conv2d(&blocks.pp(2 * i), x, pair[0], pair[0], Conv::same(), silu());
        x = b.conv2d(&blocks.pp(2 * i + 1), x, pair[0], pair[1], Conv::downsample(), silu());
    }
    let (last, first) = (widths[widths.len() - 1], config.unet.block_out_channels[0]);
    x = b.conv2d(&path.pp("conv_out"), x, last, first, Conv::same(), Epilogue::default());
    b.output(Outside::Hint(slot.control), x);
    b.finish()
}

/// Keys and values of every cross attention, as [`unet::text_keys_values`].
pub fn text_keys_values(config: &ControlNetConfig, slot: Slot, texts: [usize; 2], widths: &[usize]) -> Graph {
    let outside = |index| Outside::ControlKeysValues { control: slot.control, index };
    unet::text_keys_values(&config.unet, &slot.root(), texts, widths, outside)
}

/// The network on the denoiser's input `[batch, h, w]` of so many channels, the first of which are the latents': from
/// [`Outside::Sample`], [`Outside::Time`], [`Outside::Hint`] and [`text_keys_values`] to every [`Outside::Residual`].
pub fn controlnet(
    config: &ControlNetConfig,
    slot: Slot,
    latents: [usize; 3],
    channels: usize,
    texts: [usize; 2],
) -> Graph {
    let ([batch, h, w], root, control) = (latents, slot.root(), slot.control);
    let mut b = Builder::new("controlnet");
    let mut x = b.input(Outside::Sample, Shape::image(batch, h, w, padded(channels)));
    let (inputs, first) = (config.unet.in_channels, config.unet.block_out_channels[0]);
    if padded(channels) != padded(inputs) {
        // A model for inpainting reads a mask and a picture behind them.
        let same = Convert::Affine { scale: 1.0, shift: 0.0 };
        x = b.convert("latents alone", x, padded(inputs), ElemKind::Activation, same);
    }
    let time = Time::new(&mut b, &config.unet, &root);
    let keys_values = move |index| Outside::ControlKeysValues { control, index };
    let mut net = Unet::new(b, &config.unet, time, texts, keys_values);
    x = net.b.conv2d(&root.pp("conv_in"), x, inputs, first, Conv::same(), Epilogue::default());
    let hint = net.b.input(Outside::Hint(control), Shape::image(1, h, w, first));
    x = net.b.add(&root.pp("hint"), x, hint, Factor::Constant(1.0));
    x = net.down(&root, x);

    // Convolutions that training began at zero.
    let Unet { mut b, skips, .. } = net;
    let down = (0..skips.len()).map(|index| root.pp("controlnet_down_blocks").pp(index));
    let paths = down.chain([root.pp("controlnet_mid_block")]);
    for (index, (path, x)) in paths.zip(skips.into_iter().chain([x])).enumerate() {
        let width = b.shape(x).c;
        let residual = b.conv1x1(&path, x, None, width, Epilogue::default());
        b.output(Outside::Residual { control, index }, residual);
    }
    b.finish()
}
