//! What UNet and autoencoder are built of; names as in diffusers' checkpoints.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use super::attention::{Looks, Part, attention};
use super::layers::{Conv, GroupNorm, LayerNorm, Linear, Window, channels, geglu};

/// The epsilon of `Transformer2DModel`'s group norm.
const TRANSFORMER_NORM_EPS: f64 = 1e-6;
/// The epsilon of `BasicTransformerBlock`'s layer norms.
const LAYER_NORM_EPS: f64 = 1e-5;

/// How a network normalises its maps.
#[derive(Clone, Copy)]
pub struct Norm {
    pub groups: usize,
    pub eps: f64,
}

impl Norm {
    /// The norm of a path, with the SiLU that follows it.
    pub fn silu(self, weights: &VarBuilder, channels: usize) -> Result<GroupNorm> {
        GroupNorm::new(weights, channels, self.groups, self.eps, true)
    }

    /// The norm of a path alone.
    pub fn plain(self, weights: &VarBuilder, channels: usize) -> Result<GroupNorm> {
        GroupNorm::new(weights, channels, self.groups, self.eps, false)
    }
}

/// `ResnetBlock2D`: two convolutions around a shortcut; in the UNet the time shifts what is between them.
pub struct Resnet {
    norm1: GroupNorm,
    conv1: Conv,
    time: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv,
    shortcut: Option<Linear>,
}

impl Resnet {
    /// Reads the block at a path; `time` is the width of the time embedding, where there is one.
    pub fn new(
        weights: &VarBuilder,
        [input, output]: [usize; 2],
        norm: Norm,
        time: Option<usize>,
    ) -> Result<Resnet> {
        let time = time.map(|width| Linear::new(&weights.pp("time_emb_proj"), width, output));
        let shortcut = (input != output).then(|| Linear::new(&weights.pp("conv_shortcut"), input, output));
        Ok(Resnet {
            norm1: norm.silu(&weights.pp("norm1"), input)?,
            conv1: Conv::new(&weights.pp("conv1"), input, output, Window::SAME)?,
            time: time.transpose()?,
            norm2: norm.silu(&weights.pp("norm2"), output)?,
            conv2: Conv::new(&weights.pp("conv2"), output, output, Window::SAME)?,
            shortcut: shortcut.transpose()?,
        })
    }

    /// `[N, H, W, in]` to `[N, H, W, out]`; `time` is the embedding after its SiLU, `[1, width]`.
    pub fn forward(&self, x: &Tensor, time: Option<&Tensor>) -> Result<Tensor> {
        let h = self.norm1.forward(x)?;
        let h = match (&self.time, time) {
            (Some(project), Some(time)) => self.conv1.forward_shifted(&h, &project.forward(time)?)?,
            _ => self.conv1.forward(&h)?,
        };
        let h = self.norm2.forward(&h)?;
        match &self.shortcut {
            Some(shortcut) => self.conv2.forward_onto(&h, &shortcut.forward(x)?),
            None => self.conv2.forward_onto(&h, x),
        }
    }
}

/// Where one cross attention looked: probabilities `[N, H, W, tokens]`, the mean over its heads.
pub struct LayerLooks {
    /// The module's path, such as `mid_block.attentions.0.transformer_blocks.0.attn2`.
    pub layer: String,
    pub h: usize,
    pub w: usize,
    /// Tokens that could be looked at.
    pub keys: usize,
    pub looks: Looks,
}

/// `Transformer2DModel` with one `BasicTransformerBlock`: self attention, cross attention, feed-forward.
pub struct Transformer {
    path: String,
    heads: usize,
    norm: GroupNorm,
    proj_in: Linear,
    norms: [LayerNorm; 3],
    self_qkv: Linear,
    self_out: Linear,
    cross_q: Linear,
    cross_kv: Linear,
    cross_out: Linear,
    feed: [Linear; 2],
    proj_out: Linear,
}

