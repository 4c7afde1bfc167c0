//! The adapter's matrix units, which wgpu calls cooperative matrices and keeps experimental: whether it has those that
//! kernels want, and whether they multiply rightly on this driver. Native only: WebGPU has none yet.

use half::f16;

use super::passed::Passed;
use super::{Context, Executable, Memory, Readback, Weights};
use crate::error::{Error, Result};
use crate::kernels::gemm::{self, Params, Source, Spec, Variant};
use crate::kernels::{Elem, WeightType};
use crate::plan::{Binding, Dispatch, External, Outside, Plan};

/// What of wgpu they are.
pub const FEATURES: wgpu::Features =
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(wgpu::Features::SHADER_F16);
/// The workgroup memory of the largest kernel that uses them.
pub const WORKGROUP_BYTES: u32 = gemm::MATRICES_WORKGROUP_BYTES;
/// ‖difference‖ / ‖plain‖ at most: both round the same sums to f16. One wrong value of the products that are checked makes
/// more.
const BOUND: f64 = 1e-3;

/// Asks for them.
pub fn request(descriptor: &mut wgpu::DeviceDescriptor) {
    descriptor.required_features |= FEATURES;
    descriptor.required_limits.max_compute_workgroup_storage_size =
        descriptor.required_limits.max_compute_workgroup_storage_size.max(WORKGROUP_BYTES);
    descriptor.experimental_features = leave();
}

