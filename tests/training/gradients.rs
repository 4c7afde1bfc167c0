//! A learner's gradients and steps, on the processor and on a device.

use opengen::Error;
use opengen::config::PredictionType;
use opengen::kernels::{Elem, WeightType};
use opengen::pipeline::Resident;
use opengen::plan::train::{Learnt, parts, recomputed};
use opengen::plan::{MemoryLimits, Target, Tuning, lower};
use opengen::prompt::OWN;
use opengen::sample::Forward;
use opengen::train::lesson::noise;
use opengen::train::{Asked, Example, Learner, Lesson, Noised, Recipe, State, Text, learner};
use pollster::block_on;

use crate::common::report::{Report, difference};
use crate::common::single::weight;
use crate::common::{F32, Golden};
use crate::tiny::{
    ATTENTION, CONVOLUTIONS, LINEAR, MODELS, RANK, SIZE, TEXT, Tiny, compare, learn_from, names, unit,
};

/// By how much PyTorch's gradients in f16 differ from its own in f32 (`make_training.py --half`): all of a set's layers together, and
/// those of the matrix that does most.
const HALF: [(&str, &str, &[&str], [f64; 2]); 6] = [
    ("sd1", "linear", &LINEAR, [9.3e-3, 2.6e-2]),
    ("sd1", "convolutions", &CONVOLUTIONS, [8.3e-3, 1.2e-2]),
    ("sd1", "text", &TEXT, [1.14e-2, 1.8e-2]),
    ("sd2", "linear", &LINEAR, [2.19e-2, 1.07e-1]),
    ("sd2", "convolutions", &CONVOLUTIONS, [1.22e-2, 2.4e-2]),
    ("sd2", "text", &TEXT, [1.66e-2, 3.1e-2]),
];
/// Ours may differ by so much more: both round by chance.
const MORE: f64 = 1.5;

#[test]
fn gradients_are_autograds() {
    let mut report = Report::new(F32);
    let sets: [(&str, &[&str]); 3] = [("linear", &LINEAR), ("convolutions", &CONVOLUTIONS), ("text", &TEXT)];
    for name in MODELS {
        let tiny = Tiny::open(name);
        for (set, ends) in sets {
            let golden = Golden::open(&format!("training/{name}.{set}.safetensors"));
            for (place, on) in tiny.everywhere() {
                let mut learner = tiny.learner(on, ends);
                let (sample, target) = (unit("sample"), unit("target"));
                let noised = tiny.noised(&sample, &target);
                // In two shares, which add up.
                let losses = [0.25, 0.75].map(|share| learn_from(&mut learner, noised, share));
                assert_eq!(losses[0], losses[1]);
                let what = format!("{name} {set} on the {place}");
                report.compare(&format!("{what}: loss"), &[losses[0] as f32], &golden.values("loss"));
                compare(&mut report, &what, &golden, &learner, State::Gradients);
            }
        }
    }
    report.finish();
}

/// Activations and the way back in f16, the loss scaled, sums in f32: as near to autograd's gradients in f32 as PyTorch's in f16 are.
#[test]
fn gradients_in_half_precision_are_autograds() {
    let mut far = Vec::new();
    for (name, set, ends, theirs) in HALF {
        let Some(tiny) = Tiny::in_half(name) else { return };
        let (context, weights) = tiny.on_device.as_ref().expect("a device");
        let golden = Golden::open(&format!("training/{name}.{set}.safetensors"));
        let mut learner = tiny.learner(Resident::Gpu(context, weights), ends);
        let (sample, target) = (unit("sample"), unit("target"));
        let loss = learn_from(&mut learner, tiny.noised(&sample, &target), 1.0);
        assert!((loss / f64::from(golden.values("loss")[0]) - 1.0).abs() < 1e-3, "{name} {set}: loss {loss}");
        let ours = block_on(learner.tensors(State::Gradients)).expect("gradients");
        let wanted: Vec<Vec<f32>> = names(&learner).iter().map(|name| golden.values(name)).collect();
        let all = difference(&ours.concat(), &wanted.concat()).relative;
        let each = ours.iter().zip(&wanted).map(|(ours, wanted)| difference(ours, wanted).relative);
        let most = each.fold(0.0, f64::max);
        println!("{name} {set}: {all:.2e}, a matrix {most:.2e}; PyTorch {theirs:?}");
        let within = all <= MORE * theirs[0] && most <= MORE * theirs[1]; // false for NaN
        if !within {
            far.push((name, set, all, most));
        }
    }
    assert!(far.is_empty(), "{far:?}");
}

