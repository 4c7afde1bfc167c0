//! Residual blocks over maps so wide that they are never normalised, or not even computed, whole.
//!
//! The widest tensors of an autoencoder are several times larger than all else a model keeps. A group norm needs the
//! whole picture, but only one group of channels at a time, and a convolution is a sum over its input channels. So a
//! wide map is taken in slices of channels that are whole norm groups: each is normalised and at once added to the
//! sums of the convolution behind the norm. The result is that of the plain layers up to the order of summation.

use std::ops::Range;

use super::resnet::{Norm, resnet};
use crate::plan::{
    Builder, Conv, ConvLayer, Epilogue, MemoryLimits, NormLayer, Path, Shape, ValueId, padded,
};

/// Which maps of an autoencoder stay whole; slices of wider ones are as large as those at most.
#[derive(Debug, Clone, Copy)]
pub enum Whole {
    /// All, where memory has no limits; else those of 32 MiB in f32, or of 32 channels of the picture, below which the
    /// kernels' tiles would be mostly empty, as far as one binding goes.
    Within(MemoryLimits),
    /// Those of so many elements.
    UpTo(usize),
}

impl Whole {
    /// Elements of the largest map that stays whole, in an autoencoder for so many pixels.
    pub fn elements(self, pixels: usize) -> usize {
        match self {
            Whole::Within(MemoryLimits::NONE) => usize::MAX,
            Whole::Within(limits) => (32 * pixels).max(1 << 23).min((limits.binding / 4) as usize),
            Whole::UpTo(elements) => elements,
        }
    }
}

/// How an autoencoder's layers are normalised, and up to how many elements its maps stay whole.
#[derive(Debug, Clone, Copy)]
pub struct Streamed {
    pub norm: Norm,
    pub whole: usize,
}

/// What a residual block reads.
pub enum Input {
    Map(ValueId),
    /// The map enlarged twice and convolved, channels to as many channels; not computed yet.
    Upsampled {
        map: ValueId,
        conv: Path,
    },
}

impl Input {
    fn shape(&self, b: &Builder) -> Shape {
        match self {
            Input::Map(map) => b.shape(*map),
            Input::Upsampled { map, .. } => {
                let Shape { n, h, w, c } = b.shape(*map);
                Shape::image(n, 2 * h, 2 * w, c)
            }
        }
    }

    /// The map, computed if it is not yet.
    fn whole(self, b: &mut Builder) -> ValueId {
        let Shape { h, w, c, .. } = self.shape(b);
        match self {
            Input::Map(map) => map,
            Input::Upsampled { map, conv } => {
                b.conv2d(&conv, map, c, c, Conv::upsample(h, w), Epilogue::default())
            }
        }
    }
}

impl Streamed {
    /// A residual block without time and skip connection. Nothing may read the input after it: where the channels
    /// stay as they are, a wide output is computed in its place.
    pub fn resnet(&self, b: &mut Builder, path: &Path, input: Input, outputs: usize) -> ValueId {
        let shape = input.shape(b);
        let (inputs, to) = (shape.c, shape.with_channels(outputs));
        if !self.is_wide(shape) && !self.is_wide(to) {
            let x = input.whole(b);
            return resnet(b, path, x, None, outputs, self.norm, None);
        }
        let norm1 = self.norm(b, &path.pp("norm1"), inputs);
        let conv1 = b.conv_layer(&path.pp("conv1"), inputs, outputs, Some(Conv::same()));
        let norm2 = self.norm(b, &path.pp("norm2"), outputs);
        let conv2 = b.conv_layer(&path.pp("conv2"), outputs, outputs, Some(Conv::same()));
        let shortcut =
            (inputs != outputs).then(|| b.conv_layer(&path.pp("conv_shortcut"), inputs, outputs, None));

        let hidden = b.unwritten(to);
        let sum = match (input, shortcut) {
            (Input::Upsampled { map, conv }, Some(shortcut)) => {
                let conv = b.conv_layer(&conv, inputs, inputs, Some(Conv::upsample(shape.h, shape.w)));
                let sum = b.unwritten(to);
                for channels in self.slices(shape) {
                    let slice = b.conv_outputs(&conv, map, channels.clone());
                    b.add_inputs(&shortcut, slice, channels.clone(), sum);
                    b.norm_in_place(&norm1, slice, channels.clone());
                    b.add_inputs(&conv1, slice, channels, hidden);
                }
                sum
            }
            (input, shortcut) => {
                let x = input.whole(b);
                self.add_normed(b, (&norm1, &conv1), x, hidden);
                shortcut.map_or(x, |shortcut| {
                    let sum = b.unwritten(to);
                    b.add_inputs(&shortcut, x, 0..inputs, sum);
                    sum
                })
            }
        };
        self.add_normed(b, (&norm2, &conv2), hidden, sum);
        sum
    }

