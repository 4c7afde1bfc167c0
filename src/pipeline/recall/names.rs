//! Samplers and schedules by the names that other tools give them.

use super::{Settings, brief};
use crate::config::Suggested;
use crate::sample::{SamplerKind, ScheduleKind};

/// A file's name without its folder, and without its ending where that is one of a model's.
pub(super) fn file_name(path: &str) -> &str {
    const ENDINGS: [&str; 5] = [".safetensors", ".ckpt", ".gguf", ".sft", ".pt"];
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

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
        let schedule = match asked {
            Asked::Automatic => kind.automatic(),
            Asked::Kind(schedule) => schedule,
        };
        // Samplers of timesteps pass over the schedule there; uniform is what they have.
        let is_own = [ScheduleKind::Normal, ScheduleKind::DdimUniform].contains(&schedule);
        self.schedule = Some(match kind.follows(schedule) {
            true => schedule.name(),
            false => ScheduleKind::Default.name(),
        });
        if !kind.follows(schedule) && !is_own {
            let (sampler, title) = (kind.title(), schedule.title());
            self.notices.push(format!("{sampler} has no {title} schedule here; it takes its own."));
        }
    }
}

/// A sampler's name and the schedule behind it, after a blank or `_`; InvokeAI writes `_k` for Karras, Draw Things `AYS` and
/// `Trailing`.
fn split(value: &str) -> (&str, Option<&str>) {
    const OTHERS: [(&str, &str); 2] = [("AYS", "align-your-steps"), ("Trailing", "trailing")];
    let behind = |known: &str| {
        let (name, schedule) = value.split_at_checked(value.len().checked_sub(known.len())?)?;
        let name = name.strip_suffix([' ', '_'])?;
        schedule.eq_ignore_ascii_case(known).then_some((name, Some(schedule)))
    };
    let known = ScheduleKind::suffixes().into_iter().find_map(behind);
    let other = || OTHERS.iter().find_map(|(word, schedule)| Some((behind(word)?.0, Some(*schedule))));
    let short = || value.strip_suffix("_k").map(|name| (name, Some("karras")));
    known.or_else(other).or_else(short).unwrap_or((value, None))
}

/// The sampler of a tool's name: A1111's, ComfyUI's, InvokeAI's, NovelAI's (`k_euler_ancestral`), diffusers' class or our own.
fn sampler(name: &str) -> Option<SamplerKind> {
    const OTHERS: [(&str, SamplerKind); 14] = [
        ("euler_a", SamplerKind::EulerAncestral),
        ("euler ancestral", SamplerKind::EulerAncestral),
        ("dpm++_2m", SamplerKind::DpmPlusPlus2M),
        ("dpmsolver++", SamplerKind::DpmPlusPlus2M),
        ("dpm_2_a", SamplerKind::Dpm2Ancestral),
        ("kdpm_2", SamplerKind::Dpm2),
        ("kdpm_2_a", SamplerKind::Dpm2Ancestral),
        ("dpmpp_sde_gpu", SamplerKind::DpmPlusPlusSde),
        ("dpmpp_2m_sde_gpu", SamplerKind::DpmPlusPlus2MSde),
        ("dpmpp_2m_sde_heun_gpu", SamplerKind::DpmPlusPlus2MSdeHeun),
        ("dpmpp_3m_sde_gpu", SamplerKind::DpmPlusPlus3MSde),
        ("pndm", SamplerKind::Plms),
        ("PNDMScheduler", SamplerKind::Plms),
        ("DDPMScheduler", SamplerKind::Ddpm),
    ];
    let name = name.strip_prefix("k_").unwrap_or(name);
    let same = |known: &str| known.eq_ignore_ascii_case(name);
    let own = SamplerKind::ALL.into_iter().find(|kind| same(kind.name()));
    let other = || OTHERS.iter().find(|(known, _)| same(known)).map(|(_, kind)| *kind);
    let class = || Suggested::of_scheduler(&serde_json::json!({ "_class_name": name })).sampler?.parse().ok();
    SamplerKind::from_a1111_name(name).or(own).or_else(other).or_else(class)
}

/// `None` for a schedule that is not here.
fn asked(name: &str) -> Option<Asked> {
    match name.trim() {
        "" => Some(Asked::Kind(ScheduleKind::Default)),
        name if name.eq_ignore_ascii_case("automatic") => Some(Asked::Automatic),
        name => ScheduleKind::from_any_name(name).map(Asked::Kind),
    }
}
