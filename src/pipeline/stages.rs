//! Single stages of a model with host values in and out: for tests, tools and anyone who looks inside.

use super::common::time_embedding;
use super::layout::{from_bytes, nchw_to_nhwc, nhwc_to_nchw, to_bytes};
use crate::config::{ModelConfig, TaesdConfig};
use crate::error::{Error, Result};
use crate::gpu::{Context, Executable, Memory, Readback, Weights};
use crate::kernels::Elem;
use crate::model::{clip, taesd, unet, vae};
use crate::plan::{Graph, Plan, lower, padded};

/// Runs one stage at a time on a device.
pub struct Stages<'a> {
    pub context: &'a Context,
    pub weights: &'a Weights,
}

/// The name of a value read from the middle of a model.
const SEAM: &str = "seam";

/// A value to fill before a stage runs.
struct Input<'a> {
    name: &'a str,
    bytes: Vec<u8>,
}

impl Stages<'_> {
    /// Token ids `[batch][tokens]` to hidden states `[batch, tokens, hidden]`, without the last `clip_skip` layers.
    pub async fn text_embeddings(
        &self,
        config: &ModelConfig,
        ids: &[Vec<u32>],
        clip_skip: usize,
    ) -> Result<Vec<f32>> {
        let graph = clip::text_encoder(&config.text, ids.len(), clip_skip);
        let tokens = Input { name: clip::TOKENS, bytes: bytemuck::cast_slice(&ids.concat()).to_vec() };
        let len = ids.len() * config.text.max_position_embeddings * config.text.hidden_size;
        self.run(&[&graph], &[tokens], clip::EMBEDDINGS, len, self.elem()).await
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
        let elem = self.elem();
        let inputs = self.unet_inputs(config, latents, [n, c, h, w], timestep, embeddings);
        let mut graphs = unet_graphs(config, [n, c, h, w], embeddings);
        let missing =
            || Error::InvalidInput { field: "path", message: format!("the UNet has no module {path}") };
        let shape = graphs[1].expose(path, SEAM).ok_or_else(missing)?;
        let out = self.run(&[&graphs[0], &graphs[1]], &inputs, SEAM, shape.len() as usize, elem).await?;
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
        let mut graphs = unet_graphs(config, shape, embeddings);
        let missing =
            || Error::InvalidInput { field: "path", message: format!("the UNet has no attention {path}") };
        let map = graphs[1].expose_attention(path, SEAM).ok_or_else(missing)?;
        self.run(&[&graphs[0], &graphs[1]], &inputs, SEAM, map.len() as usize, Elem::F32).await
    }

    fn unet_inputs(
        &self,
        config: &ModelConfig,
        latents: &[f32],
        [n, c, h, w]: [usize; 4],
        timestep: f64,
        embeddings: &[f32],
    ) -> [Input<'static>; 3] {
        let elem = self.elem();
        let sample = nchw_to_nhwc(latents, n, c, h * w, padded(c));
        let time = time_embedding(&config.unet, timestep);
        [(clip::EMBEDDINGS, embeddings), (unet::SAMPLE, &sample), (unet::TIME, &time)]
            .map(|(name, values)| Input { name, bytes: to_bytes(values, elem) })
    }

    /// Scaled latents `[n, c, h, w]` to pictures `[n, 3, H, W]` around [-1, 1].
    pub async fn vae_decode(
        &self,
        config: &ModelConfig,
        latents: &[f32],
        shape: [usize; 4],
    ) -> Result<Vec<f32>> {
        let [n, _, h, w] = shape;
        let graph = vae::decoder(&config.vae, n, h, w);
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
        let graph = vae::decoder_streamed(&config.vae, n, h, w, whole);
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
        self.encode(config, &vae::encoder(&config.vae, n, h, w), image, shape).await
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
        self.encode(config, &vae::encoder_streamed(&config.vae, n, h, w, whole), image, shape).await
    }

    /// Latents `[n, c, h, w]` to pictures `[n, 3, H, W]` through the tiny autoencoder.
    pub async fn taesd_decode(
        &self,
        config: &TaesdConfig,
        latents: &[f32],
        shape: [usize; 4],
    ) -> Result<Vec<f32>> {
        let [n, _, h, w] = shape;
        let graph = taesd::decoder(config, n, h, w);
        self.decode(&graph, latents, shape, 1 << (config.decoder_block_out_channels.len() - 1)).await
    }

    /// Pictures `[n, 3, H, W]` in [-1, 1] to latents `[n, c, h, w]` through the tiny autoencoder.
    pub async fn taesd_encode(
        &self,
        config: &TaesdConfig,
        image: &[f32],
        shape: [usize; 4],
    ) -> Result<Vec<f32>> {
        let [n, c, h, w] = shape;
        let graph = taesd::encoder(config, n, h, w);
        let scale = 1 << (config.encoder_block_out_channels.len() - 1);
        let hw = h.div_ceil(scale) * w.div_ceil(scale);
        let pixels =
            Input { name: vae::PIXELS, bytes: to_bytes(&nchw_to_nhwc(image, n, c, h * w, 4), Elem::F32) };
        let len = n * hw * config.latent_channels;
        let out = self.run(&[&graph], &[pixels], taesd::ENCODED, len, Elem::F32).await?;
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
        let (hw, moments) = ((h / scale) * (w / scale), 2 * config.vae.latent_channels);
        let pixels =
            Input { name: vae::PIXELS, bytes: to_bytes(&nchw_to_nhwc(image, n, c, h * w, 4), Elem::F32) };
        let out = self.run(&[graph], &[pixels], vae::MOMENTS, n * hw * moments, self.elem()).await?;
        Ok(nhwc_to_nchw(&out, n, config.vae.latent_channels, hw, moments))
    }

    async fn decode(
        &self,
        graph: &Graph,
        latents: &[f32],
        shape: [usize; 4],
        scale: usize,
    ) -> Result<Vec<f32>> {
        let [n, c, h, w] = shape;
        let bytes = to_bytes(&nchw_to_nhwc(latents, n, c, h * w, c), Elem::F32);
        let hw = h * w * scale * scale;
        let input = Input { name: vae::LATENTS, bytes };
        let out = self.run(&[graph], &[input], vae::IMAGE, n * hw * 4, self.elem()).await?;
        Ok(nhwc_to_nchw(&out, n, 3, hw, 4))
    }

    fn elem(&self) -> Elem {
        self.context.target().elem
    }

    /// Runs graphs one after the other and gives `len` elements of the value `output`.
    async fn run(
        &self,
        graphs: &[&Graph],
        inputs: &[Input<'_>],
        output: &str,
        len: usize,
        elem: Elem,
    ) -> Result<Vec<f32>> {
        let plans = graphs
            .iter()
            .map(|graph| lower(graph, self.context.target(), &|decl| self.weights.stored_type(decl)))
            .collect::<Result<Vec<Plan>>>()?;
        let bound = || {
            let memory = Memory::new(self.context, &plans.iter().collect::<Vec<_>>());
            let bind = |plan| Executable::new(self.context, plan, self.weights, &memory);
            let executables = plans.iter().map(bind).collect::<Result<Vec<_>>>()?;
            Ok((memory, executables))
        };
        let (memory, executables) = self.context.guarded(bound).await?;
        for input in inputs {
            memory.write(input.name, &input.bytes)?;
        }
        for executable in &executables {
            executable.run(&|| false).await?;
        }
        let readback = Readback::new(self.context, output, (len * elem.size()) as u64);
        Ok(from_bytes(&readback.read(&memory).await?, elem))
    }
}

/// Keys and values of the text, then the UNet.
fn unet_graphs(config: &ModelConfig, [n, _, h, w]: [usize; 4], embeddings: &[f32]) -> [Graph; 2] {
    let tokens = embeddings.len() / n / config.unet.cross_attention_dim;
    [unet::text_keys_values(&config.unet, n, tokens), unet::unet(&config.unet, n, h, w, tokens)]
}
