//! `opengen bench --products`: matrix products and convolutions of Stable Diffusion's shapes, in every variant.

use half::f16;
use opengen::error::Result;
use opengen::gpu::{Context, Executable, Memory, Readback, Weights};
use opengen::kernels::gemm::{MATRIX_VARIANTS, Variant};
use opengen::kernels::winograd::Tile;
use opengen::kernels::{Elem, WeightType};
use opengen::plan::{
    Binding, Builder, Conv, Cuts, Epilogue, External, Graph, MatrixProducts, Outside, Path, Plan, Products,
    Shape, Target, Tuning, Winograd, lower,
};

use super::alone::{self, Numbers, Row};
use super::compare::Printing;

/// Outputs that are computed on the processor too.
const CHECKED: usize = 64;

/// A product: rows of tokens or, with a side, a 3×3 convolution over square maps.
struct Case {
    /// Batch and side of the maps, for a convolution.
    maps: Option<(usize, usize)>,
    /// Rows.
    m: usize,
    /// Channels in.
    inputs: usize,
    /// Channels out.
    n: usize,
}

/// Convolutions of the UNet at 512×512 with guidance, its linear layers, convolutions of the decoder.
const CASES: [Case; 16] = [
    conv(2, 64, 320, 320),
    conv(2, 32, 640, 640),
    conv(2, 16, 1280, 1280),
    conv(2, 8, 1280, 1280),
    linear(8192, 320, 2560),
    linear(8192, 1280, 320),
    linear(2048, 640, 5120),
    linear(8192, 320, 320),
    linear(2048, 640, 640),
    linear(2048, 2560, 640),
    linear(512, 1280, 1280),
    linear(512, 5120, 1280),
    linear(128, 1280, 1280),
    conv(1, 512, 128, 128),
    conv(1, 256, 256, 256),
    conv(1, 128, 512, 512),
];

const fn conv(batch: usize, side: usize, inputs: usize, n: usize) -> Case {
    Case { maps: Some((batch, side)), m: batch * side * side, inputs, n }
}

const fn linear(m: usize, inputs: usize, n: usize) -> Case {
    Case { maps: None, m, inputs, n }
}

impl Case {
    fn name(&self) -> String {
        let kind = if self.maps.is_some() { "conv" } else { "linear" };
        format!("{kind} {}x{}x{}", self.m, self.n, self.k())
    }

    fn k(&self) -> usize {
        if self.maps.is_some() { 9 * self.inputs } else { self.inputs }
    }

    fn tiles(&self) -> u64 {
        (self.m.div_ceil(64) * self.n.div_ceil(64)) as u64
    }

    fn graph(&self) -> Graph {
        let mut b = Builder::new("product");
        let path = Path::root("unet").pp("product");
        let out = match self.maps {
            Some((batch, side)) => {
                let x = b.input(Outside::Sample, Shape::image(batch, side, side, self.inputs));
                b.conv2d(&path, x, self.inputs, self.n, Conv::same(), Epilogue::default())
            }
            None => {
                let x = b.input(Outside::Sample, Shape::tokens(1, self.m, self.inputs));
                b.linear(&path, x, self.n, Epilogue::default())
            }
        };
        b.output(Outside::Prediction, out);
        b.finish()
    }

