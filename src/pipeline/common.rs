//! What every run needs: tokens, noise, time embeddings.

use super::request::{Request, Walk};
use crate::config::{ModelConfig, Sinusoids};
use crate::error::{Error, Result};
use crate::image::Rgba;
use crate::prompt::{self, Chunk, Dialect, Encoded, MAX_PARTS, Tokenizers};
use crate::sample::spherical;

/// The tokens of a run: a row of chunks without the prompt, where guided, and one with it, whatever the batch.
pub struct Conditioning {
    /// For each text encoder `[copies]` rows, each with equally many chunks.
    texts: Vec<Vec<Vec<Chunk>>>,
    pub notices: Vec<String>,
    /// Where a walk leads to, and how far along it the run is.
    pub towards: Option<(Box<Conditioning>, f64)>,
}

impl Conditioning {
    /// Tokenizes the prompts of a request.
    pub fn new(tokenizers: &Tokenizers, config: &ModelConfig, request: &Request) -> Result<Conditioning> {
        let length = config.chunk_tokens();
        let here = Conditioning::of(tokenizers, config, request, &request.prompt)?;
        let Some(Walk { prompt: Some(prompt), share, .. }) = &request.walk else { return Ok(here) };
        let there = Conditioning::of(tokenizers, config, request, prompt)?;
        if there.chunks() != here.chunks() {
            let message = format!(
                "the two prompts fill {} and {} parts of {length} tokens; a walk needs as many of both",
                here.chunks(),
                there.chunks()
            );
            return Err(Error::InvalidInput { field: "walk", message });
        }
        Ok(Conditioning { towards: Some((Box::new(there), *share)), ..here })
    }

    /// The rows of one prompt.
    fn of(
        tokenizers: &Tokenizers,
        config: &ModelConfig,
        request: &Request,
        prompt: &str,
    ) -> Result<Conditioning> {
        let length = config.chunk_tokens();
        let negative = if request.guided(config) { request.negative_prompt.as_str() } else { "" };
        let mut notices = notices_of(request.dialect, [prompt, negative]);
        let mut pairs = Vec::new();
        for tokenizer in tokenizers.iter() {
            pairs.push(tokenizer.encode_pair(request.dialect, prompt, negative, length)?);
        }
        // Encoders that pad with other tokens may count others.
        let parts = pairs.iter().map(|(prompt, _)| prompt.chunks.len()).max().unwrap_or(1);
        for (tokenizer, (prompt, negative)) in tokenizers.iter().zip(&mut pairs) {
            tokenizer.fill(&mut prompt.chunks, parts, length)?;
            tokenizer.fill(&mut negative.chunks, parts, length)?;
        }
        let counted = |of: fn(&(Encoded, Encoded)) -> usize| pairs.iter().map(of).max().unwrap_or(0);
        let (tokens, negative_tokens) = (counted(|pair| pair.0.tokens), counted(|pair| pair.1.tokens));
        let at_once = length - 2;
        if request.dialect == Dialect::Diffusers && tokens > at_once {
            notices.push(format!(
                "The prompt has {tokens} tokens; diffusers reads {at_once}, the rest was left out."
            ));
        } else if parts > 1 {
            notices.push(format!(
                "The prompt has {tokens} tokens; the model reads {at_once} at a time, so it was read in {parts} parts."
            ));
        }
        let rows = if request.guided(config) { 2 } else { 1 };
        if parts * rows > MAX_PARTS {
            let longer = if negative_tokens > tokens { "negative_prompt" } else { "prompt" };
            let most = MAX_PARTS / rows;
            let message = format!(
                "it fills {parts} parts of {at_once} tokens, at most {most} are read at once; make it shorter"
            );
            return Err(Error::InvalidInput { field: longer, message });
        }
        let rows_of = |(prompt, negative): (Encoded, Encoded)| match request.guided(config) {
            true => vec![negative.chunks, prompt.chunks],
            false => vec![prompt.chunks],
        };
        Ok(Conditioning { texts: pairs.into_iter().map(rows_of).collect(), notices, towards: None })
    }

    /// The rows of a text encoder.
    pub fn rows(&self, encoder: usize) -> &[Vec<Chunk>] {
        self.texts.get(encoder).map_or(&[], Vec::as_slice)
    }

    /// The chunks of a text encoder, row after row.
    fn of_encoder(&self, encoder: usize) -> impl Iterator<Item = &Chunk> {
        self.rows(encoder).iter().flatten()
    }

