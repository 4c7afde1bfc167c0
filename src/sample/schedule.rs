//! The noise schedule: from betas to cumulated alphas to the timesteps and sigmas of a run.
//!
//! What PyTorch and NumPy compute in f32 is f32 here too: near the clean end, `1 - alphas_cumprod` loses four digits,
//! so one rounding more or less would show in every latent. Everything after that is f64.

use crate::config::{BetaSchedule, SchedulerConfig, TimestepSpacing};

/// The cumulated product of the alphas, one per training timestep, as diffusers keeps them (f32).
pub fn alphas_cumprod(config: &SchedulerConfig) -> Vec<f32> {
    let betas = betas(config);
    let alphas: Vec<f32> = betas.iter().map(|beta| 1.0 - beta).collect();
    if config.rescale_betas_zero_snr {
        return cumprod(&zero_terminal_snr(&alphas));
    }
    cumprod(&alphas)
}

/// The same for samplers that divide by the last one: at zero SNR it becomes 2^-24, the smallest f16 above zero.
pub fn alphas_cumprod_above_zero(config: &SchedulerConfig) -> Vec<f32> {
    let mut alphas = alphas_cumprod(config);
    if let (true, Some(last)) = (config.rescale_betas_zero_snr, alphas.last_mut()) {
        *last = 1.0 / 16_777_216.0;
    }
    alphas
}

/// √((1 - ᾱ) / ᾱ) per training timestep, rising.
pub fn sigmas(alphas_cumprod: &[f32]) -> Vec<f32> {
    alphas_cumprod.iter().map(|alpha| ((1.0 - alpha) / alpha).sqrt()).collect()
}

fn betas(config: &SchedulerConfig) -> Vec<f32> {
    let n = config.num_train_timesteps;
    match config.beta_schedule {
        BetaSchedule::Linear => linspace_f32(config.beta_start, config.beta_end, n),
        BetaSchedule::ScaledLinear => {
            let roots = linspace_f32(config.beta_start.sqrt(), config.beta_end.sqrt(), n);
            roots.iter().map(|root| root * root).collect()
        }
        BetaSchedule::SquaredcosCapV2 => {
            let alpha_bar = |t: f64| ((t + 0.008) / 1.008 * std::f64::consts::PI / 2.0).cos().powi(2);
            let at = |i: usize| alpha_bar(i as f64 / n as f64);
            (0..n).map(|i| (1.0 - at(i + 1) / at(i)).min(0.999) as f32).collect()
        }
    }
}

/// `torch.linspace` in f32: from both ends towards the middle, each product fused with its sum.
pub fn linspace_f32(start: f64, end: f64, n: usize) -> Vec<f32> {
    let (start, end) = (start as f32, end as f32);
    if n < 2 {
        return vec![start; n];
    }
    let step = (end - start) / (n - 1) as f32;
    let at = |i: usize| match i < n / 2 {
        true => step.mul_add(i as f32, start),
        false => (-step).mul_add((n - 1 - i) as f32, end),
    };
    (0..n).map(at).collect()
}

/// `torch.cumprod`: accumulated in f64, each product rounded to f32.
fn cumprod(values: &[f32]) -> Vec<f32> {
    let mut product = 1.0_f64;
    let mut next = |value: &f32| {
        product *= f64::from(*value);
        product as f32
    };
    values.iter().map(&mut next).collect()
}

/// Algorithm 1 of <https://arxiv.org/abs/2305.08891>: shifts and scales so that nothing of the picture is left at the
/// last training timestep. Takes and gives alphas.
fn zero_terminal_snr(alphas: &[f32]) -> Vec<f32> {
    let roots: Vec<f32> = cumprod(alphas).iter().map(|alpha| alpha.sqrt()).collect();
    let (Some(&first), Some(&last)) = (roots.first(), roots.last()) else { return Vec::new() };
    let scale = first / (first - last);
    let bars: Vec<f32> = roots.iter().map(|root| ((root - last) * scale).powi(2)).collect();
    // diffusers goes through the betas, which rounds twice.
    let ratio = |i: usize| if i == 0 { bars[0] } else { bars[i] / bars[i - 1] };
    (0..bars.len()).map(|i| 1.0 - (1.0 - ratio(i))).collect()
}

/// i·⌊n/parts⌋ + offset for i = steps-1 … 0. `parts` is `steps`, or one more where the last interval is left out.
pub fn leading(n: usize, parts: usize, skip: usize, offset: usize) -> Vec<f64> {
    let ratio = n / parts;
    (skip..parts).rev().map(|i| (i * ratio + offset) as f64).collect()
}

/// From `last` down in steps of `n / steps`, minus one. Fewer than `steps` where `last` is less than `n`.
pub fn trailing(n: usize, last: usize, steps: usize) -> Vec<f64> {
    let ratio = n as f64 / steps as f64;
    let count = ((last as f64 / ratio).ceil() as usize).min(steps);
    let last = last as f64;
    // `numpy.arange` steps by the difference of its first two values, which is not quite the ratio.
    let step = (last - ratio) - last;
    (0..count).map(|i| (last + i as f64 * step).round_ties_even() - 1.0).collect()
}

/// `numpy.linspace(0, last, points)`, falling, not rounded.
pub fn linspace(last: usize, points: usize) -> Vec<f64> {
    if points < 2 {
        return vec![0.0; points];
    }
    let step = last as f64 / (points - 1) as f64;
    let at = |i: usize| if i + 1 == points { last as f64 } else { i as f64 * step };
    (0..points).rev().map(at).collect()
}

