//! The samplers, a row each: what they are called here and elsewhere, and what computes their runs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{
    SamplerOptions, ScheduleKind, Trajectory, by_name, ddim, ddpm, dpm_multistep, dpm_sde, dpm2, er_sde,
    euler, euler_ancestral, heun, lcm, lms, plms, restart, tcd, unipc,
};
use crate::config::SchedulerConfig;
use crate::error::{Error, Result};

/// The algorithm that turns noise into latents.
///
/// Each follows one origin: DDIM to LCM, UniPC, PLMS, DDPM and TCD diffusers' class; DPM2 to DPM++ 3M SDE K. Crowson's k-diffusion
/// with the wrapper by which A1111 and ComfyUI call models; Restart its paper, with the rules for its repetitions that A1111 has; ER-SDE its
/// authors' code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum SamplerKind {
    /// <https://arxiv.org/abs/2010.02502>.
    Ddim,
    /// Algorithm 2 of <https://arxiv.org/abs/2206.00364>.
    Euler,
    /// Euler steps with fresh noise after each (k-diffusion's `sample_euler_ancestral`).
    EulerAncestral,
    /// Algorithm 1 of <https://arxiv.org/abs/2206.00364>: second order, by a second evaluation.
    Heun,
    /// A linear multistep method of order 4 (k-diffusion's `sample_lms`).
    Lms,
    /// DPM-Solver++(2M), <https://arxiv.org/abs/2211.01095>, the midpoint form.
    DpmPlusPlus2M,
    /// <https://arxiv.org/abs/2310.04378>, for models that were distilled for it.
    Lcm,
    /// DPM-Solver-2, <https://arxiv.org/abs/2206.00927>, in Karras' form (k-diffusion's `sample_dpm_2`).
    Dpm2,
    /// The same with ancestral noise (`sample_dpm_2_ancestral`).
    Dpm2Ancestral,
    /// DPM-Solver++(2S) with ancestral noise (`sample_dpmpp_2s_ancestral`).
    DpmPlusPlus2SAncestral,
    /// DPM-Solver++ for the SDE, by a second evaluation (`sample_dpmpp_sde`).
    DpmPlusPlusSde,
    /// DPM-Solver++(2M) for the SDE, the midpoint form (`sample_dpmpp_2m_sde`).
    DpmPlusPlus2MSde,
    /// The same in Heun's form.
    DpmPlusPlus2MSdeHeun,
    /// DPM-Solver++(3M) for the SDE (`sample_dpmpp_3m_sde`).
    DpmPlusPlus3MSde,
    /// UniPC of order 2 with B(h) = e^h − 1, <https://arxiv.org/abs/2302.04867>.
    UniPc,
    /// The same with B(h) = h.
    UniPcBh1,
    /// PNDM without its Runge–Kutta steps, <https://arxiv.org/abs/2202.09778>: latent diffusion's PLMS.
    Plms,
    /// <https://arxiv.org/abs/2006.11239>.
    Ddpm,
    /// <https://arxiv.org/abs/2402.19159>, for models that were distilled for it.
    Tcd,
    /// Heun steps that go back to more noise once or twice, <https://arxiv.org/abs/2306.14878>.
    Restart,
    /// ER-SDE-Solver-3, <https://arxiv.org/abs/2309.06169>.
    ErSde,
}

/// Whose levels `karras` has with the samplers that diffusers and k-diffusion both have, `euler`, `heun`, `lms` and `dpm++-2m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KarrasOf {
    /// Those of the sampler's class: of `dpm++-2m` from the model's first level with whole timesteps, of the others between the
    /// ends of the timesteps that the configuration spaces.
    Diffusers,
    /// Those of A1111 and ComfyUI: between the model's first level and its last, each with the timestep that belongs to it.
    KDiffusion,
}

/// What a run is told beside its sampler and its steps.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    pub schedule: ScheduleKind,
    pub options: &'a SamplerOptions,
    pub karras: KarrasOf,
}

impl<'a> Told<'a> {
    /// As diffusers has it.
    pub fn new(schedule: ScheduleKind, options: &'a SamplerOptions) -> Self {
        Told { schedule, options, karras: KarrasOf::Diffusers }
    }
}

