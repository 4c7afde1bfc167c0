//! The denoising UNet: noisy latents, a time and text in; predicted noise (or velocity) out.
//!
//! Rombach et al. 2022, <https://arxiv.org/abs/2112.10752>; names and order as in diffusers'
//! `UNet2DConditionModel`.

use std::collections::HashMap;

use super::resnet::{Norm, resnet};
use crate::config::{DownBlockType, UnetConfig, UpBlockType};
use crate::kernels::gemm::Act;
use crate::plan::{Builder, Conv, Epilogue, Factor, Graph, Outside, Path, Shape, Slice, ValueId, padded};

/// The epsilon of `Transformer2DModel`'s group norm.
const TRANSFORMER_NORM_EPS: f64 = 1e-6;
/// The epsilon of `BasicTransformerBlock`'s layer norms.
const LAYER_NORM_EPS: f64 = 1e-5;

/// The UNet at `root` on `batch` latents of `h` × `w`. Keys and values of the text are inputs, see [`text_keys_values`]: of
/// `tokens` tokens in `texts` rows, each of which as many neighbouring latents share. Inputs are also the residuals of so many
/// control networks, each with its factor for each of the latents.
pub fn unet(
    config: &UnetConfig,
    root: &Path,
    latents: [usize; 3],
    texts: [usize; 2],
    controls: usize,
) -> Graph {
    let [batch, h, w] = latents;
    let mut b = Builder::new("unet");
    let sample = b.input(Outside::Sample, Shape::image(batch, h, w, padded(config.in_channels)));
    let first = config.block_out_channels[0];
    let time = Time::new(&mut b, config, root);
    let mut net = Unet::new(b, config, time, texts, Outside::KeysValues);
    let mut x = net.b.conv2d(
        &root.pp("conv_in"),
        sample,
        config.in_channels,
        first,
        Conv::same(),
        Epilogue::default(),
    );
    x = net.down(root, x);
    x = net.controlled(root, x, controls);
    for block in 0..config.block_out_channels.len() {
        x = net.up_block(&root.pp("up_blocks").pp(block), block, x);
    }
    let mut b = net.b;
    x = b.group_norm(&root.pp("conv_norm_out"), x, None, config.norm_num_groups, config.norm_eps, true);
    x = b.conv2d(&root.pp("conv_out"), x, first, config.out_channels, Conv::same(), Epilogue::default());
    b.output(Outside::Prediction, x);
    b.finish()
}

/// Keys and values of every cross attention, computed once per prompt: the outputs that `outside` counts. The text
/// encoders' states, of these `widths`, are read side by side.
pub fn text_keys_values(
    config: &UnetConfig,
    root: &Path,
    [batch, tokens]: [usize; 2],
    widths: &[usize],
    outside: impl Fn(usize) -> Outside,
) -> Graph {
    let mut b = Builder::new("text keys and values");
    let state = |(index, width): (usize, &usize)| {
        b.input(Outside::Embeddings(index), Shape::tokens(batch, tokens, *width))
    };
    let text: Vec<ValueId> = widths.iter().enumerate().map(state).collect();
    let (Some(&x), x2) = (text.first(), text.get(1).copied()) else { return b.finish() };
    for (index, (path, channels)) in cross_attentions(config, root).into_iter().enumerate() {
        let parts = ["to_k", "to_v"].map(|name| (path.pp(name), channels));
        let kv = b.linear_merged(&path.pp("to_kv"), &parts, x, x2, false);
        b.output(outside(index), kv);
    }
    b.finish()
}

/// Makes where every cross attention looks an output [`Outside::Map`], f32 `[n, h, w, tokens]`. Gives paths and shapes.
pub fn expose_cross_attentions(graph: &mut Graph, config: &UnetConfig, root: &Path) -> Vec<(String, Shape)> {
    let paths = cross_attentions(config, root).into_iter().map(|(path, _)| path.to_string()).enumerate();
    paths
        .filter_map(|(i, path)| graph.expose_attention(&path, Outside::Map(i)).map(|shape| (path, shape)))
        .collect()
}

