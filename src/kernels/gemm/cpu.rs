//! The twin of the GEMM kernel: the same sums as loops.

use super::Act;
use crate::kernels::Circular;

/// Geometry of a convolution; a linear layer is a 1 × 1 kernel over `1 × rows` pixels.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    pub batch: usize,
    pub in_h: usize,
    pub in_w: usize,
    pub out_h: usize,
    pub out_w: usize,
    pub kernel: usize,
    pub stride: usize,
    pub pad_top: usize,
    pub pad_left: usize,
    /// The input is read as if enlarged to `out_h × out_w` by nearest neighbour.
    pub upsample: bool,
    /// Where the map goes on at the other end; elsewhere zeros are around it.
    pub circular: Circular,
}

impl Geometry {
    /// Height and width of the map that is convolved.
    fn limits(&self) -> [usize; 2] {
        if self.upsample { [self.out_h, self.out_w] } else { [self.in_h, self.in_w] }
    }

    /// The pixel of the input that lies so far below and right of where the padding begins; `None` where zeros are.
    pub fn pixel(&self, down: usize, right: usize) -> Option<[usize; 2]> {
        let [h, w] = self.limits();
        let place = |at: usize, pad: usize, size: usize, circular: bool| {
            let at = if circular { (at + size - pad) % size } else { at.wrapping_sub(pad) };
            (at < size).then_some(if self.upsample { at / 2 } else { at })
        };
        Some([
            place(down, self.pad_top, h, self.circular.y)?,
            place(right, self.pad_left, w, self.circular.x)?,
        ])
    }
}

/// What happens to the sums, in the kernel's order.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue<'a> {
    /// `[n]`
    pub bias: Option<&'a [f32]>,
    /// This layer's slice of the time projection, `[n]`.
    pub time: Option<&'a [f32]>,
    /// Like the output.
    pub residual: Option<&'a [f32]>,
    pub act: Act,
    /// Of [`Act::Prelu`], `[n]`.
    pub slope: Option<&'a [f32]>,
    pub act_last: bool,
    pub geglu: bool,
}

impl Epilogue<'_> {
    /// Appends what becomes of the sums of one row.
    pub fn append(&self, out: &mut Vec<f32>, row: usize, mut sums: Vec<f32>) {
        let n = sums.len();
        for (j, sum) in sums.iter_mut().enumerate() {
            *sum += self.bias.map_or(0.0, |bias| bias[j]) + self.time.map_or(0.0, |time| time[j]);
        }
        if self.geglu {
            out.extend(sums.chunks(2).map(|pair| pair[0] * activate(Act::Gelu, pair[1])));
            return;
        }
        for (j, sum) in sums.into_iter().enumerate() {
            let residual = self.residual.map_or(0.0, |residual| residual[row * n + j]);
            let activate = |x: f32| match self.slope {
                Some(slope) => x.max(0.0) + slope[j] * x.min(0.0),
                None => activate(self.act, x),
            };
            out.push(if self.act_last { activate(sum + residual) } else { activate(sum) + residual });
        }
    }
}

/// `out[m, n]` from `a` `[batch, in_h, in_w, channels]` and `weight` `[n, kernel, kernel, channels]`.
pub fn gemm(
    a: &[f32],
    weight: &[f32],
    n: usize,
    channels: usize,
    g: Geometry,
    epilogue: Epilogue,
) -> Vec<f32> {
    let k = g.kernel * g.kernel * channels;
    let mut out = Vec::new();
    for row in 0..g.batch * g.out_h * g.out_w {
        let patch = patch(a, channels, g, row);
        let sums =
            (0..n).map(|j| patch.iter().zip(&weight[j * k..(j + 1) * k]).map(|(x, w)| x * w).sum()).collect();
        epilogue.append(&mut out, row, sums);
    }
    out
}

/// The `kernel × kernel × channels` inputs of one output row.
fn patch(a: &[f32], channels: usize, g: Geometry, row: usize) -> Vec<f32> {
    let (image, y, x) = (row / (g.out_h * g.out_w), row / g.out_w % g.out_h, row % g.out_w);
    let mut patch = Vec::with_capacity(g.kernel * g.kernel * channels);
    for ky in 0..g.kernel {
        for kx in 0..g.kernel {
            let Some([sy, sx]) = g.pixel(y * g.stride + ky, x * g.stride + kx) else {
                patch.extend(std::iter::repeat_n(0.0, channels));
                continue;
            };
            let at = ((image * g.in_h + sy) * g.in_w + sx) * channels;
            patch.extend_from_slice(&a[at..at + channels]);
        }
    }
    patch
}

/// One activation function of one value; [`Act::Prelu`], whose slopes are the layer's, is [`Epilogue`]'s.
pub fn activate(act: Act, x: f32) -> f32 {
    match act {
        Act::None | Act::Prelu => x,
        Act::Silu => x / (1.0 + (-x).exp()),
        Act::Gelu => {
            let x = f64::from(x);
            (0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2))) as f32
        }
        Act::QuickGelu => x / (1.0 + (-1.702 * x).exp()),
        Act::Relu => x.max(0.0),
        Act::LeakyRelu => x.max(0.2 * x),
    }
}
