//! What a denoiser predicts, asked of itself.

use super::Pipeline;
use crate::config::PredictionType;
use crate::error::Result;
use crate::model::denoiser;
use crate::pipeline::request::Cancel;

/// Latents of all the same value under texts of all the same value, at the last timestep: what answers with the noise gives
/// about the latents back, what answers with the velocity turns them round. The question and its limit are A1111's
/// (`is_using_v_parameterization_for_sd2`), stable-diffusion.cpp's too.
const SIDE: usize = 8;
const TOKENS: usize = 2;
const VALUE: f32 = 0.5;
const TIMESTEP: f64 = 999.0;
const LIMIT: f64 = -1.0;

impl Pipeline {
    /// Settles what the denoiser predicts where nothing else said so; what was found out, in a sentence for people. Once for
    /// each time that a model is made ready.
    pub async fn ask_prediction(&mut self, cancel: &Cancel) -> Result<Option<String>> {
        if !self.config.asks_prediction {
            return Ok(None);
        }
        if self.config.is_inpainting() {
            // Of what is around a mask there is none to ask with, and all that are known predict the noise.
            self.config.asks_prediction = false;
            return Ok(Some(
                "Nothing in the file says what its UNet predicts; taken is the noise (epsilon).".into(),
            ));
        }
        let answer = self.answer_of_denoiser(cancel).await?;
        let (prediction, what) = match answer < LIMIT {
            true => (PredictionType::VPrediction, "the velocity (v)"),
            false => (PredictionType::Epsilon, "the noise (epsilon)"),
        };
        self.config.set_prediction(prediction);
        Ok(Some(format!(
            "Nothing in the file says what its UNet predicts. Asked itself, it is {what}; if pictures are mere noise, it is the \
             other: say so under Models, or where the model is given."
        )))
    }

    /// How far the mean of the answer is from that of the latents.
    async fn answer_of_denoiser(&mut self, cancel: &Cancel) -> Result<f64> {
        let channels = self.config.vae.latent_channels();
        let shape = [1, channels, SIDE, SIDE];
        let config = self.config.denoiser.clone();
        let graph = |_| denoiser::denoiser(&config, [1, SIDE, SIDE], [1, TOKENS], 0);
        self.engine.admit("ask what it predicts", &graph, cancel).await?;
        let latents = vec![VALUE; shape.iter().product()];
        let texts = vec![VALUE; TOKENS * self.config.denoiser.text_channels()];
        let answer = self.engine.stages().unet(&self.config, &latents, shape, TIMESTEP, &texts).await?;
        let off = answer.iter().map(|value| f64::from(*value - VALUE)).sum::<f64>();
        Ok(off / answer.len() as f64)
    }
}