    /// The last norm, SiLU and 3×3 convolution to `outputs` channels.
    pub fn norm_conv(
        &self,
        b: &mut Builder,
        [norm, conv]: [&Path; 2],
        x: ValueId,
        outputs: usize,
    ) -> ValueId {
        let inputs = b.shape(x).c;
        if !self.is_wide(b.shape(x)) {
            let x = b.group_norm(norm, x, None, self.norm.groups, self.norm.eps, true);
            return b.conv2d(conv, x, inputs, outputs, Conv::same(), Epilogue::default());
        }
        let norm = self.norm(b, norm, inputs);
        let conv = b.conv_layer(conv, inputs, outputs, Some(Conv::same()));
        let sum = b.unwritten(b.shape(x).with_channels(padded(outputs)));
        self.add_normed(b, (&norm, &conv), x, sum);
        sum
    }

    /// Adds the convolution of the normalised `x` to `sum`, slice by slice.
    fn add_normed(&self, b: &mut Builder, (norm, conv): (&NormLayer, &ConvLayer), x: ValueId, sum: ValueId) {
        for channels in self.slices(b.shape(x)) {
            let slice = b.norm_channels(norm, x, channels.clone());
            b.add_inputs(conv, slice, channels, sum);
        }
    }

    fn norm(&self, b: &mut Builder, path: &Path, channels: usize) -> NormLayer {
        b.norm_layer(path, channels, self.norm.groups, self.norm.eps, true)
    }

    fn is_wide(&self, shape: Shape) -> bool {
        shape.len() > self.whole as u64
    }

    /// Runs of channels that are whole norm groups and multiples of 4, of at most `whole` elements where that is
    /// possible; where there is room, whole tiles of the convolutions' kernels.
    fn slices(&self, shape: Shape) -> impl Iterator<Item = Range<usize>> + use<> {
        const TILE: usize = 64;
        let group = shape.c / self.norm.groups;
        let unit = group << (2 - group.trailing_zeros().min(2));
        let fits = (self.whole as u64 / shape.rows()) as usize;
        let tile = if TILE.is_multiple_of(unit) && fits >= TILE { TILE } else { unit };
        let len = (fits / tile * tile).max(unit);
        (0..shape.c).step_by(len).map(move |first| first..(first + len).min(shape.c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(whole: usize, groups: usize, shape: Shape) -> Vec<Range<usize>> {
        Streamed { norm: Norm { groups, eps: 1e-6 }, whole }.slices(shape).collect()
    }

    #[test]
    fn slices_are_whole_groups_of_at_most_so_many_elements() {
        assert_eq!(
            slices(
                Whole::Within(MemoryLimits::default()).elements(512 * 512),
                32,
                Shape::image(1, 512, 512, 128)
            ),
            [0..32, 32..64, 64..96, 96..128]
        );
        assert_eq!(
            slices(
                Whole::Within(MemoryLimits::default()).elements(512 * 512),
                32,
                Shape::image(1, 256, 256, 256)
            ),
            [0..128, 128..256]
        );
        assert_eq!(slices(100 * 60, 8, Shape::image(1, 10, 10, 96)), [0..60, 60..96]);
    }

    #[test]
    fn a_slice_holds_at_least_one_group_and_begins_at_a_multiple_of_four() {
        assert_eq!(slices(1, 8, Shape::image(1, 3, 3, 24)), [0..12, 12..24]);
        assert_eq!(slices(1, 2, Shape::image(2, 3, 3, 16)), [0..8, 8..16]);
        assert_eq!(slices(1, 8, Shape::image(1, 3, 3, 8)), [0..4, 4..8]);
    }
}