/// The timesteps DDIM visits.
pub fn ddim_timesteps(config: &SchedulerConfig, steps: usize) -> Vec<f64> {
    let n = config.num_train_timesteps;
    match config.timestep_spacing.unwrap_or(TimestepSpacing::Leading) {
        TimestepSpacing::Leading => leading(n, steps, 0, config.steps_offset),
        TimestepSpacing::Trailing => trailing(n, n, steps),
        TimestepSpacing::Linspace => linspace(n - 1, steps).iter().map(|t| t.round_ties_even()).collect(),
    }
}

/// The timesteps the Euler samplers visit before any conversion of the sigmas; f32 and not whole for linspace.
pub fn euler_timesteps(config: &SchedulerConfig, steps: usize) -> Vec<f64> {
    let n = config.num_train_timesteps;
    match config.timestep_spacing.unwrap_or(TimestepSpacing::Linspace) {
        TimestepSpacing::Leading => leading(n, steps, 0, config.steps_offset),
        TimestepSpacing::Trailing => trailing(n, n, steps),
        TimestepSpacing::Linspace => linspace(n - 1, steps).iter().map(|t| f64::from(*t as f32)).collect(),
    }
}

/// The timesteps DPM-Solver visits: one interval more than steps, the last point left out. `last` timesteps of the
/// training's are used (all but those that `lambda_min_clipped` cuts off).
pub fn dpm_timesteps(config: &SchedulerConfig, last: usize, steps: usize) -> Vec<f64> {
    match config.timestep_spacing.unwrap_or(TimestepSpacing::Linspace) {
        TimestepSpacing::Leading => leading(last, steps + 1, 1, config.steps_offset),
        TimestepSpacing::Trailing => trailing(config.num_train_timesteps, last, steps),
        TimestepSpacing::Linspace => {
            let mut timesteps = linspace(last.saturating_sub(1), steps + 1);
            timesteps.truncate(steps);
            timesteps.iter().map(|t| t.round_ties_even()).collect()
        }
    }
}

/// The timesteps LCM visits: of the model's own schedule of distillation, evenly by their places in it.
pub fn lcm_timesteps(config: &SchedulerConfig, steps: usize) -> Vec<f64> {
    let own = config.original_inference_steps();
    let ratio = config.num_train_timesteps / own;
    let place = |i: usize| (i as f64 * (own as f64 / steps as f64)).floor() as usize;
    (0..steps).map(|i| ((own - place(i)) * ratio - 1) as f64).collect()
}

/// The sigma at a timestep between two training timesteps, linear; clamped to the ends.
pub fn sigma_at(sigmas: &[f32], timestep: f64) -> f64 {
    let last = sigmas.len() - 1;
    let t = timestep.clamp(0.0, last as f64);
    let low = t as usize;
    let value = f64::from(sigmas[low]);
    let slope = f64::from(sigmas[(low + 1).min(last)]) - value;
    slope * (t - low as f64) + value
}

/// The paper's, which k-diffusion and diffusers take too.
pub const KARRAS_RHO: f64 = 7.0;

/// The sigmas of T. Karras et al., <https://arxiv.org/abs/2206.00364>, equation 5, with [`KARRAS_RHO`] if left out.
pub fn karras(sigma_max: f64, sigma_min: f64, rho: Option<f64>, steps: usize) -> Vec<f64> {
    let rho = rho.unwrap_or(KARRAS_RHO);
    let (max, min) = (sigma_max.powf(1.0 / rho), sigma_min.powf(1.0 / rho));
    let ramp = |i: usize| if steps < 2 { 0.0 } else { i as f64 / (steps - 1) as f64 };
    (0..steps).map(|i| (max + ramp(i) * (min - max)).powf(rho)).collect()
}

/// The timestep, not whole, whose sigma is `sigma`: linear between the logarithms.
pub fn timestep_at(sigmas: &[f32], sigma: f64) -> f64 {
    let log = |i: usize| f64::from(sigmas[i].ln());
    let log_sigma = sigma.max(1e-10).ln();
    let below = sigmas.partition_point(|s| f64::from(s.ln()) <= log_sigma);
    let low = below.saturating_sub(1).min(sigmas.len().saturating_sub(2));
    if sigmas.len() < 2 {
        return 0.0;
    }
    let weight = ((log(low) - log_sigma) / (log(low) - log(low + 1))).clamp(0.0, 1.0);
    (1.0 - weight) * low as f64 + weight * (low + 1) as f64
}

/// The same as k-diffusion computes it, in f32: a tenth of a thousandth of a timestep shows in the latents of a sensitive run.
pub fn k_timestep_at(sigmas: &[f32], sigma: f64) -> f64 {
    let log = |sigma: f32| f64::from(sigma).ln() as f32;
    if sigmas.len() < 2 {
        return 0.0;
    }
    let log_sigma = log(sigma.max(1e-10) as f32);
    let below = sigmas.partition_point(|s| log(*s) <= log_sigma);
    let low = below.saturating_sub(1).min(sigmas.len() - 2);
    let (from, to) = (log(sigmas[low]), log(sigmas[low + 1]));
    let weight = ((from - log_sigma) / (from - to)).clamp(0.0, 1.0);
    f64::from((1.0 - weight) * low as f32 + weight * (low + 1) as f32)
}
