//! `opengen bench --attention`: attention of Stable Diffusion's shapes, in every variant.

use opengen::error::{Error, Result};
use opengen::gpu::{Context, Executable, Memory, Readback, Weights};
use opengen::kernels::attention::{self, Params, Spec, Variant, candidates};
use opengen::kernels::{Elem, Kernel};
use opengen::plan::{Binding, Dispatch, External, Outside, Plan};

use super::alone::{self, Numbers, Row};
use super::compare::Printing;

/// Queries whose outputs are computed on the processor too.
const CHECKED: usize = 8;

/// Cuts of the kernel in blocks that are measured beside the chosen one.
const CUTS: usize = 8;

/// An attention of a model at 512×512.
struct Case {
    /// Pictures, guided ones twice.
    batch: u32,
    heads: u32,
    queries: u32,
    /// Keys of a text; `None` where the queries' own tokens are the keys.
    text: Option<u32>,
    head_dim: u32,
}

/// The UNet's three sizes with guidance, its text, the decoder's.
const CASES: [Case; 6] = [
    Case { batch: 2, heads: 8, queries: 4096, text: None, head_dim: 40 },
    Case { batch: 2, heads: 8, queries: 1024, text: None, head_dim: 80 },
    Case { batch: 2, heads: 8, queries: 256, text: None, head_dim: 160 },
    Case { batch: 2, heads: 8, queries: 4096, text: Some(77), head_dim: 40 },
    Case { batch: 2, heads: 5, queries: 4096, text: None, head_dim: 64 },
    Case { batch: 1, heads: 1, queries: 4096, text: None, head_dim: 512 },
];

impl Case {
    fn name(&self) -> String {
        let Case { queries, head_dim, .. } = self;
        format!("{queries}x{}x{head_dim}, {} heads", self.keys(), self.batch * self.heads)
    }

    fn keys(&self) -> u32 {
        self.text.unwrap_or(self.queries)
    }

    fn params(&self) -> Params {
        match self.text {
            None => Params::merged(self.batch, self.queries, self.heads, self.head_dim),
            Some(keys) => Params::cross(self.batch, self.queries, keys, self.heads, self.head_dim),
        }
    }

    fn flops(&self) -> u64 {
        let sizes = [self.batch, self.heads, self.queries, self.keys(), self.head_dim];
        4 * sizes.into_iter().map(u64::from).product::<u64>()
    }

    /// Variants for it on an adapter whose subgroups have at least so many invocations: the chosen one, others, the one
    /// without subgroups, those of CPU adapters.
    fn variants(&self, elem: Elem, subgroup: u32) -> Vec<Variant> {
        let mut variants: Vec<Variant> =
            Variant::choose(self.head_dim, elem, false, subgroup).into_iter().collect();
        let cuts = candidates(self.head_dim, elem, subgroup > 0);
        let there = cuts.into_iter().filter(|tile| !tile.shuffles || tile.across <= subgroup);
        variants.extend(there.take(CUTS).map(Variant::Blocked));
        variants.extend(Variant::choose(self.head_dim, elem, false, 0));
        variants.extend([Variant::Tiled, Variant::Rows]);
        let mut once: Vec<Variant> = Vec::new();
        for variant in variants.into_iter().filter(|variant| self.head_dim <= variant.max_head_dim()) {
            if !once.contains(&variant) {
                once.push(variant);
            }
        }
        once
    }

    fn plan(&self, elem: Elem, variant: Variant) -> Plan {
        let shared_qkv = self.text.is_none();
        let spec = Spec { elem, variant, head_dim: self.head_dim, causal: false, shared_qkv, hides: false };
        let params = self.params();
        let bytes = |values: u32| u64::from(values) * elem.size() as u64;
        let mut externals = vec![External {
            outside: Outside::Operand(0),
            bytes: bytes(self.batch * self.queries * params.q_stride),
        }];
        if !shared_qkv {
            let keys_values = bytes(self.batch * params.kv_batch_stride);
            externals.push(External { outside: Outside::Operand(1), bytes: keys_values });
        }
        externals.push(External { outside: Outside::Prediction, bytes: bytes(self.outputs()) });
        let dispatch = Dispatch {
            label: "attention".to_string(),
            workgroups: attention::workgroups(&spec, &params),
            kernel: Kernel::from(spec),
            params: params.bytes().to_vec(),
            bindings: (0..externals.len()).map(Binding::External).collect(),
            flops: self.flops(),
            bytes: externals.iter().map(|external| external.bytes).sum(),
        };
        // What a variant leaves out is not what the one before it wrote.
        let clears = vec![externals.len() - 1];
        Plan {
            name: "attention".to_string(),
            dispatches: vec![dispatch],
            slabs: Vec::new(),
            externals,
            clears,
        }
    }