/// Every cross attention's path and channels.
fn cross_attentions(config: &UnetConfig, root: &Path) -> Vec<(Path, usize)> {
    let widths = &config.block_out_channels;
    let last = widths.len() - 1;
    let mut found = Vec::new();
    // Blocks of one width have the heads, layers and depth of the one on the way down.
    let mut push = |path: Path, layers: usize, block: usize| {
        for layer in 0..layers {
            let transformers = path.pp("attentions").pp(layer).pp("transformer_blocks");
            found.extend((0..config.depth(block)).map(|i| (transformers.pp(i).pp("attn2"), widths[block])));
        }
    };
    for (block, kind) in config.down_block_types.iter().enumerate() {
        let layers = if *kind == DownBlockType::CrossAttnDown { config.layers(block) } else { 0 };
        push(root.pp("down_blocks").pp(block), layers, block);
    }
    if config.mid_block_type.is_some() {
        push(root.pp("mid_block"), 1, last);
    }
    for (block, kind) in config.up_block_types.iter().enumerate() {
        let mirror = last - block;
        let layers = if *kind == UpBlockType::CrossAttnUp { config.layers(mirror) + 1 } else { 0 };
        push(root.pp("up_blocks").pp(block), layers, mirror);
    }
    found
}

/// The time embedding, projected for every residual block at once.
pub(super) struct Time {
    projected: ValueId,
    /// First column of each residual block, by path.
    offsets: HashMap<String, usize>,
}

impl Time {
    pub(super) fn new(b: &mut Builder, config: &UnetConfig, root: &Path) -> Time {
        let embedding = root.pp("time_embedding");
        let input = b.input(Outside::Time, Shape::tokens(1, 1, config.block_out_channels[0]));
        let input = match config.time_cond_proj_dim {
            Some(channels) => {
                let guidance = b.input(Outside::Guidance, Shape::tokens(1, 1, channels));
                let added = Epilogue { residual: Some(input), ..Epilogue::no_bias() };
                b.linear(&embedding.pp("cond_proj"), guidance, config.block_out_channels[0], added)
            }
            None => input,
        };
        let width = config.time_embed_dim();
        let hidden = b.linear(&embedding.pp("linear_1"), input, width, Epilogue::act(Act::Silu));
        // Every block starts with SiLU of the embedding: applied once, here.
        let embedded = b.linear(&embedding.pp("linear_2"), hidden, width, Epilogue::act(Act::Silu));
        let blocks = residual_blocks(config, root);
        let parts: Vec<_> = blocks.iter().map(|(path, c)| (path.pp("time_emb_proj"), *c)).collect();
        let projected = b.linear_merged(&root.pp("time_emb_proj"), &parts, embedded, None, true);
        let mut offsets = HashMap::new();
        let mut offset = 0;
        for (path, channels) in blocks {
            offsets.insert(path.to_string(), offset);
            offset += channels;
        }
        Time { projected, offsets }
    }

    fn of(&self, block: &Path) -> Option<(ValueId, usize)> {
        self.offsets.get(&block.to_string()).map(|offset| (self.projected, *offset))
    }
}

/// Every residual block's path and output channels.
fn residual_blocks(config: &UnetConfig, root: &Path) -> Vec<(Path, usize)> {
    let widths = &config.block_out_channels;
    let last = widths.len() - 1;
    let mut found = Vec::new();
    let mut push = |block: Path, layers: usize, channels: usize| {
        found.extend((0..layers).map(|layer| (block.pp("resnets").pp(layer), channels)));
    };
    for (block, width) in widths.iter().enumerate() {
        push(root.pp("down_blocks").pp(block), config.layers(block), *width);
    }
    if config.mid_block_type.is_some() {
        push(root.pp("mid_block"), 2, widths[last]);
    }
    for block in 0..config.up_block_types.len() {
        push(root.pp("up_blocks").pp(block), config.layers(last - block) + 1, widths[last - block]);
    }
    found
}

