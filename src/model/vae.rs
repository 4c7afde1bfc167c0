//! The autoencoder: latents to pictures and back.
//!
//! Kingma and Welling 2013, <https://arxiv.org/abs/1312.6114>; names and order as in diffusers' `AutoencoderKL`.

use super::resnet::Norm;
use super::streamed::{Input, Streamed, Whole};
use crate::config::VaeConfig;
use crate::plan::{
    Builder, Conv, Convert, ElemKind, Epilogue, Graph, Outside, Path, Shape, Slice, ValueId, padded,
};

/// The epsilon of `AutoencoderKL`'s norms.
const NORM_EPS: f64 = 1e-6;

/// Latents of `h` × `w` to pictures; maps that do not stay whole are computed in slices of channels.
pub fn decoder(config: &VaeConfig, root: &Path, [batch, h, w]: [usize; 3], whole: Whole) -> Graph {
    let whole = whole.elements(batch * h * w * config.scale() * config.scale());
    let mut b = Builder::new("vae decoder");
    let path = root.pp("decoder");
    let streamed = Streamed { norm: Norm { groups: config.norm_num_groups, eps: NORM_EPS }, whole };
    let latents = b.input(Outside::Latents, Shape::image(batch, h, w, config.latent_channels));
    let unscale = Convert::Affine { scale: (1.0 / config.scaling_factor) as f32, shift: 0.0 };
    let x = b.convert("unscale latents", latents, config.latent_channels, ElemKind::Activation, unscale);
    let x = b.conv1x1(&root.pp("post_quant_conv"), x, None, config.latent_channels, Epilogue::default());

    let widths: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
    let conv_in = path.pp("conv_in");
    let mut x = b.conv2d(&conv_in, x, config.latent_channels, widths[0], Conv::same(), Epilogue::default());
    x = mid_block(&mut b, &path.pp("mid_block"), x, streamed);
    let mut upsampler: Option<Path> = None;
    for (block, width) in widths.iter().enumerate() {
        let path = path.pp("up_blocks").pp(block);
        for layer in 0..config.layers_per_block + 1 {
            let input = match upsampler.take() {
                Some(conv) => Input::Upsampled { map: x, conv },
                None => Input::Map(x),
            };
            x = streamed.resnet(&mut b, &path.pp("resnets").pp(layer), input, *width);
        }
        upsampler = Some(path.pp("upsamplers").pp(0).pp("conv"));
    }
    let ends = [path.pp("conv_norm_out"), path.pp("conv_out")];
    x = streamed.norm_conv(&mut b, ends.each_ref(), x, config.out_channels);
    b.output(Outside::Image, x);
    let rgba = b.rgba(x);
    b.output(Outside::Rgba, rgba);
    b.finish()
}

/// Pictures of `h` × `w` to the moments of their latents; see [`decoder`].
pub fn encoder(config: &VaeConfig, root: &Path, [batch, h, w]: [usize; 3], whole: Whole) -> Graph {
    let whole = whole.elements(batch * h * w);
    let mut b = Builder::new("vae encoder");
    let path = root.pp("encoder");
    let streamed = Streamed { norm: Norm { groups: config.norm_num_groups, eps: NORM_EPS }, whole };
    let pixels = b.input(Outside::Pixels, Shape::image(batch, h, w, padded(config.in_channels)));
    let same = Convert::Affine { scale: 1.0, shift: 0.0 };
    let x = b.convert("pixels", pixels, padded(config.in_channels), ElemKind::Activation, same);

    let widths = &config.block_out_channels;
    let conv_in = path.pp("conv_in");
    let mut x = b.conv2d(&conv_in, x, config.in_channels, widths[0], Conv::same(), Epilogue::default());
    for (block, width) in widths.iter().enumerate() {
        let path = path.pp("down_blocks").pp(block);
        for layer in 0..config.layers_per_block {
            x = streamed.resnet(&mut b, &path.pp("resnets").pp(layer), Input::Map(x), *width);
        }
        if block + 1 < widths.len() {
            let path = path.pp("downsamplers").pp(0).pp("conv");
            x = b.conv2d(&path, x, *width, *width, Conv::downsample_asymmetric(), Epilogue::default());
        }
    }
    x = mid_block(&mut b, &path.pp("mid_block"), x, streamed);
    let moments = 2 * config.latent_channels;
    let ends = [path.pp("conv_norm_out"), path.pp("conv_out")];
    x = streamed.norm_conv(&mut b, ends.each_ref(), x, moments);
    x = b.conv1x1(&root.pp("quant_conv"), x, None, moments, Epilogue::default());
    b.output(Outside::Moments, x);
    b.finish()
}

/// Residual block, one-headed attention over all pixels, residual block.
fn mid_block(b: &mut Builder, path: &Path, x: ValueId, streamed: Streamed) -> ValueId {
    let channels = b.shape(x).c;
    let norm = streamed.norm;
    let x = streamed.resnet(b, &path.pp("resnets").pp(0), Input::Map(x), channels);
    let attn = path.pp("attentions").pp(0);
    let normed = b.group_norm(&attn.pp("group_norm"), x, None, norm.groups, norm.eps, false);
    let parts = ["to_q", "to_k", "to_v"].map(|name| (attn.pp(name), channels));
    let qkv = b.linear_merged(&attn.pp("to_qkv"), &parts, normed, None, true);
    let qkv = [0, 1, 2].map(|i| Slice { value: qkv, offset: i * channels });
    let attended = b.attention(&attn, qkv, 1, channels, (false, None));
    let x = b.linear(&attn.pp("to_out").pp(0), attended, channels, Epilogue::residual(x));
    streamed.resnet(b, &path.pp("resnets").pp(1), Input::Map(x), channels)
}
