//! Single stages of a model with host values in and out: for tests, tools and anyone who looks inside.

#[cfg(feature = "gpu")]
use super::layout::{from_bytes, to_bytes};

use super::common::{guidance_embedding, time_embedding};
use super::graphs::Key;
use super::layout::{nchw_to_nhwc, nhwc_to_nchw};
use crate::config::{Autoencoder, ModelConfig, TaesdConfig, VaeConfig};
use crate::error::{Error, Result};
use crate::kernels::Circular;
use crate::model::controlnet::Slot;
use crate::model::{self, Reads, Whole, autoencoder, denoiser, taesd, vae};
#[cfg(feature = "gpu")]
use crate::plan::Target;
use crate::plan::{Graph, MemoryLimits, Outside, Path, padded};
#[cfg(feature = "train")]
use crate::prompt::OWN;

/// Runs one stage at a time.
pub struct Stages<'a> {
    on: On<'a>,
    /// What a denoiser is told that follows a guidance scale by itself.
    guidance: f64,
    limits: MemoryLimits,
    circular: Circular,
    /// Activations in f32, whatever the device has.
    #[cfg(feature = "gpu")]
    single: bool,
}

/// What computes.
enum On<'a> {
    #[cfg(feature = "gpu")]
    Gpu { context: &'a crate::gpu::Context, weights: &'a crate::gpu::Weights },
    #[cfg(feature = "cpu")]
    Cpu { weights: &'a crate::cpu::Weights },
}

/// A value to fill before a stage runs.
struct Input {
    outside: Outside,
    values: Values,
}

enum Values {
    Ids(Vec<u32>),
    Numbers(Vec<f32>),
}

