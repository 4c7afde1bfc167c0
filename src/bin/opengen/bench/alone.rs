//! One kernel by itself, timed and held against the processor: what the benchmarks of kernels share.

use std::time::{Duration, Instant};

use half::f16;
use opengen::error::{Error, Result};
use opengen::gpu::{Context, Executable, Options};
use opengen::kernels::Elem;
use serde_json::json;

use super::compare::Printing;

/// How long the device is kept busy before anything is timed, so that its clock has risen.
pub const WARM: Duration = Duration::from_millis(200);
/// How long what is timed takes at least.
const ENOUGH: Duration = Duration::from_millis(20);
/// So often is it timed; the shortest counts.
const TIMES: usize = 3;

/// One line of the report.
pub struct Row {
    pub elem: Elem,
    pub case: String,
    pub variant: String,
    pub time: Duration,
    pub flops: u64,
    /// Bytes of all operands.
    pub bytes: u64,
    /// ‖difference‖ / ‖expected‖ over the outputs that were checked.
    pub error: f64,
    /// The most that rounding makes of it.
    pub bound: f64,
}

impl Row {
    fn per_second(&self, work: u64) -> f64 {
        work as f64 / self.time.as_secs_f64().max(1e-9)
    }

    fn is_wrong(&self) -> bool {
        self.error.is_nan() || self.error > self.bound
    }
}

/// Runs `measure` with f16 activations where the adapter has them, then with f32, and prints what it finds: line by line as
/// it comes, or all of it as JSON under `kind`, and beside an earlier report.
pub async fn run(
    kind: &str,
    f32_only: bool,
    printing: &Printing,
    measure: impl AsyncFn(&Context, Elem, &mut dyn FnMut(Row)) -> Result<()>,
) -> Result<()> {
    let mut rows = Vec::new();
    let mut adapter = None;
    for elem in [Elem::F16, Elem::F32] {
        if f32_only && elem == Elem::F16 {
            continue;
        }
        let options =
            Options { f16: Some(elem == Elem::F16), timestamps: true, unchecked: true, ..Options::default() };
        let context = match Context::new(&options).await {
            Err(Error::NoGpu { message }) if elem == Elem::F16 => {
                eprintln!("note: f16 is left out: {message}");
                continue;
            }
            context => context?,
        };
        let capabilities = context.capabilities().clone();
        if !printing.json && adapter.is_none() {
            let subgroup = capabilities.subgroup;
            let how = if context.has_timestamps() { "the device's clock" } else { "waiting included" };
            println!(
                "{} ({}), {how}, subgroups of at least {subgroup}",
                capabilities.adapter, capabilities.backend
            );
            println!(
                "\n{:<5}{:<28}{:<62}{:>11}{:>9}{:>9}{:>10}",
                "", kind, "variant", "us", "TFLOP/s", "GB/s", "error"
            );
        }
        adapter = Some(capabilities);
        let mut found = |row: Row| {
            if !printing.json {
                print(&row);
            }
            rows.push(row);
        };
        measure(&context, elem, &mut found).await?;
    }
    let listed: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({ "elem": row.elem.wgsl(), "case": row.case, "variant": row.variant,
                    "us": row.time.as_secs_f64() * 1e6, "tflops_per_s": row.per_second(row.flops) / 1e12,
                    "gb_per_s": row.per_second(row.bytes) / 1e9, "error": row.error })
        })
        .collect();
    printing.end(json!({ "adapter": adapter, kind: listed }));
    let wrong = rows.iter().filter(|row| row.is_wrong()).count();
    if wrong > 0 {
        return Err(Error::Gpu { message: format!("{wrong} of {} results are wrong", rows.len()) });
    }
    Ok(())
}

fn print(row: &Row) {
    println!(
        "{:<5}{:<28}{:<62}{:>11.1}{:>9.2}{:>9.0}{:>10.1e}{}",
        row.elem.wgsl(),
        row.case,
        row.variant,
        row.time.as_secs_f64() * 1e6,
        row.per_second(row.flops) / 1e12,
        row.per_second(row.bytes) / 1e9,
        row.error,
        if row.is_wrong() { "  WRONG" } else { "" }
    );
}

/// How long one run takes of many that follow each other, on a device that is warm.
pub async fn time(executable: &Executable) -> Result<Duration> {
    let mut once = executable.time(1).await?;
    let start = Instant::now();
    while once < WARM && start.elapsed() < WARM {
        once = executable.time(repeats(once)).await?;
    }
    let mut shortest = once;
    for _ in 1..TIMES {
        shortest = shortest.min(executable.time(repeats(once)).await?);
    }
    Ok(shortest)
}

fn repeats(once: Duration) -> u32 {
    (ENOUGH.as_secs_f64() / once.as_secs_f64().max(1e-6)).ceil().clamp(1.0, 2000.0) as u32
}

/// Numbers without a pattern, the same ones every time: splitmix64.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// So many from -`spread` to `spread`, exact in the element type.
    pub fn values(&mut self, elem: Elem, count: usize, spread: f32) -> Vec<f32> {
        let signed = |bits: u64| (bits >> 40) as f32 / (1 << 23) as f32 - 1.0;
        (0..count)
            .map(|_| spread * signed(self.next()))
            .map(|value| if elem == Elem::F16 { f16::from_f32(value).to_f32() } else { value })
            .collect()
    }
}

/// What rounding does to results and to what is kept between them, at most.
pub fn rounding(elem: Elem) -> f64 {
    match elem {
        Elem::F16 => 2e-3,
        Elem::F32 => 1e-5,
    }
}

/// Values as they lie on the device.
pub fn bytes(elem: Elem, values: &[f32]) -> Vec<u8> {
    match elem {
        Elem::F32 => bytemuck::cast_slice(values).to_vec(),
        Elem::F16 => values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect(),
    }
}

/// How far outputs are from those that were computed on the processor, by where they lie.
pub fn error(bytes: &[u8], elem: Elem, checked: &[(usize, f64)]) -> f64 {
    let found = |at: usize| match elem {
        Elem::F16 => bytemuck::pod_read_unaligned::<f16>(&bytes[2 * at..2 * at + 2]).to_f64(),
        Elem::F32 => f64::from(bytemuck::pod_read_unaligned::<f32>(&bytes[4 * at..4 * at + 4])),
    };
    let off: f64 = checked.iter().map(|(at, expected)| (found(*at) - expected).powi(2)).sum();
    let all: f64 = checked.iter().map(|(_, expected)| expected.powi(2)).sum();
    (off / all).sqrt()
}