    /// The variants that are timed; in cuts where there are few tiles.
    fn variants(&self, matrices: bool) -> Vec<(String, Tuning)> {
        let plain = |products| Tuning { products, winograd: None, ..Tuning::GPU };
        let whole = [Variant::Tiled, Variant::OUTER, Variant::OUTER_WIDE];
        let mut variants: Vec<_> = whole.map(|v| (v.to_string(), plain(Products::all(v)))).to_vec();
        let few = Tuning::GPU.products.cuts.is_some_and(|cuts| 2 * self.tiles() <= cuts.workgroups);
        for variant in [Variant::OUTER, Variant::OUTER_WIDE].into_iter().filter(|_| few) {
            for cuts in [2, 3, 4, 5, 10, 16].into_iter().filter(|cuts| self.k() / cuts >= 128) {
                let cut = Cuts { workgroups: self.tiles() * cuts as u64, k: 1, variant };
                let products = Products { cuts: Some(cut), ..Products::all(variant) };
                variants.push((format!("{variant}, {cuts} cuts"), plain(products)));
            }
        }
        if self.maps.is_some() {
            for (tile, variant) in [&[Tile::Four], &[Tile::Two]]
                .into_iter()
                .flat_map(|tile| [Variant::OUTER, Variant::OUTER_WIDE].map(|variant| (tile, variant)))
            {
                for scratch in [34, 64] {
                    let name = format!("winograd {s}x{s}, {variant}, {scratch} MiB", s = tile[0].outputs());
                    let winograd = Winograd {
                        tiles: tile,
                        variant,
                        flops_per_byte: 0,
                        percent: u64::MAX,
                        scratch: scratch << 20,
                        weights: 24 << 20,
                    };
                    let tuning = Tuning { winograd: Some(winograd), ..Tuning::GPU };
                    variants.push((name, tuning));
                }
            }
            let plain = Tuning { winograd: None, ..Tuning::GPU };
            variants.push(("as planned, without winograd".to_string(), plain));
        }
        variants.push(("as planned".to_string(), Tuning::GPU));
        if matrices {
            for variant in MATRIX_VARIANTS {
                for cuts in
                    [1, 2, 3, 4, 5, 6, 8, 10, 16].into_iter().filter(|cuts| self.fits_cuts(variant, *cuts))
                {
                    let units = Some(MatrixProducts::all(variant, cuts));
                    let name = if cuts > 1 { format!("{variant}, {cuts} cuts") } else { variant.to_string() };
                    variants.push((name, Tuning { matrices: units, ..Tuning::MATRICES }));
                }
            }
            variants.push(("as planned, matrices".to_string(), Tuning::MATRICES));
        }
        variants
    }

    /// Whether so many cuts could pay: few workgroups without, sums long enough with them.
    fn fits_cuts(&self, variant: Variant, cuts: u64) -> bool {
        let [rows, columns] = variant.tile().map(|size| size as usize);
        let workgroups = (self.m.div_ceil(rows) * self.n.div_ceil(columns)) as u64;
        cuts == 1 || (workgroups * cuts <= 800 && self.k() as u64 / cuts >= 128)
    }

    /// The plan, with operands in place of the weights.
    fn plan(&self, target: Target) -> Result<Plan> {
        let mut plan = lower(&self.graph(), target, &|decl| match decl.name.ends_with(".bias") {
            true => WeightType::F32,
            false => WeightType::F16,
        })?;
        let operands = [(self.n * self.k() * 2) as u64, (self.n * 4) as u64];
        let first = plan.externals.len();
        let external = |(index, bytes)| External { outside: Outside::Operand(index), bytes };
        plan.externals.extend(operands.into_iter().enumerate().map(external));
        for binding in plan.dispatches.iter_mut().flat_map(|dispatch| &mut dispatch.bindings) {
            if let Binding::Weight(name) = binding {
                *binding = Binding::External(first + usize::from(name.ends_with(".bias")));
            }
        }
        // What a variant leaves out is not what the one before it wrote.
        plan.clears
            .extend(plan.externals.iter().position(|external| external.outside == Outside::Prediction));
        Ok(plan)
    }
}

/// The operands of a case.
struct Data {
    input: Vec<f16>,
    /// `[K/4, N]` groups of four, as packed.
    weight: Vec<f16>,
    bias: Vec<f32>,
}

