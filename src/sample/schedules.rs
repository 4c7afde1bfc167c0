//! The schedules, a row each: what they are called here and elsewhere, and the noise levels they are made of.
//!
//! Three are the model's configuration, read as the sampler's class in diffusers reads it: default, trailing and linspace. The
//! others are levels between the model's ends, as k-diffusion, A1111 and ComfyUI have them, in f32 as they compute them, and the
//! denoiser is told the timestep, not whole, that belongs to a level. (ComfyUI tells it the nearest whole one.) Karras levels
//! are diffusers' with the samplers that are diffusers', unless k-diffusion's are asked for ([`KarrasOf`](super::KarrasOf)).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::beta::beta_quantile;
use super::by_name;
use super::samplers::Asked;
use super::schedule::{KARRAS_RHO, alphas_cumprod_above_zero, k_timestep_at, linspace_f32, sigmas};
use crate::config::{SchedulerConfig, TimestepSpacing};
use crate::error::{Error, Result};

/// Straight in ln σ: k-diffusion's.
const POLYEXPONENTIAL_RHO: f64 = 1.0;

/// How a sampler spaces its noise levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum ScheduleKind {
    /// As the model's configuration says.
    #[default]
    Default,
    /// T. Karras et al., <https://arxiv.org/abs/2206.00364>, equation 5: even in σ to the power of 1/ρ.
    Karras,
    /// Even timesteps from the last to the first of the training's.
    Normal,
    /// Even in ln σ.
    Exponential,
    /// Even in ln σ for ρ = 1, bent towards the clean end for more.
    Polyexponential,
    /// As normal, with the last interval left for the way to the clean end (Stability AI's `generative-models`).
    SgmUniform,
    /// Every so many of the training's levels, from the last one on.
    Simple,
    /// Every so many of the training's levels, from the second one up (the first DDIM's).
    DdimUniform,
    /// By quantiles of a beta distribution (0.6, 0.6), <https://arxiv.org/abs/2407.12173>: more steps at both ends.
    Beta,
    /// A. Sabour et al., <https://arxiv.org/abs/2404.14507>: the table for Stable Diffusion 1.5, between its values straight in
    /// ln σ.
    AlignYourSteps,
    /// Timesteps from the last one down (<https://arxiv.org/abs/2305.08891>, table 2), whatever the configuration says.
    Trailing,
    /// Timesteps with both ends (the same table).
    Linspace,
}

/// A row of the table.
struct Schedule {
    kind: ScheduleKind,
    /// Here: on the command line and in JavaScript.
    name: &'static str,
    /// To people.
    title: &'static str,
    /// In A1111's `Schedule type`; nothing where it has none.
    a1111: &'static str,
    /// In ComfyUI; nothing where it has none.
    comfyui: &'static str,
}

/// In the order in which they are offered.
const SCHEDULES: [Schedule; 12] = [
    row(ScheduleKind::Default, "default", "The model’s own", "", ""),
    row(ScheduleKind::Karras, "karras", "Karras", "Karras", "karras"),
    row(ScheduleKind::Normal, "normal", "Normal", "Uniform", "normal"),
    row(ScheduleKind::Exponential, "exponential", "Exponential", "Exponential", "exponential"),
    row(ScheduleKind::Polyexponential, "polyexponential", "Polyexponential", "Polyexponential", ""),
    row(ScheduleKind::SgmUniform, "sgm-uniform", "SGM uniform", "SGM Uniform", "sgm_uniform"),
    row(ScheduleKind::Simple, "simple", "Simple", "Simple", "simple"),
    row(ScheduleKind::DdimUniform, "ddim-uniform", "DDIM uniform", "DDIM", "ddim_uniform"),
    row(ScheduleKind::Beta, "beta", "Beta", "", "beta"),
    row(ScheduleKind::AlignYourSteps, "align-your-steps", "Align Your Steps", "", "AlignYourStepsScheduler"),
    row(ScheduleKind::Trailing, "trailing", "Trailing", "", ""),
    row(ScheduleKind::Linspace, "linspace", "Linspace", "", ""),
];

const fn row(
    kind: ScheduleKind,
    name: &'static str,
    title: &'static str,
    a1111: &'static str,
    comfyui: &'static str,
) -> Schedule {
    Schedule { kind, name, title, a1111, comfyui }
}

impl ScheduleKind {
    pub const ALL: [ScheduleKind; SCHEDULES.len()] = {
        let mut all = [ScheduleKind::Default; SCHEDULES.len()];
        let mut row = 0;
        while row < SCHEDULES.len() {
            all[row] = SCHEDULES[row].kind;
            row += 1;
        }
        all
    };

