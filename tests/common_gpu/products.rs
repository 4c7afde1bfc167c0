//! Shapes of products and convolutions, and weights packed for them.

use half::f16;
use opengen::kernels::gemm::Params;
use opengen::kernels::gemm::cpu::Geometry;
use opengen::kernels::{BLOCK, Circular, WeightType};

/// A product's shape: the output's columns, the channels of both sources, the geometry.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub n: usize,
    pub channels: usize,
    pub second: usize,
    pub geometry: Geometry,
}

pub fn linear(rows: usize, n: usize, channels: usize, second: usize) -> Shape {
    let geometry = Geometry {
        batch: 1,
        in_h: 1,
        in_w: rows,
        out_h: 1,
        out_w: rows,
        kernel: 1,
        stride: 1,
        pad_top: 0,
        pad_left: 0,
        upsample: false,
        circular: Circular::NONE,
    };
    Shape { n, channels, second, geometry }
}

pub fn conv(batch: usize, (in_h, in_w): (usize, usize), n: usize, channels: usize) -> Shape {
    let geometry = Geometry {
        batch,
        in_h,
        in_w,
        out_h: in_h,
        out_w: in_w,
        kernel: 3,
        stride: 1,
        pad_top: 1,
        pad_left: 1,
        upsample: false,
        circular: Circular::NONE,
    };
    Shape { n, channels, second: 0, geometry }
}

/// Stride 2, padded on all sides or at the end only.
pub fn strided(shape: Shape, pad: usize) -> Shape {
    let half = |size: usize| (size + if pad == 0 { 1 } else { 2 } - 3) / 2 + 1;
    let g = shape.geometry;
    let geometry =
        Geometry { stride: 2, pad_top: pad, pad_left: pad, out_h: half(g.in_h), out_w: half(g.in_w), ..g };
    Shape { geometry, ..shape }
}

/// Upsampling to twice the size less `less` in each direction.
pub fn upsampled(shape: Shape, less: usize) -> Shape {
    let g = shape.geometry;
    let geometry = Geometry { upsample: true, out_h: 2 * g.in_h - less, out_w: 2 * g.in_w - less, ..g };
    Shape { geometry, ..shape }
}

/// The same over a map that goes on at its other end along some axes.
pub fn around(shape: Shape, circular: Circular) -> Shape {
    Shape { geometry: Geometry { circular, ..shape.geometry }, ..shape }
}

/// Packed words, scales where there are any, and the values they stand for, `[n, k]`.
pub struct Packed {
    pub words: Vec<u8>,
    pub scales: Option<Vec<u8>>,
    pub values: Vec<f32>,
}

/// The plainest packing of `[n, k]`: `[k / 4, n]` groups of four, scales `[k / 32, n]`.
pub fn pack(weight_type: WeightType, values: &[f32], n: usize, k: usize) -> Packed {
    let mut quantized = values.to_vec();
    let mut codes = vec![0i32; n * k];
    let mut scales = vec![f16::ZERO; k.div_ceil(BLOCK) * n];
    if weight_type.is_quantized() {
        let (largest, zero) = match weight_type {
            WeightType::Q8 => (127.0, 0),
            WeightType::Q5 => (15.0, 16),
            _ => (7.0, 8),
        };
        for row in 0..n {
            for block in 0..k / BLOCK {
                let at = row * k + block * BLOCK;
                let peak = values[at..at + BLOCK].iter().fold(0.0f32, |m, v| m.max(v.abs()));
                let scale = f16::from_f32(peak / largest);
                scales[block * n + row] = scale;
                for i in at..at + BLOCK {
                    let code = (values[i] / scale.to_f32()).round().clamp(-largest, largest);
                    codes[i] = code as i32 + zero;
                    quantized[i] = code * scale.to_f32();
                }
            }
        }
    }
    let mut words = Vec::new();
    let groups = match weight_type {
        WeightType::Q5 => BLOCK,
        WeightType::Q4 => 8,
        _ => 4,
    };
    if weight_type == WeightType::Q5 {
        words = fives(&codes, n, k);
    }
    for group in 0..k / groups {
        for row in 0..n {
            let at = row * k + group * groups;
            match weight_type {
                WeightType::F32 => words.extend(values[at..at + 4].iter().flat_map(|v| v.to_le_bytes())),
                WeightType::F16 => {
                    for i in at..at + 4 {
                        quantized[i] = f16::from_f32(values[i]).to_f32();
                        words.extend(f16::from_f32(values[i]).to_le_bytes());
                    }
                }
                WeightType::Q8 => words.extend(codes[at..at + 4].iter().map(|q| *q as i8 as u8)),
                WeightType::Q5 => {}
                WeightType::Q4 => {
                    let word = (0..8).fold(0u32, |word, i| word | (codes[at + i] as u32) << (4 * i));
                    words.extend(word.to_le_bytes());
                }
            }
        }
    }
    let scales = weight_type.is_quantized().then(|| {
        let mut bytes: Vec<u8> = scales.iter().flat_map(|s| s.to_le_bytes()).collect();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    });
    Packed { words, scales, values: quantized }
}

/// Of each block of each row four words of nibbles and one of fifth bits, `[k / 32, 5, n]`.
fn fives(codes: &[i32], n: usize, k: usize) -> Vec<u8> {
    let word = |block: usize, i: usize, row: usize| {
        let codes = &codes[row * k + block * BLOCK..][..BLOCK];
        match i {
            4 => (0..BLOCK).fold(0u32, |word, at| word | (codes[at] as u32 >> 4) << at),
            _ => (0..8).fold(0u32, |word, at| word | (codes[8 * i + at] as u32 & 15) << (4 * at)),
        }
    };
    let words = (0..k / BLOCK).flat_map(|block| (0..5).map(move |i| (block, i)));
    words.flat_map(|(block, i)| (0..n).flat_map(move |row| word(block, i, row).to_le_bytes())).collect()
}

/// What the kernel is told of a shape.
pub fn params(shape: Shape, time_offset: usize) -> Params {
    let g = shape.geometry;
    Params {
        m: (g.batch * g.out_h * g.out_w) as u32,
        n: shape.n as u32,
        k4: ((g.kernel * g.kernel * shape.channels + shape.second) / 4) as u32,
        a_c4: (shape.channels / 4) as u32,
        a2_c4: (shape.second / 4) as u32,
        in_h: g.in_h as u32,
        in_w: g.in_w as u32,
        out_h: g.out_h as u32,
        out_w: g.out_w as u32,
        kernel_w: g.kernel as u32,
        taps: (g.kernel * g.kernel) as u32,
        stride: g.stride as u32,
        pad_top: g.pad_top as i32,
        pad_left: g.pad_left as u32,
        rows_per_image: (g.out_h * g.out_w) as u32,
        time_offset: time_offset as u32,
        weight_n: shape.n as u32,
        weight_c4: ((shape.channels + shape.second) / 4) as u32,
        ..Params::default()
    }
}
