//! The residual block that UNet and autoencoder share.

use crate::plan::{Builder, Conv, Epilogue, Path, ValueId};

/// Norm groups and epsilon of a model.
#[derive(Debug, Clone, Copy)]
pub struct Norm {
    pub groups: usize,
    pub eps: f64,
}

/// norm, SiLU, conv (+ time), norm, SiLU, conv, plus the input: diffusers' `ResnetBlock2D`.
///
/// The input is `x`, or `x` and `skip` side by side. `time` is the merged time projection and this block's first
/// column in it. A 1×1 convolution matches the channels where they differ.
pub fn resnet(
    b: &mut Builder,
    path: &Path,
    x: ValueId,
    skip: Option<ValueId>,
    outputs: usize,
    norm: Norm,
    time: Option<(ValueId, usize)>,
) -> ValueId {
    let inputs = b.shape(x).c + skip.map_or(0, |v| b.shape(v).c);
    let normed = b.group_norm(&path.pp("norm1"), x, skip, norm.groups, norm.eps, true);
    let epilogue = Epilogue { time, ..Epilogue::default() };
    let h = b.conv2d(&path.pp("conv1"), normed, inputs, outputs, Conv::same(), epilogue);
    let normed = b.group_norm(&path.pp("norm2"), h, None, norm.groups, norm.eps, true);
    let residual = if inputs == outputs && skip.is_none() {
        x
    } else {
        b.conv1x1(&path.pp("conv_shortcut"), x, skip, outputs, Epilogue::default())
    };
    b.conv2d(&path.pp("conv2"), normed, outputs, outputs, Conv::same(), Epilogue::residual(residual))
}
