//! Networks that enlarge pictures, as [`UpscalerConfig`] describes them; names as in Real-ESRGAN.
//!
//! An RRDBNet is two graphs. Its blocks work at the size of the picture, but what they make of a pixel depends on hundreds of
//! pixels around it; what follows works at the size of the result, and depends on a few. So the one is computed whole, or in
//! large tiles, and the other in small ones.

use crate::config::{CompactConfig, RrdbConfig, UpscalerConfig};
use crate::kernels::gemm::Act;
use crate::plan::{
    Builder, Conv, Convert, ElemKind, Epilogue, Factor, Graph, Outside, Path, Shape, ValueId, WeightDecl,
    padded,
};

/// A part of a network that is computed tile by tile, over pixels of the network: `unshuffle` of the picture along a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Pixels to an RRDBNet's features, [`Outside::Seam`] `[1, h, w, width]`.
    Features(RrdbConfig),
    /// Those to the enlarged picture.
    Enlarge(RrdbConfig),
    /// Pixels to the enlarged picture.
    Compact(CompactConfig),
}

impl Part {
    /// The parts of a network in order; what one makes the next reads.
    pub fn of(config: &UpscalerConfig) -> Vec<Part> {
        match *config {
            UpscalerConfig::Rrdb(config) => vec![Part::Features(config), Part::Enlarge(config)],
            UpscalerConfig::Compact(config) => vec![Part::Compact(config)],
        }
    }

    /// What it reads: pixels in [-1, 1] of the picture, or features.
    pub fn reads(self) -> Outside {
        match self {
            Part::Features(_) | Part::Compact(_) => Outside::Pixels,
            Part::Enlarge(_) => Outside::Seam,
        }
    }

    /// Beyond so many pixels away nothing changes what it makes of a pixel: one for each convolution at this size, and for those
    /// at the doubled ones two in all, as their reach halves with each doubling.
    pub fn reach(self) -> usize {
        match self {
            Part::Features(config) => 15 * config.blocks + 2,
            Part::Enlarge(_) => 2,
            Part::Compact(config) => config.convolutions + 2,
        }
    }

    /// Values that are in memory at once for each pixel, at most.
    pub fn values(self) -> usize {
        match self {
            // The stream where the network, a block and a dense block began, what this has made, and its sum; the rest is
            // between them, as what is read and what is written lie apart.
            Part::Features(RrdbConfig { width, growth, .. }) => 6 * width + 5 * growth,
            Part::Enlarge(RrdbConfig { width, doublings, .. }) => (2 * width + 12) << (2 * doublings),
            Part::Compact(CompactConfig { width, scale, .. }) => {
                (2 * width).max(width + 3 * scale * scale) + 12 * scale * scale
            }
        }
    }

    /// Multiplications for each pixel.
    pub fn work(self) -> usize {
        match self {
            Part::Features(RrdbConfig { width, growth, blocks, .. }) => {
                // Four convolutions of what there is to more, and one back.
                let dense = (0..4).map(|k| (width + k * growth) * growth).sum::<usize>()
                    + (width + 4 * growth) * width;
                9 * (3 * blocks * dense + width * width + 3 * width)
            }
            Part::Enlarge(RrdbConfig { width, doublings, .. }) => {
                let doubled: usize = (1..=doublings).map(|k| (width * width) << (2 * k)).sum();
                9 * (doubled + ((width * width + 3 * width) << (2 * doublings)))
            }
            Part::Compact(CompactConfig { width, convolutions, scale }) => {
                9 * width * (3 + convolutions * width + 3 * scale * scale)
            }
        }
    }

    /// The graph over `h × w` pixels of the network.
    pub fn graph(self, h: usize, w: usize) -> Graph {
        let root = Path::root(UpscalerConfig::ROOT);
        match self {
            Part::Features(config) => features(&config, &root, h, w),
            Part::Enlarge(config) => enlarge(&config, &root, h, w),
            Part::Compact(config) => compact(&config, &root, h, w),
        }
    }
}

/// Every weight of a network.
pub fn weight_decls(config: &UpscalerConfig) -> Vec<WeightDecl> {
    // Declarations do not depend on sizes.
    Part::of(config).into_iter().flat_map(|part| part.graph(8, 8).weights).collect()
}

