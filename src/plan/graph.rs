//! The graph: values with static shapes and the ops between them, before anything is placed in memory.

use super::outside::Outside;
#[cfg(feature = "train")]
use super::train::TrainOp;
use super::weight::WeightDecl;
use crate::kernels::gemm::Act;
use crate::kernels::{Circular, add};

/// The shape of a value. Token sequences are `[n, 1, tokens, c]`; `c` is padded to a multiple of 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub n: usize,
    pub h: usize,
    pub w: usize,
    pub c: usize,
}

impl Shape {
    /// A picture or a map of latents, `[n, h, w, c]`.
    pub fn image(n: usize, h: usize, w: usize, c: usize) -> Shape {
        Shape { n, h, w, c }
    }

    /// A sequence of tokens, `[n, tokens, c]`.
    pub fn tokens(n: usize, tokens: usize, c: usize) -> Shape {
        Shape { n, h: 1, w: tokens, c }
    }

    /// Pictures, height, width and channels.
    pub fn size(&self) -> [usize; 4] {
        [self.n, self.h, self.w, self.c]
    }

    /// Rows of the matrix this value is to a linear layer: all but the channels.
    pub fn rows(&self) -> u64 {
        self.n as u64 * self.h as u64 * self.w as u64
    }

    /// Number of elements. Sizes are counted in 64 bits everywhere: the browser's `usize` has 32, which the work and the
    /// bytes of real models pass.
    pub fn len(&self) -> u64 {
        self.rows() * self.c as u64
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same value with another channel count.
    pub fn with_channels(self, c: usize) -> Shape {
        Shape { c, ..self }
    }
}

/// What one element of a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElemKind {
    /// An activation: f32 or f16, as the adapter allows.
    Activation,
    /// Always f32: latents, sampler state.
    F32,
    /// Token ids, packed pixels.
    U32,
}

/// Index of a value in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub(crate) usize);

impl ValueId {
    /// Its place in [`Graph::values`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// Index of a weight declaration in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WeightId(pub(crate) usize);

impl WeightId {
    /// Its place in [`Graph::weights`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// A tensor that flows through a graph.
#[derive(Debug, Clone)]
pub struct Value {
    pub shape: Shape,
    pub elem: ElemKind,
    /// What it is outside the graph (inputs, outputs, state); `None` for intermediates.
    pub external: Option<Outside>,
}

/// A convolution's geometry; `None` in [`Op::Gemm`] means a linear layer or a 1×1 convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    pub kernel: usize,
    pub stride: usize,
    pub pad_top: usize,
    pub pad_left: usize,
    /// Rows of the (enlarged) input above the first that is read: 0 but in a band of rows.
    pub skip_top: usize,
    /// The input is read as if first enlarged (nearest neighbour) to this height and width: twice its own, or
    /// one less where the matching skip connection has an odd size.
    pub upsample: Option<(usize, usize)>,
    /// Along which axes it is padded with the other end of the map instead of zeros.
    pub circular: Circular,
}

/// Which part of a layer an op computes: by default all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Section {
    /// The layer's input channel that is the operand's first.
    pub input: usize,
    /// The layer's output channel that is the output's first.
    pub output: usize,
}

/// Columns of a merged tensor that attention reads as queries, keys or values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    pub value: ValueId,
    /// First column.
    pub offset: usize,
}

/// Elementwise conversions at the border of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Convert {
    /// `x · scale + shift`.
    Affine { scale: f32, shift: f32 },
    /// `tanh(x / 3) · 3`, the clamp in front of TAESD's decoder.
    TanhClamp,
}

/// How much the second map of a sum counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Factor {
    Constant(f32),
    /// A value that holds a factor for each image, f32, and where the first image's is. Where it is 0, the map is not read.
    OfImages(ValueId, usize),
}

impl Factor {
    /// What holds the factors.
    pub fn value(self) -> Option<ValueId> {
        match self {
            Factor::Constant(_) => None,
            Factor::OfImages(value, _) => Some(value),
        }
    }

