//! Samplers and schedules by the names that other tools give them.

use super::{Settings, brief};
use crate::sample::{SamplerKind, ScheduleKind};

/// What a schedule's name asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// The sampler's own, as A1111 has it.
    Automatic,
    Kind(ScheduleKind),
}

impl Settings {
    /// `Euler a`, or with the schedule in it as before A1111 1.9 (`DPM++ 2M Karras`) and as ComfyUI's savers write it
    /// (`dpmpp_2m_karras`). What is not known leaves the form as it is, an unknown sampler its schedule too.
    pub(super) fn take_sampler(&mut self, value: &str, schedule: Option<&str>) {
        let (name, within) = split(value.trim());
        let kind = sampler(name);
        let asked = within.or(schedule).map_or(Some(Asked::Kind(ScheduleKind::Default)), asked);
        match kind {
            Some(kind) => self.sampler = Some(kind.name()),
            None => {
                let name = brief(name);
                self.notices.push(format!("There is no sampler “{name}” here; the chosen one stays."));
            }
        }
        let Some(asked) = asked else {
            let name = brief(within.or(schedule).unwrap_or_default()).to_lowercase();
            self.notices.push(format!("There is no schedule “{name}” here; the chosen one stays."));
            return;
        };
        let Some(kind) = kind else { return };
        // A1111 gives this sampler Karras' sigmas unless told otherwise.
        let schedule = match asked {
            Asked::Automatic if kind == SamplerKind::DpmPlusPlus2M => ScheduleKind::Karras,
            Asked::Automatic => ScheduleKind::Default,
            Asked::Kind(schedule) => schedule,
        };
        if kind == SamplerKind::Ddim && schedule == ScheduleKind::Karras {
            self.notices.push("DDIM has no Karras schedule here; it takes its own.".to_string());
            self.schedule = Some(ScheduleKind::Default.name());
        } else {
            self.schedule = Some(schedule.name());
        }
    }
}

/// A sampler's name and the schedule behind it, after a blank or `_`.
fn split(value: &str) -> (&str, Option<&str>) {
    const WITHIN: [&str; 8] = [
        "karras",
        "polyexponential",
        "exponential",
        "sgm_uniform",
        "ddim_uniform",
        "simple",
        "normal",
        "beta",
    ];
    let behind = |known: &&str| {
        let (name, schedule) = value.split_at_checked(value.len().checked_sub(known.len())?)?;
        let name = name.strip_suffix([' ', '_'])?;
        schedule.eq_ignore_ascii_case(known).then_some((name, Some(schedule)))
    };
    WITHIN.iter().find_map(behind).unwrap_or((value, None))
}

/// The sampler of a tool's name: A1111's, ComfyUI's, InvokeAI's, NovelAI's (`k_euler_ancestral`) or our own.
fn sampler(name: &str) -> Option<SamplerKind> {
    const OTHERS: [(&str, SamplerKind); 3] = [
        ("euler_a", SamplerKind::EulerAncestral),
        ("dpm++_2m", SamplerKind::DpmPlusPlus2M),
        ("dpmsolver++", SamplerKind::DpmPlusPlus2M),
    ];
    let name = name.strip_prefix("k_").unwrap_or(name);
    let same = |known: &str| known.eq_ignore_ascii_case(name);
    let own = SamplerKind::ALL.into_iter().find(|kind| same(kind.name()));
    let other = || OTHERS.iter().find(|(known, _)| same(known)).map(|(_, kind)| *kind);
    SamplerKind::from_a1111_name(name).or(own).or_else(other)
}

/// `None` for a schedule that is not here.
fn asked(name: &str) -> Option<Asked> {
    match name.trim().to_ascii_lowercase().as_str() {
        "" | "uniform" | "normal" | "default" => Some(Asked::Kind(ScheduleKind::Default)),
        "karras" => Some(Asked::Kind(ScheduleKind::Karras)),
        "automatic" => Some(Asked::Automatic),
        _ => None,
    }
}