/// wgpu's leave to use what it calls experimental.
#[allow(
    unsafe_code,
    reason = "the one place: what wgpu may still have wrong in cooperative matrices is checked on this driver before use"
)]
fn leave() -> wgpu::ExperimentalFeatures {
    // SAFETY: asked of the caller is to know of possible bugs; kernels that use the feature are held against plain ones
    // before anything else runs them, and nothing else experimental is requested.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}

/// Whether the adapter has what kernels are written for: 16 × 16 halves with sums in f32, by subgroups of 32.
pub fn offered(adapter: &wgpu::Adapter) -> bool {
    use wgpu::CooperativeScalarType::{F16, F32};
    let info = adapter.get_info();
    let fragments = |p: &wgpu::CooperativeMatrixProperties| {
        [p.m_size, p.n_size, p.k_size] == [16; 3] && p.ab_type == F16 && p.cr_type == F32
    };
    adapter.features().contains(FEATURES)
        && [info.subgroup_min_size, info.subgroup_max_size] == [gemm::Matrices::SUBGROUP; 2]
        && adapter.limits().max_compute_workgroup_storage_size >= WORKGROUP_BYTES
        && adapter.cooperative_matrix_properties().iter().any(fragments)
}

/// Holds every variant that the device's plans take against the plain kernel, once for a program, adapter and driver; fails
/// with what is wrong. Compiling them takes a quarter of a second, so a check that passed is remembered.
pub async fn check(context: &Context, info: &wgpu::AdapterInfo) -> Result<()> {
    let Some(matrices) = context.target().tuning.matrices else { return Ok(()) };
    let passed = Passed::of(info, &matrices.variants());
    if passed.as_ref().is_some_and(Passed::is_remembered) {
        return Ok(());
    }
    for variant in matrices.variants() {
        for split in [false, true] {
            let [found, expected] =
                [product(context, variant, split).await?, product(context, Variant::OUTER, split).await?];
            let error = difference(&found, &expected);
            if error.is_nan() || error > BOUND {
                let message = format!("{variant} is off by {error:.1e}, more than {BOUND:.0e}");
                return Err(Error::Gpu { message });
            }
        }
    }
    if let Some(passed) = passed {
        passed.remember();
    }
    Ok(())
}

/// ‖found − expected‖ / ‖expected‖.
fn difference(found: &[f32], expected: &[f32]) -> f64 {
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>();
    let off = squares(&mut found.iter().zip(expected).map(|(a, b)| f64::from(a - b)));
    (off / squares(&mut expected.iter().map(|x| f64::from(*x)))).sqrt()
}

/// A 3×3 convolution with a bias whose edges fill no tile, or the sums of its cuts.
async fn product(context: &Context, variant: Variant, split: bool) -> Result<Vec<f32>> {
    const BATCH: usize = 2;
    const SIDE: usize = 11;
    const CHANNELS: usize = 64;
    const COLUMNS: usize = 136;
    const CUTS: u32 = 3;
    let m = BATCH * SIDE * SIDE;
    let k4 = (9 * CHANNELS / 4) as u32;
    let spec = Spec { bias: !split, split, ..Spec::plain(Elem::F16, WeightType::F16, variant, Source::Conv) };
    let params = Params {
        m: m as u32,
        n: COLUMNS as u32,
        k4,
        a_c4: (CHANNELS / 4) as u32,
        in_h: SIDE as u32,
        in_w: SIDE as u32,
        out_h: SIDE as u32,
        out_w: SIDE as u32,
        kernel_w: 3,
        taps: 9,
        stride: 1,
        pad_top: 1,
        pad_left: 1,
        rows_per_image: (SIDE * SIDE) as u32,
        weight_n: COLUMNS as u32,
        weight_c4: (CHANNELS / 4) as u32,
        // Of every variant the same cuts.
        cut_k4: gemm::cut_k4(Variant::MATRICES_WIDE, k4, CUTS),
        ..Params::default()
    };
    let workgroups = gemm::workgroups(&spec, &params);
    let elem = if split { Elem::F32 } else { Elem::F16 };
    let len = m * COLUMNS * if split { workgroups[2] as usize } else { 1 };
    let input = numbers(1, m * CHANNELS, 1.0);
    let weight = numbers(2, 9 * CHANNELS * COLUMNS, 0.05);
    let bias: Vec<f32> = numbers(3, COLUMNS, 0.5).into_iter().map(f16::to_f32).collect();
    let mut operands = vec![
        (Outside::Sample, bytemuck::cast_slice::<f16, u8>(&input)),
        (Outside::Operand(0), bytemuck::cast_slice(&weight)),
    ];
    operands.extend((!split).then_some((Outside::Operand(1), bytemuck::cast_slice(&bias))));
    let mut externals: Vec<External> = operands
        .iter()
        .map(|(outside, bytes)| External { outside: *outside, bytes: bytes.len() as u64 })
        .collect();
    externals.push(External { outside: Outside::Prediction, bytes: (len * elem.size()) as u64 });
    let plan = Plan {
        name: "check of matrix units".to_string(),
        dispatches: vec![Dispatch {
            label: variant.to_string(),
            kernel: spec.into(),
            params: params.bytes().to_vec(),
            workgroups,
            bindings: (0..externals.len()).map(Binding::External).collect(),
            flops: 0,
            bytes: 0,
        }],
        slabs: Vec::new(),
        clears: vec![externals.len() - 1],
        externals,
    };
    let memory = Memory::new(context, &[&plan]);
    for (outside, bytes) in operands {
        memory.write(outside, bytes)?;
    }
    let executable =
        context.guarded(|| Executable::new(context, &plan, &Weights::none(context), &memory)).await?;
    executable.run(&|| false).await?;
    let readback = Readback::new(context, Outside::Prediction, (len * elem.size()) as u64);
    let bytes = readback.read(&memory).await?;
    Ok(match elem {
        Elem::F32 => bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect(),
        Elem::F16 => bytes.chunks_exact(2).map(|b| bytemuck::pod_read_unaligned::<f16>(b).to_f32()).collect(),
    })
}

/// So many halves from -`spread` to `spread`, the same ones every time.
fn numbers(seed: u32, count: usize, spread: f32) -> Vec<f16> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f16::from_f32(spread * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0))
    };
    (0..count).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_value_is_beyond_the_bound() {
        let expected: Vec<f32> = numbers(1, 2 * 11 * 11 * 136, 1.0).into_iter().map(f16::to_f32).collect();
        let mut found = expected.clone();
        assert_eq!(difference(&found, &expected), 0.0);
        found[1000] += 0.5;
        assert!(difference(&found, &expected) > BOUND);
        found[1000] = f32::NAN;
        assert!(difference(&found, &expected).is_nan());
    }
}
