//! The builder: model code writes layers by weight path, as in diffusers; shapes are worked out here.

use std::fmt;

use super::graph::{
    Conv, Convert, ElemKind, Factor, Gemm, Graph, GroupNorm, Node, Op, Section, Shape, Slice, Value, ValueId,
    WeightId,
};
use super::outside::Outside;
use super::weight::{Part, WeightDecl, WeightKind};
use crate::kernels::Circular;
use crate::kernels::gemm::Act;

mod sections;

pub use sections::{ConvLayer, NormLayer};

/// A position in the checkpoint's tree of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// The root of a component, such as `unet`.
    pub fn root(component: &str) -> Path {
        Path(component.to_string())
    }

    /// A child: `path.pp("down_blocks").pp(0)`.
    pub fn pp(&self, segment: impl fmt::Display) -> Path {
        Path(format!("{}.{segment}", self.0))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a linear layer or convolution does with its sums before they are written.
#[derive(Debug, Clone, Copy)]
pub struct Epilogue {
    pub bias: bool,
    pub act: Act,
    /// Of [`Act::Prelu`], as [`Builder::slopes`] declares them.
    pub slope: Option<WeightId>,
    pub act_last: bool,
    pub residual: Option<ValueId>,
    pub time: Option<(ValueId, usize)>,
}

impl Default for Epilogue {
    fn default() -> Self {
        Epilogue { bias: true, act: Act::None, slope: None, act_last: false, residual: None, time: None }
    }
}

impl Epilogue {
    /// No bias, nothing else.
    pub fn no_bias() -> Self {
        Epilogue { bias: false, ..Default::default() }
    }

    /// An activation after the bias.
    pub fn act(act: Act) -> Self {
        Epilogue { act, ..Default::default() }
    }

    /// A residual added last.
    pub fn residual(value: ValueId) -> Self {
        Epilogue { residual: Some(value), ..Default::default() }
    }
}

/// Channel counts as they are stored: rounded up to a multiple of 4.
pub fn padded(channels: usize) -> usize {
    channels.next_multiple_of(4)
}

/// Builds a [`Graph`] layer by layer.
#[derive(Debug, Default)]
pub struct Builder {
    graph: Graph,
}

impl Builder {
    /// An empty graph; `name` is the stage's name in printed plans.
    pub fn new(name: &str) -> Builder {
        Builder { graph: Graph { name: name.to_string(), ..Default::default() } }
    }

    /// The finished graph.
    pub fn finish(self) -> Graph {
        self.graph
    }

    /// A value that lives outside the arena and is filled before the plan runs.
    pub fn input(&mut self, outside: Outside, shape: Shape) -> ValueId {
        self.value(shape, outside.kind(), Some(outside))
    }

    /// The shape of a value.
    pub fn shape(&self, id: ValueId) -> Shape {
        self.graph.shape(id)
    }

    /// Makes an intermediate an output that outlives the plan.
    pub fn output(&mut self, outside: Outside, id: ValueId) {
        self.graph.values[id.0].external = Some(outside);
    }

    /// A linear layer (or 1×1 convolution): `weight` is `[outputs, inputs]` at `path`.
    pub fn linear(&mut self, path: &Path, x: ValueId, outputs: usize, epilogue: Epilogue) -> ValueId {
        let k = self.shape(x).c;
        let weight = self.matrix(path, vec![(path.pp("weight"), vec![outputs, k])], outputs, k);
        let bias = epilogue.bias.then(|| self.vector(&path.pp("bias"), outputs));
        self.gemm(path, Linear { weight, bias, outputs, conv: None, geglu: false }, x, None, epilogue)
    }

    /// Several linear layers over the same input as one: their outputs stand side by side. The input is the
    /// channels of `x` and then `x2`, as if concatenated.
    pub fn linear_merged(
        &mut self,
        name: &Path,
        layers: &[(Path, usize)],
        x: ValueId,
        x2: Option<ValueId>,
        bias: bool,
    ) -> ValueId {
        let k = self.shape(x).c + x2.map_or(0, |v| self.shape(v).c);
        let outputs = layers.iter().map(|(_, n)| n).sum();
        let parts = layers.iter().map(|(p, n)| (p.pp("weight"), vec![*n, k])).collect();
        let weight = self.matrix(name, parts, outputs, k);
        let bias_id = bias.then(|| {
            let parts = layers.iter().map(|(p, n)| Part::whole(p.pp("bias").to_string(), [*n])).collect();
            self.weight(WeightDecl {
                name: name.pp("bias").to_string(),
                kind: WeightKind::Vector { len: outputs },
                parts,
            })
        });
        let epilogue = Epilogue { bias, ..Default::default() };
        self.gemm(name, Linear { weight, bias: bias_id, outputs, conv: None, geglu: false }, x, x2, epilogue)
    }

    /// A 1×1 convolution over the channels of `x` and then `x2`, as if concatenated.
    pub fn conv1x1(
        &mut self,
        path: &Path,
        x: ValueId,
        x2: Option<ValueId>,
        outputs: usize,
        epilogue: Epilogue,
    ) -> ValueId {
        let inputs = self.shape(x).c + x2.map_or(0, |v| self.shape(v).c);
        let layer = self.conv_weights(path, inputs, outputs, None, epilogue.bias);
        self.gemm(path, layer, x, x2, epilogue)
    }

    /// A square convolution; `inputs` is the checkpoint's channel count (the stored one is padded).
    pub fn conv2d(
        &mut self,
        path: &Path,
        x: ValueId,
        inputs: usize,
        outputs: usize,
        conv: Conv,
        epilogue: Epilogue,
    ) -> ValueId {
        let layer = self.conv_weights(path, inputs, outputs, Some(conv), epilogue.bias);
        self.gemm(path, layer, x, None, epilogue)
    }

    /// The gated first half of a feed-forward: `value · gelu(gate)`, `inner` channels out.
    pub fn geglu(&mut self, path: &Path, x: ValueId, inner: usize) -> ValueId {
        let k = self.shape(x).c;
        let n = 2 * inner;
        let part = |leaf: &str, shape: Vec<usize>| vec![Part::whole(path.pp(leaf).to_string(), shape)];
        let weight = self.weight(WeightDecl {
            name: path.to_string(),
            kind: WeightKind::Geglu { n, k },
            parts: part("weight", vec![n, k]),
        });
        let bias = self.weight(WeightDecl {
            name: path.pp("bias").to_string(),
            kind: WeightKind::GegluVector { len: n },
            parts: part("bias", vec![n]),
        });
        let layer = Linear { weight, bias: Some(bias), outputs: n, conv: None, geglu: true };
        self.gemm(path, layer, x, None, Epilogue::default())
    }

    /// Group normalisation over the channels of `x` (and `x2`, as if concatenated), with SiLU if asked.
    pub fn group_norm(
        &mut self,
        path: &Path,
        x: ValueId,
        x2: Option<ValueId>,
        groups: usize,
        eps: f64,
        silu: bool,
    ) -> ValueId {
        let c = self.shape(x).c + x2.map_or(0, |v| self.shape(v).c);
        let norm = self.norm_layer(path, c, groups, eps, silu);
        let out = self.value(self.shape(x).with_channels(c), ElemKind::Activation, None);
        self.push(path, Op::GroupNorm(GroupNorm { x2, ..norm.op(x, 0..c, 0) }), out)
    }

    /// Layer normalisation over the channels.
    pub fn layer_norm(&mut self, path: &Path, x: ValueId, eps: f64) -> ValueId {
        let c = self.shape(x).c;
        let (gamma, beta) = (self.vector(&path.pp("weight"), c), self.vector(&path.pp("bias"), c));
        let out = self.value(self.shape(x), ElemKind::Activation, None);
        self.push(path, Op::LayerNorm { x, gamma, beta, eps: eps as f32 }, out)
    }

    /// Multi-head attention over slices of merged projections; a `causal` one may have keys that are hidden.
    pub fn attention(
        &mut self,
        path: &Path,
        [q, k, v]: [Slice; 3],
        heads: usize,
        head_dim: usize,
        (causal, hidden): (bool, Option<ValueId>),
    ) -> ValueId {
        let out = self.value(self.shape(q.value).with_channels(heads * head_dim), ElemKind::Activation, None);
        self.push(path, Op::Attention { q, k, v, heads, head_dim, causal, hidden }, out)
    }

    /// Token ids `[n, tokens]` to embeddings `[n, tokens, hidden]`, positions added.
    pub fn embed(
        &mut self,
        path: &Path,
        (tokens, own): (ValueId, Option<ValueId>),
        [vocab, positions, hidden]: [usize; 3],
    ) -> ValueId {
        let table = self.table(&path.pp("token_embedding").pp("weight"), vocab, hidden);
        let positions = self.table(&path.pp("position_embedding").pp("weight"), positions, hidden);
        let shape = self.shape(tokens);
        let out = self.value(Shape::tokens(shape.n, shape.w, hidden), ElemKind::Activation, None);
        self.push(path, Op::Embed { tokens, own, table, positions }, out)
    }

    /// An elementwise conversion to `channels` channels of kind `elem`.
    pub fn convert(
        &mut self,
        name: &str,
        x: ValueId,
        channels: usize,
        elem: ElemKind,
        convert: Convert,
    ) -> ValueId {
        let out = self.value(self.shape(x).with_channels(channels), elem, None);
        self.push(&Path::root(name), Op::Convert { x, convert }, out)
    }

    /// The slopes of a PReLU of so many channels.
    pub fn slopes(&mut self, path: &Path, channels: usize) -> WeightId {
        self.vector(&path.pp("weight"), channels)
    }

    /// Groups of `factor²` channels to pixels of three channels, with `base` of the size of `x` added: see [`Op::PixelShuffle`].
    pub fn pixel_shuffle(&mut self, x: ValueId, base: Option<ValueId>, factor: usize) -> ValueId {
        let Shape { n, h, w, .. } = self.shape(x);
        let out = self.value(Shape::image(n, h * factor, w * factor, padded(3)), ElemKind::Activation, None);
        self.push(&Path::root("pixel_shuffle"), Op::PixelShuffle { x, base, factor }, out)
    }

    /// Pixels of three channels, `factor` of them along each side, to channels: see [`Op::PixelUnshuffle`].
    pub fn pixel_unshuffle(&mut self, x: ValueId, factor: usize) -> ValueId {
        let Shape { n, h, w, .. } = self.shape(x);
        let shape = Shape::image(n, h / factor, w / factor, padded(3 * factor * factor));
        let out = self.value(shape, ElemKind::Activation, None);
        self.push(&Path::root("pixel_unshuffle"), Op::PixelUnshuffle { x, factor }, out)
    }

    /// `x + factor · y`: [`Op::Add`].
    pub fn add(&mut self, path: &Path, x: ValueId, y: ValueId, factor: Factor) -> ValueId {
        let out = self.value(self.shape(x), ElemKind::Activation, None);
        self.push(path, Op::Add { x, y, factor }, out)
    }

    /// Packed RGBA8 from a decoder's output in [-1, 1].
    pub fn rgba(&mut self, x: ValueId) -> ValueId {
        let out = self.value(self.shape(x).with_channels(1), ElemKind::U32, None);
        self.push(&Path::root("rgba"), Op::Rgba { x }, out)
    }

    fn gemm(
        &mut self,
        path: &Path,
        layer: Linear,
        x: ValueId,
        x2: Option<ValueId>,
        epilogue: Epilogue,
    ) -> ValueId {
        let columns = padded(layer.outputs) / if layer.geglu { 2 } else { 1 };
        let out = self.value(self.output_shape(&layer, x, columns), ElemKind::Activation, None);
        self.push(path, Op::Gemm(layer.op(x, x2, epilogue)), out)
    }

    fn output_shape(&self, layer: &Linear, x: ValueId, columns: usize) -> Shape {
        let from = self.shape(x);
        let (h, w) = layer.conv.map_or((from.h, from.w), |conv| conv.output_size(from.h, from.w));
        Shape { n: from.n, h, w, c: columns }
    }

    /// Declares the weights of a convolution, 1×1 without `conv`.
    fn conv_weights(
        &mut self,
        path: &Path,
        inputs: usize,
        outputs: usize,
        conv: Option<Conv>,
        bias: bool,
    ) -> Linear {
        let side = conv.map_or(1, |conv| conv.kernel);
        let k = side * side * if conv.is_some() { padded(inputs) } else { inputs };
        let shape = vec![outputs, inputs, side, side];
        let weight = self.matrix(path, vec![(path.pp("weight"), shape)], outputs, k);
        let bias = bias.then(|| self.vector(&path.pp("bias"), outputs));
        Linear { weight, bias, outputs, conv, geglu: false }
    }

    fn matrix(&mut self, name: &Path, parts: Vec<(Path, Vec<usize>)>, n: usize, k: usize) -> WeightId {
        let parts = parts.into_iter().map(|(path, shape)| Part::whole(path.to_string(), shape)).collect();
        self.weight(WeightDecl {
            name: name.to_string(),
            kind: WeightKind::Matrix { n: padded(n), k },
            parts,
        })
    }

    fn vector(&mut self, path: &Path, len: usize) -> WeightId {
        let parts = vec![Part::whole(path.to_string(), [len])];
        self.weight(WeightDecl {
            name: path.to_string(),
            kind: WeightKind::Vector { len: padded(len) },
            parts,
        })
    }

    fn table(&mut self, path: &Path, rows: usize, cols: usize) -> WeightId {
        let parts = vec![Part::whole(path.to_string(), [rows, cols])];
        self.weight(WeightDecl { name: path.to_string(), kind: WeightKind::Table { rows, cols }, parts })
    }

    fn weight(&mut self, decl: WeightDecl) -> WeightId {
        self.graph.weights.push(decl);
        WeightId(self.graph.weights.len() - 1)
    }

    fn value(&mut self, shape: Shape, elem: ElemKind, external: Option<Outside>) -> ValueId {
        self.graph.values.push(Value { shape, elem, external });
        ValueId(self.graph.values.len() - 1)
    }

    fn push(&mut self, path: &Path, op: Op, output: ValueId) -> ValueId {
        self.graph.nodes.push(Node { path: path.to_string(), op, output });
        output
    }
}

/// A linear layer or convolution: its weights and geometry.
#[derive(Debug)]
struct Linear {
    weight: WeightId,
    bias: Option<WeightId>,
    outputs: usize,
    conv: Option<Conv>,
    geglu: bool,
}

impl Linear {
    /// The op over all channels of `x` (and `x2`).
    fn op(&self, x: ValueId, x2: Option<ValueId>, epilogue: Epilogue) -> Gemm {
        Gemm {
            x,
            x2,
            weight: self.weight,
            bias: self.bias,
            conv: self.conv,
            act: epilogue.act,
            slope: epilogue.slope,
            act_last: epilogue.act_last,
            geglu: self.geglu,
            time: epilogue.time,
            residual: epilogue.residual,
            section: Section::default(),
            accumulate: false,
            transposed: false,
        }
    }
}

impl Conv {
    /// 3×3, stride 1, one pixel of padding.
    pub fn same() -> Conv {
        Conv {
            kernel: 3,
            stride: 1,
            pad_top: 1,
            pad_left: 1,
            skip_top: 0,
            upsample: None,
            circular: Circular::NONE,
        }
    }

    /// 3×3 over the nearest-neighbour enlargement of the input to `h` × `w`.
    pub fn upsample(h: usize, w: usize) -> Conv {
        Conv { upsample: Some((h, w)), ..Conv::same() }
    }

    /// 3×3, stride 2, one pixel of padding on every side (UNet, TAESD).
    pub fn downsample() -> Conv {
        Conv { stride: 2, ..Conv::same() }
    }

    /// 3×3, stride 2, padded at the bottom and right only (AutoencoderKL).
    pub fn downsample_asymmetric() -> Conv {
        Conv { stride: 2, pad_top: 0, pad_left: 0, ..Conv::same() }
    }

    /// Height and width of the output.
    pub fn output_size(&self, h: usize, w: usize) -> (usize, usize) {
        let (h, w) = self.upsample.unwrap_or((h, w));
        // Asymmetric padding adds one pixel in all, the symmetric one `pad` on both sides.
        let pads = if self.pad_top == 0 { 1 } else { 2 * self.pad_top };
        let along = |size: usize| (size + pads).saturating_sub(self.kernel) / self.stride + 1;
        (along(h), along(w))
    }
}