impl Data {
    fn of(case: &Case) -> Data {
        let mut numbers = Numbers::new(16);
        // What is longer goes round, in a length that no row divides into.
        let mut values = |count: usize, spread: f32| -> Vec<f16> {
            let drawn = numbers.values(Elem::F16, count.min((1 << 20) + 7), spread);
            let halves: Vec<f16> = drawn.into_iter().map(f16::from_f32).collect();
            halves.iter().copied().cycle().take(count).collect()
        };
        let input = values(case.m * case.inputs, 1.0);
        let weight = values(case.n * case.k(), (3.0 / case.k() as f32).sqrt());
        let bias = values(case.n, 0.5).into_iter().map(f16::to_f32).collect();
        Data { input, weight, bias }
    }

    /// One output, on the processor.
    fn output(&self, case: &Case, row: usize, column: usize) -> f64 {
        let weight = |k: usize| self.weight[(k / 4 * case.n + column) * 4 + k % 4].to_f64();
        let run = |at: usize, first: usize| -> f64 {
            (0..case.inputs).map(|c| self.input[at * case.inputs + c].to_f64() * weight(first + c)).sum()
        };
        let bias = f64::from(self.bias[column]);
        let Some((_, side)) = case.maps else { return bias + run(row, 0) };
        let (image, y, x) = (row / (side * side), row / side % side, row % side);
        let tap = |tap: usize| {
            let (y, x) = ((y + tap / 3).wrapping_sub(1), (x + tap % 3).wrapping_sub(1));
            let inside = y < side && x < side;
            if inside { run((image * side + y) * side + x, tap * case.inputs) } else { 0.0 }
        };
        bias + (0..9).map(tap).sum::<f64>()
    }
}

/// Measures every case and variant whose line has `only` in it, in f16 where the adapter has it, then in f32.
pub async fn run(f32_only: bool, only: &str, printing: &Printing) -> Result<()> {
    alone::run("products", f32_only, printing, async |context, elem, found| {
        for case in &CASES {
            measure(context, elem, case, only, found).await?;
        }
        Ok(())
    })
    .await
}

/// Measures the variants of a case whose line has `only` in it.
async fn measure(
    context: &Context,
    elem: Elem,
    case: &Case,
    only: &str,
    found: &mut dyn FnMut(Row),
) -> Result<()> {
    let line = |variant: &str| format!("{} {} {variant}", elem.wgsl(), case.name());
    let mut plans = Vec::new();
    let matrices = context.target().tuning.matrices.is_some();
    for (variant, tuning) in case.variants(matrices) {
        if line(&variant).contains(only) {
            let target = context.target();
            plans.push((variant, case.plan(Target { tuning, ..target })?));
        }
    }
    if plans.is_empty() {
        return Ok(());
    }
    let data = Data::of(case);
    let memory = Memory::new(context, &plans.iter().map(|(_, plan)| plan).collect::<Vec<_>>());
    let input: Vec<f32> = data.input.iter().map(|value| value.to_f32()).collect();
    memory.write(Outside::Sample, &alone::bytes(elem, &input))?;
    memory.write(Outside::Operand(0), bytemuck::cast_slice(&data.weight))?;
    memory.write(Outside::Operand(1), bytemuck::cast_slice(&data.bias))?;
    let mut numbers = Numbers::new(17);
    let checked: Vec<_> = (0..CHECKED)
        .map(|_| (numbers.below(case.m), numbers.below(case.n)))
        .map(|(row, column)| (row * case.n + column, data.output(case, row, column)))
        .collect();
    for (variant, plan) in plans {
        let executable = Executable::new(context, &plan, &Weights::none(context), &memory)?;
        executable.run(&|| false).await?;
        let readback = Readback::new(context, Outside::Prediction, (case.m * case.n * elem.size()) as u64);
        let error = alone::error(&readback.read(&memory).await?, elem, &checked);
        let time = alone::time(&executable).await?;
        let (flops, bytes) = (plan.flops(), plan.bytes());
        found(Row { elem, case: case.name(), variant, time, flops, bytes, error, bound: bound(elem) });
    }
    Ok(())
}

/// Beyond what rounding does: of the result in f16, of the sums in f32.
fn bound(elem: Elem) -> f64 {
    match elem {
        Elem::F16 => 1e-3,
        Elem::F32 => 1e-5,
    }
}