    /// Chunks per row.
    pub fn chunks(&self) -> usize {
        self.rows(0).first().map_or(1, Vec::len)
    }

    /// All ids of a text encoder, row after row.
    pub fn ids(&self, encoder: usize) -> Vec<u32> {
        self.of_encoder(encoder).flat_map(|chunk| chunk.ids.iter().copied()).collect()
    }

    /// Whether any token has a weight other than 1.
    pub fn is_weighted(&self) -> bool {
        self.texts.iter().flatten().flatten().any(|chunk| chunk.weights.iter().any(|w| *w != 1.0))
    }

    /// Embeddings on the way from this conditioning's to the other's, `[rows, chunks · tokens, hidden]`: an arc for
    /// each token.
    pub fn walk(from: &[f32], to: &[f32], share: f64, hidden: usize) -> Vec<f32> {
        from.chunks(hidden).zip(to.chunks(hidden)).flat_map(|(a, b)| spherical(a, b, share)).collect()
    }

    /// Applies the prompts' weights to a text encoder's embeddings `[rows, chunks · tokens, hidden]`.
    pub fn weigh(&self, encoder: usize, embeddings: &mut [f32]) {
        let chunks = self.rows(encoder).len() * self.chunks();
        let len = embeddings.len() / chunks.max(1);
        for (part, chunk) in embeddings.chunks_mut(len.max(1)).zip(self.of_encoder(encoder)) {
            crate::prompt::apply_weights(part, &chunk.weights);
        }
    }
}

/// What of the prompts is not followed, each sentence once.
fn notices_of(dialect: Dialect, prompts: [&str; 2]) -> Vec<String> {
    let mut notices: Vec<String> = Vec::new();
    for notice in prompts.into_iter().filter(|_| dialect == Dialect::A1111).flat_map(prompt::notices) {
        if !notices.contains(&notice) {
            notices.push(notice);
        }
    }
    notices
}

/// The sinusoidal embedding of a time, `[channels]` (Vaswani et al. 2017; diffusers' `Timesteps`).
pub fn time_embedding(config: Sinusoids, timestep: f64) -> Vec<f32> {
    const MAX_PERIOD: f64 = 10_000.0;
    let half = config.channels / 2;
    let denominator = half as f64 - config.freq_shift as f64;
    let angle = |i: usize| timestep * (-MAX_PERIOD.ln() * i as f64 / denominator).exp();
    let sines = (0..half).map(|i| angle(i).sin() as f32);
    let cosines = (0..half).map(|i| angle(i).cos() as f32);
    if config.cosines_first { cosines.chain(sines).collect() } else { sines.chain(cosines).collect() }
}

/// The sinusoidal embedding of a guidance scale, `[channels]`, as latent consistency models know it. In f32, as diffusers'
/// `get_guidance_scale_embedding` has it: angles reach thousands, where another rounding is another angle.
pub fn guidance_embedding(channels: usize, guidance: f64) -> Vec<f32> {
    let half = channels / 2;
    let scale = (guidance - 1.0) as f32 * 1000.0;
    let slope = 10_000f32.ln() / (half as f32 - 1.0);
    let angle = |i: usize| scale * (i as f32 * -slope).exp();
    (0..half).map(|i| angle(i).sin()).chain((0..half).map(|i| angle(i).cos())).collect()
}

/// Brings guided predictions back, `by` of the way, to the spread of the prompt's own, picture by picture: section 3.4 of
/// <https://arxiv.org/abs/2305.08891>. `both` are the predictions without the prompt, then with it; what is left stands in
/// either's place, so that guidance leaves it as it is.
pub fn rescale_guided(both: &mut [f32], pictures: usize, guidance: f64, by: f64) {
    let half = both.len() / 2;
    let (without, with) = both.split_at_mut(half);
    let each = (half / pictures.max(1)).max(1);
    for (without, with) in without.chunks_mut(each).zip(with.chunks_mut(each)) {
        let own = spread(with);
        let pairs = without.iter_mut().zip(with.iter());
        pairs.for_each(|(without, with)| *without += guidance as f32 * (with - *without));
        let guided = spread(without);
        let factor = if guided > 0.0 { by * own / guided + 1.0 - by } else { 1.0 };
        without.iter_mut().for_each(|value| *value *= factor as f32);
        with.copy_from_slice(without);
    }
}

/// The standard deviation of a sample.
fn spread(values: &[f32]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / n;
    let squares = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>();
    (squares / (n - 1.0).max(1.0)).sqrt()
}

