//! The noise schedule's configuration (`scheduler/scheduler_config.json`).

use serde::{Deserialize, Serialize};

/// What diffusers' schedulers share; defaults are `DDIMScheduler`'s,
/// <https://huggingface.co/docs/diffusers/api/schedulers/ddim>.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SchedulerConfig {
    pub num_train_timesteps: usize,
    pub beta_start: f64,
    pub beta_end: f64,
    pub beta_schedule: String,
    pub prediction_type: String,
    pub timestep_spacing: String,
    pub steps_offset: usize,
    pub set_alpha_to_one: bool,
    pub rescale_betas_zero_snr: bool,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        SchedulerConfig {
            num_train_timesteps: 1000,
            beta_start: 0.0001,
            beta_end: 0.02,
            beta_schedule: "linear".to_string(),
            prediction_type: "epsilon".to_string(),
            timestep_spacing: "leading".to_string(),
            steps_offset: 0,
            set_alpha_to_one: true,
            rescale_betas_zero_snr: false,
        }
    }
}
