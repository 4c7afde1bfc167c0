//! In which order, at which times and with which noise a model learns from pictures: all of it follows from a seed and the number
//! of the step, so that a training that goes on is the one that never stopped.

use rand_mt::Mt64;

use super::recipe::Recipe;
use crate::config::{ModelConfig, PredictionType};
use crate::error::Result;
use crate::sample::{Forward, NoiseSource};

/// A picture to learn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Height and width of its latents.
    pub size: [usize; 2],
    /// `[c, h, w]`, scaled; where pictures are mirrored at times, also those of the mirrored one.
    pub latents: Vec<Vec<f32>>,
    /// How much each latent counts, `[h, w]`, as often as there are latents; none where all count alike.
    pub masks: Vec<Vec<f32>>,
    /// Which of the captions is its own.
    pub caption: usize,
}

/// What is learnt from, and how.
pub struct Lesson {
    forward: Forward,
    prediction: PredictionType,
    /// Of what is learnt, and of its class.
    examples: [Vec<Example>; 2],
}

/// One noised picture of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Draw {
    /// Height and width.
    pub size: [usize; 2],
    pub sample: Vec<f32>,
    pub target: Vec<f32>,
    pub timestep: usize,
    /// Which caption is read; `None`: an empty one.
    pub caption: Option<usize>,
    /// How much its error counts in the step.
    pub share: f64,
    /// And where, as [`Example::masks`].
    pub mask: Option<Vec<f32>>,
    /// It is of what is learnt, not of its class.
    pub own: bool,
}

impl Lesson {
    /// From pictures of what is learnt and of its class.
    pub fn new(config: &ModelConfig, examples: [Vec<Example>; 2]) -> Result<Lesson> {
        let forward = Forward::new(&config.scheduler)?;
        Ok(Lesson { forward, prediction: config.scheduler.prediction_type, examples })
    }

    /// The pictures of step `step`. As in diffusers' script, the mean over what is learnt and that over its class, weighed, are
    /// added up.
    pub fn draw(&self, recipe: &Recipe, step: usize) -> Result<Vec<Draw>> {
        let seed = recipe.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(step as u64);
        let mut random = Mt64::new(seed);
        let mut draws = Vec::with_capacity(recipe.batch + recipe.class_batch);
        let kinds = [(1.0, recipe.batch), (recipe.prior_weight, recipe.class_batch)];
        for (of, (examples, (weight, batch))) in self.examples.iter().zip(kinds).enumerate() {
            if examples.is_empty() || weight == 0.0 {
                continue;
            }
            let order = |count: usize, round: usize| {
                let seed = recipe.seed ^ ((2 * round + of) as u64).wrapping_mul(0xd134_2543_de82_ef95);
                shuffled(count, seed)
            };
            let batch = batch_of(examples, batch, step, &order);
            let share = weight / batch.len() as f64;
            for at in &batch {
                draws.push(self.noised(recipe, &examples[*at], (share, of == 0), &mut random)?);
            }
        }
        Ok(draws)
    }

    fn noised(
        &self,
        recipe: &Recipe,
        example: &Example,
        (share, own): (f64, bool),
        random: &mut Mt64,
    ) -> Result<Draw> {
        let timestep = below(random, self.forward.last());
        let mirrored = recipe.flip && below(random, 2) == 1;
        let dropped = unit(random) < recipe.caption_dropout;
        let way = usize::from(mirrored).min(example.latents.len() - 1);
        let clean = &example.latents[way];
        let noise =
            noise(random.next_u64(), [clean.len(), example.size.iter().product()], recipe.noise_offset);
        let shares = self.forward.shares(timestep + 1)?;
        let sample = shares.mix(clean, &noise);
        let target = match self.prediction {
            PredictionType::Epsilon => noise,
            PredictionType::VPrediction => shares.velocity(clean, &noise),
            PredictionType::Sample => clean.clone(),
        };
        let ratio = (f64::from(shares.signal) / f64::from(shares.noise)).powi(2);
        let weight = recipe.min_snr.map_or(1.0, |gamma| match self.prediction {
            PredictionType::Epsilon => (gamma / ratio).min(1.0), // 1 where nothing of the picture is left
            PredictionType::VPrediction => ratio.min(gamma) / (ratio + 1.0),
            PredictionType::Sample => ratio.min(gamma),
        });
        let caption = (!dropped).then_some(example.caption);
        let mask = example.masks.get(way).cloned();
        let size = example.size;
        Ok(Draw { size, sample, target, timestep, caption, share: share * weight, mask, own })
    }
}

