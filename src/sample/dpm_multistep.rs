//! DPM-Solver++(2M): C. Lu et al., <https://arxiv.org/abs/2211.01095>, algorithm 2 in its midpoint form.
//!
//! The latents keep unit variance; what a step remembers is its estimate of the clean latents.

use super::schedule::{alphas_cumprod_above_zero, dpm_timesteps, karras, sigma_at, sigmas, timestep_at};
use super::{Evaluation, Linear, ScheduleKind, Step, Trajectory, denoised_at};
use crate::config::{BetaSchedule, FinalSigmas, PredictionType, SchedulerConfig};
use crate::error::{Error, Result};

/// diffusers' `DPMSolverMultistepScheduler` with `dpmsolver++`, order 2, midpoint; nothing is known of steps before `first`.
pub fn trajectory(
    config: &SchedulerConfig,
    schedule: ScheduleKind,
    steps: usize,
    first: usize,
) -> Result<Trajectory> {
    let alphas = alphas_cumprod_above_zero(config);
    let all = sigmas(&alphas);
    let last = alphas.len() - clipped(config, &alphas);
    if last == 0 {
        return Err(Error::BadFile {
            file: "scheduler_config.json".to_string(),
            message: format!("lambda_min_clipped {:?} leaves no timestep", config.lambda_min_clipped),
        });
    }
    let mut timesteps = dpm_timesteps(config, last, steps);
    let mut levels: Vec<f64> = timesteps.iter().map(|t| sigma_at(&all, *t)).collect();
    if schedule.is_karras_with(config) {
        let max = config.sigma_max.unwrap_or(f64::from(all[all.len() - 1]));
        levels = karras(max, config.sigma_min.unwrap_or(f64::from(all[0])), steps);
        // Whole numbers: the class keeps integers, and rounds first except for the cosine schedule.
        let whole = |t: f64| match config.beta_schedule {
            BetaSchedule::SquaredcosCapV2 => t.trunc(),
            _ => t.round_ties_even(),
        };
        timesteps = levels.iter().map(|sigma| whole(timestep_at(&all, *sigma))).collect();
    }
    levels.push(match config.final_sigmas_type {
        FinalSigmas::Zero => 0.0,
        FinalSigmas::SigmaMin => f64::from(all[0]),
    });
    let levels: Vec<Level> = levels.iter().map(|sigma| Level::new(f64::from(*sigma as f32))).collect();
    Ok(Trajectory { init_noise_sigma: 1.0, steps: steps_between(config, &timesteps, &levels, first) })
}

/// How many of the noisiest timesteps `lambda_min_clipped` cuts off.
fn clipped(config: &SchedulerConfig, alphas: &[f32]) -> usize {
    let lambda = |alpha: f32| alpha.sqrt().ln() - (1.0 - alpha).sqrt().ln();
    let Some(minimum) = config.lambda_min_clipped else { return 0 };
    alphas.iter().filter(|alpha| f64::from(lambda(**alpha)) < minimum).count()
}

/// A noise level in the solver's terms: latents = alpha · clean + sigma · noise.
#[derive(Clone, Copy)]
struct Level {
    /// sigma / alpha.
    ratio: f64,
    alpha: f64,
    sigma: f64,
    /// Half the log SNR, ln(alpha / sigma); infinite at the clean end.
    lambda: f64,
}

impl Level {
    fn new(ratio: f64) -> Self {
        let alpha = 1.0 / ratio.hypot(1.0);
        Level { ratio, alpha, sigma: ratio * alpha, lambda: -ratio.ln() }
    }
}

/// Second order where a step was taken before and the end is not near, else first.
fn steps_between(config: &SchedulerConfig, timesteps: &[f64], levels: &[Level], first: usize) -> Vec<Step> {
    let n = timesteps.len();
    let first_order_last = config.euler_at_final
        || (config.lower_order_final && n < 15)
        || config.final_sigmas_type == FinalSigmas::Zero;
    (0..n)
        .map(|i| {
            let before = (i > first && !(i + 1 == n && first_order_last)).then(|| levels[i - 1]);
            one_step(config.prediction_type, timesteps[i], before, levels[i], levels[i + 1]).into()
        })
        .collect()
}

/// next = (σₜ/σₛ) · latents + a · clean + (a/2r) · (clean - clean before), a = αₜ(1 - e⁻ʰ).
fn one_step(
    prediction: PredictionType,
    timestep: f64,
    before: Option<Level>,
    from: Level,
    to: Level,
) -> Evaluation {
    let denoised = denoised_at(prediction, from.alpha, from.sigma);
    let h = to.lambda - from.lambda;
    let clean = -to.alpha * (-h).exp_m1();
    // Two equal levels (more steps than there are timesteps to tell apart) leave no slope to extrapolate.
    let extrapolated = match before.map(|before| from.lambda - before.lambda) {
        Some(h_before) if h_before > 0.0 && h > 0.0 => 0.5 * clean * h / h_before,
        _ => 0.0,
    };
    Evaluation {
        timestep,
        sigma: from.ratio,
        input_scale: 1.0,
        next: Linear {
            x: to.sigma / from.sigma + (clean + extrapolated) * denoised.x,
            model: (clean + extrapolated) * denoised.model,
            history: [-extrapolated, 0.0, 0.0],
        },
        keep: [denoised.into(), Linear::default(), Linear::default()],
        denoised,
        ..Evaluation::default()
    }
}
