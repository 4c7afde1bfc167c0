//! What lives outside the graphs: their inputs, their outputs and the state between them. This is all of it.

use std::fmt;

use super::graph::ElemKind;

/// A value by which graphs and plans are connected with each other and with the host. Two that name the same one share
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outside {
    /// Token ids, u32 `[rows, tokens]`.
    Tokens,
    /// Tokens that no other sees (1), u32 `[rows, tokens]`.
    Hidden,
    /// Vectors of embeddings that are in no table of a text encoder, f32 `[vectors, hidden_size]`.
    Vectors,
    /// The hidden states of a text encoder, counted in the model's order, `[rows, tokens, hidden_size]`.
    Embeddings(usize),
    /// Keys and values of a cross attention, counted in the order of the UNet, `[rows, tokens, 2 · channels]`.
    KeysValues(usize),
    /// The same of a control network, counted in the run.
    ControlKeysValues {
        control: usize,
        index: usize,
    },
    /// Keys and values of one of several texts that take turns, behind the first, whose are where one alone has them.
    WaitingKeysValues {
        text: usize,
        index: usize,
    },
    /// The same of a control network.
    WaitingControlKeysValues {
        text: usize,
        control: usize,
        index: usize,
    },
    /// Where an attention looks, f32 `[n, h, w, keys]`; cross attentions are counted as their keys and values are.
    Map(usize),
    /// The UNet's input, `[n, h, w, in_channels]`.
    Sample,
    /// The sinusoidal time embedding, `[1, 1, block_out_channels[0]]`.
    Time,
    /// The embedding of the guidance scale, `[1, 1, time_cond_proj_dim]`, where a UNet follows it by itself.
    Guidance,
    /// The UNet's noise (or velocity), `[n, h, w, out_channels]`.
    Prediction,
    /// Noisy latents, scaled, f32 `[batch, h, w, latent_channels]`: the sampler's state and the decoder's input.
    Latents,
    /// The map of a control network, f32 `[1, H, W, channels]` in [0, 1], -1 where it is left open.
    ControlMap(usize),
    /// What becomes of it, once for each map, `[1, h, w, block_out_channels[0]]`.
    Hint(usize),
    /// What a control network adds to a skip connection of the UNet, counted on the way down, and last to its mid block,
    /// `[n, h, w, channels]`.
    Residual {
        control: usize,
        index: usize,
    },
    /// By which factors: f32 `[controls, residuals, n]`.
    Strengths,
    /// What the sampler keeps from evaluation to evaluation: as many values as it has use for, each like the latents.
    History,
    /// The estimate of the clean latents, like the latents.
    Denoised,
    /// Fresh noise of an ancestral step, like the latents.
    Noise,
    /// What is kept of a picture of which only a part is drawn anew, at the noise level of the evaluation that follows, like
    /// the latents.
    Kept,
    /// What counts where, f32 `[masks, batch, h, w]`: first which part that is, where there is one (1 is drawn anew, 0 is kept),
    /// then how much each prompt counts, where several are drawn into one picture.
    Masks,
    /// What the preview makes of each latent channel, f32 `[c + 1, 4]`.
    Colours,
    /// The preview, u32 `[h, w]`; `[H, W]` where a tiny decoder makes it.
    Preview,
    /// A decoder's picture in [-1, 1], `[n, H, W, 4]`, the fourth channel unused.
    Image,
    /// The same as RGBA8, u32 `[n, H, W]`.
    Rgba,
    /// A picture for an encoder in [-1, 1], f32 `[n, H, W, 4]`, the fourth channel zero.
    Pixels,
    /// AutoencoderKL's means and log variances, unscaled, `[n, h, w, 2 · latent_channels]`.
    Moments,
    /// The tiny autoencoder's latents, f32 `[n, h, w, latent_channels]`.
    Encoded,
    /// Of what is learnt, counted in the graph, f32: even numbers are a low-rank pair's `[rank, columns]`, odd ones its
    /// `[outputs, rank]`; behind all pairs the vectors of a new word, `[vectors, hidden_size]`.
    Trained(usize),
    /// On a device: all of it, its gradients, and what the optimizer remembers of each value, packed one behind the other.
    AllTrained,
    AllGradients,
    GradientMeans,
    GradientSquares,
    /// Of which the length of all gradients is made, f32 `[64]`.
    SquareSums,
    /// The gradient of what has the same number, of the same shape, added up.
    Gradient(usize),
    /// What a denoiser that learns should have said, f32, like its prediction.
    Target,
    /// By what its error is multiplied at every place, f32, like its prediction.
    LossWeights,
    /// A value read from the middle of a model.
    Seam,
    /// An operand, f32, of a plan that is no model's, in binding order.
    Operand(usize),
}

