//! The tiny autoencoder (TAESD): a distilled, much cheaper decoder and encoder for the same latents.
//!
//! <https://github.com/madebyollin/taesd>; names as in diffusers' `AutoencoderTiny`, whose layers are a numbered
//! sequence in which activations and upsamplings count.

use crate::config::TaesdConfig;
use crate::kernels::gemm::Act;
use crate::plan::{Builder, Conv, Convert, ElemKind, Epilogue, Graph, Outside, Path, Shape, ValueId, padded};

/// What a decoder reads and what it gives.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// Scaled latents, f32 `[batch, h, w, latent_channels]`.
    pub latents: Outside,
    /// The picture in [-1, 1], where it is wanted.
    pub image: Option<Outside>,
    pub rgba: Outside,
}

impl Ends {
    /// Of a model's own decoder.
    pub const PICTURE: Ends =
        Ends { latents: Outside::Latents, image: Some(Outside::Image), rgba: Outside::Rgba };
    /// Of one that shows how far a run is.
    pub const PREVIEW: Ends = Ends { latents: Outside::Denoised, image: None, rgba: Outside::Preview };
}

/// Latents of `h` × `w` to pictures; its weights hang at `root`.
pub fn decoder(config: &TaesdConfig, root: &Path, ends: Ends, batch: usize, h: usize, w: usize) -> Graph {
    let mut b = Builder::new("taesd decoder");
    let mut layers = Layers { path: root.pp("decoder").pp("layers"), next: 0 };
    let mut latents = b.input(ends.latents, Shape::image(batch, h, w, config.latent_channels));
    if config.scaling_factor != 1.0 {
        let unscale = Convert::Affine { scale: (1.0 / config.scaling_factor) as f32, shift: 0.0 };
        latents = b.convert("unscale latents", latents, config.latent_channels, ElemKind::F32, unscale);
    }
    let clamped =
        b.convert("clamp latents", latents, config.latent_channels, ElemKind::Activation, Convert::TanhClamp);
    let widths = &config.decoder_block_out_channels;
    let relu = Epilogue::act(Act::Relu);
    let mut x = b.conv2d(&layers.take(2), clamped, config.latent_channels, widths[0], Conv::same(), relu);
    for (stage, (blocks, width)) in config.num_decoder_blocks.iter().zip(widths).enumerate() {
        for _ in 0..*blocks {
            x = block(&mut b, &layers.take(1), x, *width);
        }
        if stage + 1 == widths.len() {
            x = b.conv2d(&layers.take(1), x, *width, config.out_channels, Conv::same(), Epilogue::default());
        } else {
            layers.take(1); // the upsampling, fused into the convolution after it
            let Shape { h, w, .. } = b.shape(x);
            let conv = Conv::upsample(2 * h, 2 * w);
            x = b.conv2d(&layers.take(1), x, *width, *width, conv, Epilogue::no_bias());
        }
    }
    let channels = b.shape(x).c;
    let image = Convert::Affine { scale: 2.0, shift: -1.0 };
    let x = b.convert("to [-1, 1]", x, channels, ElemKind::Activation, image);
    if let Some(image) = ends.image {
        b.output(image, x);
    }
    let rgba = b.rgba(x);
    b.output(ends.rgba, rgba);
    b.finish()
}

/// Pictures of `h` × `w` to latents, unscaled; its weights hang at `root`.
pub fn encoder(config: &TaesdConfig, root: &Path, batch: usize, h: usize, w: usize) -> Graph {
    let mut b = Builder::new("taesd encoder");
    let mut layers = Layers { path: root.pp("encoder").pp("layers"), next: 0 };
    let inputs = padded(config.in_channels);
    let pixels = b.input(Outside::Pixels, Shape::image(batch, h, w, inputs));
    let unit = Convert::Affine { scale: 0.5, shift: 0.5 };
    let mut x = b.convert("to [0, 1]", pixels, inputs, ElemKind::Activation, unit);
    let widths = &config.encoder_block_out_channels;
    for (stage, (blocks, width)) in config.num_encoder_blocks.iter().zip(widths).enumerate() {
        x = if stage == 0 {
            b.conv2d(&layers.take(1), x, config.in_channels, *width, Conv::same(), Epilogue::default())
        } else {
            b.conv2d(&layers.take(1), x, *width, *width, Conv::downsample(), Epilogue::no_bias())
        };
        for _ in 0..*blocks {
            x = block(&mut b, &layers.take(1), x, *width);
        }
    }
    let last = b.shape(x).c;
    x = b.conv2d(&layers.take(1), x, last, config.latent_channels, Conv::same(), Epilogue::default());
    let same = Convert::Affine { scale: 1.0, shift: 0.0 };
    let out = b.convert("latents", x, config.latent_channels, ElemKind::F32, same);
    b.output(Outside::Encoded, out);
    b.finish()
}

/// Three convolutions with ReLU around a skip connection: diffusers' `AutoencoderTinyBlock`.
fn block(b: &mut Builder, path: &Path, x: ValueId, width: usize) -> ValueId {
    let conv = path.pp("conv");
    let relu = Epilogue::act(Act::Relu);
    let h = b.conv2d(&conv.pp(0), x, width, width, Conv::same(), relu);
    let h = b.conv2d(&conv.pp(2), h, width, width, Conv::same(), relu);
    let fuse = Epilogue { act: Act::Relu, act_last: true, residual: Some(x), ..Epilogue::default() };
    b.conv2d(&conv.pp(4), h, width, width, Conv::same(), fuse)
}

/// Counts through the numbered sequence.
struct Layers {
    path: Path,
    next: usize,
}

impl Layers {
    /// The path of the next layer; `count` numbers are used up by it and what follows without weights.
    fn take(&mut self, count: usize) -> Path {
        let path = self.path.pp(self.next);
        self.next += count;
        path
    }
}
