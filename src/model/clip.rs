//! The CLIP text encoder: token ids to hidden states.
//!
//! Radford et al. 2021, <https://arxiv.org/abs/2103.00020>; layer names as in transformers' `CLIPTextModel`.

use crate::config::{Activation, ClipTextConfig};
use crate::kernels::gemm::Act;
use crate::plan::{Builder, Epilogue, Graph, Outside, Path, Shape, Slice, ValueId};

/// How a run reads its texts: what a text encoder's graph depends on beside its sizes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reads {
    /// Last layers that are left out (1: the penultimate hidden state is read).
    pub skipped: usize,
    /// Vectors of the run's own beside the table of tokens.
    pub vectors: usize,
    /// Some tokens are hidden from the others.
    pub hides: bool,
}

/// The encoder at `root` over `batch` chunks of `max_position_embeddings` tokens; its states are the output `states`.
///
/// Without some last layers the final norm still applies. Of the run's own vectors an id with the highest bit names one.
pub fn text_encoder(
    config: &ClipTextConfig,
    root: &Path,
    states: Outside,
    batch: usize,
    reads: Reads,
) -> Graph {
    let Reads { skipped, vectors, hides } = reads;
    let mut b = Builder::new("text encoder");
    let root = root.pp("text_model");
    let mut x = embeddings(&mut b, config, &root, (batch, vectors));
    let hidden =
        hides.then(|| b.input(Outside::Hidden, Shape::tokens(batch, config.max_position_embeddings, 1)));
    for layer in 0..config.num_hidden_layers.saturating_sub(skipped) {
        x = encoder_layer(&mut b, config, &root.pp("encoder").pp("layers").pp(layer), (x, hidden));
    }
    let out = b.layer_norm(&root.pp("final_layer_norm"), x, config.layer_norm_eps);
    b.output(states, out);
    b.finish()
}

/// What the encoder's first layer reads, as the output `states`.
#[cfg(feature = "train")]
pub fn embedded(config: &ClipTextConfig, root: &Path, states: Outside, rows: (usize, usize)) -> Graph {
    let mut b = Builder::new("text embeddings");
    let x = embeddings(&mut b, config, &root.pp("text_model"), rows);
    b.output(states, x);
    b.finish()
}

/// Tokens of `batch` chunks, and so many vectors of the run's own, to embeddings with positions.
fn embeddings(
    b: &mut Builder,
    config: &ClipTextConfig,
    root: &Path,
    (batch, vectors): (usize, usize),
) -> ValueId {
    let (vocab, positions, hidden) = (config.vocab_size, config.max_position_embeddings, config.hidden_size);
    let tokens = b.input(Outside::Tokens, Shape::tokens(batch, positions, 1));
    let own = (vectors > 0).then(|| b.input(Outside::Vectors, Shape::tokens(1, vectors, hidden)));
    b.embed(&root.pp("embeddings"), (tokens, own), [vocab, positions, hidden])
}

fn encoder_layer(
    b: &mut Builder,
    config: &ClipTextConfig,
    path: &Path,
    (x, hides): (ValueId, Option<ValueId>),
) -> ValueId {
    let hidden = config.hidden_size;
    let attn = path.pp("self_attn");
    let normed = b.layer_norm(&path.pp("layer_norm1"), x, config.layer_norm_eps);
    let parts = ["q_proj", "k_proj", "v_proj"].map(|name| (attn.pp(name), hidden));
    let qkv = b.linear_merged(&attn.pp("qkv_proj"), &parts, normed, None, true);
    let qkv = [0, 1, 2].map(|i| Slice { value: qkv, offset: i * hidden });
    let attended = b.attention(&attn, qkv, config.num_attention_heads, config.head_dim(), (true, hides));
    let x = b.linear(&attn.pp("out_proj"), attended, hidden, Epilogue::residual(x));

    let normed = b.layer_norm(&path.pp("layer_norm2"), x, config.layer_norm_eps);
    let act = match config.hidden_act {
        Activation::QuickGelu => Act::QuickGelu,
        Activation::Gelu => Act::Gelu,
    };
    let inner = b.linear(&path.pp("mlp").pp("fc1"), normed, config.intermediate_size, Epilogue::act(act));
    b.linear(&path.pp("mlp").pp("fc2"), inner, hidden, Epilogue::residual(x))
}