/// A step whose gradients are too large for f16 is left out, and the loss scaled by less: what was learnt is as it was, and the next steps
/// are taken, as in f32.
#[test]
fn a_step_too_large_for_half_precision_is_left_out() {
    let Some(tiny) = Tiny::in_half("sd1") else { return };
    let (context, weights) = tiny.on_device.as_ref().expect("a device");
    let mut learner = tiny.learner(Resident::Gpu(context, weights), &ATTENTION);
    let values = |learner: &Learner| block_on(learner.tensors(State::Values)).expect("values");
    let (sample, target) = (unit("sample"), unit("target"));
    let far: Vec<f32> = target.iter().map(|value| 3e4 * value).collect();
    let mut step = |target: &[f32]| {
        let before = values(&learner);
        learn_from(&mut learner, tiny.noised(&sample, target), 1.0);
        let length = block_on(learner.step(|_| 1e-3, 1.0)).expect("a step");
        (length, values(&learner) == before, learner.optimizer.steps)
    };
    assert_eq!(step(&far), (f64::INFINITY, true, 0));
    let taken =
        (0..20).map(|_| step(&far)).find(|(length, ..)| length.is_finite()).expect("a scale that holds");
    assert!(!taken.1 && taken.2 == 1 && taken.0 > 0.0, "{taken:?}");
    let (length, same, steps) = step(&target);
    assert!(length.is_finite() && !same && steps == 2, "{length} {same} {steps}");
}

/// Threads learn from a step's pictures at the same time, one by one where memory is short: no bit of what they find differs, and neither
/// does the order in which it is added up.
#[test]
fn pictures_at_once_are_those_one_by_one() {
    let layers = |layer: &str| CONVOLUTIONS.iter().any(|end| layer.ends_with(end));
    for name in MODELS {
        let tiny = Tiny::open(name);
        let target = unit("target");
        let samples: Vec<Vec<f32>> =
            (1..=5).map(|by| unit("sample").iter().map(|x| x * by as f32 / 5.0).collect()).collect();
        let shares = [0.25, 0.75, 0.5, 1.0, 0.125];
        let pictures: Vec<_> =
            samples.iter().map(|sample| tiny.noised(sample, &target)).zip(shares).collect();
        for (place, on) in tiny.everywhere() {
            let learner = |count: usize| {
                let asked = Asked { pictures: count, ..tiny.asked(&layers) };
                let mut learner = block_on(Learner::new(&tiny.config, on, &asked)).expect("a learner");
                let matrices = tiny.matrices(&learner);
                learner.set(State::Values, &matrices).expect("matrices");
                learner
            };
            let step = |learner: &mut Learner| {
                let rate = block_on(learner.step(|_| 1e-3, 1.0)).expect("a step");
                let [values, means] = [State::Values, State::Means]
                    .map(|state| block_on(learner.tensors(state)).expect("tensors"));
                (rate, values, means)
            };
            let (mut one, mut several) = (learner(1), learner(3));
            for _ in 0..2 {
                let losses: Vec<f64> =
                    pictures.iter().map(|(noised, share)| learn_from(&mut one, *noised, *share)).collect();
                let at_once = block_on(several.learn(&pictures, &|| false)).expect("gradients");
                assert_eq!(losses, at_once, "{name} on the {place}");
                assert_eq!(step(&mut one), step(&mut several), "{name} on the {place}");
            }
            if place == "processor" {
                let lanes = several.takes().kept / one.takes().kept;
                assert_eq!(lanes, rayon::current_num_threads().min(3) as u64);
            }
            let refused = block_on(several.learn(&pictures, &|| true));
            assert!(matches!(refused, Err(Error::Aborted)), "{name} on the {place}");
        }
    }
}

