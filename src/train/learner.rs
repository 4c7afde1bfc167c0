//! A model with low-rank matrices beside its layers, or with vectors of a new word, ready to learn.

use super::engine::{Engine, Inputs, State};
use super::optimizer::AdamW;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::model::{self, Reads, denoiser};
use crate::pipeline::{Resident, nchw_to_nhwc, nhwc_to_nchw, time_embedding};
use crate::plan::train::{Learnt, adapted, backward, joined, parts, recomputed, unfused, with_vectors};
use crate::plan::{Graph, Part, padded};

/// What learns, and at which sizes.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Heights and widths of latents.
    pub sizes: &'a [[usize; 2]],
    /// Tokens of a text, of all its chunks.
    pub tokens: usize,
    /// The text encoder learns too, or just runs each time.
    pub encodes: bool,
    pub rank: usize,
    /// What the product of the matrices is divided by rank and multiplied with.
    pub alpha: f64,
    /// Bytes that what a step keeps for its way back may take; parts of the network are computed again where that is more. Without a
    /// limit all of them are where a device has no room for what else would be kept.
    pub memory: Option<u64>,
    /// Pictures of a step, which threads of the processor learn from at the same time where there is memory for that.
    pub pictures: usize,
    /// How many vectors of a word of its own it learns: 0 where it learns none. With some the text encoder runs each time.
    pub vectors: usize,
    /// Whether a layer learns, by its path, such as `unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q`.
    pub layers: &'a dyn Fn(&str) -> bool,
}

/// What the denoiser reads of a text.
#[derive(Debug, Clone, Copy)]
pub enum Text<'a> {
    /// Token ids of one chunk, where the encoder runs each time; of its own vectors with [`OWN`](crate::kernels::embed::OWN).
    Tokens(&'a [u32]),
    /// The text encoder's states, `[tokens, channels]`.
    Embeddings(&'a [f32]),
}

/// One noised picture.
#[derive(Debug, Clone, Copy)]
pub struct Noised<'a> {
    /// Its height and width, one of the learner's sizes.
    pub size: [usize; 2],
    /// `[c, h, w]`, scaled as the denoiser takes them.
    pub sample: &'a [f32],
    pub timestep: f64,
    pub text: Text<'a>,
    /// What the denoiser should say, `[c, h, w]`.
    pub target: &'a [f32],
    /// How much the error at each latent counts, `[h, w]`, 0 or more and not 0 everywhere; `None`: all count alike.
    pub mask: Option<&'a [f32]>,
}

impl Noised<'_> {
    /// How much the error at latent `i` counts of a whole of 1, of so many latents, each of so many channels.
    fn weights(&self, pixels: usize, channels: usize) -> Result<Vec<f64>> {
        let invalid = |message| Err(Error::InvalidInput { field: "mask", message });
        let Some(mask) = self.mask else { return Ok(vec![1.0 / (pixels * channels) as f64; pixels]) };
        if mask.len() != pixels {
            return invalid(format!("{} values given, expected {pixels}", mask.len()));
        }
        let sum: f64 = mask.iter().map(|value| f64::from(*value)).sum();
        if mask.iter().any(|value| *value < 0.0) || sum.is_nan() || sum <= 0.0 {
            return invalid("nothing of the picture counts".to_string());
        }
        Ok(mask.iter().map(|value| f64::from(*value) / (sum * channels as f64)).collect())
    }
}

/// A picture as the graph reads it, and which graph that is.
struct Read<'a> {
    graph: usize,
    pixels: usize,
    sample: Vec<f32>,
    target: Vec<f32>,
    time: Vec<f32>,
    text: Text<'a>,
    weights: Vec<f32>,
}

impl Read<'_> {
    fn inputs(&self) -> Inputs<'_> {
        let Read { graph, ref sample, ref target, ref time, text, ref weights, .. } = *self;
        Inputs { graph, sample, target, time, text, weights }
    }
}

/// The rank that matrices have where a model is.
fn rank_on(on: Resident<'_>, rank: usize) -> usize {
    match on {
        #[cfg(feature = "cpu")]
        Resident::Cpu(_) => rank,
        #[cfg(feature = "gpu")]
        Resident::Gpu(..) => padded(rank),
    }
}