/// Pictures out of packed RGBA8 bytes.
pub fn pictures(bytes: &[u8], batch: usize, width: usize, height: usize) -> Result<Vec<Rgba>> {
    bytes.chunks_exact(width * height * 4).take(batch).map(|p| Rgba::new(width, height, p.to_vec())).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::pipeline::start::Draws;
    use crate::sample::{NoiseSource, SamplerKind, ScheduleKind, Variation};

    pub fn request(batch: usize, seed: u64, variation: Option<Variation>) -> Request {
        Request {
            prompt: String::new(),
            negative_prompt: String::new(),
            dialect: Dialect::default(),
            steps: 1,
            guidance: 1.0,
            guidance_rescale: None,
            seed,
            variation,
            walk: None,
            rng: NoiseSource::Torch,
            sampler: SamplerKind::Euler,
            schedule: ScheduleKind::Default,
            width: 64,
            height: 96,
            batch,
            init_latents: None,
            preview_every: 0,
            picture: None,
            controls: Vec::new(),
            hires: None,
            hires_network: None,
        }
    }

    /// Picture `i` of a batch of variations is the variation with seed + i made alone; the seed it departs from stays.
    #[test]
    fn variations_count_their_own_seed_up() -> Result<()> {
        let config = ModelConfig::builtin("sd15")?;
        let noise = |batch, seed, variation| Draws::of(&request(batch, seed, variation), &config).noise;
        let varied = |seed| Some(Variation { seed, strength: 0.3 });
        let batch = noise(2, 5, varied(7));
        let each = batch.len() / 2;
        assert_eq!(batch[..each], noise(1, 5, varied(7)));
        assert_eq!(batch[each..], noise(1, 5, varied(8)));
        assert_ne!(batch[..each], batch[each..]);
        let plain = noise(2, 5, None);
        assert_eq!(plain[each..], noise(1, 6, None));
        Ok(())
    }

    /// A variation draws the other noise from a generator of its own, so that later draws stay the seed's.
    #[test]
    fn a_variation_leaves_the_seeds_generator_where_it_was() -> Result<()> {
        let config = ModelConfig::builtin("sd15")?;
        let next = |variation| Draws::of(&request(1, 5, variation), &config).generators.randn(16);
        assert_eq!(next(Some(Variation { seed: 7, strength: 0.5 })), next(None));
        Ok(())
    }

    /// One start each: what would win in silence over another is refused.
    #[test]
    fn starts_that_exclude_each_other_are_refused() -> Result<()> {
        let config = ModelConfig::builtin("sd15")?;
        let walk = Walk { seed: Some(9), share: 0.5, prompt: None };
        let field = |request: &Request| match request.check(&config) {
            Err(Error::InvalidInput { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        let mut varied = request(1, 5, Some(Variation { seed: 7, strength: 0.5 }));
        varied.walk = Some(walk.clone());
        assert_eq!(field(&varied), "walk");
        let mut given = Request { walk: Some(walk), ..request(1, 5, None) };
        given.init_latents = Some(vec![0.0; given.latents_len(&config)]);
        assert_eq!(field(&given), "walk");
        // A walk between prompts leaves the noise alone.
        given.walk = Some(Walk { prompt: Some("a dog".to_string()), seed: None, share: 0.5 });
        given.check(&config)
    }

    /// By hand: two pictures, of which the second is not guided anywhere.
    #[test]
    fn what_guidance_spreads_is_brought_back_by_hand() {
        let mut both = [0.0, 0.0, 1.0, 3.0, 1.0, -1.0, 1.0, 3.0];
        rescale_guided(&mut both, 2, 3.0, 0.5);
        // Guided: 3 and -3, whose spread is three times that of 1 and -1.
        let factor = 0.5 / 3.0 + 0.5;
        for (value, expected) in both.iter().zip([3.0 * factor, -3.0 * factor, 1.0, 3.0].repeat(2)) {
            assert!((value - expected).abs() < 1e-6, "{both:?}");
        }
    }

    fn conditioning(request: &Request) -> Result<Conditioning> {
        conditioned(request, &[None])
    }

    /// For text encoders that pad with these tokens.
    fn conditioned(request: &Request, pads: &[Option<&str>]) -> Result<Conditioning> {
        let mut config = ModelConfig::builtin("sd15")?;
        config.texts[0].max_position_embeddings = 24;
        let json = include_bytes!("../../tests/data/tokenizer/tokenizer.json");
        Conditioning::new(&Tokenizers::from_json(json, pads.iter().copied())?, &config, request)
    }

    /// From one limit, and at the field that is too long.
    #[test]
    fn long_prompts_are_refused_at_their_field() {
        let breaks = |count: usize| vec!["a"; count].join(" BREAK ");
        let asked = |prompt: String, negative_prompt: String, batch, guidance| {
            let request = Request { prompt, negative_prompt, guidance, ..request(batch, 0, None) };
            conditioning(&request).map(|conditioning| conditioning.chunks())
        };
        assert_eq!(asked(breaks(MAX_PARTS), String::new(), 1, 1.0).unwrap(), MAX_PARTS);
        // Pictures of a batch share their text.
        assert_eq!(asked(breaks(64), String::new(), 8, 2.0).unwrap(), 64);
        for (prompt, negative, batch, guidance, field, words) in [
            (breaks(MAX_PARTS + 1), String::new(), 1, 1.0, "prompt", "129 parts of 22 tokens, at most 128"),
            (breaks(65), String::new(), 1, 2.0, "prompt", "65 parts of 22 tokens, at most 64 are read"),
            ("a".to_string(), breaks(65), 1, 2.0, "negative_prompt", "at most 64"),
            (breaks(65), String::new(), 8, 2.0, "prompt", "at most 64 are read at once"),
        ] {
            match asked(prompt, negative, batch, guidance) {
                Err(Error::InvalidInput { field: found, message }) => {
                    assert!(found == field && message.contains(words), "{found}: {message}");
                }
                other => panic!("{words}: {other:?}"),
            }
        }
    }

    /// One vocabulary, but another token behind the end; where that counts words, all have as many chunks.
    #[test]
    fn each_text_encoder_is_padded_with_its_own_token() -> Result<()> {
        let prompt = "a red apple".to_string();
        let asked =
            conditioned(&Request { prompt, guidance: 2.0, ..request(1, 0, None) }, &[None, Some("!")])?;
        let (first, second) = (asked.ids(0), asked.ids(1));
        assert_eq!((first.len(), second.len(), asked.rows(1).len()), (48, 48, 2));
        let end = first[47];
        let text = first[24..].iter().skip(1).position(|id| *id == end).unwrap() + 26;
        assert_eq!(first[24..text], second[24..text], "to the end token");
        assert!(first[text..].iter().all(|id| *id == end));
        let pad = second[47];
        assert!(pad != end && second[text..].iter().all(|id| *id == pad));

        // Of a row of `!` CLIP makes fewer tokens, where that is no special one.
        let prompt = format!("a cat{}", "!".repeat(40));
        let asked = conditioned(&Request { prompt, ..request(1, 0, None) }, &[None, Some("!")])?;
        assert_eq!(asked.rows(0)[0].len(), asked.rows(1)[0].len());
        assert_eq!(asked.chunks(), 2);
        assert!(conditioned(&request(1, 0, None), &[None, Some("no token")]).is_err());
        Ok(())
    }

    #[test]
    fn what_is_not_followed_is_said_when_drawing() -> Result<()> {
        let prompt = "a [red:green:0.5] apple AND a [cat|dog] <lora:shiny:0.8>".to_string();
        let typed = Request { prompt, ..request(1, 0, None) };
        let notices = conditioning(&typed)?.notices;
        assert_eq!(notices.len(), 4, "{notices:?}");
        let plain = Request { dialect: Dialect::Diffusers, ..typed };
        let notices = conditioning(&plain)?.notices;
        assert!(matches!(notices.as_slice(), [one] if one.contains("diffusers reads 22")), "{notices:?}");
        let twice = Request {
            negative_prompt: "<lora:x:1>".to_string(),
            prompt: "<lora:x:1>".to_string(),
            ..request(1, 0, None)
        };
        assert_eq!(conditioning(&Request { guidance: 2.0, ..twice })?.notices.len(), 1);
        Ok(())
    }

    #[test]
    fn a_variation_is_checked() -> Result<()> {
        let config = ModelConfig::builtin("sd15")?;
        for (strength, fine) in [(0.0, true), (1.0, true), (1.1, false), (-0.1, false), (f64::NAN, false)] {
            let request = request(1, 5, Some(Variation { seed: 7, strength }));
            assert_eq!(request.check(&config).is_ok(), fine, "{strength}");
        }
        let mut given = request(1, 5, Some(Variation { seed: 7, strength: 0.5 }));
        given.init_latents = Some(vec![0.0; given.latents_len(&config)]);
        assert!(given.check(&config).is_err());
        Ok(())
    }
}