/// What a mask leaves out changes nothing, what it has counts by its share: held against the gradients of all of the picture, which are
/// autograd's (above), against the loss by hand and against finite differences of it.
#[test]
fn only_what_a_mask_shows_is_learnt() {
    let mut report = Report::new(F32);
    let (channels, pixels) = (4, 256);
    // Left of the middle nothing, a column of half, then all of it; and what that leaves out.
    let mask: Vec<f32> = (0..pixels).map(|at| [0.0, 0.5, 1.0][(at % 16).clamp(7, 9) - 7]).collect();
    let rest: Vec<f32> = mask.iter().map(|value| 1.0 - value).collect();
    let sum = |mask: &[f32]| mask.iter().sum::<f32>();
    for name in MODELS {
        let tiny = Tiny::open(name);
        for (place, on) in tiny.everywhere() {
            let mut learner = tiny.learner(on, &CONVOLUTIONS);
            let (sample, target) = (unit("sample"), unit("target"));
            let text = Text::Tokens(&tiny.tokens);
            let learn = |learner: &mut Learner, target: &[f32], mask: Option<&[f32]>| {
                let noised = Noised { size: SIZE, sample: &sample, timestep: 261.0, text, target, mask };
                let loss = learn_from(learner, noised, 1.0);
                let gradients = block_on(learner.tensors(State::Gradients)).expect("gradients");
                block_on(learner.forget());
                (loss, gradients)
            };
            let what = format!("{name} on the {place}");
            let (loss, masked) = learn(&mut learner, &target, Some(&mask));
            // Another target beyond the mask: nothing changes, to the bit; within it something does.
            let mut other = target.clone();
            other.iter_mut().enumerate().for_each(|(at, value)| *value += 50.0 * f32::from(at % 16 < 8));
            assert_eq!(learn(&mut learner, &other, Some(&mask)), (loss, masked.clone()), "{what}");
            other[8] += 1.0;
            assert_ne!(learn(&mut learner, &other, Some(&mask)), (loss, masked.clone()), "{what}");
            // A mask of all of it is none.
            let (_, whole) = learn(&mut learner, &target, None);
            assert_eq!(learn(&mut learner, &target, Some(&vec![0.25; pixels])).1, whole, "{what}");
            // The parts by their sizes make the whole.
            let (_, remaining) = learn(&mut learner, &target, Some(&rest));
            for (index, tensor) in whole.iter().enumerate() {
                let both = masked[index].iter().zip(&remaining[index]);
                let both: Vec<f32> =
                    both.map(|(a, b)| (sum(&mask) * a + sum(&rest) * b) / pixels as f32).collect();
                report.compare(&format!("{what}: the parts of tensor {index}"), &both, tensor);
            }
            // The loss by hand.
            let noised =
                Noised { size: SIZE, sample: &sample, timestep: 261.0, text, target: &target, mask: None };
            let predicted = block_on(learner.predict(&noised)).expect("a prediction");
            let errors = predicted.iter().zip(&target).enumerate();
            let by_hand: f32 = errors.map(|(at, (x, y))| mask[at % pixels] * (x - y).powi(2)).sum();
            let by_hand = by_hand / (channels as f32 * sum(&mask));
            report.compare(&format!("{what}: loss"), &[loss as f32], &[by_hand]);
            // Along the gradient the loss rises by its length.
            let values = block_on(learner.tensors(State::Values)).expect("matrices");
            let squares = |tensor: &Vec<f32>| tensor.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
            let length = masked.iter().map(squares).sum::<f64>().sqrt();
            let mut at = |step: f64| {
                let moved = |(values, gradient): (&Vec<f32>, &Vec<f32>)| {
                    let both = values.iter().zip(gradient);
                    both.map(|(x, g)| x + (step / length * f64::from(*g)) as f32).collect()
                };
                let moved: Vec<Vec<f32>> = values.iter().zip(&masked).map(moved).collect();
                learner.set(State::Values, &moved).expect("matrices");
                learn(&mut learner, &target, Some(&mask)).0
            };
            let step = 1e-3;
            let slope = (at(step) - at(-step)) / (2.0 * step);
            assert!((slope / length - 1.0).abs() < 1e-2, "{what}: {slope} is not {length}");

            for wrong in [vec![0.0; pixels], vec![f32::NAN; pixels], vec![1.0; 3]] {
                let noised = Noised {
                    size: SIZE,
                    sample: &sample,
                    timestep: 261.0,
                    text,
                    target: &target,
                    mask: Some(&wrong),
                };
                let refused = block_on(learner.learn(&[(noised, 1.0)], &|| false));
                let message = refused.expect_err("it is refused").to_string();
                assert!(message.starts_with("mask: "), "{message}");
            }
        }
    }
    report.finish();
}

