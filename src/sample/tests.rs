//! The samplers against diffusers' schedulers, recorded by `training/fixtures_schedulers.py`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::schedule::{alphas_cumprod, ddim_timesteps, dpm_timesteps, euler_timesteps};
use super::*;

#[derive(Deserialize)]
struct Case {
    sampler: SamplerKind,
    schedule: ScheduleKind,
    config: SchedulerConfig,
    steps: usize,
    init_noise_sigma: f64,
    timesteps: Vec<f64>,
    unit: Vec<f64>,
    noises: Vec<Vec<f64>>,
    latents: Vec<Vec<f64>>,
    denoised_first: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Alphas {
    config: SchedulerConfig,
    last: f64,
    crc32: u32,
}

#[derive(Deserialize)]
struct Timesteps {
    sampler: SamplerKind,
    config: SchedulerConfig,
    skipped: Vec<usize>,
    crc32: u32,
}

#[derive(Deserialize)]
struct Fixtures {
    alphas_cumprod: Vec<Alphas>,
    timesteps: Vec<Timesteps>,
    cases: Vec<Case>,
}

fn fixtures() -> Fixtures {
    serde_json::from_str(include_str!("../../tests/data/schedulers.json")).expect("schedulers.json")
}

/// The largest difference, relative to the largest value.
fn difference(ours: &[f64], theirs: &[f64]) -> f64 {
    let scale = theirs.iter().fold(1e-3_f64, |m, v| m.max(v.abs()));
    let worst = ours.iter().zip(theirs).fold(0.0_f64, |m, (a, b)| m.max((a - b).abs()));
    if ours.iter().any(|v| !v.is_finite()) { f64::INFINITY } else { worst / scale }
}

/// Runs the pseudo-model of the fixtures through the linear coefficients. Gives the worst difference.
fn replay(case: &Case, trajectory: &Trajectory) -> f64 {
    let mut x: Vec<f64> = case.unit.iter().map(|v| v * trajectory.init_noise_sigma).collect();
    let mut history = vec![vec![0.0; x.len()]; HISTORY];
    let mut worst = (trajectory.init_noise_sigma / case.init_noise_sigma - 1.0).abs();
    for (i, evaluation) in evaluations(trajectory).enumerate() {
        let Evaluation { timestep, input_scale, next, noise, keep, denoised, .. } = evaluation;
        worst = worst.max((timestep - case.timesteps[i]).abs() / case.timesteps[i].abs().max(1.0));
        let m: Vec<f64> = x.iter().map(|v| (v * input_scale * 0.5 + timestep * 0.01).sin()).collect();
        if let Some(expected) = case.denoised_first.get(i) {
            let found = (0..x.len()).map(|e| denoised.x * x[e] + denoised.model * m[e]).collect::<Vec<_>>();
            worst = worst.max(difference(&found, expected));
        }
        // As the kernel does it, what has no share is not read.
        let combine = |linear: &Linear| -> Vec<f64> {
            let mut sum: Vec<f64> = (0..x.len()).map(|e| linear.x * x[e] + linear.model * m[e]).collect();
            for (share, kept) in linear.history.iter().zip(&history).filter(|(share, _)| **share != 0.0) {
                sum.iter_mut().zip(kept).for_each(|(sum, value)| *sum += share * value);
            }
            sum
        };
        let mut after = combine(next);
        if *noise != 0.0 {
            after.iter_mut().zip(&case.noises[i]).for_each(|(after, z)| *after += noise * z);
        }
        history = keep.iter().map(combine).collect();
        history[trajectory.history()..].iter_mut().for_each(|kept| kept.fill(f64::NAN));
        x = after;
        worst = worst.max(difference(&x, &case.latents[i]));
    }
    worst
}

fn evaluations(trajectory: &Trajectory) -> impl Iterator<Item = &Evaluation> {
    trajectory.steps.iter().flat_map(|step| &step.evaluations)
}

/// diffusers computes in f32; these are a few of its roundings, carried through 25 steps.
const TOLERANCE: f64 = 1e-5;

fn check(sampler: SamplerKind) {
    let mut failures = Vec::new();
    let mut overall = 0.0_f64;
    let mut count = 0;
    for case in fixtures().cases.into_iter().filter(|case| case.sampler == sampler) {
        let what = format!("{} steps, {}, {:?}", case.steps, case.schedule, case.config);
        let trajectory = trajectory(&case.config, sampler, case.schedule, case.steps);
        let worst = match &trajectory {
            Ok(trajectory) => {
                let counts = (trajectory.steps.len(), evaluations(trajectory).count());
                assert_eq!(counts, (case.steps, case.timesteps.len()), "{what}");
                replay(&case, trajectory)
            }
            Err(error) => panic!("{what}: {error}"),
        };
        if worst > TOLERANCE {
            failures.push(format!("{worst:.1e}: {what}"));
        }
        overall = overall.max(worst);
        count += 1;
    }
    assert!(count > 15, "only {count} cases");
    println!("{sampler}: {count} cases, worst relative difference {overall:.1e}");
    assert!(
        failures.is_empty(),
        "{} of {count} over {TOLERANCE:.0e}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn ddim_as_diffusers() {
    check(SamplerKind::Ddim);
}

#[test]
fn euler_as_diffusers() {
    check(SamplerKind::Euler);
}

#[test]
fn euler_ancestral_as_diffusers() {
    check(SamplerKind::EulerAncestral);
}

#[test]
fn heun_as_diffusers() {
    check(SamplerKind::Heun);
}

#[test]
fn lms_as_diffusers() {
    check(SamplerKind::Lms);
}

#[test]
fn dpm_plus_plus_2m_as_diffusers() {
    check(SamplerKind::DpmPlusPlus2M);
}

#[test]
fn lcm_as_diffusers() {
    check(SamplerKind::Lcm);
}

#[test]
fn alphas_bit_for_bit() {
    for case in fixtures().alphas_cumprod {
        let alphas = alphas_cumprod(&case.config);
        let last = f64::from(alphas[alphas.len() - 1]);
        assert!((last / case.last - 1.0).abs() < 1e-6, "{:?}: {last} {}", case.config, case.last);
        assert_eq!(crc32fast::hash(bytemuck::cast_slice(&alphas)), case.crc32, "{:?}", case.config);
    }
}

/// Every count of steps from 1 to 1000, except those where diffusers itself gives one timestep too many.
#[test]
fn timesteps_of_every_count() {
    for case in fixtures().timesteps {
        let mut hasher = crc32fast::Hasher::new();
        for steps in (1..=1000).filter(|steps| !case.skipped.contains(steps)) {
            let timesteps = match case.sampler {
                SamplerKind::Ddim => ddim_timesteps(&case.config, steps),
                SamplerKind::DpmPlusPlus2M => dpm_timesteps(&case.config, 1000, steps),
                _ => euler_timesteps(&case.config, steps),
            };
            let timesteps: Vec<f32> = timesteps.iter().map(|t| *t as f32).collect();
            hasher.update(bytemuck::cast_slice(&timesteps));
        }
        assert_eq!(hasher.finalize(), case.crc32, "{} {:?}", case.sampler, case.config.timestep_spacing);
    }
}

fn error(config: &SchedulerConfig, sampler: SamplerKind, schedule: ScheduleKind, steps: usize) -> String {
    trajectory(config, sampler, schedule, steps).unwrap_err().to_string()
}

#[test]
fn absurd_step_counts_name_the_field() {
    let config = SchedulerConfig::default();
    for sampler in SamplerKind::ALL {
        for steps in [0, 1001, usize::MAX] {
            let text = error(&config, sampler, ScheduleKind::Default, steps);
            assert!(text.starts_with("steps: ") && text.contains("1 to 1000"), "{text}");
        }
    }
    let offset = SchedulerConfig { steps_offset: 1, ..config };
    let text = error(&offset, SamplerKind::Ddim, ScheduleKind::Default, 1000);
    assert!(text.starts_with("steps: ") && text.contains("timestep 1000 of 1000"), "{text}");
}

#[test]
fn samplers_of_timesteps_have_no_karras() {
    for sampler in
        [SamplerKind::Ddim, SamplerKind::Lcm, SamplerKind::Plms, SamplerKind::Ddpm, SamplerKind::Tcd]
    {
        let text = error(&SchedulerConfig::default(), sampler, ScheduleKind::Karras, 4);
        assert!(text.starts_with(&format!("schedule: {sampler} has no karras")), "{text}");
    }
}

/// As many steps as the model was distilled on, and no more.
#[test]
fn lcm_has_as_many_steps_as_its_own_schedule() {
    let of = |original_inference_steps, steps| {
        let config = SchedulerConfig { original_inference_steps, ..SchedulerConfig::default() };
        trajectory(&config, SamplerKind::Lcm, ScheduleKind::Default, steps)
    };
    for (own, most) in [(None, 50), (Some(20), 20)] {
        assert_eq!(of(own, most).expect("a run").steps.len(), most);
        let text = of(own, most + 1).unwrap_err().to_string();
        assert!(text.starts_with("steps: ") && text.contains(&format!("at most {most}")), "{text}");
    }
}

/// Every count up to a thousand gives that many finite steps (DDIM's offset aside), Karras for Euler a too.
#[test]
fn every_count_is_finite() {
    use crate::config::TimestepSpacing::{Leading, Linspace, Trailing};
    for timestep_spacing in [Leading, Trailing, Linspace].map(Some) {
        let config = SchedulerConfig { timestep_spacing, steps_offset: 1, ..SchedulerConfig::default() };
        for sampler in SamplerKind::ALL {
            for steps in (1..=60).chain([61, 103, 250, 499, 500, 501, 999, 1000]) {
                let is_usual = |kind: &ScheduleKind| {
                    [ScheduleKind::Default, ScheduleKind::Karras].contains(kind)
                        || [1, 2, 7, 60, 1000].contains(&steps)
                };
                for schedule in ScheduleKind::ALL.into_iter().filter(is_usual) {
                    let by_timesteps =
                        [SamplerKind::Ddim, SamplerKind::Ddpm, SamplerKind::Plms].contains(&sampler);
                    let distilled = [SamplerKind::Lcm, SamplerKind::Tcd].contains(&sampler);
                    let leading = schedule == ScheduleKind::Default && timestep_spacing == Some(Leading);
                    if !sampler.follows(schedule)
                        || (by_timesteps && leading && steps > 500)
                        || (distilled && steps > config.original_inference_steps())
                        || (schedule == ScheduleKind::Beta && steps > 60)
                    {
                        continue;
                    }
                    let run = trajectory(&config, sampler, schedule, steps);
                    assert_eq!(
                        run.map(|run| run.steps.len()).ok(),
                        Some(steps),
                        "{sampler} {schedule} {steps}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_the_engine_lacks_is_refused() {
    let refused = |json: &str, sampler: SamplerKind| {
        let config = SchedulerConfig::from_json("s", json).expect("valid configuration");
        trajectory(&config, sampler, ScheduleKind::Default, 4)
    };
    let cases = [
        (r#"{"trained_betas": [0.1, 0.2]}"#, SamplerKind::Euler),
        (r#"{"clip_sample": true}"#, SamplerKind::Ddim),
        (r#"{"clip_sample": true}"#, SamplerKind::Heun),
        (r#"{"use_beta_sigmas": true}"#, SamplerKind::DpmPlusPlus2M),
        (r#"{"use_exponential_sigmas": true}"#, SamplerKind::Lms),
        (r#"{"interpolation_type": "log_linear"}"#, SamplerKind::Euler),
        // No picture is left at the last timestep, so noise prediction divides by zero.
        (r#"{"rescale_betas_zero_snr": true, "timestep_spacing": "trailing"}"#, SamplerKind::Ddim),
        (r#"{"lambda_min_clipped": 100}"#, SamplerKind::DpmPlusPlus2M),
    ];
    for (json, sampler) in cases {
        assert!(refused(json, sampler).is_err(), "{json}");
    }
    // A class that does not know a field ignores it.
    assert!(refused(r#"{"clip_sample": true}"#, SamplerKind::Euler).is_ok());
}

#[test]
fn names() {
    for kind in SamplerKind::ALL {
        assert_eq!(kind.name().parse::<SamplerKind>().ok(), Some(kind));
        assert_eq!(serde_json::to_string(&kind).ok(), Some(format!("\"{kind}\"")));
    }
    for kind in ScheduleKind::ALL {
        assert_eq!(kind.name().parse::<ScheduleKind>().ok(), Some(kind));
        assert_eq!(serde_json::to_string(&kind).ok(), Some(format!("\"{kind}\"")));
    }
    let error = "Euler a".parse::<SamplerKind>().unwrap_err().to_string();
    assert!(
        error.starts_with("sampler: ")
            && error.contains("ddim, euler, euler-a, heun, lms, dpm++-2m, lcm, dpm2, dpm2-a"),
        "{error}"
    );
}

/// Begun late, a sampler that remembers takes its steps as one that begins there: first its first order, then more; the others'
/// steps are those of the whole run.
#[test]
fn a_late_start_is_of_first_order() -> Result<()> {
    let config = SchedulerConfig::default();
    for sampler in SamplerKind::ALL {
        let whole = trajectory(&config, sampler, ScheduleKind::Default, 9)?;
        let late = late_trajectory(
            &config,
            sampler,
            Told::new(ScheduleKind::Default, &SamplerOptions::default()),
            9,
            4,
        )?;
        assert_eq!(late.steps.len(), 5, "{sampler}");
        for (i, (late, whole)) in late.steps.iter().zip(&whole.steps[4..]).enumerate() {
            assert_eq!(late.first().sigma, whole.first().sigma, "{sampler} {i}");
            let remembers = match sampler {
                SamplerKind::DpmPlusPlus2M => i < 1,
                SamplerKind::Lms | SamplerKind::Plms => i < 3,
                SamplerKind::DpmPlusPlus2MSde | SamplerKind::DpmPlusPlus2MSdeHeun => i < 1,
                SamplerKind::DpmPlusPlus3MSde
                | SamplerKind::UniPc
                | SamplerKind::UniPcBh1
                | SamplerKind::ErSde => i < 2,
                _ => false,
            };
            assert_eq!(late == whole, !remembers, "{sampler} {i}");
        }
        assert_eq!(late.steps[0].first().next.history, [0.0; HISTORY], "{sampler}");
    }
    Ok(())
}

/// What samplers' origins compute; see `tests/golden/make_samplers.py`.
#[derive(Deserialize)]
struct Origins {
    /// Levels by schedule and count of steps.
    schedules: BTreeMap<ScheduleKind, BTreeMap<usize, Vec<f64>>>,
    cases: Vec<Whole>,
}

/// Runs of the pseudo-model, how each ends by its count of steps, which is its seed too.
#[derive(Deserialize)]
struct Whole {
    sampler: SamplerKind,
    schedule: ScheduleKind,
    config: SchedulerConfig,
    options: SamplerOptions,
    /// Whether its Brownian path is followed between levels that are rounded as they should be.
    rounded: bool,
    finals: BTreeMap<usize, Vec<f64>>,
}

fn origins() -> Origins {
    serde_json::from_str(include_str!("../../tests/data/samplers.json")).expect("samplers.json")
}

/// Runs the pseudo-model of four latents through the linear coefficients, its noise drawn as a run draws it.
fn whole(run: &Trajectory, seed: u64) -> Vec<f64> {
    const N: usize = 4;
    let mut generators = Generators::new(NoiseSource::Torch, seed, 1);
    let drawn = |noise: Vec<f32>| noise.into_iter().map(f64::from).collect::<Vec<_>>();
    let mut x: Vec<f64> = drawn(generators.randn(N)).iter().map(|z| z * run.init_noise_sigma).collect();
    if let Some(churn) = run.churn {
        x.iter_mut().zip(drawn(generators.randn(N))).for_each(|(x, z)| *x += churn.noise * z);
    }
    let mut history = vec![vec![0.0; N]; HISTORY];
    for evaluation in evaluations(run) {
        let Evaluation { timestep, input_scale, next, noise, keep, .. } = evaluation;
        let m: Vec<f64> = x.iter().map(|v| (v * input_scale * 0.5 + timestep * 0.01).sin()).collect();
        let combine = |linear: &Linear| -> Vec<f64> {
            let kept = |e: usize| {
                linear.history.iter().zip(&history).map(|(share, kept)| share * kept[e]).sum::<f64>()
            };
            (0..N).map(|e| linear.x * x[e] + linear.model * m[e] + kept(e)).collect()
        };
        let mut after = combine(next);
        if *noise != 0.0 {
            let fresh = drawn(generators.fresh(run, evaluation, N));
            after.iter_mut().zip(fresh).for_each(|(after, z)| *after += noise * z);
        }
        history = keep.iter().map(combine).collect();
        x = after;
    }
    x
}

/// Whole runs of 1 to 50 steps end where their origin's do, fresh noise and Brownian paths included.
#[test]
fn whole_runs_end_as_their_origins_do() {
    const TOLERANCE: f64 = 1e-4;
    // k-diffusion's DPM++ SDE follows its path between levels that go through PyTorch's logarithm and exponential. Those are not the
    // nearest numbers everywhere, nor the same on every machine; where they are, it agrees as the others do.
    const UNROUNDED: f64 = 5e-4;
    let mut worst: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
    let mut failures = Vec::new();
    for Whole { sampler, schedule, config, options, rounded, finals } in origins().cases {
        for (steps, expected) in finals {
            let what = format!("{sampler} {schedule} {steps} {options:?}");
            let told = Told { schedule, options: &options, karras: KarrasOf::KDiffusion };
            let run = late_trajectory(&config, sampler, told, steps, 0).expect(&what);
            let off = difference(&whole(&run, steps as u64), &expected);
            let name = if rounded { "dpm++-sde, rounded" } else { sampler.name() };
            let (most, runs) = worst.entry(name).or_default();
            (*most, *runs) = (most.max(off), *runs + 1);
            let loose = sampler == SamplerKind::DpmPlusPlusSde && !rounded;
            if off > if loose { UNROUNDED } else { TOLERANCE } {
                failures.push(format!("{off:.1e}: {what}"));
            }
        }
    }
    worst.iter().for_each(|(name, (most, runs))| println!("{name}: {runs} runs, worst {most:.1e}"));
    assert!(failures.is_empty(), "{} runs:\n{}", failures.len(), failures.join("\n"));
    assert!(worst.len() >= 18, "{worst:?}");
}

/// Levels are those of k-diffusion, A1111 and ComfyUI.
#[test]
fn levels_are_their_origins() {
    let config = SchedulerConfig::from_json(
        "s",
        r#"{"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "timestep_spacing": "leading"}"#,
    )
    .expect("a configuration");
    let all = origins().schedules;
    assert_eq!(all.len(), 9);
    for (schedule, counts) in all {
        for (steps, expected) in counts {
            let run = trajectory(&config, SamplerKind::DpmPlusPlus2MSde, schedule, steps).expect("a run");
            let found: Vec<f64> = run.steps.iter().map(|step| step.first().sigma).collect();
            assert_eq!(found.len(), expected.len(), "{schedule} {steps}");
            for (found, expected) in found.iter().zip(&expected) {
                // One in the last place: PyTorch's square root and its powers are not the nearest everywhere.
                let off = (found / expected - 1.0).abs();
                assert!(off < 1.3e-7, "{schedule} {steps}: {found} not {expected}");
            }
            assert_eq!(run.init_noise_sigma, found[0]);
        }
    }
}

/// What would have no effect, and what cannot be followed, is refused by its name.
#[test]
fn options_without_a_use_are_refused() {
    let config = SchedulerConfig::default();
    let refused = |sampler: SamplerKind, schedule: ScheduleKind, options: SamplerOptions| {
        late_trajectory(&config, sampler, Told::new(schedule, &options), 4, 0).unwrap_err().to_string()
    };
    let none = SamplerOptions::default();
    let eta = SamplerOptions { eta: Some(0.5), ..none };
    let churn = SamplerOptions { s_churn: Some(1.0), ..none };
    let low = SamplerOptions { sigma_min: Some(0.1), ..none };
    let rho = SamplerOptions { rho: Some(5.0), ..none };
    let ends = SamplerOptions { sigma_min: Some(3.0), sigma_max: Some(2.0), ..none };
    let discards = SamplerOptions { discard_next_to_last_sigma: Some(true), ..none };
    use SamplerKind::{Ddim, DpmPlusPlus2M, Euler, EulerAncestral, Lcm, Plms, Tcd};
    use ScheduleKind::{Beta, Default, Exponential, Karras, Normal};
    for (sampler, schedule, options, told) in [
        (Euler, Default, eta, "eta: sampler euler with schedule default has no use for it"),
        (DpmPlusPlus2M, Default, churn, "s_churn: sampler dpm++-2m with"),
        (Euler, Default, low, "sigma_min: sampler euler with schedule default"),
        (Euler, Normal, rho, "rho: sampler euler with schedule normal"),
        (Euler, Karras, ends, "sigma_min: 3 asked for, which is more than sigma_max, 2"),
        (Ddim, Default, discards, "discard_next_to_last_sigma: sampler ddim counts timesteps"),
        (
            EulerAncestral,
            Default,
            SamplerOptions { eta: Some(f64::NAN), ..none },
            "eta: NaN asked for, expected 0",
        ),
        (Euler, Default, SamplerOptions { s_noise: Some(-1.0), ..none }, "s_noise: -1 asked for"),
        (Tcd, Default, SamplerOptions { eta: Some(1.5), ..none }, "eta: 1.5 asked for, expected 0 to 1"),
        (
            Plms,
            Exponential,
            none,
            "schedule: plms has no exponential schedule; use default, trailing, linspace",
        ),
        (Lcm, ScheduleKind::Trailing, none, "schedule: lcm has no trailing schedule; use default, or"),
        (Ddim, Karras, none, "schedule: ddim has no karras schedule"),
    ] {
        let text = refused(sampler, schedule, options);
        assert!(text.starts_with(told), "{text}");
    }
    let text = late_trajectory(&config, Euler, Told::new(Beta, &none), 900, 0).unwrap_err().to_string();
    assert!(text.starts_with("steps: 900 steps of schedule beta fall on"), "{text}");
}

/// Ends and bend that are asked for are those of the run.
#[test]
fn ends_are_those_asked_for() -> Result<()> {
    let config = SchedulerConfig::default();
    let options = SamplerOptions { sigma_min: Some(0.1), sigma_max: Some(10.0), ..SamplerOptions::default() };
    use ScheduleKind::{Exponential, Karras, Normal, Polyexponential};
    for schedule in [Karras, Exponential, Polyexponential, Normal] {
        for sampler in [
            SamplerKind::Euler,
            SamplerKind::Lms,
            SamplerKind::DpmPlusPlus2M,
            SamplerKind::DpmPlusPlus2SAncestral,
        ] {
            let run = late_trajectory(&config, sampler, Told::new(schedule, &options), 5, 0)?;
            let sigmas: Vec<f64> = run.steps.iter().map(|step| step.first().sigma).collect();
            assert!(
                (sigmas[0] - 10.0).abs() < 1e-4 && (sigmas[4] - 0.1).abs() < 1e-5,
                "{sampler} {schedule}: {sigmas:?}"
            );
        }
    }
    let of = |rho| -> Result<f64> {
        let options = SamplerOptions { rho: Some(rho), ..SamplerOptions::default() };
        let run = late_trajectory(&config, SamplerKind::Euler, Told::new(Karras, &options), 3, 0)?;
        Ok(run.steps[1].first().sigma)
    };
    assert!(of(3.0)? > of(7.0)?, "less bent has more noise in the middle");
    Ok(())
}
