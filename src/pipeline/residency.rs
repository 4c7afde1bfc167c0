//! Which weights are on the device while which stages of a run work, within a limit of memory: decided from numbers alone.
//!
//! Where all fits at once, all stays. Else stages are prepared one after the other, each with memory of its own size, and
//! the components that no stage of the moment reads leave, the smallest first to come back again and again: what stays
//! through a whole run is the largest that there is room for in every stage.

use std::fmt;

use super::graphs::{Key, Network};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::gpu::{Executable, buffer_bytes};
use crate::pipeline::plans::read_back;
use crate::plan::{Binding, Plan, Shared};
use crate::weights::{Component, Components, Sizes};

/// What works at the same time, and what it needs on the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    pub name: String,
    pub networks: Vec<Network>,
    /// Whose weights it reads.
    pub components: Components,
    /// The buffers that its parts share, those of values among them that an earlier stage made for a later one.
    pub shared: Shared,
    /// Bytes beside weights: these buffers, parameters, what the host reads through.
    pub working: u64,
}

/// A stage and what is on the device with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    pub stage: Stage,
    pub resident: Components,
    /// Bytes of the weights that are resident.
    pub weights: u64,
}

/// The phases of a run, in its order; the next run begins with the first again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Residency {
    pub limit: u64,
    pub phases: Vec<Phase>,
}

/// The stages of a run of these parts, in its order.
pub fn stages(config: &ModelConfig, parts: &[(Key, &Plan)]) -> Vec<Stage> {
    let group = |part: &(Key, &Plan)| name(&part.0);
    let groups: Vec<_> = parts.chunk_by(|a, b| group(a) == group(b)).collect();
    let stage =
        |parts: &&[(Key, &Plan)]| Stage::of(parts.first().map(group).unwrap_or_default(), config, parts);
    let mut stages: Vec<Stage> = groups.iter().map(stage).collect();
    // A value is there, as large as anyone needs it, from the first stage that knows it to the last.
    let whole = Shared::of(&plans(parts));
    for (outside, bytes) in whole.externals {
        let knows = |stage: &Stage| stage.shared.externals.contains_key(&outside);
        let (first, last) = (stages.iter().position(knows), stages.iter().rposition(knows));
        if let (Some(first), Some(last)) = (first, last) {
            for stage in &mut stages[first..=last] {
                stage.shared.externals.insert(outside, bytes);
            }
        }
    }
    for (stage, parts) in stages.iter_mut().zip(groups) {
        stage.working = working(config, parts, &stage.shared);
    }
    stages
}

impl Stage {
    /// Parts that are prepared together.
    pub fn of(name: String, config: &ModelConfig, parts: &[(Key, &Plan)]) -> Stage {
        let shared = Shared::of(&plans(parts));
        Stage {
            name,
            networks: parts.iter().map(|(key, _)| key.network()).collect(),
            components: parts.iter().flat_map(|(_, plan)| components(plan).iter()).collect(),
            working: working(config, parts, &shared),
            shared,
        }
    }

    /// One plan by itself, in memory of its own.
    pub fn alone(name: &str, plan: &Plan) -> Stage {
        let shared = Shared::of(&[plan]);
        Stage {
            name: name.to_string(),
            networks: Vec::new(),
            components: components(plan),
            working: buffers(&shared) + buffer_bytes(Executable::params_bytes(plan)),
            shared,
        }
    }
}

fn plans<'a>(parts: &[(Key, &'a Plan)]) -> Vec<&'a Plan> {
    parts.iter().map(|(_, plan)| *plan).collect()
}

/// Bytes that parts take beside weights.
fn working(config: &ModelConfig, parts: &[(Key, &Plan)], shared: &Shared) -> u64 {
    let params = parts.iter().map(|(_, plan)| buffer_bytes(Executable::params_bytes(plan)));
    let read = parts.iter().filter_map(|(key, _)| read_back(config, *key));
    buffers(shared) + params.sum::<u64>() + read.map(|(_, bytes)| buffer_bytes(bytes)).sum::<u64>()
}

