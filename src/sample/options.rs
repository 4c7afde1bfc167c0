//! What a sampler may be told beside its name, its schedule and how many steps there are.

use serde::{Deserialize, Serialize};

use super::{SamplerKind, ScheduleKind};
use crate::error::{Error, Result};

/// Options of samplers and schedules, as A1111 and k-diffusion name them; what is left out is as the sampler has it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct SamplerOptions {
    /// How much of the noise that a step takes away it draws anew: 0 none, 1 as much as the sampler's theory has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<f64>,
    /// How much noise is added before the steps, over all of them (T. Karras et al., algorithm 2): 0 none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s_churn: Option<f64>,
    /// The lowest noise level at which it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s_tmin: Option<f64>,
    /// The highest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s_tmax: Option<f64>,
    /// What fresh noise is multiplied by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s_noise: Option<f64>,
    /// The lowest noise level of a schedule before the clean end; the model's own if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma_min: Option<f64>,
    /// The highest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma_max: Option<f64>,
    /// How far Karras and polyexponential levels bend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rho: Option<f64>,
    /// Whether one level more is made and the last but one left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discard_next_to_last_sigma: Option<bool>,
    /// Whether a run begins with as much noise as the model was trained on, √(1 + σ²) and not σ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sgm_noise_multiplier: Option<bool>,
    /// Of every clean estimate so great a share of the values, 0 to 1, decides what it is brought within: dynamic thresholding (C.
    /// Saharia et al., <https://arxiv.org/abs/2205.11487>, section 2.3), as diffusers' `thresholding` has it. It is for models whose
    /// values lie within 1, as those of pictures do; off if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynamic_thresholding_ratio: Option<f64>,
    /// The most that it may be; 1 if left out, by which values are cut at 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_max_value: Option<f64>,
    /// What is added to the seed for the noise that steps draw (ENSD).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_noise_seed_delta: Option<u64>,
}

/// An option that is a number: its name here, its range, and what a sampler and its schedule must have for it.
struct Number {
    name: &'static str,
    /// In a picture's text, as A1111 writes it.
    a1111: &'static str,
    field: fn(&mut SamplerOptions) -> &mut Option<f64>,
    range: [f64; 2],
    takes: fn(SamplerKind, ScheduleKind) -> bool,
    /// What takes it, for people.
    taken_by: &'static str,
}

const CHURN: &str = "samplers to whose steps noise may be added (euler, heun, dpm2)";
const ENDS: &str = "schedules between two levels (karras, normal, exponential, polyexponential, sgm-uniform)";

const NUMBERS: [Number; 10] = [
    Number {
        name: "eta",
        a1111: "Eta",
        field: |options| &mut options.eta,
        range: [0.0, 10.0],
        takes: |sampler, _| sampler.eta().is_some(),
        taken_by: "samplers that draw noise anew (ddim, tcd, ancestral and SDE ones)",
    },
    Number {
        name: "s_churn",
        a1111: "Sigma churn",
        field: |options| &mut options.s_churn,
        range: [0.0, 1e4],
        takes: |sampler, _| sampler.churns(),
        taken_by: CHURN,
    },
    Number {
        name: "s_tmin",
        a1111: "Sigma tmin",
        field: |options| &mut options.s_tmin,
        range: [0.0, 1e6],
        takes: |sampler, _| sampler.churns(),
        taken_by: CHURN,
    },
    Number {
        name: "s_tmax",
        a1111: "Sigma tmax",
        field: |options| &mut options.s_tmax,
        range: [0.0, f64::INFINITY],
        takes: |sampler, _| sampler.churns(),
        taken_by: CHURN,
    },
    Number {
        name: "s_noise",
        a1111: "Sigma noise",
        field: |options| &mut options.s_noise,
        range: [0.0, 10.0],
        takes: |sampler, _| sampler.draws(),
        taken_by: "samplers that draw noise",
    },
    Number {
        name: "sigma_min",
        a1111: "Schedule min sigma",
        field: |options| &mut options.sigma_min,
        range: [1e-4, 1e6],
        takes: |_, schedule| schedule.has_ends(),
        taken_by: ENDS,
    },
    Number {
        name: "sigma_max",
        a1111: "Schedule max sigma",
        field: |options| &mut options.sigma_max,
        range: [1e-4, 1e6],
        takes: |_, schedule| schedule.has_ends(),
        taken_by: ENDS,
    },
    Number {
        name: "rho",
        a1111: "Schedule rho",
        field: |options| &mut options.rho,
        range: [0.01, 100.0],
        takes: |_, schedule| schedule.rho().is_some(),
        taken_by: "the schedules karras and polyexponential",
    },
    Number {
        name: "dynamic_thresholding_ratio",
        a1111: "Dynamic thresholding ratio",
        field: |options| &mut options.dynamic_thresholding_ratio,
        range: [0.0, 1.0],
        takes: |_, _| true,
        taken_by: "all samplers",
    },
    Number {
        name: "sample_max_value",
        a1111: "Sample max value",
        field: |options| &mut options.sample_max_value,
        range: [1.0, 1e4],
        takes: |_, _| true,
        taken_by: "all samplers",
    },
];