    /// What the kernel is told of a sum of maps of these shapes.
    pub fn params(self, x: Shape, y: Shape) -> add::Params {
        let params = add::Params::new(x.len(), [x.n, y.n]);
        match self {
            Factor::Constant(factor) => add::Params { factor, ..params },
            Factor::OfImages(_, first) => add::Params { first: first as u32, ..params },
        }
    }
}

/// One operation. Operands are listed in the op so that nothing depends on their order elsewhere.
#[derive(Debug, Clone)]
pub enum Op {
    /// `out = act(x · Wᵀ + bias + time) + residual`, or with `act_last` the activation after the residual.
    Gemm(Gemm),
    GroupNorm(GroupNorm),
    LayerNorm {
        x: ValueId,
        gamma: WeightId,
        beta: WeightId,
        eps: f32,
    },
    /// Softmax(q kᵀ · scale) v per head; k and v may be longer than q, and have fewer rows, each of which as many
    /// neighbouring rows of q share. A key is not seen where `hidden`, u32 `[n, keys]`, is not 0.
    Attention {
        q: Slice,
        k: Slice,
        v: Slice,
        heads: usize,
        head_dim: usize,
        causal: bool,
        hidden: Option<ValueId>,
    },
    /// Where an attention of the same operands looks: its probabilities, the mean over the heads, `[n, h, w, keys]`.
    AttentionMap {
        q: Slice,
        k: Slice,
        heads: usize,
        head_dim: usize,
    },
    /// Token and position embeddings added.
    Embed {
        tokens: ValueId,
        /// Rows that ids with the highest bit name.
        own: Option<ValueId>,
        table: WeightId,
        positions: WeightId,
    },
    /// Elementwise; also picks the first channels of `x` when the output has fewer.
    Convert {
        x: ValueId,
        convert: Convert,
    },
    /// Groups of `factor²` channels become that many pixels: PyTorch's `pixel_shuffle` into three channels, padded to four.
    /// `base`, of four channels and the size of `x`, is added, enlarged by its nearest pixels.
    PixelShuffle {
        x: ValueId,
        base: Option<ValueId>,
        factor: usize,
    },
    /// The other way round, from the first three channels of `x`: PyTorch's `pixel_unshuffle`.
    PixelUnshuffle {
        x: ValueId,
        factor: usize,
    },
    /// `out = x + factor · y`, where `y` may be of one image for all.
    Add {
        x: ValueId,
        y: ValueId,
        factor: Factor,
    },
    /// Decoder output in [-1, 1] to packed RGBA8.
    Rgba {
        x: ValueId,
    },
    /// What only learning needs.
    #[cfg(feature = "train")]
    Train(TrainOp),
}

impl Op {
    /// The values it reads, some of them perhaps twice; what it changes in place is its node's output.
    pub fn reads(&self) -> impl Iterator<Item = ValueId> + use<> {
        #[cfg(feature = "train")]
        let more = if let Op::Train(op) = self { op.reads() } else { Vec::new() };
        #[cfg(not(feature = "train"))]
        let more = Vec::new();
        let read = match self {
            #[cfg(feature = "train")]
            Op::Train(_) => [None; 4],
            Op::Gemm(op) => [Some(op.x), op.x2, op.time.map(|(value, _)| value), op.residual],
            Op::GroupNorm(op) => [Some(op.x), op.x2, None, None],
            Op::LayerNorm { x, .. }
            | Op::Convert { x, .. }
            | Op::PixelUnshuffle { x, .. }
            | Op::Rgba { x } => [Some(*x), None, None, None],
            Op::PixelShuffle { x, base, .. } => [Some(*x), *base, None, None],
            Op::Attention { q, k, v, hidden, .. } => [Some(q.value), Some(k.value), Some(v.value), *hidden],
            Op::AttentionMap { q, k, .. } => [Some(q.value), Some(k.value), None, None],
            Op::Embed { tokens, own, .. } => [Some(*tokens), *own, None, None],
            Op::Add { x, y, factor } => [Some(*x), Some(*y), factor.value(), None],
        };
        read.into_iter().flatten().chain(more)
    }
}

