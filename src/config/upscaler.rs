//! Networks that enlarge pictures.
//!
//! RRDBNet: Wang et al. 2018, <https://arxiv.org/abs/1809.00219> (ESRGAN), and 2021, <https://arxiv.org/abs/2107.10833>
//! (Real-ESRGAN); SRVGGNetCompact: <https://github.com/xinntao/Real-ESRGAN>.

use super::check;
use crate::error::Result;

/// What a network is like, which its tensors' names and shapes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpscalerConfig {
    Rrdb(RrdbConfig),
    Compact(CompactConfig),
}

/// Residual dense blocks at the size of the picture, behind them doublings of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RrdbConfig {
    /// Channels of the residual stream.
    pub width: usize,
    /// Channels that each convolution of a dense block adds.
    pub growth: usize,
    /// Blocks of three dense blocks each.
    pub blocks: usize,
    /// How often the map is doubled.
    pub doublings: usize,
    /// So many pixels along a side are one of the network's (Real-ESRGAN's pixel unshuffle): 1, 2 or 4.
    pub unshuffle: usize,
}

/// Convolutions at the size of the picture, the last of which makes all pixels that one becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactConfig {
    pub width: usize,
    /// Convolutions between the first and the last.
    pub convolutions: usize,
    pub scale: usize,
}

impl UpscalerConfig {
    /// Where its weights hang in the tree of names.
    pub const ROOT: &str = "upscaler";

    /// How many times as wide and as high it makes a picture.
    pub fn scale(&self) -> usize {
        match self {
            UpscalerConfig::Rrdb(config) => (1 << config.doublings) / config.unshuffle,
            UpscalerConfig::Compact(config) => config.scale,
        }
    }

    /// How it is called, with its numbers.
    pub fn describe(&self) -> String {
        let scale = self.scale();
        match self {
            UpscalerConfig::Rrdb(RrdbConfig { width, blocks, .. }) => {
                format!("RRDBNet (ESRGAN) x{scale}, {blocks} blocks of {width} channels")
            }
            UpscalerConfig::Compact(CompactConfig { width, convolutions, .. }) => {
                format!("SRVGGNetCompact x{scale}, {convolutions} convolutions of {width} channels")
            }
        }
    }

    /// The numbers fit the kernels and stay within sane bounds.
    pub fn check(&self, file: &str) -> Result<()> {
        let within = |field, value, low, high| check::within(file, field, value, low, high);
        within("the factor", self.scale(), 1, 8)?;
        match *self {
            UpscalerConfig::Rrdb(RrdbConfig { width, growth, blocks, .. }) => {
                for (field, channels) in [("the width", width), ("the growth of a dense block", growth)] {
                    within(field, channels, 4, check::MAX_CHANNELS)?;
                    check::multiple(file, field, channels, "the vector width", 4)?;
                }
                within("the number of blocks", blocks, 1, check::MAX_LAYERS)
            }
            UpscalerConfig::Compact(CompactConfig { width, convolutions, .. }) => {
                within("the width", width, 1, check::MAX_CHANNELS)?;
                within("the number of convolutions", convolutions, 0, check::MAX_LAYERS)
            }
        }
    }
}
