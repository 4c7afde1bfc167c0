//! What a model's maker suggests a run should take.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Settings for a run that says nothing of its own; what is left out has no suggestion. Names are those of the samplers
/// and schedules here.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Suggested {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampler: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
}

impl Suggested {
    /// A diffusers folder names a scheduler's class: the one its pipeline draws with.
    pub fn of_scheduler(value: &Value) -> Self {
        let class = value.get("_class_name").and_then(Value::as_str).unwrap_or_default();
        let sampler = match class {
            "DDIMScheduler" => "ddim",
            "EulerDiscreteScheduler" => "euler",
            "EulerAncestralDiscreteScheduler" => "euler-a",
            "HeunDiscreteScheduler" => "heun",
            "LMSDiscreteScheduler" => "lms",
            "DPMSolverMultistepScheduler" => "dpm++-2m",
            _ => return Suggested::default(),
        };
        Suggested { sampler: Some(sampler.to_string()), ..Suggested::default() }
    }

    /// These suggestions, and `other`'s where these say nothing.
    pub fn or(self, other: &Suggested) -> Self {
        Suggested {
            steps: self.steps.or(other.steps),
            guidance: self.guidance.or(other.guidance),
            sampler: self.sampler.or(other.sampler.clone()),
            schedule: self.schedule.or(other.schedule.clone()),
        }
    }

    pub fn is_empty(&self) -> bool {
        *self == Suggested::default()
    }
}