/// Bytes of shared buffers, and of one through which the host reads any one value outside the arena.
fn buffers(shared: &Shared) -> u64 {
    let outside = || shared.externals.values().copied().map(buffer_bytes);
    let arena: u64 = shared.slabs.iter().copied().map(buffer_bytes).sum();
    arena + outside().sum::<u64>() + outside().max().unwrap_or(0)
}

/// What a stage is called that a part of a run belongs to.
fn name(key: &Key) -> String {
    match key.network() {
        Network::Encoder => "encode".to_string(),
        Network::Text(0) => "text".to_string(),
        Network::Text(index) => format!("text {}", index + 1),
        // Windows have their part of a map read among the steps.
        Network::Hint(_) if !matches!(key, Key::Hint { windowed: true, .. }) => "control maps".to_string(),
        Network::Decoder => "decode".to_string(),
        Network::Hint(_)
        | Network::KeysValues
        | Network::ControlKeysValues(_)
        | Network::Prepare
        | Network::Control(_)
        | Network::Denoiser
        | Network::Step
        | Network::Preview => "steps".to_string(),
    }
}

/// Whose weights a plan reads.
pub fn components(plan: &Plan) -> Components {
    let bindings = plan.dispatches.iter().flat_map(|dispatch| &dispatch.bindings);
    let read = bindings.filter_map(|binding| match binding {
        Binding::Weight(name) | Binding::Scales(name) => Some(Component::of(name)),
        Binding::Arena(_) | Binding::External(_) | Binding::Part { .. } => None,
    });
    read.collect()
}

impl Phase {
    /// Bytes on the device.
    pub fn bytes(&self) -> u64 {
        self.weights + self.stage.working
    }
}

impl Residency {
    /// For a run of these parts by a model with components of these sizes.
    pub fn of_run(config: &ModelConfig, parts: &[(Key, &Plan)], sizes: &Sizes, limit: u64) -> Residency {
        let whole = Stage::of("all stages".to_string(), config, parts);
        let at_once = Residency::of(vec![whole], sizes, limit);
        if at_once.excess() == 0 {
            return at_once;
        }
        Residency::of(stages(config, parts), sizes, limit)
    }

    /// For stages one after the other. Of the components that not all of them read, those stay throughout for which there
    /// is room in every stage: the largest first, and last what no stage reads.
    pub fn of(stages: Vec<Stage>, sizes: &Sizes, limit: u64) -> Residency {
        let phase = |stage: Stage| {
            let resident = stage.components;
            Phase { weights: resident.iter().map(|component| sizes.of(component)).sum(), resident, stage }
        };
        let mut phases: Vec<Phase> = stages.into_iter().map(phase).collect();
        let read: Components = phases.iter().flat_map(|phase| phase.resident.iter()).collect();
        let mut left = sizes.components();
        let first = |left: Components| {
            left.iter().max_by_key(|component| (read.contains(*component), sizes.of(*component)))
        };
        while let Some(component) = first(left) {
            left = left.without([component].into_iter().collect());
            let is_away = |phase: &Phase| !phase.resident.contains(component);
            let fits = |phase: &Phase| phase.bytes() + sizes.of(component) <= limit;
            if phases.iter().filter(|phase| is_away(phase)).all(fits) {
                for phase in phases.iter_mut().filter(|phase| is_away(phase)) {
                    phase.resident.insert(component);
                    phase.weights += sizes.of(component);
                }
            }
        }
        Residency { limit, phases }
    }

    /// The most bytes that are on the device at once.
    pub fn peak(&self) -> u64 {
        self.phases.iter().map(Phase::bytes).max().unwrap_or(0)
    }

    /// By how many bytes the limit is too low; 0 where it is kept.
    pub fn excess(&self) -> u64 {
        self.peak().saturating_sub(self.limit)
    }