impl<'a> Stages<'a> {
    /// On a device.
    #[cfg(feature = "gpu")]
    pub fn on_gpu(context: &'a crate::gpu::Context, weights: &'a crate::gpu::Weights) -> Stages<'a> {
        Stages::on(On::Gpu { context, weights })
    }

    /// On the processor.
    #[cfg(feature = "cpu")]
    pub fn on_cpu(weights: &'a crate::cpu::Weights) -> Stages<'a> {
        Stages::on(On::Cpu { weights })
    }

    fn on(on: On<'a>) -> Stages<'a> {
        let limits = match on {
            #[cfg(feature = "gpu")]
            On::Gpu { context, .. } => context.target().limits,
            #[cfg(feature = "cpu")]
            On::Cpu { .. } => MemoryLimits::NONE,
        };
        Stages {
            on,
            guidance: 1.0,
            limits,
            circular: Circular::NONE,
            #[cfg(feature = "gpu")]
            single: false,
        }
    }

    /// As if a device allowed no more than this.
    pub fn within(self, limits: MemoryLimits) -> Stages<'a> {
        Stages { limits, ..self }
    }

    /// With convolutions that are padded circularly along some axes.
    pub fn circular(self, circular: Circular) -> Stages<'a> {
        Stages { circular, ..self }
    }

    /// With activations in f32 where the device would take f16.
    #[cfg(feature = "gpu")]
    pub fn in_single_precision(self) -> Stages<'a> {
        Stages { single: true, ..self }
    }

    /// With a guidance scale for a denoiser that follows one by itself; without, it is 1.
    pub fn guided_by(self, guidance: f64) -> Stages<'a> {
        Stages { guidance, ..self }
    }

    /// Token ids `[batch][tokens]` to the hidden states `[batch, tokens, hidden]` of the model's first text encoder,
    /// without its last `clip_skip` layers.
    pub async fn text_embeddings(
        &self,
        config: &ModelConfig,
        ids: &[Vec<u32>],
        clip_skip: usize,
    ) -> Result<Vec<f32>> {
        let none = || Error::InvalidInput { field: "model", message: "it has no text encoder".to_string() };
        let graph =
            model::text_encoder(config, 0, ids.len(), Reads { skipped: clip_skip, ..Reads::default() })
                .ok_or_else(none)?;
        let tokens = Input { outside: Outside::Tokens, values: Values::Ids(ids.concat()) };
        let len = ids.len() * config.chunk_tokens() * config.texts[0].hidden_size;
        self.run(&[&graph], &[tokens], Outside::Embeddings(0), len).await
    }

    /// What the first text encoder's table has of each of a chunk's token ids, `[tokens][hidden]`.
    #[cfg(feature = "train")]
    pub async fn token_vectors(&self, config: &ModelConfig, ids: &[u32]) -> Result<Vec<Vec<f32>>> {
        let none = || Error::InvalidInput { field: "model", message: "it has no text encoder".to_string() };
        let hidden = config.texts.first().ok_or_else(none)?.hidden_size;
        let graph = model::embedded_text(config).ok_or_else(none)?;
        // Beside a row of the position table alone, which is what a vector of zeros gives.
        let ids = [ids, &vec![OWN; ids.len()]].concat();
        let inputs = [
            Input { outside: Outside::Tokens, values: Values::Ids(ids.clone()) },
            Input { outside: Outside::Vectors, values: Values::Numbers(vec![0.0; hidden]) },
        ];
        let both = self.run(&[&graph], &inputs, Outside::Embeddings(0), ids.len() * hidden).await?;
        let (words, positions) = both.split_at(both.len() / 2);
        let vectors = words.chunks_exact(hidden).zip(positions.chunks_exact(hidden));
        Ok(vectors.map(|(word, position)| word.iter().zip(position).map(|(x, y)| x - y).collect()).collect())
    }

    /// The UNet's prediction for latents `[n, c, h, w]` under embeddings `[n, tokens, cross_attention_dim]`.
    pub async fn unet(
        &self,
        config: &ModelConfig,
        latents: &[f32],
        shape: [usize; 4],
        timestep: f64,
        embeddings: &[f32],
    ) -> Result<Vec<f32>> {
        self.unet_at(config, latents, shape, timestep, embeddings, "unet.conv_out").await
    }

    /// What the UNet's module at a path computes on the way, such as `unet.mid_block.resnets.1.conv2`.
    pub async fn unet_at(
        &self,
        config: &ModelConfig,
        latents: &[f32],
        [n, c, h, w]: [usize; 4],
        timestep: f64,
        embeddings: &[f32],
        path: &str,
    ) -> Result<Vec<f32>> {
        let inputs = self.unet_inputs(config, latents, [n, c, h, w], timestep, embeddings);
        let mut graphs = denoiser_graphs(config, [n, c, h, w], embeddings);
        let missing =
            || Error::InvalidInput { field: "path", message: format!("the UNet has no module {path}") };
        let shape = graphs[1].expose(path, Outside::Seam).ok_or_else(missing)?;
        let out = self.run(&[&graphs[0], &graphs[1]], &inputs, Outside::Seam, shape.len() as usize).await?;
        Ok(nhwc_to_nchw(&out, n, shape.c, shape.h * shape.w, shape.c))
    }

    /// Where the UNet's attention at a path looks: probabilities `[n, h · w, tokens]`, the mean over the heads.
    pub async fn attention_map(
        &self,
        config: &ModelConfig,
        latents: &[f32],
        shape: [usize; 4],
        timestep: f64,
        embeddings: &[f32],
        path: &str,
    ) -> Result<Vec<f32>> {
        let inputs = self.unet_inputs(config, latents, shape, timestep, embeddings);
        let mut graphs = denoiser_graphs(config, shape, embeddings);
        let missing =
            || Error::InvalidInput { field: "path", message: format!("the UNet has no attention {path}") };
        let map = graphs[1].expose_attention(path, Outside::Map(0)).ok_or_else(missing)?;
        self.run(&[&graphs[0], &graphs[1]], &inputs, Outside::Map(0), map.len() as usize).await
    }

    fn unet_inputs(
        &self,
        config: &ModelConfig,
        latents: &[f32],
        [n, c, h, w]: [usize; 4],
        timestep: f64,
        embeddings: &[f32],
    ) -> Vec<Input> {
        let sample = nchw_to_nhwc(latents, n, c, h * w, padded(c));
        let time = time_embedding(config.denoiser.time(), timestep);
        let mut values = states(config, embeddings);
        values.extend([(Outside::Sample, sample), (Outside::Time, time)]);
        let guidance = config.denoiser.guidance_channels();
        values.extend(guidance.map(|n| (Outside::Guidance, guidance_embedding(n, self.guidance))));
        let input = |(outside, values)| Input { outside, values: Values::Numbers(values) };
        values.into_iter().map(input).collect()
    }

    /// What one of the model's ControlNets adds to the UNet's skip connection `index` (last: to its mid block), `[n, c, h, w]`,
    /// for latents under embeddings and a map `[3, height, width]` in [0, 1].
    pub async fn control_residual(
        &self,
        config: &ModelConfig,
        (model, index): (usize, usize),
        (latents, [n, c, h, w]): (&[f32], [usize; 4]),
        timestep: f64,
        embeddings: &[f32],
        map: &[f32],
    ) -> Result<Vec<f32>> {
        let slot = Slot { control: 0, model };
        let texts = [n, embeddings.len() / n / config.denoiser.text_channels()];
        let keys = [
            Key::Hint { slot, h, w, circular: self.circular, windowed: false },
            Key::ControlKeysValues { slot, texts, states: 1 },
            Key::Control { slot, latents: [n, h, w], texts, circular: self.circular },
        ];
        let outside = Outside::Residual { control: 0, index };
        let missing = || Error::InvalidInput {
            field: "controls",
            message: format!("the model has no residual {index} of ControlNet {}", model + 1),
        };
        let graphs = keys.map(|key| key.graph(config, self.limits));
        let [Some(hint), Some(keys_values), Some(control)] = graphs else { return Err(missing()) };
        let found = control.values.iter().find(|value| value.external == Some(outside));
        let shape = found.ok_or_else(missing)?.shape;
        let mut inputs = self.unet_inputs(config, latents, [n, c, h, w], timestep, embeddings);
        let pixels = map.len() / 3;
        let values = Values::Numbers(nchw_to_nhwc(map, 1, 3, pixels, padded(3)));
        inputs.push(Input { outside: Outside::ControlMap(0), values });
        let graphs = [&hint, &keys_values, &control];
        let out = self.run(&graphs, &inputs, outside, shape.len() as usize).await?;
        Ok(nhwc_to_nchw(&out, n, shape.c, shape.h * shape.w, shape.c))
    }

    /// Scaled latents `[n, c, h, w]` to pictures `[n, 3, H, W]` around [-1, 1].
    pub async fn vae_decode(
        &self,
        config: &ModelConfig,
        latents: &[f32],
        shape: [usize; 4],
    ) -> Result<Vec<f32>> {
        let [n, _, h, w] = shape;
        let graph = autoencoder::decoder(&config.vae, n, h, w, self.limits);
        self.decode(&graph, latents, shape, config.vae.scale()).await
    }

    /// The same with maps of more than `whole` elements computed in slices of channels.
    pub async fn vae_decode_streamed(
        &self,
        config: &ModelConfig,
        latents: &[f32],
        shape: [usize; 4],
        whole: usize,
    ) -> Result<Vec<f32>> {
        let [n, _, h, w] = shape;
        let graph = vae::decoder(kl(config)?, &vae_root(), [n, h, w], Whole::UpTo(whole));
        self.decode(&graph, latents, shape, config.vae.scale()).await
    }

    /// Pictures `[n, 3, H, W]` in [-1, 1] to the means of their latents `[n, c, h, w]`, unscaled.
    pub async fn vae_encode(
        &self,
        config: &ModelConfig,
        image: &[f32],
        shape: [usize; 4],
    ) -> Result<Vec<f32>> {
        let [n, _, h, w] = shape;
        self.encode(config, &autoencoder::encoder(&config.vae, n, h, w, self.limits), image, shape).await
    }

    /// Pictures `[n, H, W, 4]` in [-1, 1], the fourth channel unused, to all that the encoder gives of them, `[n, h, w, c]`; see
    /// [`autoencoder::encoded`].
    #[cfg(feature = "gpu")]
    pub async fn vae_moments(
        &self,
        config: &ModelConfig,
        image: Vec<f32>,
        [n, h, w]: [usize; 3],
    ) -> Result<Vec<f32>> {
        let graph = autoencoder::encoder(&config.vae, n, h, w, self.limits);
        let scale = config.vae.scale();
        let (outside, channels) = autoencoder::encoded(&config.vae);
        let pixels = Input { outside: Outside::Pixels, values: Values::Numbers(image) };
        self.run(&[&graph], &[pixels], outside, n * (h / scale) * (w / scale) * channels).await
    }

    /// The same with maps of more than `whole` elements computed in slices of channels.
    pub async fn vae_encode_streamed(
        &self,
        config: &ModelConfig,
        image: &[f32],
        shape: [usize; 4],
        whole: usize,
    ) -> Result<Vec<f32>> {
        let [n, _, h, w] = shape;
        let graph = vae::encoder(kl(config)?, &vae_root(), [n, h, w], Whole::UpTo(whole));
        self.encode(config, &graph, image, shape).await
    }

    /// Latents `[n, c, h, w]` to pictures `[n, 3, H, W]` through the tiny autoencoder.
    pub async fn taesd_decode(
        &self,
        config: &TaesdConfig,
        latents: &[f32],
        shape: [usize; 4],
    ) -> Result<Vec<f32>> {
        let [n, _, h, w] = shape;
        let graph = taesd::decoder(config, &taesd_root(), taesd::Ends::PICTURE, n, h, w);
        self.decode(&graph, latents, shape, config.scale()).await
    }

    /// Pictures `[n, 3, H, W]` in [-1, 1] to latents `[n, c, h, w]` through the tiny autoencoder.
    pub async fn taesd_encode(
        &self,
        config: &TaesdConfig,
        image: &[f32],
        shape: [usize; 4],
    ) -> Result<Vec<f32>> {
        let [n, c, h, w] = shape;
        let graph = taesd::encoder(config, &taesd_root(), n, h, w);
        let scale = config.scale();
        let hw = h.div_ceil(scale) * w.div_ceil(scale);
        let pixels =
            Input { outside: Outside::Pixels, values: Values::Numbers(nchw_to_nhwc(image, n, c, h * w, 4)) };
        let len = n * hw * config.latent_channels;
        let out = self.run(&[&graph], &[pixels], Outside::Encoded, len).await?;
        Ok(nhwc_to_nchw(&out, n, config.latent_channels, hw, config.latent_channels))
    }

    async fn encode(
        &self,
        config: &ModelConfig,
        graph: &Graph,
        image: &[f32],
        [n, c, h, w]: [usize; 4],
    ) -> Result<Vec<f32>> {
        let scale = config.vae.scale();
        let hw = (h / scale) * (w / scale);
        let (outside, channels) = autoencoder::encoded(&config.vae);
        let pixels =
            Input { outside: Outside::Pixels, values: Values::Numbers(nchw_to_nhwc(image, n, c, h * w, 4)) };
        let out = self.run(&[graph], &[pixels], outside, n * hw * channels).await?;
        Ok(nhwc_to_nchw(&out, n, config.vae.latent_channels(), hw, channels))
    }

    async fn decode(
        &self,
        graph: &Graph,
        latents: &[f32],
        shape: [usize; 4],
        scale: usize,
    ) -> Result<Vec<f32>> {
        let [n, c, h, w] = shape;
        let hw = h * w * scale * scale;
        let input = Input {
            outside: Outside::Latents,
            values: Values::Numbers(nchw_to_nhwc(latents, n, c, h * w, c)),
        };
        let out = self.run(&[graph], &[input], Outside::Image, n * hw * 4).await?;
        Ok(nhwc_to_nchw(&out, n, 3, hw, 4))
    }

    /// Runs graphs one after the other and gives the value that is wanted.
    async fn run(
        &self,
        graphs: &[&Graph],
        inputs: &[Input],
        output: Outside,
        len: usize,
    ) -> Result<Vec<f32>> {
        let graphs: Vec<Graph> =
            graphs.iter().map(|graph| (*graph).clone().circular(self.circular)).collect();
        let graphs: Vec<&Graph> = graphs.iter().collect();
        match self.on {
            #[cfg(feature = "gpu")]
            On::Gpu { context, weights } => {
                let own = context.target();
                let elem = if self.single { crate::kernels::Elem::F32 } else { own.elem };
                let target = Target { limits: self.limits, elem, ..own };
                run_on_gpu(context, weights, target, &graphs, inputs, output, len).await
            }
            #[cfg(feature = "cpu")]
            On::Cpu { weights } => run_on_cpu(weights, &graphs, inputs, output, len),
        }
    }
}

