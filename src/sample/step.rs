//! A run as numbers: steps of one or more evaluations of the denoiser, each a few coefficients.

use serde::{Deserialize, Serialize};

/// How many values a sampler may keep from one evaluation to the next, the size of latents each.
pub const HISTORY: usize = 3;

/// Coefficients of a combination of what an evaluation sees: x·latents + model·m + Σ history[i]·h[i], where m is the
/// model's output after guidance and h what the evaluation before left kept.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Linear {
    pub x: f64,
    pub model: f64,
    pub history: [f64; HISTORY],
}

/// Coefficients of a combination of latents and model output.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Linear2 {
    pub x: f64,
    pub model: f64,
}

/// One evaluation of the denoiser, and what the sampler makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Evaluation {
    /// What the UNet's time embedding gets; not always whole.
    pub timestep: f64,
    /// The noise level √((1 - ᾱ) / ᾱ) of the latents that go in.
    pub sigma: f64,
    /// UNet input = latents · input_scale.
    pub input_scale: f64,
    /// The latents after it, before any noise.
    pub next: Linear,
    /// How much fresh unit noise those get.
    pub noise: f64,
    /// The levels between which a Brownian path gives that noise; a generator's next draw where there are none.
    pub path: Option<[f64; 2]>,
    /// What is kept for the evaluation after it. All see the same values: `keep[1].history[0]` hands the first on to the
    /// second place.
    pub keep: [Linear; HISTORY],
    /// The estimate of the clean latents, for previews.
    pub denoised: Linear2,
}

/// One step of a run: what progress, previews and settings count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// At least one, in their order. The latents after the last are the step's.
    pub evaluations: Vec<Evaluation>,
}

/// A whole run: the initial latents are unit noise · `init_noise_sigma`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trajectory {
    pub init_noise_sigma: f64,
    /// Noise that is added before the first evaluation.
    pub churn: Option<Churn>,
    /// The ends of the Brownian paths that noise comes from, low and high, where any does.
    pub paths: Option<[f64; 2]>,
    /// At least one.
    pub steps: Vec<Step>,
}

/// Fresh noise on latents of a level, which brings them to the level at which they are evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Churn {
    /// The level before.
    pub from: f64,
    /// How much unit noise is added.
    pub noise: f64,
}

/// A step's latents by what goes into it: x·latents + Σ models[i]·m[i] + Σ noises[i]·z[i], with the model's output and the
/// fresh noise of each evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Whole {
    pub x: f64,
    pub models: Vec<f64>,
    pub noises: Vec<f64>,
}

impl From<Linear2> for Linear {
    fn from(Linear2 { x, model }: Linear2) -> Self {
        Linear { x, model, ..Linear::default() }
    }
}

impl Linear {
    /// What is in place `index` of the history, as it is.
    pub fn kept(index: usize) -> Self {
        let mut linear = Linear::default();
        linear.history[index] = 1.0;
        linear
    }

    /// All coefficients.
    fn values(&self) -> impl Iterator<Item = f64> {
        [self.x, self.model].into_iter().chain(self.history)
    }
}

impl Evaluation {
    /// Every combination of it that may read the history.
    fn combinations(&self) -> impl Iterator<Item = &Linear> {
        std::iter::once(&self.next).chain(&self.keep)
    }

    /// Whether every number of it is one.
    pub(super) fn is_finite(&self) -> bool {
        let Evaluation { timestep, input_scale, noise, denoised, .. } = self;
        [*timestep, *input_scale, *noise, denoised.x, denoised.model]
            .into_iter()
            .chain(self.combinations().flat_map(Linear::values))
            .all(f64::is_finite)
    }
}

impl From<Evaluation> for Step {
    fn from(evaluation: Evaluation) -> Self {
        Step { evaluations: vec![evaluation] }
    }
}

impl Step {
    /// The evaluation that sees the latents with which the step begins.
    pub fn first(&self) -> &Evaluation {
        &self.evaluations[0]
    }

    /// Whether the step can be taken from its latents alone, whatever steps before it kept.
    pub fn is_alone(&self) -> bool {
        self.first().combinations().all(|linear| linear.history == [0.0; HISTORY])
    }

    /// The whole step as one combination; of a step that is alone.
    pub fn whole(&self) -> Whole {
        let n = self.evaluations.len();
        // Each value as its coefficients of [latents, outputs, noises].
        let (mut latents, mut history) = (vec![0.0; 1 + 2 * n], [(); HISTORY].map(|()| vec![0.0; 1 + 2 * n]));
        latents[0] = 1.0;
        for (i, evaluation) in self.evaluations.iter().enumerate() {
            let combine = |linear: &Linear| {
                let mut sum: Vec<f64> = latents.iter().map(|value| linear.x * value).collect();
                for (share, kept) in linear.history.iter().zip(&history) {
                    sum.iter_mut().zip(kept).for_each(|(sum, value)| *sum += share * value);
                }
                sum[1 + i] += linear.model;
                sum
            };
            let mut next = combine(&evaluation.next);
            next[1 + n + i] += evaluation.noise;
            let kept = evaluation.keep.each_ref().map(combine);
            (latents, history) = (next, kept);
        }
        Whole { x: latents[0], models: latents[1..=n].to_vec(), noises: latents[1 + n..].to_vec() }
    }
}

