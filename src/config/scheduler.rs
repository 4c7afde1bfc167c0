//! The noise schedule's configuration (`scheduler/scheduler_config.json`).

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::check;
use crate::error::{Error, Result};

/// How the betas run from `beta_start` to `beta_end` over the training timesteps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BetaSchedule {
    #[default]
    Linear,
    /// Linear in the square root: latent diffusion, Stable Diffusion.
    ScaledLinear,
    /// The cosine schedule, each beta capped at 0.999; ignores `beta_start` and `beta_end`.
    SquaredcosCapV2,
}

/// What the UNet's output means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PredictionType {
    /// The noise.
    #[default]
    Epsilon,
    /// The velocity of <https://arxiv.org/abs/2202.00512>.
    VPrediction,
    /// The clean latents.
    Sample,
}

impl FromStr for PredictionType {
    type Err = String;

    /// `epsilon` or `v`, as people say it, or diffusers' words.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "epsilon" | "eps" => Ok(PredictionType::Epsilon),
            "v" | "v_prediction" => Ok(PredictionType::VPrediction),
            "sample" => Ok(PredictionType::Sample),
            _ => Err(format!("{text:?} is no prediction; known are epsilon, v, sample")),
        }
    }
}

/// How the inference timesteps are picked from the training timesteps, Table 2 of <https://arxiv.org/abs/2305.08891>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestepSpacing {
    Leading,
    Trailing,
    Linspace,
}

/// Where a sampler in sigma space ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalSigmas {
    #[default]
    Zero,
    SigmaMin,
}

/// The fields of `scheduler_config.json` that decide numbers; unknown ones are ignored.
///
/// Defaults are those that diffusers' schedulers share (Heun's and LCM's alone have other betas). Where the classes differ
/// (`timestep_spacing`), or ask for something only some of them have, the field is optional and the sampler that reads it
/// applies its own class's default, as diffusers' `from_config` does: <https://huggingface.co/docs/diffusers/api/schedulers/overview>.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SchedulerConfig {
    pub num_train_timesteps: usize,
    pub beta_start: f64,
    pub beta_end: f64,
    pub beta_schedule: BetaSchedule,
    pub prediction_type: PredictionType,
    /// Default: leading for DDIM, linspace for the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestep_spacing: Option<TimestepSpacing>,
    pub steps_offset: usize,
    /// DDIM: the last step ends at the clean picture, not at the first training timestep.
    pub set_alpha_to_one: bool,
    pub rescale_betas_zero_snr: bool,
    /// All but DDIM and Euler ancestral: the file asks for Karras sigmas without being told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_karras_sigmas: Option<bool>,
    /// Ends of the Karras sigmas, but LMS's; default: those of the timesteps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma_min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma_max: Option<f64>,
    /// Euler and DPM++.
    pub final_sigmas_type: FinalSigmas,
    /// DPM++: below 15 steps the last one is of first order.
    pub lower_order_final: bool,
    /// DPM++: the last step is of first order at any count.
    pub euler_at_final: bool,
    /// DPM++: timesteps whose log SNR lies below are left out; absent: none are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lambda_min_clipped: Option<f64>,
    /// LCM: the steps of the schedule that the model was distilled on; see [`SchedulerConfig::original_inference_steps`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_inference_steps: Option<usize>,
    /// LCM: how fast the boundary condition lets go with the timestep; see [`SchedulerConfig::timestep_scaling`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestep_scaling: Option<f64>,
    #[serde(flatten)]
    pub refused: Refused,
}

/// Fields that are read only to be refused: what they ask for is not in the engine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Refused {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trained_betas: Option<Vec<f64>>,
    /// Clipping of the clean estimate, for pictures in pixel space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_sample: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thresholding: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_exponential_sigmas: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_beta_sigmas: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_lu_lambdas: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_flow_sigmas: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interpolation_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestep_type: Option<String>,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        SchedulerConfig {
            num_train_timesteps: 1000,
            beta_start: 0.0001,
            beta_end: 0.02,
            beta_schedule: BetaSchedule::default(),
            prediction_type: PredictionType::default(),
            timestep_spacing: None,
            steps_offset: 0,
            set_alpha_to_one: true,
            rescale_betas_zero_snr: false,
            use_karras_sigmas: None,
            sigma_min: None,
            sigma_max: None,
            final_sigmas_type: FinalSigmas::default(),
            lower_order_final: true,
            euler_at_final: false,
            lambda_min_clipped: None,
            original_inference_steps: None,
            timestep_scaling: None,
            refused: Refused::default(),
        }
    }
}

impl SchedulerConfig {
    /// Of a model that was distilled to a step or two: they begin at the last noise level and end at the clean latents, as
    /// <https://github.com/AMD-AIG-AIMA/AMD-Diffusion-Distillation> draws with Nitro-1-SD (timestep 999, then none).
    pub fn of_few_steps(self) -> Self {
        SchedulerConfig { timestep_spacing: Some(TimestepSpacing::Trailing), set_alpha_to_one: true, ..self }
    }

    /// The most training timesteps accepted; everybody has 1000.
    pub const MAX_TRAIN_TIMESTEPS: usize = 100_000;

    /// The class's 50 where the file says nothing; of a shorter training no more than that has.
    pub fn original_inference_steps(&self) -> usize {
        self.original_inference_steps.unwrap_or(50.min(self.num_train_timesteps))
    }

    /// The class's 10 where the file says nothing.
    pub fn timestep_scaling(&self) -> f64 {
        self.timestep_scaling.unwrap_or(10.0)
    }