#[cfg(feature = "gpu")]
async fn run_on_gpu(
    context: &crate::gpu::Context,
    weights: &crate::gpu::Weights,
    target: Target,
    graphs: &[&Graph],
    inputs: &[Input],
    output: Outside,
    len: usize,
) -> Result<Vec<f32>> {
    use crate::gpu::{Executable, Memory, Readback};
    use crate::kernels::Elem;
    use crate::plan::{ElemKind, Plan, lower};

    let elem = |outside: Outside| match outside.kind() {
        ElemKind::Activation => target.elem,
        ElemKind::F32 | ElemKind::U32 => Elem::F32,
    };
    let plans = graphs
        .iter()
        .map(|graph| lower(graph, target, &|decl| weights.stored_type(decl)))
        .collect::<Result<Vec<Plan>>>()?;
    let bound = || {
        let memory = Memory::new(context, &plans.iter().collect::<Vec<_>>());
        let bind = |plan| Executable::new(context, plan, weights, &memory);
        let executables = plans.iter().map(bind).collect::<Result<Vec<_>>>()?;
        Ok((memory, executables))
    };
    let (memory, executables) = context.guarded(bound).await?;
    for Input { outside, values } in inputs {
        let bytes = match values {
            Values::Ids(ids) => bytemuck::cast_slice(ids).to_vec(),
            Values::Numbers(values) => to_bytes(values, elem(*outside)),
        };
        memory.write(*outside, &bytes)?;
    }
    for executable in &executables {
        executable.run(&|| false).await?;
    }
    let elem = elem(output);
    let readback = Readback::new(context, output, (len * elem.size()) as u64);
    Ok(from_bytes(&readback.read(&memory).await?, elem))
}