    /// Its row; a test holds the rows to the order of the kinds.
    fn row(self) -> &'static Schedule {
        &SCHEDULES[self as usize]
    }

    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What people are shown.
    pub fn title(self) -> &'static str {
        self.row().title
    }

    /// All their names, as a sentence lists them.
    pub fn list() -> String {
        let [others @ .., last] = &Self::ALL.map(ScheduleKind::name);
        format!("{} or {last}", others.join(", "))
    }

    /// What A1111 calls it as `Schedule type` of a picture's metadata. Where it has none, or one of the same name that is made
    /// otherwise (Beta, Align Your Steps), our own name; nothing for the model's own, which needs no word.
    pub fn a1111_name(self) -> Option<&'static str> {
        match (self, self.row().a1111) {
            (ScheduleKind::Default, _) => None,
            (_, "") => Some(self.name()),
            (_, name) => Some(name),
        }
    }

    /// What A1111 and ComfyUI call it; `–` where they have none.
    pub fn names_elsewhere(self) -> [&'static str; 2] {
        [self.row().a1111, self.row().comfyui].map(|name| if name.is_empty() { "–" } else { name })
    }

    /// The schedule of A1111's, ComfyUI's or our own name, in any case.
    pub fn from_any_name(name: &str) -> Option<Self> {
        let is = |known: &str| !known.is_empty() && known.eq_ignore_ascii_case(name);
        let found =
            SCHEDULES.iter().find(|row| is(row.a1111) || is(row.comfyui) || is(row.name) || is(row.title));
        found.map(|row| row.kind)
    }

    /// The names that stand behind a sampler's in one word, as ComfyUI's savers and A1111 before 1.9 write them; longer ones
    /// before those that they end with.
    pub fn suffixes() -> Vec<&'static str> {
        let rows = SCHEDULES.iter().flat_map(|row| [row.a1111, row.comfyui]);
        let mut names: Vec<&str> = rows.filter(|name| !name.is_empty() && *name != "DDIM").collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        names
    }

    /// How the training's timesteps are picked, where that is all it says.
    pub(super) fn spacing(self, config: &SchedulerConfig) -> Option<Option<TimestepSpacing>> {
        match self {
            ScheduleKind::Default => Some(config.timestep_spacing),
            ScheduleKind::Trailing => Some(Some(TimestepSpacing::Trailing)),
            ScheduleKind::Linspace => Some(Some(TimestepSpacing::Linspace)),
            _ => None,
        }
    }

    /// Whether it runs between ends that can be chosen.
    pub(super) fn has_ends(self) -> bool {
        use ScheduleKind::{Exponential, Karras, Normal, Polyexponential, SgmUniform};
        matches!(self, Karras | Normal | Exponential | Polyexponential | SgmUniform)
    }

    /// By which exponent it bends where nothing else is said: k-diffusion's.
    pub(super) fn rho(self) -> Option<f64> {
        match self {
            ScheduleKind::Karras => Some(KARRAS_RHO),
            ScheduleKind::Polyexponential => Some(POLYEXPONENTIAL_RHO),
            _ => None,
        }
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

impl From<ScheduleKind> for &'static str {
    fn from(kind: ScheduleKind) -> Self {
        kind.name()
    }
}

impl TryFrom<String> for ScheduleKind {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        name.parse()
    }
}

/// Noise levels, falling, and the timestep of each.
pub struct Spaced {
    pub timesteps: Vec<f64>,
    pub sigmas: Vec<f64>,
}

/// `n` levels of a schedule, the clean end not among them; `None` of one that is a spacing of timesteps.
pub fn spaced(asked: &Asked<'_>, kind: ScheduleKind, n: usize) -> Result<Option<Spaced>> {
    let all = sigmas(&alphas_cumprod_above_zero(asked.config));
    let Some(levels) = levels(asked, kind, &all, n)? else { return Ok(None) };
    let sigmas: Vec<f64> = levels.into_iter().map(f64::from).collect();
    let timesteps = sigmas.iter().map(|sigma| k_timestep_at(&all, *sigma)).collect();
    Ok(Some(Spaced { timesteps, sigmas }))
}

