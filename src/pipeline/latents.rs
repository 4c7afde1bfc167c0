//! Latents that a run begins from instead of noise: those of a run that is gone on with, or clean ones that are drawn on.

use super::picture::{Taken, check_taken};
use super::request::{Request, check_numbers};
use crate::config::ModelConfig;
use crate::error::{Error, Result};

/// The name of the field of a picture's metadata that says at which step latents entered its run.
pub(super) const FIELD: &str = "Latents from step";

/// Latents, and where they enter a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Latents {
    /// `[batch, C, height / f, width / f]`, or one picture's, which all of a batch begin from.
    pub values: Vec<f32>,
    pub entry: Entry,
}

/// Where latents enter a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Entry {
    /// They are what enters this step, counted from 0, as a [`Dump`](super::Dump) has them: nothing is added, and the steps from
    /// there on are taken. What the run's generators gave up to there they give unheard, so that a run of the same settings
    /// that is gone on with ends as if it had never stopped; a sampler that remembers steps has none before this one.
    Step(usize),
    /// They are finished, and scaled as the denoiser knows them: noised and drawn on as what an encoder makes of a picture
    /// ([`Picture`](super::Picture)).
    Clean {
        /// How much of the run is taken, above 0 to 1.
        strength: f64,
        /// All the steps asked for are taken, as the last ones of a longer run.
        exact_steps: bool,
    },
}

impl Entry {
    /// Which of `steps` steps are taken.
    pub(super) fn taken(self, steps: usize) -> Taken {
        match self {
            Entry::Step(first) => Taken { total: steps, first },
            Entry::Clean { strength, exact_steps } => Taken::last(steps, strength, exact_steps),
        }
    }
}

impl Latents {
    /// Refuses latents that are not those of the request, a step that there is not, and a request that begins from something
    /// else too.
    pub(super) fn check(&self, request: &Request, config: &ModelConfig, most: usize) -> Result<()> {
        let invalid = |message: String| Err(Error::InvalidInput { field: "latents", message });
        let others = [
            (request.picture.is_some(), "a picture"),
            (request.noise.is_some(), "given noise"),
            (request.walk.as_ref().is_some_and(|walk| walk.seed.is_some()), "a walk between seeds"),
        ];
        if let Some((_, other)) = others.into_iter().find(|(given, _)| *given) {
            return invalid(format!(
                "a run begins from latents or from {other}, not from both; leave one out"
            ));
        }
        let [n, c, h, w] = request.latents_shape(config);
        let (each, found) = (c * h * w, self.values.len());
        if found != each && found != n * each {
            let several = if n > 1 { format!(", or {n} of them for a batch") } else { String::new() };
            return invalid(format!(
                "{found} values given, expected {c}×{h}×{w} = {each}{several}: those of {}×{} pixels",
                request.width, request.height
            ));
        }
        check_numbers("latents", &self.values)?;
        match self.entry {
            Entry::Step(first) if first >= request.steps => invalid(format!(
                "step {first} asked for, of {} steps those from 0 to {} can be entered",
                request.steps,
                request.steps.saturating_sub(1)
            )),
            Entry::Step(_) => Ok(()),
            Entry::Clean { .. } if request.hires.is_some() => invalid(
                "they are drawn on, which a second pass does with what a run drew; leave one of the two out"
                    .to_string(),
            ),
            Entry::Clean { strength, exact_steps } => {
                check_taken(request.steps, (strength, exact_steps), most)
            }
        }
    }

    /// `[batch, C, h, w]` of them.
    pub(super) fn of_batch(&self, request: &Request, config: &ModelConfig) -> Vec<f32> {
        self.values.iter().copied().cycle().take(request.latents_len(config)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::common::tests::request;
    use crate::pipeline::picture::tests::picture;
    use crate::pipeline::{Hires, Walk};

    fn asked(values: usize, entry: Entry) -> Request {
        Request {
            steps: 4,
            latents: Some(Latents { values: vec![0.5; values], entry }),
            ..request(2, 5, None)
        }
    }

    /// 64×96 pixels have 4×12×8 latents in Stable Diffusion.
    const EACH: usize = 4 * 12 * 8;

    #[test]
    fn what_are_not_the_latents_of_a_run_is_refused() -> Result<()> {
        let config = ModelConfig::builtin("sd15")?;
        let said = |request: Request| match request.check(&config) {
            Err(Error::InvalidInput { field: "latents", message }) => message,
            other => panic!("{other:?}"),
        };
        let clean = |strength| Entry::Clean { strength, exact_steps: false };
        for fine in [EACH, 2 * EACH] {
            asked(fine, Entry::Step(3)).check(&config)?;
            asked(fine, clean(0.5)).check(&config)?;
        }
        let text = said(asked(EACH + 1, Entry::Step(0)));
        assert_eq!(
            text,
            "385 values given, expected 4×12×8 = 384, or 2 of them for a batch: those of 64×96 pixels"
        );
        let text = said(asked(EACH, Entry::Step(4)));
        assert_eq!(text, "step 4 asked for, of 4 steps those from 0 to 3 can be entered");
        let mut broken = asked(EACH, Entry::Step(0));
        broken.latents.iter_mut().for_each(|latents| latents.values[9] = f32::INFINITY);
        assert!(said(broken).contains("value 10 of 384 is inf"));
        let both = Request { picture: Some(picture(0.5, false)), ..asked(EACH, clean(0.5)) };
        assert!(said(both).contains("from latents or from a picture, not from both"));
        let noise = Request { noise: Some(vec![0.0; 2 * EACH]), ..asked(EACH, Entry::Step(0)) };
        assert!(said(noise).contains("or from given noise"));
        let walk = Walk { seed: Some(7), share: 0.5, prompt: None };
        assert!(
            said(Request { walk: Some(walk), ..asked(EACH, clean(0.5)) }).contains("a walk between seeds")
        );
        let hires = Some(Hires::default());
        assert!(said(Request { hires, ..asked(EACH, clean(0.5)) }).contains("leave one of the two out"));
        Request { hires, ..asked(EACH, Entry::Step(1)) }.check(&config)?;
        match asked(EACH, clean(0.2)).check(&config) {
            Err(Error::InvalidInput { field: "strength", message }) => {
                assert!(message.contains("0.2 of 4 steps is less than one"), "{message}");
            }
            other => panic!("{other:?}"),
        }
        Ok(())
    }

    #[test]
    fn the_steps_from_there_on_are_taken() {
        assert_eq!(Entry::Step(3).taken(10), Taken { total: 10, first: 3 });
        let clean = Entry::Clean { strength: 0.5, exact_steps: true };
        assert_eq!(clean.taken(10), Taken { total: 20, first: 10 });
    }

    #[test]
    fn one_pictures_latents_are_those_of_a_whole_batch() -> Result<()> {
        let config = ModelConfig::builtin("sd15")?;
        let of = |request: &Request| {
            request.latents.as_ref().map(|latents| latents.of_batch(request, &config).len())
        };
        assert_eq!(of(&asked(EACH, Entry::Step(0))), Some(2 * EACH));
        assert_eq!(of(&asked(2 * EACH, Entry::Step(0))), Some(2 * EACH));
        Ok(())
    }
}
