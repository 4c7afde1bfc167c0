//! The prompts of a run as the denoiser reads them.

use super::Run;
use crate::error::Result;
use crate::pipeline::common::Conditioning;
use crate::pipeline::engine::Network;
use crate::plan::Outside;

impl Run<'_> {
    /// Text to embeddings, and to the keys and values of every cross attention.
    pub(super) async fn encode_text(&mut self, conditioning: &Conditioning) -> Result<()> {
        let ids = conditioning.ids(0);
        let rows = conditioning.rows(0).len();
        let tokens = ids.len() / rows;
        self.keep("tokens", &[rows, tokens], ids.iter().map(|id| *id as f32).collect());
        let mut states = Vec::new();
        for (index, text) in self.config.texts.iter().enumerate() {
            let shape = [rows, tokens, text.hidden_size];
            self.encode_with(index, conditioning, shape).await?;
            if self.dump.is_some() {
                states.push((text.hidden_size, self.embeddings(index, shape).await?));
            }
        }
        if self.dump.is_some() {
            let width = states.iter().map(|(width, _)| width).sum();
            self.keep("text_embeddings", &[rows, tokens, width], side_by_side(&states, rows * tokens));
        }
        self.engine.run(Network::KeysValues, self.cancel).await?;
        for control in 0..self.shape.controls.count() {
            self.engine.run(Network::ControlKeysValues(control), self.cancel).await?;
        }
        Ok(())
    }

    /// The states `[rows, tokens, hidden]` of one text encoder, as the prompts' weights and a walk have them.
    async fn encode_with(
        &mut self,
        index: usize,
        conditioning: &Conditioning,
        shape: [usize; 3],
    ) -> Result<()> {
        self.embed(index, &conditioning.ids(index)).await?;
        if let Some((there, share)) = &conditioning.towards {
            let from = self.weighed(index, conditioning, shape).await?;
            self.embed(index, &there.ids(index)).await?;
            let to = self.weighed(index, there, shape).await?;
            let between = Conditioning::walk(&from, &to, *share, shape[2]);
            self.engine.write(Outside::Embeddings(index), &between)?;
        } else if conditioning.is_weighted() {
            let embeddings = self.weighed(index, conditioning, shape).await?;
            self.engine.write(Outside::Embeddings(index), &embeddings)?;
        }
        Ok(())
    }

    /// Runs a text encoder.
    async fn embed(&mut self, index: usize, ids: &[u32]) -> Result<()> {
        self.engine.enter(Network::Text(index), self.cancel).await?;
        self.engine.write_ids(Outside::Tokens, ids)?;
        self.engine.run(Network::Text(index), self.cancel).await
    }

    /// A text encoder's states with the prompts' weights applied.
    async fn weighed(
        &mut self,
        index: usize,
        conditioning: &Conditioning,
        shape: [usize; 3],
    ) -> Result<Vec<f32>> {
        let mut embeddings = self.embeddings(index, shape).await?;
        if conditioning.is_weighted() {
            conditioning.weigh(index, &mut embeddings);
        }
        Ok(embeddings)
    }

    async fn embeddings(&mut self, index: usize, shape: [usize; 3]) -> Result<Vec<f32>> {
        self.engine.read(Outside::Embeddings(index), shape.iter().product()).await
    }
}

/// The states of several text encoders, each `(width, [rows, width])`, as one `[rows, widths in all]`.
fn side_by_side(states: &[(usize, Vec<f32>)], rows: usize) -> Vec<f32> {
    let row = |row: usize| states.iter().flat_map(move |(width, values)| &values[row * width..][..*width]);
    (0..rows).flat_map(row).copied().collect()
}
