//! Sampling as scalar mathematics: noise, schedules, and samplers reduced to a few coefficients per step.
//!
//! A sampler here is a [`Trajectory`]: for each evaluation of the denoiser the timestep it is told, and the coefficients of
//! linear combinations of latents, model output, history and noise. One GPU kernel executes them all. The numbers are
//! diffusers': latents agree with its schedulers' after every evaluation.

mod cephes;
mod ddim;
mod dpm_multistep;
mod euler;
mod euler_ancestral;
mod forward;
mod heun;
mod lcm;
mod lms;
mod noise;
mod philox;
mod samplers;
mod schedule;
mod step;
mod torch;
mod variation;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use forward::{Forward, Shares, noise_between, spherical};
pub use noise::{Generator, Generators, NoiseSource};
pub use philox::PhiloxGenerator;
pub use samplers::SamplerKind;
pub use step::{Evaluation, HISTORY, Linear, Linear2, Step, Trajectory, Whole};
pub use torch::TorchGenerator;
pub use variation::{Variation, slerp};

use crate::config::{PredictionType, SchedulerConfig};
use crate::error::{Error, Result};

/// How a sampler spaces its noise levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// As the model's configuration says.
    #[default]
    Default,
    /// Karras sigmas; not for DDIM and LCM.
    Karras,
}

impl ScheduleKind {
    pub const ALL: [ScheduleKind; 2] = [ScheduleKind::Default, ScheduleKind::Karras];

    pub fn name(self) -> &'static str {
        match self {
            ScheduleKind::Default => "default",
            ScheduleKind::Karras => "karras",
        }
    }

    /// Whether sigmas are Karras's where a file may ask for them too.
    fn is_karras_with(self, config: &SchedulerConfig) -> bool {
        self == ScheduleKind::Karras || config.use_karras_sigmas == Some(true)
    }
}

impl fmt::Display for ScheduleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ScheduleKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        by_name("schedule", text, &Self::ALL.map(|kind| (kind.name(), kind)))
    }
}

/// The value of that name, or an error that lists the names there are.
fn by_name<T: Copy>(field: &'static str, text: &str, known: &[(&str, T)]) -> Result<T> {
    let found = known.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names = known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        Error::InvalidInput { field, message: format!("there is no {text:?}; known are {names}") }
    })
}

/// Computes a run as diffusers' scheduler of that name, made with `from_config`, would do it.
///
/// Beyond diffusers, whose classes ignore them, are Karras sigmas for Euler ancestral, which are k-diffusion's, and a zero
/// terminal SNR with Heun and LMS: a model's noise schedule is its own, whatever the sampler.
pub fn trajectory(
    config: &SchedulerConfig,
    sampler: SamplerKind,
    schedule: ScheduleKind,
    steps: usize,
) -> Result<Trajectory> {
    late_trajectory(config, sampler, schedule, steps, 0)
}

/// The same run from its step `first` on, as it is begun there: a sampler that remembers steps has none before it.
pub fn late_trajectory(
    config: &SchedulerConfig,
    sampler: SamplerKind,
    schedule: ScheduleKind,
    steps: usize,
    first: usize,
) -> Result<Trajectory> {
    config.check()?;
    if steps == 0 || steps > config.num_train_timesteps {
        return Err(Error::InvalidInput {
            field: "steps",
            message: format!("{steps} steps asked for, expected 1 to {}", config.num_train_timesteps),
        });
    }
    refuse_unsupported(config, sampler)?;
    let trajectory = sampler.trajectory(config, schedule, steps, first)?;
    check_finite(&trajectory, sampler)?;
    Ok(trajectory)
}

/// Refuses what the file asks for and the sampler's class in diffusers would do, but this engine does not.
fn refuse_unsupported(config: &SchedulerConfig, sampler: SamplerKind) -> Result<()> {
    let refused = &config.refused;
    let set = |flag: Option<bool>| flag == Some(true);
    let other = |text: &Option<String>, only: &str| text.as_deref().is_some_and(|text| text != only);
    use SamplerKind::{Ddim, DpmPlusPlus2M, Euler, Heun, Lcm, Lms};
    let is = |kinds: &[SamplerKind]| kinds.contains(&sampler);
    let table = [
        ("trained_betas", refused.trained_betas.is_some(), "only named beta schedules are"),
        (
            "clip_sample",
            is(&[Ddim, Heun, Lcm]) && set(refused.clip_sample),
            "latents have no bounds to clip to; set it to false",
        ),
        (
            "thresholding",
            is(&[Ddim, DpmPlusPlus2M, Lcm]) && set(refused.thresholding),
            "it is for pictures in pixel space",
        ),
        (
            "use_exponential_sigmas",
            is(&[Euler, Heun, Lms, DpmPlusPlus2M]) && set(refused.use_exponential_sigmas),
            "use karras",
        ),
        (
            "use_beta_sigmas",
            is(&[Euler, Heun, Lms, DpmPlusPlus2M]) && set(refused.use_beta_sigmas),
            "use karras",
        ),
        ("use_lu_lambdas", is(&[DpmPlusPlus2M]) && set(refused.use_lu_lambdas), "use karras"),
        (
            "use_flow_sigmas",
            is(&[DpmPlusPlus2M]) && set(refused.use_flow_sigmas),
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

/// A sampler whose timesteps are no matter of sigmas.
fn refuse_karras(sampler: &str, schedule: ScheduleKind) -> Result<()> {
    if schedule != ScheduleKind::Karras {
        return Ok(());
    }
    Err(Error::InvalidInput {
        field: "schedule",
        message: format!("{sampler} has no karras schedule; use default, or another sampler"),
    })
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