/// What a run is computed from, its configuration checked.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub config: &'a SchedulerConfig,
    pub schedule: ScheduleKind,
    pub options: &'a SamplerOptions,
    pub karras: KarrasOf,
    /// At least one, and no more than the model was trained with.
    pub steps: usize,
    /// The first that is taken: of those before it nothing is known.
    pub first: usize,
    pub(super) row: &'static Sampler,
}

impl Asked<'_> {
    /// The schedule, where a file may ask for Karras' levels in the place of the default.
    pub fn kind(&self) -> ScheduleKind {
        match (self.schedule, self.config.use_karras_sigmas) {
            (ScheduleKind::Default, Some(true)) => ScheduleKind::Karras,
            (schedule, _) => schedule,
        }
    }

    /// Whether Karras' levels are those of the sampler's class in diffusers: always where the file asks for them.
    pub fn has_class_karras(&self) -> bool {
        self.schedule == ScheduleKind::Default || self.karras == KarrasOf::Diffusers
    }

    /// The configuration with the spacing of timesteps that the schedule asks for.
    pub fn spaced_config(&self) -> SchedulerConfig {
        let own = self.config.timestep_spacing;
        SchedulerConfig {
            timestep_spacing: self.schedule.spacing(self.config).unwrap_or(own),
            ..self.config.clone()
        }
    }

    pub fn eta(&self) -> f64 {
        self.options.eta.or(self.row.eta).unwrap_or_default()
    }

    pub fn s_noise(&self) -> f64 {
        self.options.s_noise.unwrap_or(1.0)
    }

    /// Whether the last level but one is left out.
    pub fn discards(&self) -> bool {
        self.options.discard_next_to_last_sigma.unwrap_or(self.row.discards)
    }

    /// How many levels are made for the steps.
    pub fn levels(&self) -> usize {
        self.steps + usize::from(self.discards())
    }
}

/// A row of the table.
pub(super) struct Sampler {
    kind: SamplerKind,
    /// Here: on the command line and in JavaScript.
    name: &'static str,
    /// To people.
    title: &'static str,
    /// In A1111, as in a picture's metadata; nothing where it has none.
    a1111: &'static str,
    /// In ComfyUI and its tools; nothing where it has none.
    comfyui: &'static str,
    /// What A1111 takes for its schedule `Automatic`.
    automatic: ScheduleKind,
    /// Of the denoiser in a step; the first or the last may take another number.
    evaluations: usize,
    schedules: Schedules,
    /// η where nothing is said, of those that have one.
    eta: Option<f64>,
    /// Whether noise may be added before its steps.
    churns: bool,
    /// Whether its steps may draw noise.
    draws: bool,
    /// Whether it leaves out the last level but one where nothing is said, as A1111 and ComfyUI have it.
    discards: bool,
    /// Whether a step remembers those before it; else it can be taken by itself, from its latents alone.
    remembers: bool,
    trajectory: fn(&Asked<'_>) -> Result<Trajectory>,
}

/// Samplers by what people choose them for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    SamePath,
    FreshNoise,
    Distilled,
}

impl Group {
    pub fn title(self) -> &'static str {
        match self {
            Group::SamePath => "Settle as steps grow",
            Group::FreshNoise => "Fresh noise at every step",
            Group::Distilled => "For distilled models",
        }
    }
}

/// Which schedules a sampler can follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Schedules {
    /// All of them.
    Levels,
    /// Those that are a spacing of the training's timesteps: default, trailing, linspace.
    Spacings,
    /// Its own alone.
    Own,
}

/// A sampler of one evaluation in sigma space; rows say what is otherwise.
const PLAIN: Sampler = Sampler {
    kind: SamplerKind::Euler,
    name: "",
    title: "",
    a1111: "",
    comfyui: "",
    automatic: ScheduleKind::Normal,
    evaluations: 1,
    schedules: Schedules::Levels,
    eta: None,
    churns: false,
    draws: false,
    discards: false,
    remembers: false,
    trajectory: euler::trajectory,
};