impl Trajectory {
    /// A run that begins from nothing but unit noise of that size.
    pub fn new(init_noise_sigma: f64, steps: Vec<Step>) -> Self {
        Trajectory { init_noise_sigma, churn: None, paths: None, steps }
    }

    /// How many evaluations the steps before step `index` have.
    pub fn evaluations_before(&self, index: usize) -> usize {
        self.steps.iter().take(index).map(|step| step.evaluations.len()).sum()
    }

    /// The evaluations of step `index`, each with the input scale of the one that follows it in the run; 1 at its end.
    pub fn evaluations(&self, index: usize) -> impl Iterator<Item = (&Evaluation, f64)> {
        let here = self.steps[index].evaluations.iter();
        let after = self.steps.get(index + 1).map(Step::first);
        let scales = here.clone().skip(1).chain(after).map(|next| next.input_scale);
        here.zip(scales.chain(std::iter::once(1.0)))
    }

    /// The evaluation that follows number `nth` of step `index`, if the run goes on.
    pub fn following(&self, index: usize, nth: usize) -> Option<&Evaluation> {
        let after = || self.steps.get(index + 1).map(Step::first);
        self.steps[index].evaluations.get(nth + 1).or_else(after)
    }

    /// How many values have to be kept: all up to the last one that anything reads.
    pub fn history(&self) -> usize {
        let evaluations = self.steps.iter().flat_map(|step| &step.evaluations);
        let reads = evaluations.flat_map(Evaluation::combinations);
        let last = |linear: &Linear| linear.history.iter().rposition(|share| *share != 0.0);
        reads.filter_map(last).max().map_or(0, |last| last + 1)
    }

    /// Whether some evaluation adds fresh noise.
    pub fn draws_noise(&self) -> bool {
        self.steps.iter().flat_map(|step| &step.evaluations).any(|evaluation| evaluation.noise != 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step of two evaluations: the second comes back to the latents that the first kept.
    fn twice() -> Step {
        let there = Linear { x: 2.0, model: 3.0, ..Linear::default() };
        let start = Linear { x: 1.0, model: 0.5, ..Linear::default() };
        let back = Linear { x: 10.0, model: 7.0, ..Linear::kept(0) };
        Step {
            evaluations: vec![
                Evaluation {
                    next: there,
                    noise: 4.0,
                    input_scale: 0.1,
                    keep: [start, Linear::default(), Linear::default()],
                    ..Evaluation::default()
                },
                Evaluation { next: back, input_scale: 0.2, ..Evaluation::default() },
            ],
        }
    }

    /// One that reads what two evaluations before it left in the first place.
    fn remembering() -> Step {
        let mut next = Linear::kept(0);
        next.history[2] = -0.5;
        Evaluation {
            next,
            keep: [Linear::default(), Linear::kept(0), Linear::kept(1)],
            ..Evaluation::default()
        }
        .into()
    }

    fn run(steps: Vec<Step>) -> Trajectory {
        Trajectory::new(1.0, steps)
    }

    #[test]
    fn a_whole_step_by_hand() {
        let Whole { x, models, noises } = twice().whole();
        // 10 (2x + 3m + 4z) + 7m' + (x + m/2)
        assert_eq!((x, models, noises), (21.0, vec![30.5, 7.0], vec![40.0, 0.0]));
    }

    #[test]
    fn a_step_is_alone_that_reads_only_what_it_kept_itself() {
        assert!(twice().is_alone() && !remembering().is_alone());
    }

    #[test]
    fn there_is_as_much_history_as_is_read() {
        let plain = || {
            Step::from(Evaluation { next: Linear { x: 1.0, ..Linear::default() }, ..Evaluation::default() })
        };
        assert_eq!(run(vec![plain()]).history(), 0);
        assert_eq!(run(vec![plain(), twice()]).history(), 1);
        assert_eq!(run(vec![plain(), remembering()]).history(), 3);
    }

    #[test]
    fn each_evaluation_makes_the_input_of_the_one_after_it() {
        let run = run(vec![twice(), twice()]);
        let scales = |index| run.evaluations(index).map(|(_, scale)| scale).collect::<Vec<_>>();
        assert_eq!([scales(0), scales(1)], [[0.2, 0.1], [0.2, 1.0]]);
    }
}
