//! Layers over candle's tensors, channels last: `[N, H, W, C]` maps and `[N, T, C]` tokens.
//!
//! candle's own layers keep channels first, which makes a convolution copy every patch and its norms walk the map many
//! times; these do the same mathematics in few walks, through [`super::gemm`].

use candle_core::{Device, Result, Storage, Tensor, bail};
use candle_nn::VarBuilder;

use super::gemm::{Matrix, Out, Rows, by_blocks, multiply};
use super::simd::{self, F4};

/// A tensor's values, row-major, while they are borrowed.
pub struct Values<'a> {
    storage: candle_core::StorageRef<'a>,
    range: std::ops::Range<usize>,
}

impl<'a> Values<'a> {
    /// Borrows a contiguous f32 tensor.
    pub fn of(tensor: &'a Tensor) -> Result<Values<'a>> {
        let (storage, layout) = tensor.storage_and_layout();
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("a tensor of {:?} does not lie in one piece", layout.shape())
        };
        Ok(Values { storage, range: start..end })
    }

    /// The values.
    pub fn slice(&self) -> Result<&[f32]> {
        match &*self.storage {
            Storage::Cpu(storage) => Ok(&storage.as_slice::<f32>()?[self.range.clone()]),
            _ => bail!("a tensor that is not in memory"),
        }
    }
}

fn values_of(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1::<f32>()
}

/// The channels: a tensor's last dimension.
pub fn channels(x: &Tensor) -> Result<usize> {
    x.dim(candle_core::D::Minus1)
}

/// A linear layer, or a 1×1 convolution, over the last dimension.
pub struct Linear(Matrix);

impl Linear {
    /// Reads `weight` `[out, in]` (or `[out, in, 1, 1]`), and `bias` where there is one.
    pub fn new(weights: &VarBuilder, input: usize, output: usize) -> Result<Linear> {
        Linear::merged(std::slice::from_ref(weights), input, output)
    }

    /// Several layers of one input side by side, each `output` wide; biases, where one has any, too.
    pub fn merged(parts: &[VarBuilder], input: usize, output: usize) -> Result<Linear> {
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for part in parts {
            let square = part.get((output, input), "weight");
            let weight = square.or_else(|_| part.get((output, input, 1, 1), "weight"))?;
            weights.extend(values_of(&weight)?);
            let has_bias = part.contains_tensor("bias");
            biases.extend(if has_bias { values_of(&part.get(output, "bias")?)? } else { vec![0.0; output] });
        }
        let matrix = Matrix::pack(input, parts.len() * output, |k, n| weights[n * input + k]);
        Ok(Linear(matrix.with_bias(&biases)))
    }

    /// `[.., in]` to `[.., out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, None)
    }

    /// The same, added to `residual`.
    pub fn forward_onto(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.run(x, Some(residual))
    }

    fn run(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        let Matrix { k, n, .. } = self.0;
        let mut shape = x.dims().to_vec();
        match shape.last_mut() {
            Some(last) if *last == k => *last = n,
            _ => bail!("a layer of {k} inputs was given {:?}", x.shape()),
        }
        let mut out = vec![0.0; x.elem_count() / k * n];
        let (x, residual) = (Values::of(x)?, residual.map(Values::of).transpose()?);
        let (x, residual) = (x.slice()?, residual.as_ref().map(Values::slice).transpose()?);
        by_blocks(&mut out, n, |first, block| {
            let offsets: Vec<usize> = (first..first + block.len() / n).map(|row| row * k).collect();
            let rows = Rows { values: x, offsets: &offsets, runs: 1, run: k, run_stride: 0 };
            let add = residual.map(|all| &all[first * n..]);
            multiply(rows, &self.0, self.0.bias(), &mut Out { values: block, stride: n, column: 0, add });
        });
        Tensor::from_vec(out, shape, &Device::Cpu)
    }
}

/// What surrounds the map of a 3×3 convolution, and the step between its pixels.
#[derive(Clone, Copy)]
pub struct Window {
    pub stride: usize,
    /// Zeros above and to the left; below and to the right there are as many as are needed.
    pub before: usize,
    pub after: usize,
}

impl Window {
    /// A map of the same size.
    pub const SAME: Window = Window { stride: 1, before: 1, after: 1 };
    /// A map of half the size, as the UNet makes it.
    pub const HALF: Window = Window { stride: 2, before: 1, after: 1 };
    /// A map of half the size, as the autoencoder makes it.
    pub const HALF_ASYMMETRIC: Window = Window { stride: 2, before: 0, after: 1 };
}

/// A 3×3 convolution.
pub struct Conv {
    matrix: Matrix,
    window: Window,
}

const KERNEL: usize = 3;

