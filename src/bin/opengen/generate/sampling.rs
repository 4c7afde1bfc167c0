//! What a sampler and its schedule are told beside their names.

use opengen::sample::SamplerOptions;

/// Options of samplers and schedules; what would have no effect is refused.
#[derive(clap::Args, Clone)]
#[command(next_help_heading = "Options of samplers and schedules")]
pub struct Sampling {
    /// How much of the noise that a step takes away it draws anew; 1 for ancestral and SDE samplers, 0.3 for tcd and 0 for ddim
    /// if left out.
    #[arg(long)]
    eta: Option<f64>,
    /// How much noise is added before the steps of euler, heun and dpm2, over all of them.
    #[arg(long)]
    s_churn: Option<f64>,
    /// The lowest noise level at which it is.
    #[arg(long)]
    s_tmin: Option<f64>,
    /// The highest noise level at which it is.
    #[arg(long)]
    s_tmax: Option<f64>,
    /// What fresh noise is multiplied by.
    #[arg(long)]
    s_noise: Option<f64>,
    /// The lowest noise level of the schedule before the clean end.
    #[arg(long)]
    sigma_min: Option<f64>,
    /// The highest noise level of the schedule.
    #[arg(long)]
    sigma_max: Option<f64>,
    /// How far karras (7 if left out) and polyexponential (1) bend.
    #[arg(long)]
    rho: Option<f64>,
    /// Make one noise level more and leave out the last but one: true or false; true for dpm2 and dpm2-a if left out.
    #[arg(long)]
    discard_next_to_last_sigma: Option<bool>,
    /// Begin with noise of √(1 + σ²), as ComfyUI does, and not of σ, as A1111: true or false.
    #[arg(long)]
    sgm_noise_multiplier: Option<bool>,
    /// Dynamic thresholding, for models of pictures in [-1, 1], not of latents: of every clean estimate this share of the values, such
    /// as 0.995, decides what it is brought within; off if left out.
    #[arg(long)]
    dynamic_thresholding_ratio: Option<f64>,
    /// The most that that may be; 1 if left out, by which values are cut at 1.
    #[arg(long, requires = "dynamic_thresholding_ratio")]
    sample_max_value: Option<f64>,
    /// Added to the seed for the noise that steps draw (A1111's eta noise seed delta).
    #[arg(long)]
    ensd: Option<u64>,
}

impl Sampling {
    pub fn options(&self) -> SamplerOptions {
        SamplerOptions {
            eta: self.eta,
            s_churn: self.s_churn,
            s_tmin: self.s_tmin,
            s_tmax: self.s_tmax,
            s_noise: self.s_noise,
            sigma_min: self.sigma_min,
            sigma_max: self.sigma_max,
            rho: self.rho,
            discard_next_to_last_sigma: self.discard_next_to_last_sigma,
            sgm_noise_multiplier: self.sgm_noise_multiplier,
            dynamic_thresholding_ratio: self.dynamic_thresholding_ratio,
            sample_max_value: self.sample_max_value,
            eta_noise_seed_delta: self.ensd,
        }
    }
}
