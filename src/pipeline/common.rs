//! What the GPU and the CPU pipeline share: tokens, noise, time embeddings.

use super::request::{Request, Walk};
use crate::config::{ModelConfig, UnetConfig};
use crate::error::{Error, Result};
use crate::image::Rgba;
use crate::prompt::{Chunk, Tokenizer};
use crate::sample::{Generators, noise_between, spherical};

/// The tokens of a run: one row of chunks per model evaluation, unconditioned rows first when guided.
pub struct Conditioning {
    /// `[copies · batch]` rows, each with equally many chunks.
    pub rows: Vec<Vec<Chunk>>,
    pub notices: Vec<String>,
    /// Where a walk leads to, and how far along it the run is.
    pub towards: Option<(Box<Conditioning>, f64)>,
}

impl Conditioning {
    /// Tokenizes the prompts of a request.
    pub fn new(tokenizer: &Tokenizer, config: &ModelConfig, request: &Request) -> Result<Conditioning> {
        let length = config.text.max_position_embeddings;
        let here = Conditioning::of(tokenizer, config, request, &request.prompt)?;
        let Some(Walk { prompt: Some(prompt), share, .. }) = &request.walk else { return Ok(here) };
        let there = Conditioning::of(tokenizer, config, request, prompt)?;
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
        tokenizer: &Tokenizer,
        config: &ModelConfig,
        request: &Request,
        prompt: &str,
    ) -> Result<Conditioning> {
        let length = config.text.max_position_embeddings;
        let negative = if request.guided() { request.negative_prompt.as_str() } else { "" };
        let (prompt, negative) = tokenizer.encode_pair(prompt, negative, length)?;
        let mut notices = Vec::new();
        if prompt.chunks.len() > 1 {
            notices.push(format!(
                "The prompt has {} tokens; the model reads {} at a time, so it was read in {} parts.",
                prompt.tokens,
                length - 2,
                prompt.chunks.len()
            ));
        }
        let mut rows = Vec::new();
        if request.guided() {
            rows.extend(std::iter::repeat_n(negative.chunks, request.batch));
        }
        rows.extend(std::iter::repeat_n(prompt.chunks, request.batch));
        Ok(Conditioning { rows, notices, towards: None })
    }

    /// Chunks per row.
    pub fn chunks(&self) -> usize {
        self.rows.first().map_or(1, Vec::len)
    }

    /// All ids, row after row.
    pub fn ids(&self) -> Vec<u32> {
        self.rows.iter().flatten().flat_map(|chunk| chunk.ids.iter().copied()).collect()
    }

    /// Whether any token has a weight other than 1.
    pub fn is_weighted(&self) -> bool {
        self.rows.iter().flatten().any(|chunk| chunk.weights.iter().any(|w| *w != 1.0))
    }

    /// Embeddings on the way from this conditioning's to the other's, `[rows, chunks · tokens, hidden]`: an arc for
    /// each token.
    pub fn walk(from: &[f32], to: &[f32], share: f64, hidden: usize) -> Vec<f32> {
        from.chunks(hidden).zip(to.chunks(hidden)).flat_map(|(a, b)| spherical(a, b, share)).collect()
    }

    /// Applies the prompts' weights to embeddings `[rows, chunks · tokens, hidden]`.
    pub fn weigh(&self, embeddings: &mut [f32]) {
        let chunks = self.rows.len() * self.chunks();
        let len = embeddings.len() / chunks.max(1);
        for (part, chunk) in embeddings.chunks_mut(len.max(1)).zip(self.rows.iter().flatten()) {
            crate::prompt::apply_weights(part, &chunk.weights);
        }
    }
}

/// The noise of a run: the generators and the unit noise `[batch, c, h, w]` it starts from.
///
/// Given latents leave the generators untouched, as in diffusers: the first draw is then the first step's.
pub fn initial_noise(request: &Request, config: &ModelConfig) -> (Generators, Vec<f32>) {
    let mut generators = Generators::new(request.rng, request.seed, request.batch);
    let each = request.latents_len(config) / request.batch;
    let noise = request.init_latents.clone().unwrap_or_else(|| generators.randn(each));
    let Some(Walk { seed: Some(seed), share, .. }) = request.walk else { return (generators, noise) };
    let noise = noise_between(request.rng, [request.seed, seed], share, request.batch, each);
    (generators, noise)
}

/// The sinusoidal embedding of a time, `[block_out_channels[0]]` (Vaswani et al. 2017; diffusers' `Timesteps`).
pub fn time_embedding(config: &UnetConfig, timestep: f64) -> Vec<f32> {
    const MAX_PERIOD: f64 = 10_000.0;
    let half = config.block_out_channels[0] / 2;
    let denominator = half as f64 - config.freq_shift as f64;
    let angle = |i: usize| timestep * (-MAX_PERIOD.ln() * i as f64 / denominator).exp();
    let sines = (0..half).map(|i| angle(i).sin() as f32);
    let cosines = (0..half).map(|i| angle(i).cos() as f32);
    if config.flip_sin_to_cos { cosines.chain(sines).collect() } else { sines.chain(cosines).collect() }
}

/// How latents look: rows of RGB per latent channel and a bias, in [-1, 1].
pub fn latent_rgb(config: &ModelConfig) -> ([[f32; 3]; 4], [f32; 3]) {
    // Stable Diffusion 1's, by linear regression; see config::builtin.
    const SD1: [[f32; 3]; 4] =
        [[0.298, 0.207, 0.208], [0.187, 0.286, 0.173], [-0.158, 0.189, 0.264], [-0.184, -0.271, -0.473]];
    let factors =
        config.vae.latent_rgb_factors.as_deref().and_then(|rows| <[[f32; 3]; 4]>::try_from(rows).ok());
    (factors.unwrap_or(SD1), config.vae.latent_rgb_bias.unwrap_or_default())
}

/// Pictures out of packed RGBA8 bytes.
pub fn pictures(bytes: &[u8], batch: usize, width: usize, height: usize) -> Result<Vec<Rgba>> {
    bytes.chunks_exact(width * height * 4).take(batch).map(|p| Rgba::new(width, height, p.to_vec())).collect()
}