/// An option that is set or not.
struct Switch {
    name: &'static str,
    a1111: &'static str,
    field: fn(&mut SamplerOptions) -> &mut Option<bool>,
}

const SWITCHES: [Switch; 2] = [
    Switch {
        name: "discard_next_to_last_sigma",
        a1111: "Discard penultimate sigma",
        field: |options| &mut options.discard_next_to_last_sigma,
    },
    Switch {
        name: "sgm_noise_multiplier",
        a1111: "SGM noise multiplier",
        field: |options| &mut options.sgm_noise_multiplier,
    },
];

/// A1111's word for what is added to the seed.
const ENSD: &str = "ENSD";
/// And for the η of DDIM, which has a setting of its own there.
const ETA_DDIM: &str = "Eta DDIM";

impl SamplerOptions {
    /// What is set, as A1111 writes it into a picture's text.
    pub fn a1111_fields(&self) -> Vec<(&'static str, String)> {
        let mut told = *self;
        let numbers: Vec<_> = NUMBERS
            .iter()
            .filter_map(|row| (*(row.field)(&mut told)).map(|value| (row.a1111, value.to_string())))
            .collect();
        let word = |set: bool| if set { "True" } else { "False" }.to_string();
        let switches: Vec<_> = SWITCHES
            .iter()
            .filter_map(|row| (*(row.field)(&mut told)).map(|set| (row.a1111, word(set))))
            .collect();
        let delta = self.eta_noise_seed_delta.map(|delta| (ENSD, delta.to_string()));
        numbers.into_iter().chain(switches).chain(delta).collect()
    }

    /// The share and the most of dynamic thresholding, where it is on.
    pub fn thresholding(&self) -> Option<[f64; 2]> {
        self.dynamic_thresholding_ratio.map(|ratio| [ratio, self.sample_max_value.unwrap_or(1.0)])
    }

    /// Takes a field of a picture's text; `None` where it is no option, else whether its value could be read.
    pub fn take_a1111_field(&mut self, key: &str, value: &str) -> Option<bool> {
        let key = if key == ETA_DDIM { "Eta" } else { key };
        let value = value.trim();
        if let Some(row) = NUMBERS.iter().find(|row| row.a1111 == key) {
            *(row.field)(self) = value.parse().ok();
            return Some((row.field)(self).is_some());
        }
        if let Some(row) = SWITCHES.iter().find(|row| row.a1111 == key) {
            *(row.field)(self) = value.to_ascii_lowercase().parse().ok();
            return Some((row.field)(self).is_some());
        }
        (key == ENSD).then(|| {
            self.eta_noise_seed_delta = value.parse().ok();
            self.eta_noise_seed_delta.is_some()
        })
    }

