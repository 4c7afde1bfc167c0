//! Layers whose weights are declared once and which are computed in sections: runs of their channels, one by one.

use std::ops::Range;

use super::{Builder, Epilogue, Linear, Path, padded};
use crate::kernels::gemm::Act;
use crate::plan::graph::{Conv, ElemKind, Gemm, GroupNorm, Op, Section, Shape, ValueId, WeightId};

/// A convolution with declared weights, see [`Builder::conv_layer`].
#[derive(Debug)]
pub struct ConvLayer {
    path: Path,
    linear: Linear,
}

/// A group normalisation with declared weights, see [`Builder::norm_layer`].
#[derive(Debug)]
pub struct NormLayer {
    path: Path,
    gamma: WeightId,
    beta: WeightId,
    channels: usize,
    groups: usize,
    eps: f64,
    silu: bool,
}

impl NormLayer {
    /// The op over these `channels` of the layer, which begin at channel `first` of `x`.
    pub(super) fn op(&self, x: ValueId, channels: Range<usize>, first: usize) -> GroupNorm {
        GroupNorm {
            x,
            x2: None,
            gamma: self.gamma,
            beta: self.beta,
            groups: channels.len() / (self.channels / self.groups),
            eps: self.eps as f32,
            silu: self.silu,
            first,
            channel: channels.start,
        }
    }
}

impl Path {
    /// The label of a run of a module's output channels.
    fn outputs(&self, channels: &Range<usize>) -> Path {
        Path(format!("{self}[{}..{}]", channels.start, channels.end))
    }

    /// The label of a run of a module's input channels.
    fn inputs(&self, channels: &Range<usize>) -> Path {
        Path(format!("{self}[:, {}..{}]", channels.start, channels.end))
    }
}

impl Builder {
    /// A convolution (1×1 without `conv`) whose weights are declared once, to be computed in sections.
    pub fn conv_layer(
        &mut self,
        path: &Path,
        inputs: usize,
        outputs: usize,
        conv: Option<Conv>,
    ) -> ConvLayer {
        ConvLayer { path: path.clone(), linear: self.conv_weights(path, inputs, outputs, conv, true) }
    }

    /// A map for [`Builder::add_inputs`] to sum in.
    pub fn unwritten(&mut self, shape: Shape) -> ValueId {
        self.value(shape, ElemKind::Activation, None)
    }

    /// The output channels `outputs` of a layer over all its input channels.
    pub fn conv_outputs(&mut self, layer: &ConvLayer, x: ValueId, outputs: Range<usize>) -> ValueId {
        let out = self.value(self.output_shape(&layer.linear, x, outputs.len()), ElemKind::Activation, None);
        let section = Section { output: outputs.start, ..Section::default() };
        let op = Gemm { section, ..layer.linear.op(x, None, Epilogue::default()) };
        self.push(&layer.path.outputs(&outputs), Op::Gemm(op), out)
    }

    /// Adds to `sum` what `x`, which holds just these input channels of the layer, contributes to its outputs; where
    /// nothing has been written yet, the sum begins. The bias comes with the layer's first input channel.
    pub fn add_inputs(&mut self, layer: &ConvLayer, x: ValueId, inputs: Range<usize>, sum: ValueId) {
        let accumulate = self.graph.nodes.iter().any(|node| node.output == sum);
        let op = Gemm {
            section: Section { input: inputs.start, ..Section::default() },
            bias: layer.linear.bias.filter(|_| inputs.start == 0),
            accumulate,
            ..layer.linear.op(x, None, Epilogue::default())
        };
        self.push(&layer.path.inputs(&inputs), Op::Gemm(op), sum);
    }

    /// A convolution over several maps as if they were concatenated: a sum of one over each, then what the epilogue asks for but a
    /// residual, which is added before it.
    pub fn conv_concat(
        &mut self,
        path: &Path,
        maps: &[ValueId],
        outputs: usize,
        conv: Conv,
        epilogue: Epilogue,
    ) -> ValueId {
        let inputs = maps.iter().map(|map| self.shape(*map).c).sum();
        let layer = self.conv_weights(path, inputs, outputs, Some(conv), epilogue.bias);
        let shape = self.output_shape(&layer, maps[0], padded(outputs));
        let sum = self.value(shape, ElemKind::Activation, None);
        let mut first = 0;
        for (i, map) in maps.iter().enumerate() {
            let channels = first..first + self.shape(*map).c;
            let is_last = i + 1 == maps.len();
            let all = layer.op(*map, None, epilogue);
            let op = Gemm {
                section: Section { input: first, ..Section::default() },
                bias: all.bias.filter(|_| i == 0),
                residual: all.residual.filter(|_| i == 0),
                act: if is_last { all.act } else { Act::None },
                act_last: is_last && i > 0 && all.act != Act::None,
                accumulate: i > 0,
                ..all
            };
            first = channels.end;
            let label = if maps.len() == 1 { path.clone() } else { path.inputs(&channels) };
            self.push(&label, Op::Gemm(op), sum);
        }
        sum
    }

    /// A group normalisation whose weights are declared once, to be computed in runs of whole groups.
    pub fn norm_layer(
        &mut self,
        path: &Path,
        channels: usize,
        groups: usize,
        eps: f64,
        silu: bool,
    ) -> NormLayer {
        let gamma = self.vector(&path.pp("weight"), channels);
        let beta = self.vector(&path.pp("bias"), channels);
        NormLayer { path: path.clone(), gamma, beta, channels, groups, eps, silu }
    }

    /// The normalised `channels` of `x`, which has all of the layer's.
    pub fn norm_channels(&mut self, layer: &NormLayer, x: ValueId, channels: Range<usize>) -> ValueId {
        let shape = self.shape(x).with_channels(channels.len());
        let out = self.value(shape, ElemKind::Activation, None);
        let first = channels.start;
        self.push(&layer.path.outputs(&channels), Op::GroupNorm(layer.op(x, channels, first)), out)
    }

    /// Normalises `x`, which holds just these `channels` of the layer, in place.
    pub fn norm_in_place(&mut self, layer: &NormLayer, x: ValueId, channels: Range<usize>) {
        self.push(&layer.path.outputs(&channels), Op::GroupNorm(layer.op(x, channels, 0)), x);
    }
}
