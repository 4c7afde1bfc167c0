//! The samplers, a row each: what they are called here and elsewhere, and what computes their runs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ScheduleKind, Trajectory, by_name, ddim, dpm_multistep, euler, euler_ancestral, heun, lcm, lms};
use crate::config::SchedulerConfig;
use crate::error::{Error, Result};

/// The algorithm that turns noise into latents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum SamplerKind {
    /// <https://arxiv.org/abs/2010.02502>, η = 0.
    Ddim,
    /// Algorithm 2 of <https://arxiv.org/abs/2206.00364> without churn.
    Euler,
    /// Euler steps with fresh noise after each (k-diffusion's `sample_euler_ancestral`, η = 1).
    EulerAncestral,
    /// Algorithm 1 of <https://arxiv.org/abs/2206.00364> without churn: second order, by a second evaluation.
    Heun,
    /// A linear multistep method of order 4 (k-diffusion's `sample_lms`).
    Lms,
    /// DPM-Solver++(2M), <https://arxiv.org/abs/2211.01095>, the midpoint form.
    DpmPlusPlus2M,
    /// <https://arxiv.org/abs/2310.04378>, for models that were distilled for it.
    Lcm,
}

/// A row of the table.
struct Sampler {
    kind: SamplerKind,
    /// Here: on the command line and in JavaScript.
    name: &'static str,
    /// To people.
    title: &'static str,
    /// In A1111, as in a picture's metadata.
    a1111: &'static str,
    /// In ComfyUI and its tools.
    comfyui: &'static str,
    /// Of the denoiser in a step; the last may take fewer.
    evaluations: usize,
    trajectory: Steps,
}

/// What computes a run of so many steps, at least one and no more than the model was trained with.
#[derive(Clone, Copy)]
enum Steps {
    /// Each can be taken by itself, from its latents alone.
    Alone(fn(&SchedulerConfig, ScheduleKind, usize) -> Result<Trajectory>),
    /// They remember those before, of which the last argument is the first: what it would remember is not there.
    Multistep(fn(&SchedulerConfig, ScheduleKind, usize, usize) -> Result<Trajectory>),
}

/// In the order in which they are offered.
const SAMPLERS: [Sampler; 7] = [
    Sampler {
        kind: SamplerKind::Ddim,
        name: "ddim",
        title: "DDIM",
        a1111: "DDIM",
        comfyui: "ddim",
        evaluations: 1,
        trajectory: Steps::Alone(ddim::trajectory),
    },
    Sampler {
        kind: SamplerKind::Euler,
        name: "euler",
        title: "Euler",
        a1111: "Euler",
        comfyui: "euler",
        evaluations: 1,
        trajectory: Steps::Alone(euler::trajectory),
    },
    Sampler {
        kind: SamplerKind::EulerAncestral,
        name: "euler-a",
        title: "Euler ancestral",
        a1111: "Euler a",
        comfyui: "euler_ancestral",
        evaluations: 1,
        trajectory: Steps::Alone(euler_ancestral::trajectory),
    },
    Sampler {
        kind: SamplerKind::Heun,
        name: "heun",
        title: "Heun",
        a1111: "Heun",
        comfyui: "heun",
        evaluations: 2,
        trajectory: Steps::Alone(heun::trajectory),
    },
    Sampler {
        kind: SamplerKind::Lms,
        name: "lms",
        title: "LMS",
        a1111: "LMS",
        comfyui: "lms",
        evaluations: 1,
        trajectory: Steps::Multistep(lms::trajectory),
    },
    Sampler {
        kind: SamplerKind::DpmPlusPlus2M,
        name: "dpm++-2m",
        title: "DPM++ 2M",
        a1111: "DPM++ 2M",
        comfyui: "dpmpp_2m",
        evaluations: 1,
        trajectory: Steps::Multistep(dpm_multistep::trajectory),
    },
    Sampler {
        kind: SamplerKind::Lcm,
        name: "lcm",
        title: "LCM",
        a1111: "LCM",
        comfyui: "lcm",
        evaluations: 1,
        trajectory: Steps::Alone(lcm::trajectory),
    },
];

impl SamplerKind {
    pub const ALL: [SamplerKind; SAMPLERS.len()] = {
        let mut all = [SamplerKind::Ddim; SAMPLERS.len()];
        let mut row = 0;
        while row < SAMPLERS.len() {
            all[row] = SAMPLERS[row].kind;
            row += 1;
        }
        all
    };