    /// Refuses a run that does not keep the limit.
    pub fn check(&self) -> Result<()> {
        let widest = self.phases.iter().max_by_key(|phase| phase.bytes());
        let Some(phase) = widest.filter(|phase| phase.bytes() > self.limit) else { return Ok(()) };
        let Phase { stage, weights, .. } = phase;
        let message = format!(
            "the memory limit of {} is too low by {}: the stage \"{}\" takes {}, of which {} are weights; choose a smaller \
             picture or a higher limit",
            megabytes(self.limit),
            megabytes(self.excess()),
            stage.name,
            megabytes(phase.bytes()),
            megabytes(*weights),
        );
        Err(Error::OutOfMemory { message })
    }

    /// The phase of a part.
    pub fn phase_of(&self, network: Network) -> Option<usize> {
        self.phases.iter().position(|phase| phase.stage.networks.contains(&network))
    }

    /// What comes to the device with a phase, and what leaves it then, run after run.
    fn moves(&self, index: usize) -> [Components; 2] {
        let count = self.phases.len();
        let [now, before] = [index, (index + count - 1) % count].map(|index| self.phases[index].resident);
        if count == 1 { [now, Components::default()] } else { [now.without(before), before.without(now)] }
    }
}

impl fmt::Display for Residency {
    /// A line per phase with its numbers and what comes and leaves, then the most at once and how that is to the limit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "residency within {}", megabytes(self.limit))?;
        for (index, phase) in self.phases.iter().enumerate() {
            let [comes, leaves] = self.moves(index);
            let moves = match self.phases.len() {
                1 => format!("{comes} stay"),
                _ => [(leaves, "leaves"), (comes, "comes")]
                    .into_iter()
                    .filter(|(components, _)| !components.is_empty())
                    .map(|(components, verb)| format!("{components} {verb}"))
                    .collect::<Vec<_>>()
                    .join("; "),
            };
            let line = format!(
                "      {:<10} weights {:>10}, working memory {:>10}, in all {:>10}  {moves}",
                phase.stage.name,
                megabytes(phase.weights),
                megabytes(phase.stage.working),
                megabytes(phase.bytes()),
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        let peak = megabytes(self.peak());
        match self.excess() {
            0 => {
                writeln!(f, "      at most {peak} at once, {} to spare", megabytes(self.limit - self.peak()))
            }
            excess => {
                writeln!(f, "      does not fit: {peak} at once, {} more than the limit", megabytes(excess))
            }
        }
    }
}

/// 246.1 MB.
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ControlNetConfig, UnetConfig};
    use crate::kernels::{Circular, Elem, WeightType};
    use crate::model;
    use crate::pipeline::graphs::Controls;
    use crate::pipeline::plans::{Plans, Shape};
    use crate::plan::{MemoryLimits, Target, Tuning, WeightDecl, scales_bytes, stored_type, values_bytes};
    use crate::weights::{ModelSource, Placement};
    use std::path::Path;

    const GB: u64 = 1_000_000_000;
    /// Where devices of an iPhone's class end.
    const GIB: u64 = 1 << 30;
    const TARGET: Target =
        Target { elem: Elem::F16, tuning: Tuning::GPU, subgroup: 0, limits: MemoryLimits::WIDEST };

    fn shape(config: &ModelConfig, size: usize) -> Shape {
        let latents = size / config.vae.scale();
        let (h, w) = (latents, latents);
        Shape {
            batch: 1,
            copies: 2,
            composed: false,
            states: 1,
            vectors: 0,
            hides: false,
            skipped: 0,
            h,
            w,
            chunks: 1,
            ancestral: false,
            history: 1,
            maps: false,
            previews: true,
            encodes: false,
            masked: false,
            controls: Controls::NONE,
            circular: Circular::NONE,
            windows: None,
        }
    }

    /// Stable Diffusion 1.5 at 512×512 with activations in f16.
    fn sd15(weights: WeightType, limit: u64) -> Residency {
        let config = ModelConfig::builtin("sd15").unwrap();
        let shape = shape(&config, 512);
        let plans = Plans::without_weights(&config, shape, TARGET, weights).unwrap();
        let decls = model::weight_decls(&config);
        let bytes = |decl: &WeightDecl| {
            let stored = stored_type(decl, weights);
            [values_bytes(decl, stored), scales_bytes(decl, stored)]
        };
        let records = decls.iter().map(|decl| (decl.name.as_str(), bytes(decl)));
        let sizes = Sizes::of_records(records.map(|(name, [values, scales])| (name, values, scales)));
        Residency::of_run(&config, &plans.keyed(&config, shape), &sizes, limit)
    }

    fn resident(residency: &Residency) -> Vec<Vec<Component>> {
        residency.phases.iter().map(|phase| phase.resident.iter().collect()).collect()
    }

    #[test]
    fn every_weight_belongs_to_the_component_of_its_network() {
        for name in crate::config::BUILTIN {
            let config = ModelConfig::builtin(name).unwrap();
            let shape = Shape { encodes: true, ..shape(&config, 64) };
            let plans = Plans::without_weights(&config, shape, TARGET, WeightType::F16).unwrap();
            for (key, plan) in plans.keyed(&config, shape) {
                let expected = match key.network() {
                    Network::Encoder => vec![Component::Encoder],
                    Network::Text(index) => vec![Component::Text(index)],
                    Network::Hint(index) | Network::ControlKeysValues(index) | Network::Control(index) => {
                        vec![Component::Control(index)]
                    }
                    Network::KeysValues | Network::Denoiser => vec![Component::Denoiser],
                    Network::Decoder => vec![Component::Decoder],
                    Network::Prepare | Network::Step | Network::Preview => Vec::new(),
                };
                assert_eq!(components(plan).iter().collect::<Vec<_>>(), expected, "{name} {key:?}");
            }
        }
        let config = crate::config::TaesdConfig::default();
        let decls = model::taesd_weight_decls(&config);
        assert!(decls.iter().all(|decl| Component::of(&decl.name) == Component::Preview));
    }

    #[test]
    fn stable_diffusion_in_q8_fits_a_gibibyte_one_component_at_a_time() {
        let least = sd15(WeightType::Q8, 0).peak();
        assert!(least <= GIB && least > GIB * 9 / 10, "{least}");
        let residency = sd15(WeightType::Q8, least);
        use Component::{Decoder, Denoiser, Text};
        assert_eq!(resident(&residency), [vec![Text(0)], vec![Denoiser], vec![Decoder]]);
        residency.check().unwrap();
        assert_eq!(residency.phase_of(Network::Text(0)), Some(0));
        assert_eq!(residency.phase_of(Network::Preview), Some(1));
        assert_eq!(residency.phase_of(Network::Decoder), Some(2));
        let printed = residency.to_string();
        for part in ["text encoder leaves; denoiser comes", "denoiser leaves; decoder comes", "to spare"] {
            assert!(printed.contains(part), "{part:?} in {printed}");
        }
    }

    /// A run without it does with the memory that it did with before, and one with it takes as much more as it has weights.
    #[test]
    fn a_control_network_leaves_the_device() {
        let mut config = ModelConfig::builtin("sd15").unwrap();
        let crate::config::Denoiser::Unet(unet) = config.denoiser.clone();
        config.controls.push(ControlNetConfig {
            name: "canny".into(),
            unet: UnetConfig { up_block_types: Vec::new(), ..unet },
            conditioning_channels: 3,
            conditioning_embedding_out_channels: vec![16, 32, 96, 256],
        });
        config.check().unwrap();
        let (own, control) = (model::weight_decls(&config), model::control_decls(&config.controls[0]));
        let records = own.iter().chain(&control).map(|decl| {
            let stored = stored_type(decl, WeightType::F16);
            (decl.name.as_str(), values_bytes(decl, stored), scales_bytes(decl, stored))
        });
        let sizes = Sizes::of_records(records);
        // 361 million values: <https://huggingface.co/lllyasviel/control_v11p_sd15_canny>.
        let bytes = sizes.of(Component::Control(0));
        assert!((722_000_000..=727_000_000).contains(&bytes), "{bytes}");
        let least = |controls: Controls, sizes: &Sizes| {
            let shape = Shape { controls, ..shape(&config, 512) };
            let plans = Plans::without_weights(&config, shape, TARGET, WeightType::F16).unwrap();
            let of = |limit| Residency::of_run(&config, &plans.keyed(&config, shape), sizes, limit);
            of(of(0).peak())
        };
        let steered = least(Controls::of([0]), &sizes);
        let resident = resident(&steered);
        let names: Vec<&str> = steered.phases.iter().map(|phase| phase.stage.name.as_str()).collect();
        assert_eq!(names, ["control maps", "text", "steps", "decode"]);
        for phase in [0, 2] {
            assert!(resident[phase].contains(&Component::Control(0)), "{steered}");
        }
        let without = least(Controls::NONE, &sizes);
        assert_eq!(without.peak(), sd15(WeightType::F16, 0).peak());
        let there = |phase: &Phase| phase.resident.contains(Component::Control(0));
        assert!(!without.phases.iter().any(there), "{without}");
        // Beside it what passes between the two networks: 13 residuals of both halves, and its text's keys and values.
        let more = steered.peak() - without.peak();
        assert!((bytes..bytes + 50_000_000).contains(&more), "{more}");
    }

    #[test]
    fn where_everything_fits_everything_stays() {
        for (weights, limit) in
            [(WeightType::Q8, 2 * GB), (WeightType::Q8, 4 * GB), (WeightType::F16, 4 * GB)]
        {
            let residency = sd15(weights, limit);
            assert_eq!(residency.phases.len(), 1, "{residency}");
            assert_eq!(residency.phases[0].resident.len(), 4, "{residency}");
            assert!(residency.to_string().contains("stay"), "{residency}");
        }
    }

    #[test]
    fn what_there_is_room_for_stays_through_the_run() {
        let residency = sd15(WeightType::F16, 22 * GB / 10);
        let (first, others) = residency.phases.split_first().unwrap();
        assert!(first.resident.contains(Component::Text(0)));
        for phase in others {
            assert!(!phase.resident.contains(Component::Text(0)), "{residency}");
        }
        for kept in [Component::Decoder, Component::Encoder] {
            assert!(residency.phases.iter().all(|phase| phase.resident.contains(kept)), "{residency}");
        }
        residency.check().unwrap();
    }

    #[test]
    fn a_limit_that_is_too_low_is_refused_with_the_numbers() {
        let residency = sd15(WeightType::F16, GB);
        let excess = residency.peak() - GB;
        assert_eq!(residency.excess(), excess);
        let short = format!("{:.1} MB", excess as f64 / 1e6);
        let printed = residency.to_string();
        assert!(printed.contains("does not fit") && printed.contains(&short), "{printed}");
        let error = residency.check().unwrap_err();
        assert_eq!(error.code(), "OUT_OF_MEMORY");
        let told = error.to_string();
        assert!(told.contains("1000.0 MB") && told.contains(&short) && told.contains("\"steps\""), "{told}");
    }

    #[test]
    fn the_embedded_model_needs_its_denoiser_and_little_else() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("www/models/mini/mini-q8_0.gguf");
        let source = ModelSource::open(&file).unwrap();
        let config = source.config().clone();
        let manifest = source.manifest(&model::weight_decls(&config), Default::default()).unwrap();
        let sizes = Placement::of(&manifest).sizes();
        assert!(sizes.total() >= manifest.bytes());
        let stored = |decl: &WeightDecl| manifest.record(&decl.name).unwrap().weight_type;
        let shape = shape(&config, 64);
        let plans = Plans::new(&config, shape, TARGET, &stored).unwrap();
        let of = |limit| Residency::of_run(&config, &plans.keyed(&config, shape), &sizes, limit);
        let all = of(u64::MAX);
        assert_eq!((all.phases.len(), all.phases[0].resident.len()), (1, sizes.components().len()));
        assert_eq!(of(all.peak()), Residency { limit: all.peak(), ..all.clone() });
        let least = of(0).peak();
        assert!(least < all.peak() && least > sizes.of(Component::Denoiser), "{least}");
        of(least).check().unwrap();
        of(least - 1).check().unwrap_err();
    }
}