#[cfg(feature = "cpu")]
fn run_on_cpu(
    weights: &crate::cpu::Weights,
    graphs: &[&Graph],
    inputs: &[Input],
    output: Outside,
    len: usize,
) -> Result<Vec<f32>> {
    use crate::cpu::{Executable, Memory};

    let bind = |graph: &&Graph| Executable::new((*graph).clone(), weights);
    let graphs = graphs.iter().map(bind).collect::<Result<Vec<_>>>()?;
    let mut memory = Memory::new(&graphs.iter().collect::<Vec<_>>());
    for Input { outside, values } in inputs {
        match values {
            Values::Ids(ids) => memory.write_ids(*outside, ids)?,
            Values::Numbers(values) => memory.write(*outside, values)?,
        }
    }
    graphs.iter().try_for_each(|graph| graph.run(&mut memory, &|| false))?;
    let values = memory.read(output)?;
    let short = || Error::Cpu { message: format!("{output} has {} values, not {len}", values.len()) };
    values.get(..len).map(<[f32]>::to_vec).ok_or_else(short)
}

/// Keys and values of the text, then the denoiser.
fn denoiser_graphs(config: &ModelConfig, [n, _, h, w]: [usize; 4], embeddings: &[f32]) -> [Graph; 2] {
    let tokens = embeddings.len() / n / config.denoiser.text_channels();
    [
        denoiser::text_keys_values(config, n, tokens),
        denoiser::denoiser(&config.denoiser, [n, h, w], [n, tokens], 0),
    ]
}

/// Embeddings `[.., text channels]` as the states of each text encoder.
fn states(config: &ModelConfig, embeddings: &[f32]) -> Vec<(Outside, Vec<f32>)> {
    let all = config.denoiser.text_channels();
    let mut first = 0;
    let mut of = |(index, width): (usize, usize)| {
        let rows = embeddings.chunks_exact(all);
        let values = rows.flat_map(|row| &row[first..first + width]).copied().collect();
        first += width;
        (Outside::Embeddings(index), values)
    };
    config.texts.iter().map(|text| text.hidden_size).enumerate().map(&mut of).collect()
}

/// The configuration of an autoencoder whose maps can be taken in slices.
fn kl(config: &ModelConfig) -> Result<&VaeConfig> {
    match &config.vae {
        Autoencoder::Kl(config) => Ok(config),
        Autoencoder::Tiny(_) => Err(Error::InvalidInput {
            field: "vae",
            message: "the maps of a tiny autoencoder are not taken in slices".to_string(),
        }),
    }
}

fn vae_root() -> Path {
    Path::root(Autoencoder::ROOT)
}

fn taesd_root() -> Path {
    Path::root(TaesdConfig::ROOT)
}