impl Conv {
    /// Reads `weight` `[out, in, 3, 3]` and `bias`.
    pub fn new(weights: &VarBuilder, input: usize, output: usize, window: Window) -> Result<Conv> {
        let weight = values_of(&weights.get((output, input, KERNEL, KERNEL), "weight")?)?;
        let bias = values_of(&weights.get(output, "bias")?)?;
        // k counts channels within taps, as they lie in a line of the map.
        let taps = KERNEL * KERNEL;
        let at = |k: usize, n: usize| weight[(n * input + k % input) * taps + k / input];
        Ok(Conv { matrix: Matrix::pack(taps * input, output, at).with_bias(&bias), window })
    }

    /// `[N, H, W, in]` to `[N, H', W', out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_, h, w, _) = x.dims4()?;
        self.run(x, (h, w), None, None)
    }

    /// The same with `shift` `[out]` added to every pixel.
    pub fn forward_shifted(&self, x: &Tensor, shift: &Tensor) -> Result<Tensor> {
        let (_, h, w, _) = x.dims4()?;
        self.run(x, (h, w), Some(shift), None)
    }

    /// The same, added to `residual`.
    pub fn forward_onto(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        let (_, h, w, _) = x.dims4()?;
        self.run(x, (h, w), None, Some(residual))
    }

    /// The same on the map enlarged to `size` by repeating its nearest pixels.
    pub fn forward_enlarged(&self, x: &Tensor, size: (usize, usize)) -> Result<Tensor> {
        self.run(x, size, None, None)
    }

    fn run(
        &self,
        x: &Tensor,
        (h, w): (usize, usize),
        shift: Option<&Tensor>,
        residual: Option<&Tensor>,
    ) -> Result<Tensor> {
        let (batch, _, _, c) = x.dims4()?;
        let (Matrix { k, n, .. }, Window { stride, before, after }) = (&self.matrix, self.window);
        if *k != KERNEL * KERNEL * c {
            bail!("a convolution of {} channels was given {:?}", k / 9, x.shape())
        }
        let (wide, tall) = (w + before + after, h + before + after);
        let (out_h, out_w) = ((tall - KERNEL) / stride + 1, (wide - KERNEL) / stride + 1);
        let map = surround(x, (h, w), self.window)?;
        let bias = match shift {
            Some(shift) => &self.matrix.bias_plus(&values_of(shift)?),
            None => self.matrix.bias(),
        };
        let residual = residual.map(Values::of).transpose()?;
        let residual = residual.as_ref().map(Values::slice).transpose()?;
        let mut out = vec![0.0; batch * out_h * out_w * n];
        by_blocks(&mut out, *n, |first, block| {
            let offset = |pixel: usize| {
                let (image, y, x) = (pixel / (out_h * out_w), pixel / out_w % out_h, pixel % out_w);
                ((image * tall + y * stride) * wide + x * stride) * c
            };
            let offsets: Vec<usize> = (first..first + block.len() / n).map(offset).collect();
            let (run, run_stride) = (KERNEL * c, wide * c);
            let rows = Rows { values: &map, offsets: &offsets, runs: KERNEL, run, run_stride };
            let add = residual.map(|all| &all[first * n..]);
            multiply(rows, &self.matrix, bias, &mut Out { values: block, stride: *n, column: 0, add });
        });
        Tensor::from_vec(out, (batch, out_h, out_w, *n), &Device::Cpu)
    }
}

/// The map at `size`, by its nearest pixels, with zeros around it.
fn surround(x: &Tensor, (h, w): (usize, usize), window: Window) -> Result<Vec<f32>> {
    let (batch, from_h, from_w, c) = x.dims4()?;
    let (wide, tall) = (w + window.before + window.after, h + window.before + window.after);
    let mut map = vec![0.0; batch * tall * wide * c];
    let x = Values::of(x)?;
    let x = x.slice()?;
    for (image, y) in (0..batch).flat_map(|image| (0..h).map(move |y| (image, y))) {
        let from = &x[(image * from_h + y * from_h / h) * from_w * c..][..from_w * c];
        let to = ((image * tall + y + window.before) * wide + window.before) * c;
        let line = &mut map[to..][..w * c];
        if from_w == w {
            line.copy_from_slice(from);
        } else {
            for (i, pixel) in line.chunks_exact_mut(c).enumerate() {
                pixel.copy_from_slice(&from[i * from_w / w * c..][..c]);
            }
        }
    }
    Ok(map)
}

/// Group norm, followed by SiLU where that is asked for.
pub struct GroupNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    groups: usize,
    eps: f64,
    silu: bool,
}

