//! Sampling as scalar mathematics: noise, schedules, and samplers reduced to a few coefficients per step.
//!
//! A sampler here is a [`Trajectory`]: for each evaluation of the denoiser the timestep it is told, and the coefficients of
//! linear combinations of latents, model output, history and noise. One GPU kernel executes them all. The numbers are those of
//! each sampler's origin, diffusers or k-diffusion: latents agree with its after every evaluation.

mod beta;
mod brownian;
mod cephes;
mod ddim;
mod ddpm;
mod dpm2;
mod dpm_multistep;
mod dpm_sde;
mod er_sde;
mod euler;
mod euler_ancestral;
mod forward;
mod heun;
mod lcm;
mod lms;
mod noise;
mod options;
mod philox;
mod plms;
mod restart;
mod samplers;
mod schedule;
mod schedules;
mod step;
mod tcd;
mod torch;
mod unipc;
mod variation;

pub use forward::{Forward, Shares, noise_between, spherical};
pub use noise::{Generator, Generators, NoiseSource};
pub use options::SamplerOptions;
pub use philox::PhiloxGenerator;
pub use samplers::{Group, KarrasOf, SamplerKind, Told};
pub use schedules::ScheduleKind;
pub use step::{Churn, Evaluation, HISTORY, Linear, Linear2, Step, Trajectory, Whole};
pub use torch::TorchGenerator;
pub use variation::{Variation, slerp};

use crate::config::{PredictionType, SchedulerConfig};
use crate::error::{Error, Result};

/// The value of that name, or an error that lists the names there are.
fn by_name<T: Copy>(field: &'static str, text: &str, known: &[(&str, T)]) -> Result<T> {
    let found = known.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names = known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        Error::InvalidInput { field, message: format!("there is no {text:?}; known are {names}") }
    })
}

/// Computes a run as the sampler's origin would do it: diffusers' class, made with `from_config`, or k-diffusion's function.
///
/// Beyond diffusers, whose classes ignore them, are Karras sigmas for Euler ancestral, which are k-diffusion's, and a zero
/// terminal SNR with Heun and LMS: a model's noise schedule is its own, whatever the sampler.
pub fn trajectory(
    config: &SchedulerConfig,
    sampler: SamplerKind,
    schedule: ScheduleKind,
    steps: usize,
) -> Result<Trajectory> {
    late_trajectory(config, sampler, Told::new(schedule, &SamplerOptions::default()), steps, 0)
}

/// The same run, told more, from its step `first` on, as it is begun there: a sampler that remembers steps has none before it.
pub fn late_trajectory(
    config: &SchedulerConfig,
    sampler: SamplerKind,
    told: Told<'_>,
    steps: usize,
    first: usize,
) -> Result<Trajectory> {
    config.check()?;
    told.options.check(sampler, told.schedule)?;
    if steps == 0 || steps > config.num_train_timesteps {
        return Err(Error::InvalidInput {
            field: "steps",
            message: format!("{steps} steps asked for, expected 1 to {}", config.num_train_timesteps),
        });
    }
    refuse_unsupported(config, sampler)?;
    let trajectory = sampler.trajectory(config, told, steps, first)?;
    check_finite(&trajectory, sampler)?;
    Ok(trajectory)
}

/// Refuses what the file asks for and the sampler's class in diffusers would do, but this engine does not.
fn refuse_unsupported(config: &SchedulerConfig, sampler: SamplerKind) -> Result<()> {
    let refused = &config.refused;
    let set = |flag: Option<bool>| flag == Some(true);
    let other = |text: &Option<String>, only: &str| text.as_deref().is_some_and(|text| text != only);
    use SamplerKind::{Ddim, Ddpm, DpmPlusPlus2M, Euler, Heun, Lcm, Lms, Tcd, UniPc, UniPcBh1};
    let is = |kinds: &[SamplerKind]| kinds.contains(&sampler);
    let table = [
        ("trained_betas", refused.trained_betas.is_some(), "only named beta schedules are"),
        (
            "clip_sample",
            is(&[Ddim, Heun, Lcm, Ddpm, Tcd]) && set(refused.clip_sample),
            "latents have no bounds to clip to; set it to false",
        ),
        (
            "thresholding",
            is(&[Ddim, DpmPlusPlus2M, Lcm, Ddpm, Tcd, UniPc, UniPcBh1]) && set(refused.thresholding),
            "set it to false, and dynamic_thresholding_ratio in a request where it is wanted",
        ),
        (
            "use_exponential_sigmas",
            is(&[Euler, Heun, Lms, DpmPlusPlus2M, UniPc, UniPcBh1]) && set(refused.use_exponential_sigmas),
            "choose the schedule exponential in its place",
        ),
        (
            "use_beta_sigmas",
            is(&[Euler, Heun, Lms, DpmPlusPlus2M, UniPc, UniPcBh1]) && set(refused.use_beta_sigmas),
            "choose the schedule beta in its place",
        ),
        ("use_lu_lambdas", is(&[DpmPlusPlus2M]) && set(refused.use_lu_lambdas), "use karras"),
        (
            "use_flow_sigmas",
            is(&[DpmPlusPlus2M, UniPc, UniPcBh1]) && set(refused.use_flow_sigmas),
            "flow matching is another family of models",
        ),
        (
            "interpolation_type",
            is(&[Euler]) && other(&refused.interpolation_type, "linear"),
            "only linear is",
        ),
        ("timestep_type", is(&[Euler]) && other(&refused.timestep_type, "discrete"), "only discrete is"),
    ];
    match table.iter().find(|(_, refused, _)| *refused) {
        Some((field, _, why)) => Err(Error::Unsupported {
            what: format!("{field} (scheduler_config.json) with sampler {sampler}"),
            message: (*why).to_string(),
        }),
        None => Ok(()),
    }
}

/// A schedule can divide by zero: noise prediction where no picture is left (zero terminal SNR with DDIM).
fn check_finite(trajectory: &Trajectory, sampler: SamplerKind) -> Result<()> {
    let finite = |step: &Step| step.evaluations.iter().all(Evaluation::is_finite);
    match trajectory.steps.iter().position(|step| !finite(step)) {
        None if !trajectory.steps.is_empty() => Ok(()),
        at => Err(Error::Unsupported {
            what: format!("this noise schedule with sampler {sampler}"),
            message: match at {
                Some(i) => format!("step {} divides by zero; try another sampler or prediction type", i + 1),
                None => "no timestep is left".to_string(),
            },
        }),
    }
}

/// The clean estimate where latents = alpha · clean + sigma · noise.
fn denoised_at(prediction: PredictionType, alpha: f64, sigma: f64) -> Linear2 {
    match prediction {
        PredictionType::Epsilon => Linear2 { x: 1.0 / alpha, model: -sigma / alpha },
        PredictionType::VPrediction => Linear2 { x: alpha, model: -sigma },
        PredictionType::Sample => Linear2 { x: 0.0, model: 1.0 },
    }
}

#[cfg(test)]
mod tests;