    /// Reads `scheduler_config.json`. Python writes `-Infinity` into it (`lambda_min_clipped`), which is not JSON.
    /// A field that is null is as good as absent.
    pub fn from_json(file: &str, text: &str) -> Result<Self> {
        let mut value = check::parse(file, &without_infinities(text))?;
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        check::typed(file, value)
    }

    /// Numbers from which a schedule can be computed.
    pub fn check(&self) -> Result<()> {
        let bad =
            |message: String| Err(Error::BadFile { file: "scheduler_config.json".to_string(), message });
        if self.num_train_timesteps == 0 || self.num_train_timesteps > Self::MAX_TRAIN_TIMESTEPS {
            return bad(format!(
                "num_train_timesteps is {}, expected 1 to {}",
                self.num_train_timesteps,
                Self::MAX_TRAIN_TIMESTEPS
            ));
        }
        if self.steps_offset >= self.num_train_timesteps {
            return bad(format!(
                "steps_offset is {}, expected less than num_train_timesteps {}",
                self.steps_offset, self.num_train_timesteps
            ));
        }
        let (own, scaling) = (self.original_inference_steps(), self.timestep_scaling());
        if own == 0 || own > self.num_train_timesteps {
            return bad(format!(
                "original_inference_steps is {own}, expected 1 to num_train_timesteps {}",
                self.num_train_timesteps
            ));
        }
        if !(scaling > 0.0 && scaling.is_finite()) {
            return bad(format!("timestep_scaling is {scaling}, expected more than 0"));
        }
        let in_range = |beta: f64| beta > 0.0 && beta < 1.0;
        if !in_range(self.beta_start) || !in_range(self.beta_end) || self.beta_start > self.beta_end {
            return bad(format!(
                "beta_start is {} and beta_end {}, expected 0 < beta_start <= beta_end < 1",
                self.beta_start, self.beta_end
            ));
        }
        let (low, high) = (self.sigma_min.unwrap_or(1e-9), self.sigma_max.unwrap_or(1e9));
        if !(low > 0.0 && low <= high && high.is_finite()) {
            return bad(format!(
                "sigma_min is {low} and sigma_max {high}, expected 0 < sigma_min <= sigma_max"
            ));
        }
        Ok(())
    }
}

/// `-Infinity`, `Infinity` and `NaN` outside of strings become `null`, that is: the default.
pub(super) fn without_infinities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        let word = ["-Infinity", "Infinity", "NaN"].into_iter().find(|word| rest.starts_with(word));
        if let (false, Some(word)) = (in_string, word) {
            out.push_str("null");
            rest = &rest[word.len()..];
            continue;
        }
        let mut taken = c.len_utf8();
        match c {
            '"' => in_string = !in_string,
            '\\' if in_string => taken += rest[taken..].chars().next().map_or(0, char::len_utf8),
            _ => {}
        }
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `DPMSolverMultistepScheduler.save_pretrained` writes it, shortened.
    const DPM: &str = r#"{ "_class_name": "DPMSolverMultistepScheduler", "beta_schedule": "scaled_linear",
        "beta_end": 0.012, "beta_start": 0.00085, "lambda_min_clipped": -Infinity, "note": "NaN \"Infinity",
        "trained_betas": null, "timestep_spacing": "trailing", "use_karras_sigmas": false, "variance_type": null }"#;

    #[test]
    fn reads_what_python_writes() -> Result<()> {
        let config = SchedulerConfig::from_json("scheduler_config.json", DPM)?;
        assert_eq!(config.lambda_min_clipped, None);
        assert_eq!(config.beta_schedule, BetaSchedule::ScaledLinear);
        assert_eq!(config.timestep_spacing, Some(TimestepSpacing::Trailing));
        config.check()
    }

    #[test]
    fn null_is_as_good_as_absent() -> Result<()> {
        let text =
            r#"{"steps_offset": null, "beta_end": null, "timestep_spacing": null, "trained_betas": null}"#;
        assert_eq!(SchedulerConfig::from_json("s.json", text)?, SchedulerConfig::default());
        Ok(())
    }

    #[test]
    fn survives_a_round_trip() -> Result<()> {
        for text in [DPM, "{}"] {
            let config = SchedulerConfig::from_json("a", text)?;
            let json = serde_json::to_string(&config)
                .map_err(|e| Error::BadFile { file: String::new(), message: e.to_string() })?;
            assert_eq!(SchedulerConfig::from_json("b", &json)?, config);
        }
        Ok(())
    }

    #[test]
    fn an_unknown_schedule_names_the_known_ones() {
        let error = SchedulerConfig::from_json("s.json", r#"{"beta_schedule": "sigmoid"}"#).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("s.json") && text.contains("sigmoid") && text.contains("scaled_linear"),
            "{text}"
        );
    }

    #[test]
    fn absurd_numbers_are_refused() -> Result<()> {
        for text in [
            r#"{"num_train_timesteps": 0}"#,
            r#"{"num_train_timesteps": 4000000000}"#,
            r#"{"beta_start": -1}"#,
            r#"{"beta_end": 2}"#,
            r#"{"sigma_min": 0}"#,
            r#"{"original_inference_steps": 0}"#,
            r#"{"original_inference_steps": 1001}"#,
            r#"{"timestep_scaling": -10}"#,
            r#"{"steps_offset": 1000}"#,
            r#"{"steps_offset": 18446744073709551615}"#,
        ] {
            assert!(SchedulerConfig::from_json("s.json", text)?.check().is_err(), "{text}");
        }
        Ok(())
    }
}
