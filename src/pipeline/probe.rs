//! How quick a way to compute is: the same small matrix product, timed. Where the GPU is a program on the CPU, this
//! tells which of the two to take.

use web_time::{Duration, Instant};

#[cfg(feature = "gpu")]
use crate::error::Result;

/// The product `[ROWS, DEPTH] · [DEPTH, COLUMNS]`: 75 MFLOP, about a twentieth of a guided step of the embedded model.
const ROWS: usize = 256;
const DEPTH: usize = 1152;
const COLUMNS: usize = 128;

/// Timed this often once everything is compiled; the shortest counts.
const RUNS: usize = 3;

/// How long the product takes on the GPU. Some tenths of a second on a software adapter, most of it for compiling.
#[cfg(feature = "gpu")]
pub async fn on_gpu(context: &crate::gpu::Context) -> Result<Duration> {
    use super::plans::single;
    use crate::gpu::{Executable, Memory, Weights};
    use crate::kernels::gemm::{self, Source, Variant};
    use crate::kernels::{Elem, WeightType};
    use crate::plan::{External, Outside};

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
    let value =
        |index: usize, len: usize| External { outside: Outside::Operand(index), bytes: 4 * len as u64 };
    let values = vec![value(0, ROWS * DEPTH), value(1, DEPTH * COLUMNS), value(2, ROWS * COLUMNS)];
    let plan = single("probe", spec.into(), params.bytes(), workgroups, values);
    let memory = Memory::new(context, &[&plan]);
    let product = Executable::new(context, &plan, &Weights::none(context), &memory)?;
    let mut time = Duration::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        product.run(&|| false).await?;
        context.finished().await?;
        time = time.min(start.elapsed());
    }
    context.check()?;
    Ok(time)
}

/// How long the product takes on the CPU, by the one that the CPU path is made of: some milliseconds.
#[cfg(feature = "cpu")]
pub fn on_cpu() -> Duration {
    let product = crate::cpu::sample_product(ROWS, DEPTH, COLUMNS);
    let timed = |_| {
        let start = Instant::now();
        product();
        start.elapsed()
    };
    (0..RUNS).map(timed).min().unwrap_or(Duration::MAX)
}