#[test]
fn parts_that_are_computed_twice_change_nothing() {
    for (name, set, ends) in [("sd1", "convolutions", &CONVOLUTIONS[..]), ("sd2", "text", &TEXT[..])] {
        let tiny = Tiny::open(name);
        let layers = |layer: &str| ends.iter().any(|end| layer.ends_with(end));
        let asked = |memory| Asked { memory, ..tiny.asked(&layers) };
        let (whole, _) = learner::graph(&tiny.config, &asked(None), (SIZE, RANK)).expect("a graph");
        for (place, on) in tiny.everywhere() {
            let bytes = |count| learner::kept_bytes(on, &recomputed(whole.clone(), count)).expect("a plan");
            let (most, least) = (bytes(0), bytes(parts(&whole)));
            assert!(4 * least < 3 * most, "{name} {set} on the {place}: {most} bytes, {least} at least");
            // As they are, with half of what could be saved, and with all of it.
            let gradients = [None, Some((most + least) / 2), Some(least + least / 8)].map(|memory| {
                let mut learner =
                    block_on(Learner::new(&tiny.config, on, &asked(memory))).expect("a learner");
                let matrices = tiny.matrices(&learner);
                learner.set(State::Values, &matrices).expect("matrices");
                let (sample, target) = (unit("sample"), unit("target"));
                let noised = tiny.noised(&sample, &target);
                learn_from(&mut learner, noised, 1.0);
                block_on(learner.tensors(State::Gradients)).expect("gradients")
            });
            let same = gradients[1] == gradients[0] && gradients[2] == gradients[0];
            assert!(same, "{name} {set} on the {place}");
            let refused = block_on(Learner::new(&tiny.config, on, &asked(Some(least / 2))));
            assert!(matches!(refused, Err(Error::OutOfMemory { .. })), "{name} {set} on the {place}");
        }
    }
}

