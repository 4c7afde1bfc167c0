//! Which path is quicker where the GPU is a program on the CPU: the same small matrix product, timed on both.

use candle_core::{DType, Device, Tensor};
use web_time::{Duration, Instant};

use super::plans::single;
use crate::error::Result;
use crate::gpu::{Context, Executable, Memory, Weights};
use crate::kernels::gemm::{self, Source, Variant};
use crate::kernels::{Elem, WeightType};
use crate::plan::External;

/// The product `[ROWS, DEPTH] · [DEPTH, COLUMNS]`: 75 MFLOP, about a twentieth of a guided step of the embedded model.
const ROWS: usize = 256;
const DEPTH: usize = 1152;
const COLUMNS: usize = 128;

/// How long the product took on each path, once everything was compiled and warm.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    pub gpu: Duration,
    pub cpu: Duration,
}

impl Probe {
    /// How many times as long the adapter took.
    pub fn ratio(&self) -> f64 {
        self.gpu.as_secs_f64() / self.cpu.as_secs_f64().max(1e-9)
    }
}

/// Measures both paths: some tenths of a second on a software adapter, most of it spent on compiling one shader.
pub async fn probe(context: &Context) -> Result<Probe> {
    Ok(Probe { gpu: on_gpu(context).await?, cpu: on_cpu()? })
}

async fn on_gpu(context: &Context) -> Result<Duration> {
    let spec = gemm::Spec::plain(Elem::F32, WeightType::F32, Variant::REGISTERS, Source::Rows);
    let depth4 = (DEPTH / 4) as u32;
    let params = gemm::Params {
        m: ROWS as u32,
        n: COLUMNS as u32,
        k4: depth4,
        a_c4: depth4,
        weight_n: COLUMNS as u32,
        weight_c4: depth4,
        taps: 1,
        ..Default::default()
    };
    let workgroups = gemm::workgroups(&spec, &params);
    let value = |name: &str, len: usize| External { name: name.to_string(), bytes: 4 * len as u64 };
    let values =
        vec![value("a", ROWS * DEPTH), value("weight", DEPTH * COLUMNS), value("product", ROWS * COLUMNS)];
    let plan = single("probe", spec.into(), params.bytes(), workgroups, values);
    let memory = Memory::new(context, &[&plan]);
    let product = Executable::new(context, &plan, &Weights::none(context), &memory)?;
    let mut time = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        product.run(&|| false).await?;
        context.finished().await?;
        time = time.min(start.elapsed());
    }
    context.check()?;
    Ok(time)
}

fn on_cpu() -> Result<Duration> {
    let a = Tensor::ones((ROWS, DEPTH), DType::F32, &Device::Cpu)?;
    let weight = Tensor::ones((DEPTH, COLUMNS), DType::F32, &Device::Cpu)?;
    let mut time = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        a.matmul(&weight)?;
        time = time.min(start.elapsed());
    }
    Ok(time)
}