impl GroupNorm {
    /// Reads `weight` and `bias`.
    pub fn new(
        weights: &VarBuilder,
        channels: usize,
        groups: usize,
        eps: f64,
        silu: bool,
    ) -> Result<GroupNorm> {
        let read = |name| values_of(&weights.get(channels, name)?);
        Ok(GroupNorm { weight: read("weight")?, bias: read("bias")?, groups, eps, silu })
    }

    /// Normalises each image of `[N, .., C]` by groups of neighbouring channels.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let c = self.weight.len();
        if channels(x)? != c {
            bail!("a norm of {c} channels was given {:?}", x.shape())
        }
        let mut out = values_of(x)?;
        let images = x.dim(0)?;
        let each = out.len() / images.max(1);
        for image in out.chunks_exact_mut(each.max(1)) {
            let (scale, shift) = self.scale_and_shift(image);
            for pixel in image.chunks_exact_mut(c) {
                for ((x, scale), shift) in pixel.iter_mut().zip(&scale).zip(&shift) {
                    *x = *x * scale + shift;
                }
            }
            if self.silu {
                simd::map(image, F4::silu);
            }
        }
        Tensor::from_vec(out, x.shape(), &Device::Cpu)
    }

    /// What each channel of an image is multiplied by, and what is added then.
    fn scale_and_shift(&self, image: &[f32]) -> (Vec<f32>, Vec<f32>) {
        /// Pixels that are added up in f32, before their sum goes to the f64 one.
        const PIXELS: usize = 64;
        let c = self.weight.len();
        let (mut sums, mut squares) = (vec![0f64; c], vec![0f64; c]);
        for part in image.chunks(PIXELS * c) {
            let (mut sum, mut square) = (vec![0f32; c], vec![0f32; c]);
            for pixel in part.chunks_exact(c) {
                for ((x, sum), square) in pixel.iter().zip(&mut sum).zip(&mut square) {
                    *sum += x;
                    *square += x * x;
                }
            }
            sums.iter_mut().zip(&sum).for_each(|(all, x)| *all += f64::from(*x));
            squares.iter_mut().zip(&square).for_each(|(all, x)| *all += f64::from(*x));
        }
        let width = c / self.groups;
        let count = (image.len() / self.groups) as f64;
        let (mut scale, mut shift) = (Vec::with_capacity(c), Vec::with_capacity(c));
        for i in 0..c {
            let group = i / width * width..(i / width + 1) * width;
            let mean = sums[group.clone()].iter().sum::<f64>() / count;
            let variance = (squares[group].iter().sum::<f64>() / count - mean * mean).max(0.0);
            let by = f64::from(self.weight[i]) / (variance + self.eps).sqrt();
            scale.push(by as f32);
            shift.push((f64::from(self.bias[i]) - mean * by) as f32);
        }
        (scale, shift)
    }
}

/// Layer norm over the last dimension.
pub struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
}

impl LayerNorm {
    /// Reads `weight` and `bias`.
    pub fn new(weights: &VarBuilder, channels: usize, eps: f64) -> Result<LayerNorm> {
        let read = |name| values_of(&weights.get(channels, name)?);
        Ok(LayerNorm { weight: read("weight")?, bias: read("bias")?, eps: eps as f32 })
    }

    /// `[.., C]` to the same.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let c = self.weight.len();
        let mut out = values_of(x)?;
        for row in out.chunks_exact_mut(c) {
            let mean = row.iter().sum::<f32>() / c as f32;
            let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / c as f32;
            let by = 1.0 / (variance + self.eps).sqrt();
            for ((x, weight), bias) in row.iter_mut().zip(&self.weight).zip(&self.bias) {
                *x = (*x - mean) * by * weight + bias;
            }
        }
        Tensor::from_vec(out, x.shape(), &Device::Cpu)
    }
}

/// SiLU of every value.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    let mut out = values_of(x)?;
    simd::map(&mut out, F4::silu);
    Tensor::from_vec(out, x.shape(), &Device::Cpu)
}

/// `[.., 2 · C]` to `[.., C]`: the first half times GELU of the second.
pub fn geglu(x: &Tensor) -> Result<Tensor> {
    let width = channels(x)? / 2;
    let mut shape = x.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = width;
    }
    let mut both = Vec::with_capacity(x.elem_count() / 2);
    let values = Values::of(x)?;
    let mut gate = Vec::with_capacity(width);
    for row in values.slice()?.chunks_exact(2 * width) {
        gate.clear();
        gate.extend_from_slice(&row[width..]);
        simd::map(&mut gate, F4::gelu);
        both.extend(row[..width].iter().zip(&gate).map(|(x, gate)| x * gate));
    }
    Tensor::from_vec(both, shape, &Device::Cpu)
}
