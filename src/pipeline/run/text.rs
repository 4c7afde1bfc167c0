//! The prompts of a run as the denoiser reads them.

use super::{Pass, Run};
use crate::error::Result;
use crate::pipeline::conditioning::{Conditioning, Tokens, state_at};
use crate::pipeline::engine::Network;
use crate::pipeline::graphs::Shape;
use crate::pipeline::regions;
use crate::plan::Outside;
use crate::prompt::Weighting;

/// Which of the run's texts is read when.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// See [`Conditioning::times`].
    times: Vec<(usize, usize)>,
    /// The text that the denoiser reads now.
    now: usize,
    /// Evaluations so far.
    pub taken: usize,
    /// By what each prompt counts where, `[prompts, batch, h, w]`; nothing where there is one that counts in full.
    pub shares: Vec<f32>,
}

impl Run<'_> {
    /// Text to embeddings, and to the keys and values of every cross attention.
    pub(super) async fn encode_text(&mut self, conditioning: &Conditioning) -> Result<()> {
        self.keep_tokens(conditioning.first());
        self.texts.shares = self.shares(conditioning);
        match conditioning.states.as_slice() {
            [_] => {
                self.encode_only(conditioning).await?;
                self.read_text().await?;
            }
            states => self.encode_all(conditioning, states).await?,
        }
        if self.shape.composed && !self.shape.masked {
            self.engine.write(Outside::Masks, &self.texts.shares)?;
        }
        Ok(())
    }

    /// [`Turns::shares`].
    fn shares(&mut self, conditioning: &Conditioning) -> Vec<f32> {
        let Some(weights) = &conditioning.shares else { return Vec::new() };
        let (Shape { batch, h, w, .. }, Pass { request, canvas, .. }) = (self.shape, self.pass);
        if request.regions.is_empty() {
            let each = self.shape.pixels();
            return weights.iter().flat_map(|share| std::iter::repeat_n(*share, each)).collect();
        }
        let shares = regions::shares(&request.regions, weights, [w, h], canvas);
        let all = shares.chunks(h * w).flat_map(|map| map.repeat(batch)).collect();
        self.keep("shares", &[weights.len(), 1, h, w], shares);
        all
    }

    /// Hands the next evaluation its text.
    pub(super) async fn take_turn(&mut self) -> Result<()> {
        let state = state_at(&self.texts.times, self.texts.taken);
        self.texts.taken += 1;
        if state != self.texts.now {
            self.engine.turn_to(state)?;
            self.texts.now = state;
        }
        Ok(())
    }

    /// The one text that is read throughout.
    async fn encode_only(&mut self, conditioning: &Conditioning) -> Result<()> {
        let mut states = Vec::new();
        for index in 0..self.config.texts.len() {
            let shape = self.shape_of(index, conditioning.first());
            self.encode_with(index, conditioning, shape).await?;
            if self.dump.is_some() {
                states.push((shape[2], self.embeddings(index, shape).await?));
            }
        }
        self.keep_states(&states, conditioning.first());
        Ok(())
    }

    /// Texts that take turns: each text encoder reads all while it is there, then keys and values of each are made where they stay.
    async fn encode_all(&mut self, conditioning: &Conditioning, states: &[Tokens]) -> Result<()> {
        let mut all = vec![Vec::new(); states.len()];
        for index in 0..self.config.texts.len() {
            for (tokens, encoded) in states.iter().zip(&mut all) {
                let shape = self.shape_of(index, tokens);
                self.embed(index, tokens, conditioning).await?;
                encoded.push((shape[2], self.weighed(index, (conditioning, tokens), shape).await?));
            }
        }
        self.keep_states(&all[0], &states[0]);
        self.engine.enter(Network::KeysValues, self.cancel).await?;
        for (state, encoded) in all.iter().enumerate() {
            for (index, (_, values)) in encoded.iter().enumerate() {
                self.engine.write(Outside::Embeddings(index), values)?;
            }
            self.engine.turn_to(state)?;
            self.read_text().await?;
        }
        self.texts.times.clone_from(&conditioning.times);
        self.texts.now = states.len() - 1;
        Ok(())
    }

    /// Embeddings to keys and values.
    async fn read_text(&mut self) -> Result<()> {
        self.engine.run(Network::KeysValues, self.cancel).await?;
        for control in 0..self.shape.controls.count() {
            self.engine.run(Network::ControlKeysValues(control), self.cancel).await?;
        }
        Ok(())
    }

    /// `[rows, tokens, hidden]` of a text encoder's states.
    fn shape_of(&self, index: usize, tokens: &Tokens) -> [usize; 3] {
        let rows = tokens.rows(index).len();
        [rows, tokens.chunks() * self.config.chunk_tokens(), self.config.texts[index].hidden_size]
    }

    fn keep_tokens(&mut self, tokens: &Tokens) {
        let (ids, rows) = (tokens.ids(0), tokens.rows(0).len());
        let each = ids.len() / rows.max(1);
        self.keep("tokens", &[rows, each], ids.iter().map(|id| *id as f32).collect());
    }

    /// Keeps the states of all text encoders side by side, each with its width.
    fn keep_states(&mut self, states: &[(usize, Vec<f32>)], tokens: &Tokens) {
        if self.dump.is_some() {
            let [rows, each, _] = self.shape_of(0, tokens);
            let width = states.iter().map(|(width, _)| width).sum();
            self.keep("text_embeddings", &[rows, each, width], side_by_side(states, rows * each));
        }
    }

    /// The states `[rows, tokens, hidden]` of one text encoder, as the prompts' weights and a walk have them.
    async fn encode_with(
        &mut self,
        index: usize,
        conditioning: &Conditioning,
        shape: [usize; 3],
    ) -> Result<()> {
        let here = conditioning.first();
        self.embed(index, here, conditioning).await?;
        if let Some((there, share)) = &conditioning.towards {
            let from = self.weighed(index, (conditioning, here), shape).await?;
            self.embed(index, there, conditioning).await?;
            let to = self.weighed(index, (conditioning, there), shape).await?;
            let between = Tokens::walk(&from, &to, *share, shape[2]);
            self.engine.write(Outside::Embeddings(index), &between)?;
        } else if here.is_weighted() {
            let embeddings = self.weighed(index, (conditioning, here), shape).await?;
            self.engine.write(Outside::Embeddings(index), &embeddings)?;
        }
        Ok(())
    }

    /// Runs a text encoder over tokens.
    async fn embed(&mut self, index: usize, tokens: &Tokens, conditioning: &Conditioning) -> Result<()> {
        self.embed_ids(index, (&tokens.ids(index), &tokens.hidden(index)), &conditioning.vectors).await
    }

    /// Runs a text encoder over ids, of which some are hidden.
    async fn embed_ids(
        &mut self,
        index: usize,
        (ids, hidden): (&[u32], &[u32]),
        vectors: &[f32],
    ) -> Result<()> {
        self.engine.enter(Network::Text(index), self.cancel).await?;
        if self.shape.vectors > 0 {
            self.engine.write(Outside::Vectors, vectors)?;
        }
        if self.shape.hides {
            self.engine.write_ids(Outside::Hidden, hidden)?;
        }
        self.engine.write_ids(Outside::Tokens, ids)?;
        self.engine.run(Network::Text(index), self.cancel).await
    }

    /// A text encoder's states with the prompts' weights applied.
    async fn weighed(
        &mut self,
        index: usize,
        (conditioning, tokens): (&Conditioning, &Tokens),
        shape: [usize; 3],
    ) -> Result<Vec<f32>> {
        let mut embeddings = self.embeddings(index, shape).await?;
        if tokens.is_weighted() {
            let mut empty = Vec::new();
            if conditioning.weighting == Weighting::FromEmpty {
                let ids = conditioning.empty_ids(index);
                let hidden = vec![0; ids.len()];
                self.embed_ids(index, (&ids, &hidden), &conditioning.vectors).await?;
                empty = self.embeddings(index, shape).await?;
                empty.truncate(self.config.chunk_tokens() * shape[2]);
            }
            tokens.weigh(index, &mut embeddings, conditioning.weighting, &empty);
            for number in 0..tokens.mixed(index) {
                let beside = tokens.beside(number);
                self.embed(index, &beside, conditioning).await?;
                let mut more = self.embeddings(index, shape).await?;
                beside.weigh(index, &mut more, conditioning.weighting, &empty);
                embeddings.iter_mut().zip(more).for_each(|(value, more)| *value += more);
            }
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