    fn outputs(&self) -> u32 {
        self.batch * self.queries * self.heads * self.head_dim
    }

    /// Outputs by where they lie, on the processor: all channels of a few queries' heads.
    fn checked(&self, q: &[f32], kv: &[f32]) -> Vec<(usize, f64)> {
        let params = self.params();
        let dim = self.head_dim as usize;
        let mut numbers = Numbers::new(18);
        let mut checked = Vec::new();
        for _ in 0..CHECKED {
            let [image, query, head] =
                [self.batch, self.queries, self.heads].map(|end| numbers.below(end as usize));
            let row = image * self.queries as usize + query;
            let q = &q[row * params.q_stride as usize + head * dim..][..dim];
            let of = |key: usize, offset: u32| {
                let at = image * params.kv_batch_stride as usize + key * params.kv_stride as usize;
                &kv[at + offset as usize + head * dim..][..dim]
            };
            let dot = |key| -> f64 {
                q.iter().zip(of(key, params.k_offset)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            let scores: Vec<f64> =
                (0..self.keys() as usize).map(|key| dot(key) * f64::from(params.scale)).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
            let total: f64 = weights.iter().sum();
            for channel in 0..dim {
                let value = |key| f64::from(of(key, params.v_offset)[channel]);
                let sum: f64 = weights.iter().enumerate().map(|(key, weight)| weight * value(key)).sum();
                checked.push(((row * self.heads as usize + head) * dim + channel, sum / total));
            }
        }
        checked
    }
}

/// Measures every case and variant whose line has `only` in it, in f16 where the adapter has it, then in f32.
pub async fn run(f32_only: bool, only: &str, printing: &Printing) -> Result<()> {
    alone::run("attention", f32_only, printing, async |context, elem, found| {
        for case in &CASES {
            measure(context, elem, case, only, found).await?;
        }
        Ok(())
    })
    .await
}

async fn measure(
    context: &Context,
    elem: Elem,
    case: &Case,
    only: &str,
    found: &mut dyn FnMut(Row),
) -> Result<()> {
    let mut variants = case.variants(elem, context.target().subgroup);
    variants.retain(|variant| format!("{} {} {variant}", elem.wgsl(), case.name()).contains(only));
    let plans: Vec<Plan> = variants.iter().map(|variant| case.plan(elem, *variant)).collect();
    let Some(first) = plans.first() else { return Ok(()) };
    let memory = Memory::new(context, &[first]);
    let mut numbers = Numbers::new(17);
    let mut operands: Vec<Vec<f32>> = Vec::new();
    for (index, external) in first.externals.iter().enumerate().take(first.externals.len() - 1) {
        let values = numbers.values(elem, external.bytes as usize / elem.size(), 1.7);
        memory.write(Outside::Operand(index), &alone::bytes(elem, &values))?;
        operands.push(values);
    }
    let (Some(q), Some(kv)) = (operands.first(), operands.last()) else { return Ok(()) };
    let checked = case.checked(q, kv);
    let readback =
        Readback::new(context, Outside::Prediction, u64::from(case.outputs()) * elem.size() as u64);
    for (variant, plan) in variants.iter().zip(&plans) {
        let executable = context
            .guarded(|| Executable::new(context, plan, &Weights::none(context), &memory))
            .await
            .map_err(|error| Error::Gpu { message: format!("{variant}: {error}") })?;
        executable.run(&|| false).await?;
        let error = alone::error(&readback.read(&memory).await?, elem, &checked);
        let time = alone::time(&executable).await?;
        let bytes = plan.bytes();
        found(Row {
            elem,
            case: case.name(),
            variant: variant.to_string(),
            time,
            flops: case.flops(),
            bytes,
            error,
            bound: alone::rounding(elem),
        });
    }
    Ok(())
}