/// How many threads may each learn from a picture where a model is: a device computes one.
fn threads_of(on: Resident<'_>) -> usize {
    match on {
        #[cfg(feature = "cpu")]
        Resident::Cpu(_) => crate::cpu::threads::count(),
        #[cfg(feature = "gpu")]
        Resident::Gpu(..) => 1,
    }
}

/// Bytes that pictures learnt from at once may keep for their ways back. One that keeps more is wide enough for all threads by itself.
const KEPT_AT_ONCE: u64 = 512 << 20;

/// How many pictures are learnt from at once, each of which keeps so many bytes.
fn at_once(asked: &Asked, kept: u64, threads: usize) -> usize {
    let most = asked.memory.unwrap_or(KEPT_AT_ONCE).min(KEPT_AT_ONCE) / kept.max(1);
    asked.pictures.min(threads).min(usize::try_from(most).unwrap_or(usize::MAX)).max(1)
}

/// Bytes of what a graph keeps and has in between where a model is, without what lives outside it.
pub fn kept_bytes(on: Resident<'_>, graph: &Graph) -> Result<u64> {
    match on {
        #[cfg(feature = "cpu")]
        Resident::Cpu(_) => Ok(crate::cpu::kept_bytes(graph)),
        #[cfg(feature = "gpu")]
        Resident::Gpu(context, weights) => {
            Ok(crate::plan::lower(graph, context.target(), &|decl| weights.stored_type(decl))?.arena_bytes())
        }
    }
}

/// A learner: its matrices and vectors, their gradients, and the optimizer's memory.
pub struct Learner {
    config: ModelConfig,
    sizes: Vec<[usize; 2]>,
    engine: Engine,
    learnt: Learnt,
    /// Of the matrices.
    rank: usize,
    takes: Takes,
    pub optimizer: AdamW,
}

/// The memory that learning takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takes {
    /// All of the model's weights, where they are a device's.
    pub weights: Option<u64>,
    /// What is kept for the way back, and in between, at the size that takes most, by all pictures that are learnt from at once.
    pub kept: u64,
    /// What is learnt, its gradients and what the optimizer remembers.
    pub learnt: u64,
    /// Parts of the network that are computed twice, of all, at the size of most.
    pub again: [usize; 2],
}

/// Memory that ends is not answered with a smaller rank than this: it is what a device rounds to.
pub const LEAST_RANK: usize = 4;

/// Tries with less and less where memory ends: with everything computed twice, then with half the rank, and so on. `make` is told the rank
/// and whether everything is to be computed twice.
async fn with_less<T>(rank: usize, make: impl AsyncFn(usize, bool) -> Result<T>) -> Result<T> {
    let (mut rank, mut twice) = (rank, false);
    loop {
        match make(rank, twice).await {
            Err(Error::OutOfMemory { .. }) if !twice => twice = true,
            Err(Error::OutOfMemory { .. }) if rank > LEAST_RANK => rank = (rank / 2).max(LEAST_RANK),
            Err(Error::OutOfMemory { message }) => {
                return Err(Error::OutOfMemory {
                    message: format!(
                        "{message}: there is too little memory to learn, even at rank {rank} with everything computed twice; learn from \
                         smaller pictures, let fewer layers learn, or close what else is open"
                    ),
                });
            }
            made => return made,
        }
    }
}

fn weights_bytes(on: Resident<'_>) -> Option<u64> {
    match on {
        #[cfg(feature = "cpu")]
        Resident::Cpu(_) => None,
        #[cfg(feature = "gpu")]
        Resident::Gpu(_, weights) => Some(weights.sizes().total()),
    }
}

impl Learner {
    /// Binds the graphs that learn, on a device to the weights themselves, which have to outlive it. Everything begins as zeros:
    /// [`Learner::set`] gives it values. Where memory ends, and no limit was asked for, everything is computed twice, then ranks are
    /// halved down to [`LEAST_RANK`], what they count staying the same. [`Error::Unsupported`] where there is no way back through a
    /// layer, [`Error::InvalidInput`] where no layer learns, [`Error::OutOfMemory`] where even that is not enough.
    pub async fn new(config: &ModelConfig, on: Resident<'_>, asked: &Asked<'_>) -> Result<Learner> {
        if asked.memory.is_some() {
            return Learner::of_rank(config, on, asked, (asked.rank, false)).await;
        }
        with_less(asked.rank, async |rank, twice| Learner::of_rank(config, on, asked, (rank, twice)).await)
            .await
    }