#[test]
fn a_learner_of_several_sizes_is_one_of_each() {
    const SIZES: [[usize; 2]; 3] = [[8, 16], SIZE, [8, 32]]; // the last two have as many latents
    let tiny = Tiny::open("sd1");
    let layers = |layer: &str| CONVOLUTIONS.iter().chain(&TEXT).any(|end| layer.ends_with(end));
    for (place, on) in tiny.everywhere() {
        let of = |sizes: &[[usize; 2]]| {
            let asked = Asked { sizes, ..tiny.asked(&layers) };
            let mut learner = block_on(Learner::new(&tiny.config, on, &asked)).expect("a learner");
            let matrices = tiny.matrices(&learner);
            learner.set(State::Values, &matrices).expect("matrices");
            learner
        };
        let learn = |learner: &mut Learner, size: [usize; 2]| {
            let len = 4 * size[0] * size[1];
            let (sample, target) = (unit("sample"), unit("target"));
            let (sample, target) = (&sample[..len], &target[..len]);
            let text = Text::Tokens(&tiny.tokens);
            let noised = Noised { size, sample, timestep: 261.0, text, target, mask: None };
            block_on(learner.learn(&[(noised, 1.0)], &|| false))
        };
        let gradients = |learner: &mut Learner| {
            let gradients = block_on(learner.tensors(State::Gradients)).expect("gradients");
            block_on(learner.forget());
            gradients
        };
        let mut several = of(&SIZES);
        // A small one behind a large one reads nothing of it.
        for size in [SIZES[2], SIZES[0], SIZES[1], SIZES[2]] {
            let mut one = of(&[size]);
            let losses = [&mut several, &mut one].map(|learner| learn(learner, size).expect("a gradient"));
            assert_eq!(losses[0], losses[1], "{size:?} on the {place}");
            assert_eq!(gradients(&mut several), gradients(&mut one), "{size:?} on the {place}");
            assert!(one.takes().kept <= several.takes().kept, "the largest counts");
        }
        let refused = learn(&mut several, [32, 8]).expect_err("it is refused").to_string();
        assert_eq!(refused, "size: latents of 8x32 given, of which it does not learn");
        // What one size teaches the others know.
        let before = learn(&mut several, SIZE).expect("a gradient");
        block_on(several.step(|_| 1e-2, 1.0)).expect("a step");
        assert!(learn(&mut several, SIZES[0]).is_ok() && learn(&mut several, SIZE).expect("a loss") < before);
    }
}

#[test]
fn what_an_adapter_cannot_bind_is_refused_with_what_to_do() {
    let tiny = Tiny::open("sd1");
    let refused = |ends: &[&str], binding: u64| {
        let layers = |layer: &str| ends.iter().any(|end| layer.ends_with(end));
        let asked = Asked { encodes: false, ..tiny.asked(&layers) };
        let (graph, _) = learner::graph(&tiny.config, &asked, (SIZE, RANK)).expect("a graph");
        let limits = MemoryLimits { binding, ..MemoryLimits::default() };
        let target = Target { elem: Elem::F32, tuning: Tuning::CPU, subgroup: 0, limits };
        lower(&graph, target, &|_| WeightType::F32).expect_err("it does not fit").to_string()
    };
    let learnt = refused(&CONVOLUTIONS, 32 << 10);
    assert!(
        learnt.starts_with("rank: ") && learnt.ends_with("choose a smaller rank or fewer layers"),
        "{learnt}"
    );
    let value = refused(&["up_blocks.0.resnets.0.conv1"], 16 << 10);
    assert!(value.starts_with("size: ") && value.ends_with("learn from smaller pictures"), "{value}");
}

#[test]
fn fifty_steps_are_pytorchs() {
    let mut report = Report::new(1e-2);
    for name in MODELS {
        let tiny = Tiny::open(name);
        let golden = Golden::open(&format!("training/{name}.run.safetensors"));
        for (place, on) in tiny.everywhere() {
            let mut learner = tiny.learner(on, &ATTENTION);
            let forward = Forward::new(&tiny.config.scheduler).expect("a schedule");
            let clean = unit("clean");
            let losses: Vec<f32> = (0..50)
                .map(|step| {
                    let (noise, t) = (unit(&format!("noise.{step}")), (step * 37 + 11) % 1000);
                    let shares = forward.shares(t + 1).expect("a time");
                    let target = match tiny.config.scheduler.prediction_type {
                        PredictionType::VPrediction => shares.velocity(&clean, &noise),
                        _ => noise.clone(),
                    };
                    let sample = shares.mix(&clean, &noise);
                    let text = Text::Tokens(&tiny.tokens);
                    let noised = Noised {
                        size: SIZE,
                        sample: &sample,
                        timestep: t as f64,
                        text,
                        target: &target,
                        mask: None,
                    };
                    let loss = learn_from(&mut learner, noised, 1.0);
                    block_on(learner.step(|_| 1e-3, 1.0)).expect("a step");
                    loss as f32
                })
                .collect();
            let theirs = golden.values("losses");
            for (step, (ours, theirs)) in losses.iter().zip(&theirs).enumerate() {
                report.compare(&format!("{name} on the {place}: loss of step {step}"), &[*ours], &[*theirs]);
            }
            compare(
                &mut report,
                &format!("{name} on the {place} after 50 steps"),
                &golden,
                &learner,
                State::Values,
            );
        }
    }
    report.finish();
}