    /// Refuses a schedule that the sampler cannot follow, options out of range, and those that would have no effect.
    pub fn check(&self, sampler: SamplerKind, schedule: ScheduleKind) -> Result<()> {
        let refuse = |field, message| Err(Error::InvalidInput { field, message });
        if !sampler.follows(schedule) {
            let list: Vec<&str> = ScheduleKind::ALL
                .into_iter()
                .filter(|kind| sampler.follows(*kind))
                .map(ScheduleKind::name)
                .collect();
            return refuse(
                "schedule",
                format!("{sampler} has no {schedule} schedule; use {}, or another sampler", list.join(", ")),
            );
        }
        for Number { name, field, range: [low, high], takes, taken_by, .. } in &NUMBERS {
            let Some(value) = *field(&mut self.clone()) else { continue };
            if !(*low..=*high).contains(&value) {
                return refuse(name, format!("{value} asked for, expected {low} to {high}"));
            }
            if !takes(sampler, schedule) {
                return refuse(
                    name,
                    format!(
                        "sampler {sampler} with schedule {schedule} has no use for it; it is for {taken_by}"
                    ),
                );
            }
        }
        if let (Some(low), Some(high)) = (self.sigma_min, self.sigma_max)
            && low > high
        {
            return refuse("sigma_min", format!("{low} asked for, which is more than sigma_max, {high}"));
        }
        if self.sample_max_value.is_some() && self.dynamic_thresholding_ratio.is_none() {
            let message = "it bounds dynamic thresholding, which is off; set dynamic_thresholding_ratio too";
            return refuse("sample_max_value", message.to_string());
        }
        let set = |row: &&Switch| *(row.field)(&mut self.clone()) == Some(true);
        match SWITCHES.iter().find(set).filter(|_| !sampler.has_levels()) {
            Some(Switch { name, .. }) => {
                refuse(name, format!("sampler {sampler} counts timesteps and has no levels for it"))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `www/steer/takes.js` as it has to be.
    fn javascript() -> String {
        let list = |names: Vec<String>| format!("[{}]", names.join(", "));
        let quoted = |name: &str| format!("'{name}'");
        let samplers = |are: fn(SamplerKind) -> bool| {
            list(
                SamplerKind::ALL
                    .into_iter()
                    .filter(|kind| are(*kind))
                    .map(|kind| quoted(kind.name()))
                    .collect(),
            )
        };
        let schedules = |are: fn(ScheduleKind) -> bool| {
            list(
                ScheduleKind::ALL
                    .into_iter()
                    .filter(|kind| are(*kind))
                    .map(|kind| quoted(kind.name()))
                    .collect(),
            )
        };
        let camel = |name: &str| {
            let mut words = name.split('_');
            let first = words.next().unwrap_or_default().to_string();
            words.fold(first, |all, word| all + &word[..1].to_uppercase() + &word[1..])
        };
        let bound = |value: f64| if value.is_finite() { value.to_string() } else { "Infinity".to_string() };
        let numbers = NUMBERS.iter().map(|Number { name, range: [low, high], .. }| {
            format!("  {}: [{}, {}],\n", camel(name), bound(*low), bound(*high))
        });
        let eta = SamplerKind::ALL
            .into_iter()
            .filter_map(|kind| kind.eta().map(|eta| format!("  {}: {eta},\n", quoted(kind.name()))));
        let bends = ScheduleKind::ALL
            .into_iter()
            .filter_map(|kind| kind.rho().map(|rho| format!("  {}: {rho},\n", quoted(kind.name()))));
        format!(
            "/**\n * Which samplers and schedules take what they may be told beside, and what they take where nothing is said.\n *\n \
             * These are the engine's own: change them in src/sample, where a test of options.rs says what stands here.\n */\n\n\
             /** Of numbers: from, to. @type {{Record<string, [number, number]>}} */\nexport const NUMBERS = {{\n{}}};\n\n\
             /** What samplers that have an η have as η. @type {{Record<string, number>}} */\nexport const ETA = {{\n{}}};\n\n\
             /** To whose steps noise may be added. */\nexport const CHURNS = {};\n\n\
             /** Those that may draw noise in their steps, or before them. */\nexport const DRAWS = {};\n\n\
             /** Those that are told noise levels. */\nexport const LEVELS = {};\n\n\
             /** Those that leave the last level but one out. */\nexport const DISCARDS = {};\n\n\
             /** Schedules between two levels. */\nexport const ENDS = {};\n\n\
             /** How far schedules bend that do. @type {{Record<string, number>}} */\nexport const BENDS = {{\n{}}};\n",
            numbers.collect::<String>(),
            eta.collect::<String>(),
            samplers(SamplerKind::churns),
            samplers(SamplerKind::draws),
            samplers(SamplerKind::has_levels),
            samplers(SamplerKind::discards),
            schedules(ScheduleKind::has_ends),
            bends.collect::<String>(),
        )
    }

    #[test]
    fn javascript_has_the_same_options() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("www/steer/takes.js");
        let there = std::fs::read_to_string(&path).expect("takes.js");
        assert_eq!(there, javascript());
    }

    #[test]
    fn a_pictures_text_carries_every_option() {
        let options = SamplerOptions {
            eta: Some(0.5),
            s_churn: Some(4.0),
            s_tmin: Some(0.1),
            s_tmax: Some(f64::INFINITY),
            s_noise: Some(1.003),
            sigma_min: Some(0.03),
            sigma_max: Some(14.6),
            rho: Some(5.0),
            discard_next_to_last_sigma: Some(false),
            sgm_noise_multiplier: Some(true),
            dynamic_thresholding_ratio: Some(0.995),
            sample_max_value: Some(1.5),
            eta_noise_seed_delta: Some(31337),
        };
        let fields = options.a1111_fields();
        assert_eq!(fields.len(), 13);
        let mut read = SamplerOptions::default();
        for (key, value) in &fields {
            assert_eq!(read.take_a1111_field(key, value), Some(true), "{key}: {value}");
        }
        assert_eq!(read, options);
        assert_eq!(SamplerOptions::default().a1111_fields(), []);
        assert_eq!(read.take_a1111_field("Eta DDIM", "0.25"), Some(true));
        assert_eq!(read.eta, Some(0.25));
        assert_eq!(read.take_a1111_field("Sigma churn", "much"), Some(false));
        assert_eq!(read.take_a1111_field("Steps", "4"), None);
    }

    #[test]
    fn thresholding_is_off_and_has_bounds() {
        let check = |dynamic_thresholding_ratio, sample_max_value| {
            let options =
                SamplerOptions { dynamic_thresholding_ratio, sample_max_value, ..SamplerOptions::default() };
            let said = options.check(SamplerKind::Ddim, ScheduleKind::Default).err();
            (options.thresholding(), said.map(|error| error.to_string()).unwrap_or_default())
        };
        assert_eq!(check(None, None), (None, String::new()));
        assert_eq!(check(Some(0.995), None), (Some([0.995, 1.0]), String::new()));
        assert_eq!(check(Some(0.9), Some(4.0)), (Some([0.9, 4.0]), String::new()));
        for (ratio, most, words) in [
            (None, Some(2.0), "set dynamic_thresholding_ratio too"),
            (Some(1.01), None, "1.01 asked for, expected 0 to 1"),
            (Some(f64::NAN), None, "expected 0 to 1"),
            (Some(0.5), Some(0.9), "0.9 asked for, expected 1 to 10000"),
        ] {
            assert!(check(ratio, most).1.contains(words), "{words}: {:?}", check(ratio, most));
        }
    }
}