    /// With matrices of a rank, and with all parts computed twice or as few as memory asks for.
    async fn of_rank(
        config: &ModelConfig,
        on: Resident<'_>,
        asked: &Asked<'_>,
        (rank, twice): (usize, bool),
    ) -> Result<Learner> {
        let alpha = asked.alpha * rank as f64 / asked.rank.max(1) as f64;
        let asked = &Asked { rank, alpha, ..*asked };
        let (mut graphs, mut learnt) = (Vec::new(), Learnt::default());
        let mut takes = Takes { weights: weights_bytes(on), kept: 0, learnt: 0, again: [0; 2] };
        for size in asked.sizes {
            let (whole, learns) = graph(config, asked, (*size, rank_on(on, rank)))?;
            let all = parts(&whole);
            let (graph, again) = match twice {
                true => (recomputed(whole, all), all),
                false => within(whole, asked.memory, &|graph| kept_bytes(on, graph))?,
            };
            takes.kept = takes.kept.max(kept_bytes(on, &graph)?);
            takes.again = [takes.again[0].max(again), all];
            learnt = learns; // the same at each size
            graphs.push(graph);
        }
        if learnt.layers().next().is_none() {
            let message = "no layer of the model is among those that learn".to_string();
            return Err(Error::InvalidInput { field: "layers", message });
        }
        takes.learnt = 16 * learnt.lengths().sum::<usize>() as u64; // values, their gradients and two running means
        learnt.adapters.iter_mut().for_each(|adapter| adapter.rank = rank);
        let at_once = at_once(asked, takes.kept, threads_of(on));
        let engine = Engine::new(on, graphs, &learnt, at_once).await?;
        takes.kept *= at_once as u64;
        let (optimizer, sizes) = (AdamW::default(), asked.sizes.to_vec());
        Ok(Learner { config: config.clone(), sizes, engine, learnt, rank, takes, optimizer })
    }

    /// What memory it takes.
    pub fn takes(&self) -> Takes {
        self.takes
    }

    /// The rank of its matrices: the one asked for, or less where memory ended.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// What learns. Tensors `2i` and `2i + 1` are the matrices of layer `i`, down and up, the last is the vectors.
    pub fn learnt(&self) -> &Learnt {
        &self.learnt
    }

    /// A state of all tensors, each as checkpoints have it: `[rank, channels, ky, kx]`, `[outputs, rank]` or `[vectors, width]`.
    pub async fn tensors(&self, state: State) -> Result<Vec<Vec<f32>>> {
        let tensors = self.engine.tensors(state).await?;
        Ok(tensors.iter().enumerate().map(|(index, values)| self.turned(index, values, false)).collect())
    }

    /// Replaces it, in the order of [`Learner::tensors`]. [`Error::InvalidInput`] where lengths differ.
    pub fn set(&mut self, state: State, tensors: &[Vec<f32>]) -> Result<()> {
        if !tensors.iter().map(Vec::len).eq(self.learnt.lengths()) {
            let message = "it is of a training of other layers or another rank".to_string();
            return Err(Error::InvalidInput { field: "checkpoint", message });
        }
        let turned: Vec<Vec<f32>> =
            tensors.iter().enumerate().map(|(index, values)| self.turned(index, values, true)).collect();
        self.engine.set(state, &turned)
    }

    /// Between (channel, ky, kx) and the engine's (ky, kx, channel).
    fn turned(&self, index: usize, values: &[f32], inwards: bool) -> Vec<f32> {
        let Some(adapter) = self.learnt.adapters.get(index / 2) else { return values.to_vec() };
        let taps = adapter.side * adapter.side;
        if index % 2 == 1 || taps == 1 {
            return values.to_vec();
        }
        let channels = adapter.columns / taps;
        let row = |row: &[f32]| -> Vec<f32> {
            match inwards {
                true => nchw_to_nhwc(row, 1, channels, taps, channels),
                false => nhwc_to_nchw(row, 1, channels, taps, channels),
            }
        };
        values.chunks_exact(adapter.columns).flat_map(row).collect()
    }