/// In the order in which they are offered.
const SAMPLERS: [Sampler; 21] = [
    Sampler {
        kind: SamplerKind::Ddim,
        name: "ddim",
        title: "DDIM",
        a1111: "DDIM",
        comfyui: "ddim",
        automatic: ScheduleKind::Default,
        schedules: Schedules::Spacings,
        eta: Some(0.0),
        draws: true,
        trajectory: ddim::trajectory,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::Euler,
        name: "euler",
        title: "Euler",
        a1111: "Euler",
        comfyui: "euler",
        churns: true,
        trajectory: euler::trajectory,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::EulerAncestral,
        name: "euler-a",
        title: "Euler ancestral",
        a1111: "Euler a",
        comfyui: "euler_ancestral",
        eta: Some(1.0),
        draws: true,
        trajectory: euler_ancestral::trajectory,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::Heun,
        name: "heun",
        title: "Heun",
        a1111: "Heun",
        comfyui: "heun",
        evaluations: 2,
        churns: true,
        trajectory: heun::trajectory,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::Lms,
        name: "lms",
        title: "LMS",
        a1111: "LMS",
        comfyui: "lms",
        remembers: true,
        trajectory: lms::trajectory,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::DpmPlusPlus2M,
        name: "dpm++-2m",
        title: "DPM++ 2M",
        a1111: "DPM++ 2M",
        comfyui: "dpmpp_2m",
        automatic: ScheduleKind::Karras,
        remembers: true,
        trajectory: dpm_multistep::trajectory,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::Lcm,
        name: "lcm",
        title: "LCM",
        a1111: "LCM",
        comfyui: "lcm",
        automatic: ScheduleKind::Default,
        schedules: Schedules::Own,
        draws: true,
        trajectory: lcm::trajectory,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::Dpm2,
        name: "dpm2",
        title: "DPM2",
        a1111: "DPM2",
        comfyui: "dpm_2",
        automatic: ScheduleKind::Karras,
        evaluations: 2,
        churns: true,
        discards: true,
        trajectory: dpm2::trajectory,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::Dpm2Ancestral,
        name: "dpm2-a",
        title: "DPM2 ancestral",
        a1111: "DPM2 a",
        comfyui: "dpm_2_ancestral",
        automatic: ScheduleKind::Karras,
        evaluations: 2,
        eta: Some(1.0),
        draws: true,
        discards: true,
        trajectory: dpm2::ancestral,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::DpmPlusPlus2SAncestral,
        name: "dpm++-2s-a",
        title: "DPM++ 2S ancestral",
        a1111: "DPM++ 2S a",
        comfyui: "dpmpp_2s_ancestral",
        automatic: ScheduleKind::Karras,
        evaluations: 2,
        eta: Some(1.0),
        draws: true,
        trajectory: dpm2::plus_plus_ancestral,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::DpmPlusPlusSde,
        name: "dpm++-sde",
        title: "DPM++ SDE",
        a1111: "DPM++ SDE",
        comfyui: "dpmpp_sde",
        automatic: ScheduleKind::Karras,
        evaluations: 2,
        eta: Some(1.0),
        draws: true,
        trajectory: dpm_sde::singlestep,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::DpmPlusPlus2MSde,
        name: "dpm++-2m-sde",
        title: "DPM++ 2M SDE",
        a1111: "DPM++ 2M SDE",
        comfyui: "dpmpp_2m_sde",
        automatic: ScheduleKind::Exponential,
        eta: Some(1.0),
        draws: true,
        remembers: true,
        trajectory: dpm_sde::second_order,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::DpmPlusPlus2MSdeHeun,
        name: "dpm++-2m-sde-heun",
        title: "DPM++ 2M SDE Heun",
        a1111: "DPM++ 2M SDE Heun",
        comfyui: "dpmpp_2m_sde_heun",
        automatic: ScheduleKind::Exponential,
        eta: Some(1.0),
        draws: true,
        remembers: true,
        trajectory: dpm_sde::second_order_heun,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::DpmPlusPlus3MSde,
        name: "dpm++-3m-sde",
        title: "DPM++ 3M SDE",
        a1111: "DPM++ 3M SDE",
        comfyui: "dpmpp_3m_sde",
        automatic: ScheduleKind::Exponential,
        eta: Some(1.0),
        draws: true,
        remembers: true,
        trajectory: dpm_sde::third_order,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::UniPc,
        name: "unipc",
        title: "UniPC",
        a1111: "UniPC",
        comfyui: "uni_pc_bh2",
        automatic: ScheduleKind::Default,
        remembers: true,
        trajectory: unipc::trajectory,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::UniPcBh1,
        name: "unipc-bh1",
        title: "UniPC bh1",
        comfyui: "uni_pc",
        automatic: ScheduleKind::Default,
        remembers: true,
        trajectory: unipc::trajectory_bh1,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::Plms,
        name: "plms",
        title: "PLMS",
        a1111: "PLMS",
        automatic: ScheduleKind::Default,
        schedules: Schedules::Spacings,
        remembers: true,
        trajectory: plms::trajectory,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::Ddpm,
        name: "ddpm",
        title: "DDPM",
        comfyui: "ddpm",
        automatic: ScheduleKind::Default,
        schedules: Schedules::Spacings,
        draws: true,
        trajectory: ddpm::trajectory,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::Tcd,
        name: "tcd",
        title: "TCD",
        a1111: "TCD",
        automatic: ScheduleKind::Default,
        schedules: Schedules::Own,
        eta: Some(0.3),
        draws: true,
        trajectory: tcd::trajectory,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::Restart,
        name: "restart",
        title: "Restart",
        a1111: "Restart",
        automatic: ScheduleKind::Karras,
        evaluations: 2,
        draws: true,
        trajectory: restart::trajectory,
        ..PLAIN
    },
    Sampler {
        kind: SamplerKind::ErSde,
        name: "er-sde",
        title: "ER-SDE",
        comfyui: "er_sde",
        draws: true,
        remembers: true,
        trajectory: er_sde::trajectory,
        ..PLAIN
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

    /// How often a step asks the denoiser; the first or the last may do so otherwise.
    pub fn evaluations(self) -> usize {
        self.row().evaluations
    }

    /// Whether a step can be taken by itself, from its latents alone.
    pub fn is_alone(self) -> bool {
        !self.row().remembers
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

    /// What A1111 calls it, as in a picture's metadata; where it has none, what we do.
    pub fn a1111_name(self) -> &'static str {
        match self.row().a1111 {
            "" => self.title(),
            name => name,
        }
    }

    /// The sampler of A1111's name, in any case, or of the name that ComfyUI's tools write in its place.
    pub fn from_a1111_name(name: &str) -> Option<Self> {
        let is = |known: &str| !known.is_empty() && known.eq_ignore_ascii_case(name);
        let found = SAMPLERS.iter().find(|row| is(row.a1111) || is(row.comfyui) || is(row.title));
        found.map(|row| row.kind)
    }

    /// The schedule that A1111 takes where `Automatic` is chosen.
    pub fn automatic(self) -> ScheduleKind {
        self.row().automatic
    }

    /// What A1111 and ComfyUI call it; `–` where they have none.
    pub fn names_elsewhere(self) -> [&'static str; 2] {
        [self.row().a1111, self.row().comfyui].map(|name| if name.is_empty() { "–" } else { name })
    }

    /// Where it stands among the others, for people who choose.
    pub fn group(self) -> Group {
        match self.row() {
            Sampler { schedules: Schedules::Own, .. } => Group::Distilled,
            // DDIM draws where it is told to alone.
            Sampler { draws: true, eta, .. } if *eta != Some(0.0) => Group::FreshNoise,
            _ => Group::SamePath,
        }
    }

    /// Whether it can follow a schedule.
    pub fn follows(self, schedule: ScheduleKind) -> bool {
        match self.row().schedules {
            Schedules::Levels => true,
            Schedules::Spacings => {
                [ScheduleKind::Default, ScheduleKind::Trailing, ScheduleKind::Linspace].contains(&schedule)
            }
            Schedules::Own => schedule == ScheduleKind::Default,
        }
    }

    /// Its η where nothing else is said; none where it has no η.
    pub fn eta(self) -> Option<f64> {
        self.row().eta
    }

    /// Whether it leaves the last level but one out by itself.
    pub fn discards(self) -> bool {
        self.row().discards
    }

    /// Whether noise may be added before its steps.
    pub fn churns(self) -> bool {
        self.row().churns
    }

    /// Whether fresh noise may take part in its steps, that before them too.
    pub fn draws(self) -> bool {
        self.row().draws || self.churns()
    }

    /// Whether it is told noise levels, of which there are then ends and a last but one.
    pub fn has_levels(self) -> bool {
        self.row().schedules == Schedules::Levels
    }

    /// Its run by a configuration and options that were checked, from step `first` of so many on.
    pub(super) fn trajectory(
        self,
        config: &SchedulerConfig,
        Told { schedule, options, karras }: Told<'_>,
        steps: usize,
        first: usize,
    ) -> Result<Trajectory> {
        let row = self.row();
        let mut run = (row.trajectory)(&Asked { config, schedule, options, karras, steps, first, row })?;
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
            for name in [kind.row().a1111, kind.row().comfyui].into_iter().filter(|name| !name.is_empty()) {
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
            let options = SamplerOptions::default();
            let run = kind
                .trajectory(&SchedulerConfig::default(), Told::new(ScheduleKind::Default, &options), 7, 0)
                .unwrap();
            assert_eq!(run.steps[3].evaluations.len(), kind.evaluations(), "{kind}");
            assert_eq!(run.steps.iter().all(Step::is_alone), kind.is_alone(), "{kind}");
        }
        assert_eq!(
            SamplerKind::list(|kind| kind.evaluations() > 1),
            "heun, dpm2, dpm2-a, dpm++-2s-a, dpm++-sde or restart"
        );
        assert_eq!(
            SamplerKind::list(|kind| !kind.is_alone()),
            "lms, dpm++-2m, dpm++-2m-sde, dpm++-2m-sde-heun, dpm++-3m-sde, unipc, unipc-bh1, plms or er-sde"
        );
    }

    /// A diffusers folder whose class is one of these suggests it.
    #[test]
    fn classes_of_diffusers_suggest_their_samplers() {
        let classes = [
            (r#""DDIMScheduler""#, SamplerKind::Ddim),
            (r#""EulerDiscreteScheduler""#, SamplerKind::Euler),
            (r#""EulerAncestralDiscreteScheduler""#, SamplerKind::EulerAncestral),
            (r#""HeunDiscreteScheduler""#, SamplerKind::Heun),
            (r#""LMSDiscreteScheduler""#, SamplerKind::Lms),
            (r#""DPMSolverMultistepScheduler""#, SamplerKind::DpmPlusPlus2M),
            (r#""LCMScheduler""#, SamplerKind::Lcm),
            (r#""KDPM2DiscreteScheduler""#, SamplerKind::Dpm2),
            (r#""KDPM2AncestralDiscreteScheduler""#, SamplerKind::Dpm2Ancestral),
            (r#""DPMSolverSDEScheduler""#, SamplerKind::DpmPlusPlusSde),
            (
                r#""DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++""#,
                SamplerKind::DpmPlusPlus2MSde,
            ),
            (
                r#""DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++", "solver_type": "heun""#,
                SamplerKind::DpmPlusPlus2MSdeHeun,
            ),
            (r#""UniPCMultistepScheduler""#, SamplerKind::UniPc),
            (r#""UniPCMultistepScheduler", "solver_type": "bh1""#, SamplerKind::UniPcBh1),
            (r#""TCDScheduler""#, SamplerKind::Tcd),
        ];
        for (class, kind) in classes {
            let value = serde_json::from_str(&format!("{{\"_class_name\": {class}}}")).expect("JSON");
            let suggested = Suggested::of_scheduler(&value);
            assert_eq!(suggested.sampler.as_deref(), Some(kind.name()), "{class}");
        }
        let none = serde_json::json!({ "_class_name": "PNDMScheduler" });
        assert_eq!(Suggested::of_scheduler(&none).sampler, None);
    }
}
