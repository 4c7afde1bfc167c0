//! DPM-Solver++(2M): C. Lu et al., <https://arxiv.org/abs/2211.01095>, algorithm 2 in its midpoint form.
//!
//! The latents keep unit variance; what a step remembers is its estimate of the clean latents.

use super::samplers::Asked;
use super::schedule::{alphas_cumprod_above_zero, dpm_timesteps, karras, sigma_at, sigmas, timestep_at};
use super::schedules::spaced;
use super::{Evaluation, Linear, ScheduleKind, Step, Trajectory, denoised_at};
use crate::config::{BetaSchedule, FinalSigmas, PredictionType, SchedulerConfig};
use crate::error::{Error, Result};

/// diffusers' `DPMSolverMultistepScheduler` with `dpmsolver++`, order 2, midpoint; nothing is known of steps before the first.
pub fn trajectory(asked: &Asked<'_>) -> Result<Trajectory> {
    let Visited { timesteps, levels, init_noise_sigma } = visited(asked)?;
    let steps = steps_between(asked.config, &timesteps, &levels, asked.first);
    Ok(Trajectory::new(init_noise_sigma, steps))
}

/// What diffusers' multistep classes visit.
pub struct Visited {
    pub timesteps: Vec<f64>,
    /// One more than timesteps: the last is where the run ends.
    pub levels: Vec<Level>,
    /// 1, as the classes begin; with a schedule that they have not as much as the first level has noise, as A1111 does.
    pub init_noise_sigma: f64,
}

/// The classes' own levels, or those of another schedule.
pub fn visited(asked: &Asked<'_>) -> Result<Visited> {
    let (options, steps) = (asked.options, asked.levels());
    let config = &asked.spaced_config();
    let alphas = alphas_cumprod_above_zero(config);
    let all = sigmas(&alphas);
    let last = alphas.len() - clipped(config, &alphas);
    if last == 0 {
        return Err(Error::BadFile {
            file: "scheduler_config.json".to_string(),
            message: format!("lambda_min_clipped {:?} leaves no timestep", config.lambda_min_clipped),
        });
    }
    let (mut timesteps, mut levels, is_theirs) = match asked.kind() {
        ScheduleKind::Karras if asked.has_class_karras() => {
            let ends = [all[all.len() - 1], all[0]].map(f64::from);
            let max = options.sigma_max.or(config.sigma_max).unwrap_or(ends[0]);
            let min = options.sigma_min.or(config.sigma_min).unwrap_or(ends[1]);
            let levels = karras(max, min, options.rho, steps);
            // Whole numbers: the class keeps integers, and rounds first except for the cosine schedule.
            let whole = |t: f64| match config.beta_schedule {
                BetaSchedule::SquaredcosCapV2 => t.trunc(),
                _ => t.round_ties_even(),
            };
            (levels.iter().map(|sigma| whole(timestep_at(&all, *sigma))).collect(), levels, true)
        }
        kind => match spaced(asked, kind, steps)? {
            Some(spaced) => (spaced.timesteps, spaced.sigmas, false),
            None => {
                let timesteps = dpm_timesteps(config, last, steps);
                let levels = timesteps.iter().map(|t| sigma_at(&all, *t)).collect::<Vec<f64>>();
                (timesteps, levels, true)
            }
        },
    };
    if asked.discards() && timesteps.len() > 1 {
        timesteps.pop();
        levels.pop();
    }
    levels.push(match config.final_sigmas_type {
        FinalSigmas::Zero => 0.0,
        FinalSigmas::SigmaMin => f64::from(all[0]),
    });
    let levels: Vec<Level> = levels.iter().map(|sigma| Level::new(f64::from(*sigma as f32))).collect();
    let whole = options.sgm_noise_multiplier.unwrap_or(is_theirs);
    Ok(Visited { timesteps, init_noise_sigma: if whole { 1.0 } else { levels[0].sigma }, levels })
}

/// How many of the noisiest timesteps `lambda_min_clipped` cuts off.
fn clipped(config: &SchedulerConfig, alphas: &[f32]) -> usize {
    let lambda = |alpha: f32| alpha.sqrt().ln() - (1.0 - alpha).sqrt().ln();
    let Some(minimum) = config.lambda_min_clipped else { return 0 };
    alphas.iter().filter(|alpha| f64::from(lambda(**alpha)) < minimum).count()
}

/// A noise level in the solver's terms: latents = alpha · clean + sigma · noise.
#[derive(Clone, Copy)]
pub struct Level {
    /// sigma / alpha.
    pub ratio: f64,
    pub alpha: f64,
    pub sigma: f64,
    /// Half the log SNR, ln(alpha / sigma); infinite at the clean end.
    pub lambda: f64,
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