    /// Adds the gradients of each picture's share times the mean of the squares of its prediction's error, where it counts. Gives those
    /// means. What it gives and adds does not depend on how many pictures are given at once.
    pub async fn learn(
        &mut self,
        pictures: &[(Noised<'_>, f64)],
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<f64>> {
        let channels = self.config.vae.latent_channels();
        let predictions = self.run(pictures, cancelled).await?;
        let mean = |((noised, _), prediction): (&(Noised<'_>, f64), Vec<f32>)| {
            let weights = noised.weights(noised.size[0] * noised.size[1], channels)?;
            let errors = prediction.iter().zip(noised.target).map(|(x, y)| f64::from(x - y).powi(2));
            Ok(errors.zip(weights.iter().cycle()).map(|(error, weight)| weight * error).sum())
        };
        pictures.iter().zip(predictions).map(mean).collect()
    }

    /// What the denoiser says, with what it has learnt; nothing is learnt.
    pub async fn predict(&mut self, noised: &Noised<'_>) -> Result<Vec<f32>> {
        Ok(self.run(&[(*noised, 0.0)], &|| false).await?.concat())
    }

    async fn run(
        &mut self,
        pictures: &[(Noised<'_>, f64)],
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Vec<f32>>> {
        let read = pictures.iter().map(|(noised, share)| self.read(noised, *share));
        let read = read.collect::<Result<Vec<Read<'_>>>>()?;
        let inputs: Vec<Inputs<'_>> = read.iter().map(Read::inputs).collect();
        let predictions = self.engine.run(&inputs, cancelled).await?;
        let channels = self.config.vae.latent_channels();
        let turned = |(read, prediction): (&Read<'_>, &Vec<f32>)| {
            nhwc_to_nchw(prediction, 1, channels, read.pixels, padded(channels))
        };
        Ok(read.iter().zip(&predictions).map(turned).collect())
    }

    /// What the graph reads of a picture.
    fn read<'a>(&self, noised: &Noised<'a>, share: f64) -> Result<Read<'a>> {
        let channels = self.config.vae.latent_channels();
        let [height, width] = noised.size;
        let graph = self.sizes.iter().position(|size| *size == noised.size).ok_or_else(|| {
            let message = format!("latents of {width}x{height} given, of which it does not learn");
            Error::InvalidInput { field: "size", message }
        })?;
        let pixels = height * width;
        let len = channels * pixels;
        for (field, given) in [("sample", noised.sample), ("target", noised.target)] {
            if given.len() != len {
                let message = format!("{} values given, expected {len}", given.len());
                return Err(Error::InvalidInput { field, message });
            }
        }
        let nhwc = |values: &[f32]| nchw_to_nhwc(values, 1, channels, pixels, padded(channels));
        let weights = noised.weights(pixels, channels)?;
        let weights: Vec<f32> = weights.iter().map(|weight| (2.0 * share * weight) as f32).collect();
        Ok(Read {
            graph,
            pixels,
            sample: nhwc(noised.sample),
            target: nhwc(noised.target),
            time: time_embedding(self.config.denoiser.time(), noised.timestep),
            text: noised.text,
            weights: nhwc(&weights.repeat(channels)),
        })
    }

    /// Changes everything by what its gradients say and begins new ones: what belongs to a layer, by its path, at its `rate`, the
    /// gradients together no longer than `most`. Gives how long they were. Nothing changes where one is no number: that is
    /// [`Error::NoNumbers`], or, on a device in f16 that may do better with a smaller scale of the loss, a length without end.
    pub async fn step(&mut self, rate: impl Fn(&str) -> f64, most: f64) -> Result<f64> {
        let rates: Vec<f64> = self.learnt.layers().map(rate).collect();
        self.engine.step(&mut self.optimizer, &rates, most).await
    }

    /// Lets go of the gradients of a step that is not taken.
    pub async fn forget(&mut self) {
        self.engine.forget().await;
    }
}

/// The same graph with as few parts computed twice as what it keeps, by its `bytes`, fits into so many of them with, and how many those
/// are; [`Error::OutOfMemory`] where even all of them are not enough.
pub fn within(
    graph: Graph,
    memory: Option<u64>,
    bytes: &dyn Fn(&Graph) -> Result<u64>,
) -> Result<(Graph, usize)> {
    let Some(memory) = memory else { return Ok((graph, 0)) };
    let bytes = |count: usize| bytes(&recomputed(graph.clone(), count));
    let (mut fewest, mut most) = (0, parts(&graph));
    let least = bytes(most)?;
    if least > memory {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        return Err(Error::OutOfMemory {
            message: format!(
                "a step keeps {} MiB even if everything is computed twice, {} MiB may be taken; learn at a smaller size",
                mib(least),
                mib(memory)
            ),
        });
    }
    while fewest < most {
        let count = (fewest + most) / 2;
        if bytes(count)? <= memory { most = count } else { fewest = count + 1 }
    }
    Ok((recomputed(graph, most), most))
}

/// The model's graph from its text to its loss and back, at a size of latents, and what learns in it, with matrices of a rank, which may
/// be larger than the one asked for.
pub fn graph(
    config: &ModelConfig,
    asked: &Asked,
    ([height, width], rank): ([usize; 2], usize),
) -> Result<(Graph, Learnt)> {
    if config.texts.len() != 1 || config.denoiser.guidance_channels().is_some() {
        let message = "models with one text encoder learn, such as Stable Diffusion 1 and 2";
        return Err(Error::Unsupported {
            what: "learning with this model".to_string(),
            message: message.to_string(),
        });
    }
    let texts = [1, asked.tokens];
    let mut whole = joined(
        denoiser::text_keys_values(config, 1, asked.tokens),
        denoiser::denoiser(&config.denoiser, [1, height, width], texts, 0),
    );
    if asked.encodes || asked.vectors > 0 {
        let encoder = model::text_encoder(config, 0, 1, Reads { vectors: asked.vectors, ..Reads::default() })
            .ok_or_else(|| Error::InvalidInput {
                field: "text",
                message: "the model has no text encoder".to_string(),
            })?;
        whole = joined(encoder, whole);
    }
    let scale = (asked.alpha / asked.rank.max(1) as f64) as f32;
    let target = |part: &Part| {
        let layer = part.name.strip_suffix(".weight")?;
        (asked.layers)(layer).then_some((rank, scale))
    };
    let (graph, adapters) = adapted(unfused(whole)?, &target)?;
    let (graph, vectors) = with_vectors(graph, 2 * adapters.len());
    Ok((backward(graph)?, Learnt { adapters, vectors }))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn as_many_pictures_are_learnt_from_at_once_as_there_are_threads_and_memory_for() {
        let layers = |_: &str| true;
        let asked = Asked {
            sizes: &[[16, 16]],
            tokens: 32,
            encodes: true,
            rank: 16,
            alpha: 16.0,
            memory: None,
            pictures: 4,
            vectors: 0,
            layers: &layers,
        };
        let mib = |count: u64| count << 20;
        for (threads, expected) in [(1, 1), (2, 2), (8, 4)] {
            assert_eq!(at_once(&asked, mib(8), threads), expected, "{threads} threads");
        }
        assert_eq!(at_once(&asked, mib(200), 8), 2, "as many as keep 512 MiB together");
        assert_eq!(at_once(&asked, mib(1100), 8), 1);
        assert_eq!(at_once(&Asked { memory: Some(mib(25)), ..asked }, mib(8), 8), 3);
    }

    #[test]
    fn memory_that_ends_is_answered_with_less_and_then_with_a_sentence() {
        let tried = RefCell::new(Vec::new());
        let until = |enough: Option<(usize, bool)>| {
            tried.borrow_mut().clear();
            pollster::block_on(with_less(18, async |rank, twice| {
                tried.borrow_mut().push((rank, twice));
                match enough == Some((rank, twice)) {
                    true => Ok(rank),
                    false => Err(Error::OutOfMemory { message: "no buffer of 9 MB".to_string() }),
                }
            }))
        };
        for enough in [(18, false), (18, true), (9, true)] {
            assert_eq!(until(Some(enough)).expect("enough"), enough.0);
        }
        let refused = until(None).expect_err("nothing is enough").to_string();
        assert_eq!(*tried.borrow(), [(18, false), (18, true), (9, true), (4, true)]);
        assert!(
            refused.contains("no buffer of 9 MB: there is too little memory to learn, even at rank 4"),
            "{refused}"
        );
        let other = pollster::block_on(with_less(8, async |_, _| Err::<(), _>(Error::Aborted)));
        assert!(matches!(other, Err(Error::Aborted)), "nothing else is tried again");
    }
}