impl Outside {
    /// Where keys and values are of a text that takes turns with others, counted from 1 behind the first; `None` for any other value.
    pub fn waiting(self, text: usize) -> Option<Outside> {
        match self {
            Outside::KeysValues(index) => Some(Outside::WaitingKeysValues { text, index }),
            Outside::ControlKeysValues { control, index } => {
                Some(Outside::WaitingControlKeysValues { text, control, index })
            }
            _ => None,
        }
    }

    /// What its elements are.
    pub fn kind(self) -> ElemKind {
        use Outside::*;
        match self {
            Tokens | Hidden | Preview | Rgba => ElemKind::U32,
            Vectors | Map(_) | ControlMap(_) | Strengths | Latents | History | Denoised | Noise | Kept
            | Masks | Colours | Pixels | Encoded | Trained(_) | Gradient(_) | Target | LossWeights
            | AllTrained | AllGradients | GradientMeans | GradientSquares | SquareSums | Operand(_) => {
                ElemKind::F32
            }
            Embeddings(_)
            | KeysValues(_)
            | ControlKeysValues { .. }
            | WaitingKeysValues { .. }
            | WaitingControlKeysValues { .. }
            | Hint(_)
            | Residual { .. }
            | Sample
            | Time
            | Guidance
            | Prediction
            | Image
            | Moments
            | Seam => ElemKind::Activation,
        }
    }
}

impl fmt::Display for Outside {
    /// As it is called in printed plans, in errors and in a debugger's list of buffers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Outside::Tokens => "text.tokens",
            Outside::Hidden => "text.hidden",
            Outside::Vectors => "text.vectors",
            Outside::Embeddings(0) => "text.embeddings",
            Outside::Embeddings(index) => return write!(f, "text.embeddings.{index}"),
            Outside::KeysValues(index) => return write!(f, "text.keys_values.{index}"),
            Outside::ControlKeysValues { control, index } => {
                return write!(f, "control.{control}.keys_values.{index}");
            }
            Outside::WaitingKeysValues { text, index } => {
                return write!(f, "text.{text}.keys_values.{index}");
            }
            Outside::WaitingControlKeysValues { text, control, index } => {
                return write!(f, "text.{text}.control.{control}.keys_values.{index}");
            }
            Outside::ControlMap(control) => return write!(f, "control.{control}.map"),
            Outside::Hint(control) => return write!(f, "control.{control}.hint"),
            Outside::Residual { control, index } => return write!(f, "control.{control}.residual.{index}"),
            Outside::Strengths => "control.strengths",
            Outside::Map(index) => return write!(f, "unet.map.{index}"),
            Outside::Sample => "unet.sample",
            Outside::Time => "unet.time",
            Outside::Guidance => "unet.guidance",
            Outside::Prediction => "unet.output",
            Outside::Latents => "sampler.latents",
            Outside::History => "sampler.history",
            Outside::Denoised => "sampler.denoised",
            Outside::Noise => "sampler.noise",
            Outside::Kept => "sampler.kept",
            Outside::Masks => "sampler.masks",
            Outside::Colours => "preview.colours",
            Outside::Preview => "preview.rgba",
            Outside::Image => "vae.image",
            Outside::Rgba => "vae.rgba",
            Outside::Pixels => "vae.pixels",
            Outside::Moments => "vae.moments",
            Outside::Encoded => "taesd.latents",
            Outside::Trained(index) => return write!(f, "train.value.{index}"),
            Outside::Gradient(index) => return write!(f, "train.gradient.{index}"),
            Outside::AllTrained => "train.values",
            Outside::AllGradients => "train.gradients",
            Outside::GradientMeans => "train.gradient_means",
            Outside::GradientSquares => "train.gradient_squares",
            Outside::SquareSums => "train.square_sums",
            Outside::Target => "train.target",
            Outside::LossWeights => "train.loss_weights",
            Outside::Seam => "seam",
            Outside::Operand(index) => return write!(f, "operand.{index}"),
        };
        f.write_str(name)
    }
}