    /// Its row; a test holds the rows to the order of the kinds.
    fn row(self) -> &'static Sampler {
        &SAMPLERS[self as usize]
    }

    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What people are shown.
    pub fn title(self) -> &'static str {
        self.row().title
    }

    /// How often a step asks the denoiser; the last may do so less often.
    pub fn evaluations(self) -> usize {
        self.row().evaluations
    }

    /// Whether a step can be taken by itself, from its latents alone.
    pub fn is_alone(self) -> bool {
        matches!(self.row().trajectory, Steps::Alone(_))
    }

    /// The names of those that `are`, as a sentence lists them: "a, b or c".
    pub fn list(are: impl Fn(Self) -> bool) -> String {
        let names: Vec<&str> = Self::ALL.into_iter().filter(|kind| are(*kind)).map(Self::name).collect();
        match names.split_last() {
            Some((last, [])) => (*last).to_string(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        }
    }

    /// What A1111 calls it, as in a picture's metadata.
    pub fn a1111_name(self) -> &'static str {
        self.row().a1111
    }

    /// The sampler of A1111's name, in any case, or of the name that ComfyUI's tools write in its place.
    pub fn from_a1111_name(name: &str) -> Option<Self> {
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        SAMPLERS.iter().find(|row| is(row.a1111) || is(row.comfyui)).map(|row| row.kind)
    }

    /// Its run by a configuration that was checked, from step `first` of so many on.
    pub(super) fn trajectory(
        self,
        config: &SchedulerConfig,
        schedule: ScheduleKind,
        steps: usize,
        first: usize,
    ) -> Result<Trajectory> {
        let mut run = match self.row().trajectory {
            Steps::Alone(run) => run(config, schedule, steps)?,
            Steps::Multistep(run) => run(config, schedule, steps, first)?,
        };
        run.steps.drain(..first.min(run.steps.len()));
        Ok(run)
    }
}

impl fmt::Display for SamplerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SamplerKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        by_name("sampler", text, &Self::ALL.map(|kind| (kind.name(), kind)))
    }
}

impl From<SamplerKind> for &'static str {
    fn from(kind: SamplerKind) -> Self {
        kind.name()
    }
}

impl TryFrom<String> for SamplerKind {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        name.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Suggested;
    use crate::sample::Step;

    #[test]
    fn rows_are_in_the_order_of_the_kinds_and_names_tell_them_apart() {
        for (index, kind) in SamplerKind::ALL.into_iter().enumerate() {
            assert_eq!((kind as usize, kind.row().kind), (index, kind));
            assert_eq!(kind.name().parse::<SamplerKind>().unwrap(), kind);
            for name in [kind.row().a1111, kind.row().comfyui] {
                assert_eq!(SamplerKind::from_a1111_name(name), Some(kind), "{name}");
            }
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{kind}\""));
            assert_eq!(serde_json::from_str::<SamplerKind>(&json).unwrap(), kind);
        }
    }

    /// What the table says of steps is what the runs are.
    #[test]
    fn the_table_knows_the_steps() {
        for kind in SamplerKind::ALL {
            let run = kind.trajectory(&SchedulerConfig::default(), ScheduleKind::Default, 7, 0).unwrap();
            let most = run.steps.iter().map(|step| step.evaluations.len()).max();
            assert_eq!(most, Some(kind.evaluations()), "{kind}");
            assert_eq!(run.steps.iter().all(Step::is_alone), kind.is_alone(), "{kind}");
        }
        assert_eq!(SamplerKind::list(|kind| kind.evaluations() > 1), "heun");
        assert_eq!(SamplerKind::list(|kind| !kind.is_alone()), "lms or dpm++-2m");
    }

    /// A diffusers folder whose class is one of these suggests it.
    #[test]
    fn every_sampler_has_its_class_in_diffusers() {
        let classes = [
            ("DDIMScheduler", SamplerKind::Ddim),
            ("EulerDiscreteScheduler", SamplerKind::Euler),
            ("EulerAncestralDiscreteScheduler", SamplerKind::EulerAncestral),
            ("HeunDiscreteScheduler", SamplerKind::Heun),
            ("LMSDiscreteScheduler", SamplerKind::Lms),
            ("DPMSolverMultistepScheduler", SamplerKind::DpmPlusPlus2M),
            ("LCMScheduler", SamplerKind::Lcm),
        ];
        assert_eq!(classes.map(|(_, kind)| kind), SamplerKind::ALL);
        for (class, kind) in classes {
            let suggested = Suggested::of_scheduler(&serde_json::json!({ "_class_name": class }));
            assert_eq!(suggested.sampler.as_deref(), Some(kind.name()), "{class}");
        }
    }
}