/// A picture of `h × w` in [-1, 1], brought to [0, 1].
fn picture(b: &mut Builder, h: usize, w: usize) -> ValueId {
    let pixels = b.input(Outside::Pixels, Shape::image(1, h, w, padded(3)));
    let unit = Convert::Affine { scale: 0.5, shift: 0.5 };
    b.convert("to [0, 1]", pixels, padded(3), ElemKind::Activation, unit)
}

/// The end of every network: a picture in [0, 1].
fn pictured(mut b: Builder, x: ValueId) -> Graph {
    let signed = Convert::Affine { scale: 2.0, shift: -1.0 };
    let x = b.convert("to [-1, 1]", x, padded(3), ElemKind::Activation, signed);
    b.output(Outside::Image, x);
    let rgba = b.rgba(x);
    b.output(Outside::Rgba, rgba);
    b.finish()
}

fn features(config: &RrdbConfig, root: &Path, h: usize, w: usize) -> Graph {
    let RrdbConfig { width, unshuffle, .. } = *config;
    let mut b = Builder::new("upscaler features");
    let mut x = picture(&mut b, h * unshuffle, w * unshuffle);
    if unshuffle > 1 {
        x = b.pixel_unshuffle(x, unshuffle);
    }
    let inputs = 3 * unshuffle * unshuffle;
    let first = b.conv2d(&root.pp("conv_first"), x, inputs, width, Conv::same(), Epilogue::default());
    let mut x = first;
    for block in 0..config.blocks {
        let (path, before) = (root.pp("body").pp(block), x);
        for dense in 1..=3 {
            x = dense_block(&mut b, config, &path.pp(format_args!("rdb{dense}")), x);
        }
        x = b.add(&path, before, x, RESIDUAL);
    }
    let x = b.conv2d(&root.pp("conv_body"), x, width, width, Conv::same(), Epilogue::residual(first));
    b.output(Outside::Seam, x);
    b.finish()
}

/// The share of what a block makes that is added to what it began with.
const RESIDUAL: Factor = Factor::Constant(0.2);

/// Five convolutions, each over all that the ones before it made.
fn dense_block(b: &mut Builder, config: &RrdbConfig, path: &Path, x: ValueId) -> ValueId {
    let mut maps = vec![x];
    for conv in 1..=4 {
        let path = path.pp(format_args!("conv{conv}"));
        let leaky = Epilogue::act(Act::LeakyRelu);
        maps.push(b.conv_concat(&path, &maps, config.growth, Conv::same(), leaky));
    }
    let made = b.conv_concat(&path.pp("conv5"), &maps, config.width, Conv::same(), Epilogue::default());
    b.add(path, x, made, RESIDUAL)
}

fn enlarge(config: &RrdbConfig, root: &Path, h: usize, w: usize) -> Graph {
    let RrdbConfig { width, doublings, .. } = *config;
    let leaky = Epilogue::act(Act::LeakyRelu);
    let mut b = Builder::new("upscaler enlarge");
    let mut x = b.input(Outside::Seam, Shape::image(1, h, w, width));
    for doubling in 1..=doublings {
        let path = root.pp(format_args!("conv_up{doubling}"));
        x = b.conv2d(&path, x, width, width, Conv::upsample(h << doubling, w << doubling), leaky);
    }
    let x = b.conv2d(&root.pp("conv_hr"), x, width, width, Conv::same(), leaky);
    let x = b.conv2d(&root.pp("conv_last"), x, width, 3, Conv::same(), Epilogue::default());
    pictured(b, x)
}

fn compact(config: &CompactConfig, root: &Path, h: usize, w: usize) -> Graph {
    let CompactConfig { width, convolutions, scale } = *config;
    let body = root.pp("body");
    let mut b = Builder::new("upscaler");
    let picture = picture(&mut b, h, w);
    let (mut x, mut inputs) = (picture, 3);
    for layer in 0..=convolutions {
        let slope = b.slopes(&body.pp(2 * layer + 1), width);
        let prelu = Epilogue { slope: Some(slope), ..Epilogue::act(Act::Prelu) };
        x = b.conv2d(&body.pp(2 * layer), x, inputs, width, Conv::same(), prelu);
        inputs = width;
    }
    let outputs = 3 * scale * scale;
    let last = body.pp(2 * (convolutions + 1));
    let x = b.conv2d(&last, x, width, outputs, Conv::same(), Epilogue::default());
    let x = b.pixel_shuffle(x, Some(picture), scale);
    pictured(b, x)
}