/// The pictures of step `step`, `batch` of them, in whose turns every picture comes equally often: each round is in another order, which
/// `order` tells of so many and the number of the round. Pictures of several sizes come in batches of one size, and a round has them all
/// once: a size's last batch has what is left of it, as kohya's buckets have it.
fn batch_of(
    examples: &[Example],
    batch: usize,
    step: usize,
    order: &dyn Fn(usize, usize) -> Vec<usize>,
) -> Vec<usize> {
    let count = examples.len();
    let mut sizes: Vec<[usize; 2]> = examples.iter().map(|example| example.size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    if sizes.len() < 2 {
        let places = (0..batch).map(|at| step * batch + at);
        return places.map(|place| order(count, place / count)[place % count]).collect();
    }
    let of_size = |size: &[usize; 2]| examples.iter().filter(|example| example.size == *size).count();
    let turns: usize = sizes.iter().map(|size| of_size(size).div_ceil(batch)).sum();
    let (round, turn) = (step / turns, step % turns);
    let pictures = order(count, round);
    let mut batches: Vec<Vec<usize>> = Vec::with_capacity(turns);
    for size in &sizes {
        let own: Vec<usize> = pictures.iter().copied().filter(|at| examples[*at].size == *size).collect();
        batches.extend(own.chunks(batch).map(<[usize]>::to_vec));
    }
    batches.swap_remove(order(turns, round)[turn])
}

/// Noise of a seed, `length` values in channels of `pixels`, PyTorch's; with `offset` times one value more for each channel
/// (Guttenberg 2023), drawn after the others as kohya's and diffusers' scripts do.
pub fn noise(seed: u64, [length, pixels]: [usize; 2], offset: f64) -> Vec<f32> {
    let mut generator = NoiseSource::Torch.generator(seed);
    let mut noise = generator.randn(length);
    if offset > 0.0 {
        let each = generator.randn(length / pixels.max(1));
        for (channel, own) in noise.chunks_mut(pixels.max(1)).zip(each) {
            channel.iter_mut().for_each(|value| *value += offset as f32 * own);
        }
    }
    noise
}

/// A number below `count`.
fn below(random: &mut Mt64, count: usize) -> usize {
    (random.next_u64() % count.max(1) as u64) as usize
}

/// A number of [0, 1).
fn unit(random: &mut Mt64) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// The numbers below `count` in an order of the seed (Fisher and Yates).
fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut random = Mt64::new(seed);
    let mut order: Vec<usize> = (0..count).collect();
    for at in (1..count).rev() {
        order.swap(at, below(&mut random, at + 1));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesson(own: usize, class: usize) -> Lesson {
        let some = |count: usize, first: usize| {
            (0..count)
                .map(|i| Example {
                    size: [4, 4],
                    latents: vec![vec![0.5; 64]],
                    masks: Vec::new(),
                    caption: first + i,
                })
                .collect()
        };
        Lesson::new(&ModelConfig::builtin("sd15").expect("a model"), [some(own, 0), some(class, own)])
            .expect("a lesson")
    }

    #[test]
    fn every_picture_has_its_turn_and_steps_repeat() {
        let lesson = lesson(5, 3);
        let recipe = Recipe { batch: 2, caption_dropout: 0.0, prior_weight: 0.5, ..Recipe::default() };
        let mut seen = [0; 8];
        for step in 0..15 {
            let draws = lesson.draw(&recipe, step).expect("a step");
            assert_eq!(draws.iter().map(|draw| draw.share).collect::<Vec<_>>(), [0.5, 0.5, 0.5]);
            assert_eq!(draws, lesson.draw(&recipe, step).expect("the same step"));
            draws.iter().for_each(|draw| seen[draw.caption.expect("a caption")] += 1);
        }
        assert_eq!(seen, [6, 6, 6, 6, 6, 5, 5, 5]);
        assert_ne!(lesson.draw(&recipe, 0).expect("a step"), lesson.draw(&recipe, 1).expect("a step"));
    }

    #[test]
    fn batches_are_of_one_size_and_a_round_has_every_picture_once() {
        let mut lesson = lesson(9, 2);
        for (at, example) in lesson.examples[0].iter_mut().enumerate() {
            example.size = [[4, 4], [2, 8], [8, 2]][if at < 5 { 0 } else { at % 2 + 1 }]; // 5, 2 and 2 of them
        }
        let recipe = Recipe { batch: 2, caption_dropout: 0.0, ..Recipe::default() };
        let mut orders = Vec::new();
        for round in 0..4 {
            let (mut seen, mut order) = ([0; 9], Vec::new());
            for step in 0..5 {
                let draws = lesson.draw(&recipe, 5 * round + step).expect("a step");
                let (own, class): (Vec<&Draw>, Vec<&Draw>) = draws.iter().partition(|draw| draw.own);
                assert!(own.iter().all(|draw| draw.size == own[0].size), "one size a step");
                let shares: f64 = own.iter().map(|draw| draw.share).sum();
                assert!((shares - 1.0).abs() < 1e-12 && class.len() == 1, "each step counts alike");
                own.iter().for_each(|draw| seen[draw.caption.expect("a caption")] += 1);
                order.push(own[0].size);
            }
            assert_eq!(seen, [1; 9], "round {round}");
            orders.push(order);
        }
        assert!(orders.iter().any(|order| *order != orders[0]), "rounds differ: {orders:?}");
    }

    #[test]
    fn what_is_clear_counts_less_with_min_snr() {
        let recipe = Recipe { min_snr: Some(5.0), caption_dropout: 0.3, ..Recipe::default() };
        let lesson = lesson(4, 0);
        let draws: Vec<Draw> =
            (0..200).flat_map(|step| lesson.draw(&recipe, step).expect("a step")).collect();
        for Draw { timestep, share, .. } in &draws {
            let shares = lesson.forward.shares(timestep + 1).expect("shares");
            let ratio = f64::from(shares.signal / shares.noise).powi(2);
            assert!((share - (5.0 / ratio).min(1.0)).abs() < 1e-4, "{timestep}: {share}");
        }
        let dropped = draws.iter().filter(|draw| draw.caption.is_none()).count();
        assert!((40..80).contains(&dropped), "{dropped} of 200 without a caption");
    }
}