impl Transformer {
    /// Reads the block at a path; `text` is the width of the text's embeddings.
    pub fn new(
        weights: &VarBuilder,
        c: usize,
        heads: usize,
        groups: usize,
        text: usize,
    ) -> Result<Transformer> {
        let block = weights.pp("transformer_blocks.0");
        let (own, cross) = (block.pp("attn1"), block.pp("attn2"));
        let norm = |name: &str| LayerNorm::new(&block.pp(name), c, LAYER_NORM_EPS);
        Ok(Transformer {
            path: cross.prefix(),
            heads,
            norm: Norm { groups, eps: TRANSFORMER_NORM_EPS }.plain(&weights.pp("norm"), c)?,
            proj_in: Linear::new(&weights.pp("proj_in"), c, c)?,
            norms: [norm("norm1")?, norm("norm2")?, norm("norm3")?],
            self_qkv: Linear::merged(&["to_q", "to_k", "to_v"].map(|name| own.pp(name)), c, c)?,
            self_out: Linear::new(&own.pp("to_out.0"), c, c)?,
            cross_q: Linear::new(&cross.pp("to_q"), c, c)?,
            cross_kv: Linear::merged(&["to_k", "to_v"].map(|name| cross.pp(name)), text, c)?,
            cross_out: Linear::new(&cross.pp("to_out.0"), c, c)?,
            feed: [
                Linear::new(&block.pp("ff.net.0.proj"), c, 8 * c)?,
                Linear::new(&block.pp("ff.net.2"), 4 * c, c)?,
            ],
            proj_out: Linear::new(&weights.pp("proj_out"), c, c)?,
        })
    }

    /// `[N, H, W, C]` under the text's embeddings `[N, tokens, text]`. With `maps`, where it looked is put there.
    pub fn forward(&self, x: &Tensor, text: &Tensor, maps: Option<&mut Vec<LayerLooks>>) -> Result<Tensor> {
        let (n, h, w, c) = x.dims4()?;
        let tokens = x.reshape((n, h * w, c))?;
        let y = self.proj_in.forward(&self.norm.forward(&tokens)?)?;

        let qkv = self.self_qkv.forward(&self.norms[0].forward(&y)?)?;
        let qkv = [0, c, 2 * c].map(|column| Part { tokens: &qkv, column });
        let y = self.self_out.forward_onto(&attention(qkv, c, self.heads, None)?, &y)?;

        let q = self.cross_q.forward(&self.norms[1].forward(&y)?)?;
        let kv = self.cross_kv.forward(text)?;
        let parts = [(&q, 0), (&kv, 0), (&kv, c)].map(|(tokens, column)| Part { tokens, column });
        let attended = match maps {
            None => attention(parts, c, self.heads, None)?,
            Some(maps) => {
                let mut looks = Looks::new();
                let attended = attention(parts, c, self.heads, Some(&mut looks))?;
                maps.push(LayerLooks { layer: self.path.clone(), h, w, keys: text.dim(1)?, looks });
                attended
            }
        };
        let y = self.cross_out.forward_onto(&attended, &y)?;

        let hidden = geglu(&self.feed[0].forward(&self.norms[2].forward(&y)?)?)?;
        let y = self.feed[1].forward_onto(&hidden, &y)?;
        self.proj_out.forward_onto(&y, &tokens)?.reshape((n, h, w, c))
    }
}

/// The autoencoder's attention over all pixels, in one head.
pub struct PixelAttention {
    norm: GroupNorm,
    qkv: Linear,
    out: Linear,
}

impl PixelAttention {
    /// Reads the block at a path.
    pub fn new(weights: &VarBuilder, c: usize, norm: Norm) -> Result<PixelAttention> {
        Ok(PixelAttention {
            norm: norm.plain(&weights.pp("group_norm"), c)?,
            qkv: Linear::merged(&["to_q", "to_k", "to_v"].map(|name| weights.pp(name)), c, c)?,
            out: Linear::new(&weights.pp("to_out.0"), c, c)?,
        })
    }

    /// `[N, H, W, C]` to the same.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (n, h, w, _) = x.dims4()?;
        let c = channels(x)?;
        let tokens = x.reshape((n, h * w, c))?;
        let qkv = self.qkv.forward(&self.norm.forward(&tokens)?)?;
        let qkv = [0, c, 2 * c].map(|column| Part { tokens: &qkv, column });
        self.out.forward_onto(&attention(qkv, c, 1, None)?, &tokens)?.reshape((n, h, w, c))
    }
}