fn levels(asked: &Asked<'_>, kind: ScheduleKind, all: &[f32], n: usize) -> Result<Option<Vec<f32>>> {
    let (config, options) = (asked.config, asked.options);
    let ends = [all[all.len() - 1], all[0]].map(f64::from);
    let max = options.sigma_max.or(config.sigma_max).unwrap_or(ends[0]);
    let min = options.sigma_min.or(config.sigma_min).unwrap_or(ends[1]).min(max);
    let from_log = |log: f32| f64::from(log).exp() as f32;
    Ok(Some(match kind {
        ScheduleKind::Default | ScheduleKind::Trailing | ScheduleKind::Linspace => return Ok(None),
        ScheduleKind::Karras => {
            let rho = options.rho.unwrap_or(KARRAS_RHO);
            let (max, min) = (max.powf(1.0 / rho), min.powf(1.0 / rho));
            let by = |ramp: f32| max as f32 + ramp * (min - max) as f32;
            let level = |ramp: f32| f64::from(by(ramp)).powf(rho) as f32;
            linspace_f32(0.0, 1.0, n).into_iter().map(level).collect()
        }
        ScheduleKind::Exponential => linspace_f32(max.ln(), min.ln(), n).into_iter().map(from_log).collect(),
        ScheduleKind::Polyexponential => {
            let rho = options.rho.unwrap_or(POLYEXPONENTIAL_RHO);
            let (slope, low) = ((max.ln() - min.ln()) as f32, min.ln() as f32);
            let level = |ramp: f32| from_log(f64::from(ramp).powf(rho) as f32 * slope + low);
            linspace_f32(1.0, 0.0, n).into_iter().map(level).collect()
        }
        ScheduleKind::Normal => timed(all, [max, min], n),
        ScheduleKind::SgmUniform => {
            let mut levels = timed(all, [max, min], n + 1);
            levels.truncate(n);
            levels
        }
        ScheduleKind::Simple => {
            let stride = all.len() as f64 / n as f64;
            (0..n).map(|i| all[all.len() - 1 - (i as f64 * stride) as usize]).collect()
        }
        // As many as are asked for, the noisiest. Where that does not divide the training's, ComfyUI and A1111 take one step or
        // more besides.
        ScheduleKind::DdimUniform => {
            let stride = (all.len() / n).max(1);
            let rising: Vec<f32> = all.iter().copied().skip(1).step_by(stride).collect();
            let falling = rising.into_iter().rev().chain(std::iter::repeat(all[0]));
            falling.take(n).collect()
        }
        ScheduleKind::Beta => {
            let last = (all.len() - 1) as f64;
            let place = |i: usize| beta_quantile(1.0 - i as f64 / n as f64, 0.6, 0.6) * last;
            let mut places: Vec<usize> = (0..n).map(|i| place(i).round_ties_even() as usize).collect();
            places.dedup();
            if places.len() < n {
                return Err(Error::InvalidInput {
                    field: "steps",
                    message: format!(
                        "{n} steps of schedule beta fall on {} levels of this model; use fewer, or another schedule",
                        places.len()
                    ),
                });
            }
            places.into_iter().map(|place| all[place]).collect()
        }
        ScheduleKind::AlignYourSteps => {
            let mut levels = between(&ALIGNED, n + 1);
            levels.truncate(n);
            levels
        }
    }))
}

/// The levels of even timesteps between those of two levels.
fn timed(all: &[f32], ends: [f64; 2], n: usize) -> Vec<f32> {
    let logs: Vec<f32> = all.iter().map(|sigma| f64::from(*sigma).ln() as f32).collect();
    let [from, to] = ends.map(|sigma| k_timestep_at(all, sigma));
    let level = |t: f32| {
        let (low, high, weight) = (t.floor() as usize, t.ceil() as usize, t.fract());
        f64::from((1.0 - weight) * logs[low] + weight * logs[high]).exp() as f32
    };
    linspace_f32(from, to, n).into_iter().map(level).collect()
}

/// NVIDIA's levels for Stable Diffusion 1.5, ten steps: the last is where diffusers and ComfyUI put the clean end.
const ALIGNED: [f64; 11] = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029];

/// As many falling levels out of a table, straight between the logarithms.
fn between(table: &[f64], n: usize) -> Vec<f32> {
    let last = (table.len() - 1) as f64;
    let level = |i: usize| {
        let place = if n < 2 { 0.0 } else { i as f64 * last / (n - 1) as f64 };
        let low = (place as usize).min(table.len() - 2);
        let (a, b) = (table[low].ln(), table[low + 1].ln());
        (a + (b - a) * (place - low as f64)).exp() as f32
    };
    (0..n).map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_the_order_of_the_kinds_and_names_tell_them_apart() {
        for (index, kind) in ScheduleKind::ALL.into_iter().enumerate() {
            assert_eq!((kind as usize, kind.row().kind), (index, kind));
            assert_eq!(kind.name().parse::<ScheduleKind>().unwrap(), kind);
            for name in [kind.name(), kind.row().a1111, kind.row().comfyui] {
                let found = (!name.is_empty()).then_some(kind);
                assert_eq!(ScheduleKind::from_any_name(name), found, "{name}");
            }
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
            let told = kind.a1111_name().and_then(ScheduleKind::from_any_name);
            assert_eq!(told.unwrap_or_default(), kind);
        }
    }

    /// By hand: at ten steps the table itself.
    #[test]
    fn ten_aligned_steps_are_the_table() {
        let found = between(&ALIGNED, 11);
        assert!(found.iter().zip(ALIGNED).all(|(found, told)| (f64::from(*found) / told - 1.0).abs() < 1e-6));
        assert_eq!(between(&ALIGNED, 1), [14.615]);
    }
}
