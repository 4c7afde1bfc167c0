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
    /// A diffusers folder names a scheduler's class: the one its pipeline draws with. PNDM and DDPM suggest nothing: they are in
    /// most folders because they came first, or because the model was trained with them.
    pub fn of_scheduler(value: &Value) -> Self {
        let text = |name| value.get(name).and_then(Value::as_str).unwrap_or_default();
        let stochastic = text("algorithm_type") == "sde-dpmsolver++";
        let sampler = match text("_class_name") {
            "DDIMScheduler" => "ddim",
            "EulerDiscreteScheduler" => "euler",
            "EulerAncestralDiscreteScheduler" => "euler-a",
            "HeunDiscreteScheduler" => "heun",
            "LMSDiscreteScheduler" => "lms",
            "DPMSolverMultistepScheduler" if stochastic && text("solver_type") == "heun" => {
                "dpm++-2m-sde-heun"
            }
            "DPMSolverMultistepScheduler" if stochastic => "dpm++-2m-sde",
            "DPMSolverMultistepScheduler" => "dpm++-2m",
            "LCMScheduler" => "lcm",
            "KDPM2DiscreteScheduler" => "dpm2",
            "KDPM2AncestralDiscreteScheduler" => "dpm2-a",
            "DPMSolverSDEScheduler" => "dpm++-sde",
            "UniPCMultistepScheduler" if text("solver_type") == "bh1" => "unipc-bh1",
            "UniPCMultistepScheduler" => "unipc",
            "TCDScheduler" => "tcd",
            _ => return Suggested::default(),
        };
        Suggested { sampler: Some(sampler.to_string()), ..Suggested::default() }
    }

    /// What a name says, where nothing else does: models that were distilled to a step or two, and are drawn with without
    /// guidance. As their makers draw with them: <https://huggingface.co/stabilityai/sd-turbo>,
    /// <https://huggingface.co/IDKiro/sdxs-512-dreamshaper>, <https://huggingface.co/amd/Nitro-1-SD>.
    pub fn of_name(name: &str) -> Self {
        const ONE_STEP: [(&str, &str); 3] = [("turbo", "euler"), ("sdxs", "euler"), ("nitro-1", "ddim")];
        let name = name.to_lowercase();
        match ONE_STEP.iter().find(|(word, _)| name.contains(word)) {
            Some((_, sampler)) => Suggested {
                steps: Some(1),
                guidance: Some(1.0),
                sampler: Some((*sampler).to_string()),
                ..Suggested::default()
            },
            None => Suggested::default(),
        }
    }

    /// What a latent consistency model wants, where it `is` one that follows the guidance scale by itself:
    /// <https://huggingface.co/SimianLuo/LCM_Dreamshaper_v7>.
    pub fn of_distilled(self, is: bool) -> Self {
        if !is {
            return self;
        }
        let lcm = Suggested {
            steps: Some(4),
            guidance: Some(8.0),
            sampler: Some("lcm".to_string()),
            ..Suggested::default()
        };
        self.or(&lcm)
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