#[test]
fn what_counts_less_and_what_noise_is_shifted_by_are_the_scripts() {
    let mut report = Report::new(1e-5);
    for name in MODELS {
        let golden = Golden::open(&format!("training/{name}.lesson.safetensors"));
        let config = Tiny::open(name).config;
        let example =
            Example { size: SIZE, latents: vec![vec![0.5; 4 * 256]], masks: Vec::new(), caption: 0 };
        let lesson = Lesson::new(&config, [vec![example], Vec::new()]).expect("a lesson");
        let weights = golden.values("weights");
        let times = weights.len() / 2;
        for (row, gamma) in [1.0, 5.0].into_iter().enumerate() {
            let recipe = Recipe { min_snr: Some(gamma), batch: 64, ..Recipe::default() };
            let draws = (0..4).flat_map(|step| lesson.draw(&recipe, step).expect("a step"));
            let (ours, theirs): (Vec<f32>, Vec<f32>) =
                draws.map(|draw| ((draw.share * 64.0) as f32, weights[row * times + draw.timestep])).unzip();
            report.compare(&format!("{name} min-SNR {gamma}"), &ours, &theirs);
        }
        let ours = noise(20_000_000_000, [4 * 256, 256], 0.1);
        report.compare(&format!("{name} noise with an offset"), &ours, &golden.values("noise"));
    }
    report.finish();
}

#[test]
fn a_words_vectors_are_pytorchs() {
    let (mut report, mut course) = (Report::new(F32), Report::new(1e-2));
    for name in MODELS {
        let mut tiny = Tiny::open(name);
        for (place, vector) in [(2, 0), (3, 1), (5, 0)] {
            tiny.tokens[place] = OWN | vector;
        }
        let golden = Golden::open(&format!("training/{name}.word.safetensors"));
        for (place, on) in tiny.everywhere() {
            let asked = Asked { vectors: 2, encodes: false, ..tiny.asked(&|_| false) };
            let mut learner = block_on(Learner::new(&tiny.config, on, &asked)).expect("a learner");
            let width = tiny.config.texts[0].hidden_size;
            learner.set(State::Values, &[weight("word", &[2, width])]).expect("vectors");
            let (sample, target) = (unit("sample"), unit("target"));
            let text = Text::Tokens(&tiny.tokens);
            let noised =
                Noised { size: SIZE, sample: &sample, timestep: 261.0, text, target: &target, mask: None };
            let what = format!("{name} on the {place}");
            let mut losses = Vec::new();
            for step in 0..50 {
                losses.push(learn_from(&mut learner, noised, 1.0) as f32);
                if step == 0 {
                    let found = block_on(learner.tensors(State::Gradients)).expect("gradients");
                    report.compare(&format!("{what}: gradients"), &found[0], &golden.values("gradients"));
                }
                let rate = |layer: &str| if layer == Learnt::TABLE { 5e-3 } else { f64::NAN };
                block_on(learner.step(rate, 1.0)).expect("a step");
            }
            course.compare(&format!("{what}: losses"), &losses, &golden.values("losses"));
            let found = block_on(learner.tensors(State::Values)).expect("vectors");
            course.compare(&format!("{what} after 50 steps"), &found[0], &golden.values("vectors"));
        }
    }
    report.finish();
    course.finish();
}