/// The operands of [`Op::Gemm`].
#[derive(Debug, Clone)]
pub struct Gemm {
    pub x: ValueId,
    /// Second source of channels (concatenation); linear only.
    pub x2: Option<ValueId>,
    pub weight: WeightId,
    pub bias: Option<WeightId>,
    pub conv: Option<Conv>,
    pub act: Act,
    /// Of [`Act::Prelu`], `[outputs]`.
    pub slope: Option<WeightId>,
    pub act_last: bool,
    /// Columns alternate value and gate; half as many come out.
    pub geglu: bool,
    /// The merged time projection and this layer's first column in it.
    pub time: Option<(ValueId, usize)>,
    pub residual: Option<ValueId>,
    /// Channels of the layer in `x` and in the output.
    pub section: Section,
    /// Adds to the output, which an earlier op has written, instead of writing it.
    pub accumulate: bool,
    /// The layer's matrix the other way, from its outputs to its inputs, kernels turned by half: as gradients go.
    pub transposed: bool,
}

/// The operands of [`Op::GroupNorm`]. In place when the output is `x`.
#[derive(Debug, Clone, Copy)]
pub struct GroupNorm {
    pub x: ValueId,
    /// Second source of channels (concatenation).
    pub x2: Option<ValueId>,
    pub gamma: WeightId,
    pub beta: WeightId,
    /// Groups of the output's channels.
    pub groups: usize,
    pub eps: f32,
    pub silu: bool,
    /// The first channel of `x` that is read.
    pub first: usize,
    /// Which of the layer's channels that is.
    pub channel: usize,
}

/// An op, where it came from and what it writes. A value is written by one op, which later ones may only change in
/// place: accumulate into it or normalise it.
#[derive(Debug, Clone)]
pub struct Node {
    /// The module path it computes, as in the checkpoint; with the channels where it computes a section.
    pub path: String,
    pub op: Op,
    pub output: ValueId,
}

/// A model (or a stage of one) at fixed sizes.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    pub name: String,
    pub values: Vec<Value>,
    pub weights: Vec<WeightDecl>,
    pub nodes: Vec<Node>,
}

impl Graph {
    /// The shape of a value.
    pub fn shape(&self, id: ValueId) -> Shape {
        self.values[id.0].shape
    }

    /// Makes what the module at `path` computes the output `outside`; its shape, or `None` without such a module.
    pub fn expose(&mut self, path: &str, outside: Outside) -> Option<Shape> {
        let output = self.nodes.iter().find(|node| node.path == path)?.output;
        self.values[output.0].external = Some(outside);
        Some(self.shape(output))
    }

    /// The same network with maps that go on at their other end along some axes, so that its pictures are tiles without seams:
    /// diffusers' with `padding_mode` circular in every `Conv2d`. What pads its map by itself, with zeros, does so here too (the
    /// halving convolutions of AutoencoderKL's encoder).
    pub fn circular(mut self, circular: Circular) -> Graph {
        for node in &mut self.nodes {
            if let Op::Gemm(Gemm { conv: Some(conv), .. }) = &mut node.op
                && conv.pad_top > 0
            {
                conv.circular = circular;
            }
        }
        self
    }

    /// Adds the output `outside`: where the attention at `path` looks, f32 `[n, h, w, keys]`. Its shape, or `None`
    /// without such an attention.
    pub fn expose_attention(&mut self, path: &str, outside: Outside) -> Option<Shape> {
        let attends = |node: &Node| node.path == path && matches!(node.op, Op::Attention { .. });
        let at = self.nodes.iter().position(attends)?;
        let Op::Attention { q, k, heads, head_dim, .. } = self.nodes[at].op else { return None };
        let keys = self.shape(k.value);
        let shape = self.shape(q.value).with_channels(keys.h * keys.w);
        self.values.push(Value { shape, elem: ElemKind::F32, external: Some(outside) });
        let output = ValueId(self.values.len() - 1);
        let op = Op::AttentionMap { q, k, heads, head_dim };
        self.nodes.insert(at + 1, Node { path: format!("{path}.map"), op, output });
        Some(shape)
    }
}