/// The UNet under construction.
pub(super) struct Unet<'a> {
    pub b: Builder,
    config: &'a UnetConfig,
    time: Time,
    texts: usize,
    tokens: usize,
    /// What keys and values of the text are called.
    keys_values: Box<dyn Fn(usize) -> Outside>,
    /// Cross attentions so far; they come in the order of [`cross_attentions`].
    attended: usize,
    /// Outputs of the way down that the way up reads, last first.
    pub skips: Vec<ValueId>,
}

impl<'a> Unet<'a> {
    pub fn new(
        b: Builder,
        config: &'a UnetConfig,
        time: Time,
        [texts, tokens]: [usize; 2],
        keys_values: impl Fn(usize) -> Outside + 'static,
    ) -> Unet<'a> {
        let keys_values = Box::new(keys_values);
        Unet { b, config, time, texts, tokens, keys_values, attended: 0, skips: Vec::new() }
    }

    /// From what the first convolution gives through all blocks on the way down and the one at the bottom; what leaves them
    /// on the way is in `skips`.
    pub fn down(&mut self, root: &Path, mut x: ValueId) -> ValueId {
        self.skips.push(x);
        for block in 0..self.config.block_out_channels.len() {
            x = self.down_block(&root.pp("down_blocks").pp(block), block, x);
        }
        if self.config.mid_block_type.is_some() {
            x = self.mid_block(&root.pp("mid_block"), x);
        }
        x
    }

    /// What leaves the bottom, and in `skips` what the way up reads beside it, each with what control networks add to it.
    fn controlled(&mut self, root: &Path, mut x: ValueId, controls: usize) -> ValueId {
        if controls == 0 {
            return x;
        }
        let (images, residuals) = (self.b.shape(x).n, self.skips.len() + 1);
        let count = controls * residuals * images;
        let strengths = self.b.input(Outside::Strengths, Shape::tokens(1, 1, count));
        for control in 0..controls {
            for index in 0..residuals {
                let to = self.skips.get(index).copied().unwrap_or(x);
                let shape = self.b.shape(to);
                let residual = self.b.input(Outside::Residual { control, index }, shape);
                let first = (control * residuals + index) * images;
                let path = root.pp("control").pp(control).pp(index);
                let sum = self.b.add(&path, to, residual, Factor::OfImages(strengths, first));
                *self.skips.get_mut(index).unwrap_or(&mut x) = sum;
            }
        }
        x
    }

    fn down_block(&mut self, path: &Path, block: usize, mut x: ValueId) -> ValueId {
        let channels = self.config.block_out_channels[block];
        for layer in 0..self.config.layers(block) {
            x = self.resnet(&path.pp("resnets").pp(layer), x, None, channels);
            if self.config.down_block_types[block] == DownBlockType::CrossAttnDown {
                x = self.transformer(&path.pp("attentions").pp(layer), x, block);
            }
            self.skips.push(x);
        }
        if block + 1 < self.config.block_out_channels.len() {
            let path = path.pp("downsamplers").pp(0).pp("conv");
            x = self.b.conv2d(&path, x, channels, channels, Conv::downsample(), Epilogue::default());
            self.skips.push(x);
        }
        x
    }

    fn mid_block(&mut self, path: &Path, x: ValueId) -> ValueId {
        let last = self.config.block_out_channels.len() - 1;
        let channels = self.config.block_out_channels[last];
        let x = self.resnet(&path.pp("resnets").pp(0), x, None, channels);
        let x = self.transformer(&path.pp("attentions").pp(0), x, last);
        self.resnet(&path.pp("resnets").pp(1), x, None, channels)
    }

    fn up_block(&mut self, path: &Path, block: usize, mut x: ValueId) -> ValueId {
        let mirror = self.config.block_out_channels.len() - 1 - block;
        let channels = self.config.block_out_channels[mirror];
        for layer in 0..self.config.layers(mirror) + 1 {
            let skip = self.skips.pop();
            x = self.resnet(&path.pp("resnets").pp(layer), x, skip, channels);
            if self.config.up_block_types[block] == UpBlockType::CrossAttnUp {
                x = self.transformer(&path.pp("attentions").pp(layer), x, mirror);
            }
        }
        // The next block's first skip tells the size: odd sizes lost a row or column on the way down.
        if let (true, Some(skip)) = (mirror > 0, self.skips.last()) {
            let size = self.b.shape(*skip);
            let path = path.pp("upsamplers").pp(0).pp("conv");
            x = self.b.conv2d(
                &path,
                x,
                channels,
                channels,
                Conv::upsample(size.h, size.w),
                Epilogue::default(),
            );
        }
        x
    }

    fn resnet(&mut self, path: &Path, x: ValueId, skip: Option<ValueId>, channels: usize) -> ValueId {
        let norm = Norm { groups: self.config.norm_num_groups, eps: self.config.norm_eps };
        let time = self.time.of(path);
        resnet(&mut self.b, path, x, skip, channels, norm, time)
    }

    /// `Transformer2DModel` with the heads and the depth of a block on the way down.
    fn transformer(&mut self, path: &Path, x: ValueId, block: usize) -> ValueId {
        let groups = self.config.norm_num_groups;
        let normed = self.b.group_norm(&path.pp("norm"), x, None, groups, TRANSFORMER_NORM_EPS, false);
        let mut h = self.projection(&path.pp("proj_in"), normed, Epilogue::default());
        for layer in 0..self.config.depth(block) {
            let path = path.pp("transformer_blocks").pp(layer);
            h = self.transformer_layer(&path, h, self.config.heads(block));
        }
        self.projection(&path.pp("proj_out"), h, Epilogue::residual(x))
    }

    /// `BasicTransformerBlock`: self attention, cross attention, feed-forward.
    fn transformer_layer(&mut self, path: &Path, h: ValueId, heads: usize) -> ValueId {
        let channels = self.b.shape(h).c;
        let normed = self.b.layer_norm(&path.pp("norm1"), h, LAYER_NORM_EPS);
        let h = self.self_attention(&path.pp("attn1"), normed, h, heads);
        let normed = self.b.layer_norm(&path.pp("norm2"), h, LAYER_NORM_EPS);
        let h = self.cross_attention(&path.pp("attn2"), normed, h, heads);
        let normed = self.b.layer_norm(&path.pp("norm3"), h, LAYER_NORM_EPS);
        let net = path.pp("ff").pp("net");
        let gated = self.b.geglu(&net.pp(0).pp("proj"), normed, 4 * channels);
        self.b.linear(&net.pp(2), gated, channels, Epilogue::residual(h))
    }

    /// A linear layer in SD 2, a 1×1 convolution in SD 1: the same numbers in another shape.
    fn projection(&mut self, path: &Path, x: ValueId, epilogue: Epilogue) -> ValueId {
        let channels = self.b.shape(x).c;
        if self.config.use_linear_projection {
            self.b.linear(path, x, channels, epilogue)
        } else {
            self.b.conv1x1(path, x, None, channels, epilogue)
        }
    }

    fn self_attention(&mut self, path: &Path, x: ValueId, residual: ValueId, heads: usize) -> ValueId {
        let channels = self.b.shape(x).c;
        let parts = ["to_q", "to_k", "to_v"].map(|name| (path.pp(name), channels));
        let qkv = self.b.linear_merged(&path.pp("to_qkv"), &parts, x, None, false);
        let qkv = [0, 1, 2].map(|i| Slice { value: qkv, offset: i * channels });
        let attended = self.b.attention(path, qkv, heads, channels / heads, (false, None));
        self.b.linear(&path.pp("to_out").pp(0), attended, channels, Epilogue::residual(residual))
    }

    fn cross_attention(&mut self, path: &Path, x: ValueId, residual: ValueId, heads: usize) -> ValueId {
        let channels = self.b.shape(x).c;
        let q = self.b.linear(&path.pp("to_q"), x, channels, Epilogue::no_bias());
        let shape = Shape::tokens(self.texts, self.tokens, 2 * channels);
        let kv = self.b.input((self.keys_values)(self.attended), shape);
        self.attended += 1;
        let qkv = [(q, 0), (kv, 0), (kv, channels)].map(|(value, offset)| Slice { value, offset });
        let attended = self.b.attention(path, qkv, heads, channels / heads, (false, None));
        self.b.linear(&path.pp("to_out").pp(0), attended, channels, Epilogue::residual(residual))
    }
}
