//! What a learner comes to: one picture known by heart, and a known LoRA found again.

use std::f64::consts::PI;

use opengen::pipeline::Resident;
use opengen::sample::Forward;
use opengen::train::{Learner, State};
use pollster::block_on;

use crate::common::report::difference;
use crate::common::single::weight;
use crate::tiny::{CONVOLUTIONS, LINEAR, MODELS, Tiny, learn_from, shape, unit};

/// A step of AdamW at a rate, towards an answer to a sample, and the loss before it.
fn step(learner: &mut Learner, tiny: &Tiny, (sample, answer): (&[f32], &[f32]), rate: f64) -> f64 {
    let loss = learn_from(learner, tiny.noised(sample, answer), 1.0);
    block_on(learner.step(|_| rate, 1.0)).expect("a step");
    loss
}

#[test]
fn one_picture_is_learnt_by_heart() {
    let ends: Vec<&str> = LINEAR.iter().chain(&CONVOLUTIONS).copied().collect();
    for name in MODELS {
        let tiny = Tiny::open(name);
        let shares =
            Forward::new(&tiny.config.scheduler).and_then(|forward| forward.shares(262)).expect("a time");
        let (clean, noise) = (unit("clean"), unit("noise.0"));
        let sample = shares.mix(&clean, &noise);
        let mut learner = tiny.learner(Resident::Cpu(&tiny.weights), &ends);
        let mut loss = || step(&mut learner, &tiny, (&sample, &noise), 1e-2);
        let first = loss();
        assert!(
            (1..150).any(|_| loss() < first / 10.0),
            "{name}: the loss is above a tenth of {first:.1e} all the way"
        );
    }
}

/// A LoRA of one layer with matrices of its own is the teacher; another one, which begins as nothing, learns from what that says of
/// noise. Compared is what both say of noise that was not learnt from.
#[test]
fn a_known_lora_is_found_again() {
    const STEPS: usize = 240;
    let ends = ["unet.conv_out"];
    let name = "sd2";
    let tiny = Tiny::open(name);
    let [mut teacher, mut learner] = [(); 2].map(|()| tiny.learner(Resident::Cpu(&tiny.weights), &ends));
    let mut known = tiny.matrices(&teacher);
    known[1].iter_mut().for_each(|value| *value *= 0.25);
    teacher.set(State::Values, &known).expect("matrices");
    let adapter = &learner.learnt().adapters[0];
    let beginning = [weight("another", &shape(adapter, true)), vec![0.0; known[1].len()]];
    learner.set(State::Values, &beginning).expect("matrices");
    let said = |learner: &mut Learner, sample: &[f32]| {
        block_on(learner.predict(&tiny.noised(sample, sample))).expect("a prediction")
    };
    let held_out = unit("held out");
    let wanted = said(&mut teacher, &held_out);
    let apart = |learner: &mut Learner| difference(&said(learner, &held_out), &wanted).relative;
    let before = apart(&mut learner);
    let samples: Vec<Vec<f32>> = (0..8).map(|number| unit(&format!("sample.{number}"))).collect();
    let answers: Vec<Vec<f32>> = samples.iter().map(|sample| said(&mut teacher, sample)).collect();
    for at in 0..STEPS {
        let rate = 5e-3 * (1.0 + (PI * at as f64 / STEPS as f64).cos());
        step(&mut learner, &tiny, (&samples[at % 8], &answers[at % 8]), rate);
    }
    let after = apart(&mut learner);
    assert!(after < before / 10.0, "{name}: {after:.1e} of {before:.1e} is left");
}
