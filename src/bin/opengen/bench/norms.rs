//! `opengen bench --norms`: norms of Stable Diffusion's shapes, as plans for a GPU have them and as those for a CPU do.

use opengen::error::Result;
use opengen::gpu::{Context, Executable, Memory, Readback, Weights};
use opengen::kernels::{Elem, WeightType};
use opengen::plan::{Binding, Builder, External, Graph, Outside, Path, Plan, Shape, Target, Tuning, lower};

use super::alone::{self, Numbers, Row};
use super::compare::Printing;

/// Groups of every group norm.
const GROUPS: usize = 32;
const EPS: f64 = 1e-5;
/// Outputs that are computed on the processor too, all of as many groups or rows.
const CHECKED: usize = 3;

/// A norm of a model at 512×512: of groups over square maps, or of rows.
struct Case {
    batch: usize,
    side: usize,
    channels: usize,
    rows: bool,
}

/// The UNet's with guidance, then the decoder's.
const CASES: [Case; 10] = [
    maps(2, 64, 320),
    maps(2, 64, 960),
    maps(2, 32, 640),
    maps(2, 16, 1280),
    maps(2, 8, 2560),
    rows(2, 64, 320),
    rows(2, 32, 640),
    rows(2, 16, 1280),
    maps(1, 64, 512),
    maps(1, 256, 256),
];

const fn maps(batch: usize, side: usize, channels: usize) -> Case {
    Case { batch, side, channels, rows: false }
}

const fn rows(batch: usize, side: usize, channels: usize) -> Case {
    Case { rows: true, ..maps(batch, side, channels) }
}

impl Case {
    fn name(&self) -> String {
        let Case { batch, side, channels, rows } = self;
        let kind = if *rows { "rows" } else { "groups and SiLU" };
        format!("{batch}x{side}x{side}x{channels} {kind}")
    }

    fn values(&self) -> usize {
        self.batch * self.side * self.side * self.channels
    }

    fn graph(&self) -> Graph {
        let mut b = Builder::new("norm");
        let path = Path::root("unet").pp("norm");
        let x = b.input(Outside::Sample, Shape::image(self.batch, self.side, self.side, self.channels));
        let out = match self.rows {
            true => b.layer_norm(&path, x, EPS),
            false => b.group_norm(&path, x, None, GROUPS, EPS, true),
        };
        b.output(Outside::Prediction, out);
        b.finish()
    }

    /// The plan, with operands in place of the weights.
    fn plan(&self, target: Target) -> Result<Plan> {
        let mut plan = lower(&self.graph(), target, &|_| WeightType::F32)?;
        let first = plan.externals.len();
        let bytes = 4 * self.channels as u64;
        plan.externals.extend([0, 1].map(|index| External { outside: Outside::Operand(index), bytes }));
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

    /// Outputs by where they lie, on the processor: of a few groups or rows.
    fn checked(&self, x: &[f32], gamma: &[f32], beta: &[f32]) -> Vec<(usize, f64)> {
        let pixels = self.side * self.side;
        let mut numbers = Numbers::new(18);
        let mut checked = Vec::new();
        for _ in 0..CHECKED {
            let image = numbers.below(self.batch);
            let of: Vec<usize> = if self.rows {
                let row = (image * pixels + numbers.below(pixels)) * self.channels;
                (row..row + self.channels).collect()
            } else {
                let width = self.channels / GROUPS;
                let first = numbers.below(GROUPS) * width;
                let pixel = |pixel: usize| (image * pixels + pixel) * self.channels + first;
                (0..pixels).flat_map(|at| pixel(at)..pixel(at) + width).collect()
            };
            let count = of.len() as f64;
            let mean = of.iter().map(|at| f64::from(x[*at])).sum::<f64>() / count;
            let variance = of.iter().map(|at| (f64::from(x[*at]) - mean).powi(2)).sum::<f64>() / count;
            checked.extend(of.into_iter().map(|at| {
                let channel = at % self.channels;
                let y = (f64::from(x[at]) - mean) / (variance + EPS).sqrt() * f64::from(gamma[channel])
                    + f64::from(beta[channel]);
                (at, if self.rows { y } else { y / (1.0 + (-y).exp()) })
            }));
        }
        checked
    }
}

/// Measures every case whose line has `only` in it, in f16 where the adapter has it, then in f32.
pub async fn run(f32_only: bool, only: &str, printing: &Printing) -> Result<()> {
    alone::run("norm", f32_only, printing, async |context, elem, found| {
        for case in &CASES {
            if format!("{} {}", elem.wgsl(), case.name()).contains(only) {
                measure(context, elem, case, found).await?;
            }
        }
        Ok(())
    })
    .await
}

async fn measure(context: &Context, elem: Elem, case: &Case, found: &mut dyn FnMut(Row)) -> Result<()> {
    let target = context.target();
    let plans = [Tuning::GPU, Tuning::CPU]
        .map(|tuning| Ok((tuning.name, case.plan(Target { tuning, ..target })?)))
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let memory = Memory::new(context, &plans.iter().map(|(_, plan)| plan).collect::<Vec<_>>());
    let mut numbers = Numbers::new(17);
    let x = numbers.values(elem, case.values(), 2.0);
    let [gamma, beta] = [1.0, 0.5].map(|spread| numbers.values(Elem::F32, case.channels, spread));
    memory.write(Outside::Sample, &alone::bytes(elem, &x))?;
    memory.write(Outside::Operand(0), &alone::bytes(Elem::F32, &gamma))?;
    memory.write(Outside::Operand(1), &alone::bytes(Elem::F32, &beta))?;
    let checked = case.checked(&x, &gamma, &beta);
    let readback = Readback::new(context, Outside::Prediction, (case.values() * elem.size()) as u64);
    for (name, plan) in &plans {
        let executable = Executable::new(context, plan, &Weights::none(context), &memory)?;
        executable.run(&|| false).await?;
        let error = alone::error(&readback.read(&memory).await?, elem, &checked);
        let time = alone::time(&executable).await?;
        let grids: Vec<String> =
            plan.dispatches.iter().map(|d| format!("{}", d.workgroups[0] * d.workgroups[1])).collect();
        let variant = format!("{name}, {} workgroups", grids.join(" + "));
        // Read once and written once: what it takes at least.
        let bytes = 2 * (case.values() * elem.size()) as u64;
        found(Row {
            elem,
            case: case.name(),
            variant,
            time,
            flops: 0,
            bytes,
            error,
            bound: alone::rounding(elem),
        });
    }
    Ok(())
}
