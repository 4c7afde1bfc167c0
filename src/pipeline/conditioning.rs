//! What a run reads of its prompts, and when.

mod checks;
mod filling;
mod tokens;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::request::{Request, Walk};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::prompt::{self, Chunk, Dialect, Encoded, Steps, Tokenizers, Weighting, timeline};
use checks::{check_components, check_parts, notices_of, tell_unknown, used};
use filling::{Filling, fill};

pub use tokens::Tokens;

/// The most prompts that are drawn into one picture.
pub const MAX_COMPONENTS: usize = 8;
/// How many things of a kind are named.
const MAX_NAMED: usize = 5;
/// The most texts that take turns in one run: keys and values of all are there from the beginning.
pub const MAX_STATES: usize = 64;

/// The prompts of a run in tokens.
pub struct Conditioning {
    /// Rows of chunks that are read at one time or another; at least one.
    pub states: Vec<Tokens>,
    /// Up to which evaluation of the denoiser, counted from 0, it included, which state is read.
    pub times: Vec<(usize, usize)>,
    /// By what each prompt counts, where there are several, or the one has a weight or a region.
    pub shares: Option<Vec<f32>>,
    pub notices: Vec<String>,
    /// Where a walk leads to, and how far along it the run is.
    pub towards: Option<(Tokens, f64)>,
    /// What weights of words do.
    pub weighting: Weighting,
    /// For each text encoder the chunk of no prompt.
    empty: Vec<Chunk>,
    /// Rows of vectors that the text encoder looks up beside its table, `[rows, width]`; none where no embedding is read.
    pub vectors: Vec<f32>,
    /// Embeddings that prompts use, by name and hash.
    pub used: Vec<(String, String)>,
}

/// The texts of a row over time.
struct Row {
    field: &'static str,
    texts: Vec<(usize, String)>,
}

impl Row {
    fn at(&self, evaluation: usize) -> &str {
        let found = self.texts.iter().find(|(end, _)| evaluation <= *end).or(self.texts.first());
        found.map_or("", |(_, text)| text)
    }
}

/// A text as each text encoder has it, in a field of the request.
type Read = HashMap<(&'static str, String), Vec<Encoded>>;

impl Conditioning {
    /// Tokenizes the prompts of a request, for a pass that counts so.
    pub fn new(
        tokenizers: &Tokenizers,
        config: &ModelConfig,
        request: &Request,
        steps: Steps,
    ) -> Result<Conditioning> {
        let length = config.chunk_tokens();
        let here = Conditioning::of(tokenizers, config, (request, &request.prompt), steps)?;
        let Some(Walk { prompt: Some(prompt), share, .. }) = &request.walk else { return Ok(here) };
        let there = Conditioning::of(tokenizers, config, (request, prompt), steps)?;
        let invalid = |message: String| Err(Error::InvalidInput { field: "walk", message });
        if [&here, &there].iter().any(|end| end.states.len() > 1 || end.shares.is_some()) {
            let message = "a walk is between two prompts that stay as they are, without AND, regions and words that change";
            return invalid(message.to_string());
        }
        if there.chunks() != here.chunks() {
            return invalid(format!(
                "the two prompts fill {} and {} parts of {length} tokens; a walk needs as many of both",
                here.chunks(),
                there.chunks()
            ));
        }
        let there = there.states.into_iter().next().map(|there| (there, *share));
        Ok(Conditioning { towards: there, ..here })
    }

    /// The rows of one prompt.
    fn of(
        tokenizers: &Tokenizers,
        config: &ModelConfig,
        (request, prompt): (&Request, &str),
        steps: Steps,
    ) -> Result<Conditioning> {
        let guided = request.guided(config);
        let reading = request.reading();
        let negative = if guided { request.negative_prompt.as_str() } else { "" };
        let [prompt, negative] = [prompt, negative].map(|text| request.without_comments(text));
        let mut notices = notices_of(request.dialect, [&prompt, &negative]);
        let timeline = |text: &str| {
            let text = prompt::without_tags(request.dialect, text).0;
            if request.dialect == Dialect::A1111 { timeline(&text, steps) } else { vec![(steps.all, text)] }
        };
        let components = request.components_of(&prompt);
        check_components(components.len(), config)?;
        let without = guided.then(|| Row { field: "negative_prompt", texts: timeline(&negative) });
        let with = components.iter().map(|part| Row { field: "prompt", texts: timeline(&part.text) });
        let rows: Vec<Row> = without.into_iter().chain(with).collect();
        let times = times(&rows);
        let mut read = Read::new();
        for row in &rows {
            for (_, text) in &row.texts {
                if let Entry::Vacant(place) = read.entry((row.field, text.clone())) {
                    let field = (row.field, &reading);
                    place.insert(tokenizers.encode(field, text, config.chunk_tokens())?);
                }
            }
        }
        tell_unknown(&read, &mut notices);
        let used = used(&read, &reading.embeddings, config)?;
        check_parts(&read, rows.len(), (request, config), &mut notices)?;
        let (mut states, times) = states(&rows, &times, &read, tokenizers.iter().count());
        let by = match request.dialect {
            Dialect::Compel => Filling::Empty,
            // Regions are ComfyUI's, which repeats texts.
            Dialect::A1111 if request.regions.is_empty() => Filling::Last { from: usize::from(guided) },
            _ => Filling::Again,
        };
        fill(&mut states, tokenizers, (config.chunk_tokens(), by))?;
        if states.len() > MAX_STATES {
            let message = format!(
                "its words change to {} different texts while the picture is drawn, at most {MAX_STATES} are read; let fewer \
                 brackets take turns",
                states.len()
            );
            return Err(Error::InvalidInput { field: "prompt", message });
        }
        let weighed = request.is_composed(&components) && config.denoiser.guidance_channels().is_none();
        let shares = weighed.then(|| components.iter().map(|part| part.weight as f32).collect());
        let empty = tokenizers.iter().map(|tokenizer| tokenizer.empty(config.chunk_tokens()));
        let (weighting, empty) = (reading.weighting(), empty.collect::<Result<_>>()?);
        let vectors = if used.is_empty() { Vec::new() } else { vectors(request, config) };
        Ok(Conditioning { states, times, shares, notices, towards: None, weighting, empty, vectors, used })
    }

    /// The state that an evaluation reads, counted from 0.
    pub fn at(&self, evaluation: usize) -> usize {
        state_at(&self.times, evaluation)
    }

    /// What is read first.
    pub fn first(&self) -> &Tokens {
        &self.states[0]
    }

    /// Chunks per row.
    pub fn chunks(&self) -> usize {
        self.first().chunks()
    }

    /// Whether text encoders hide tokens from others.
    pub fn hides(&self) -> bool {
        let there = self.towards.iter().map(|(there, _)| there);
        self.states.iter().chain(there).any(Tokens::hides)
    }

    /// The ids of no prompt in the place of each chunk of a text encoder's rows.
    pub fn empty_ids(&self, encoder: usize) -> Vec<u32> {
        let chunks = self.first().of_encoder(encoder).count();
        self.empty.get(encoder).map_or_else(Vec::new, |chunk| chunk.ids.repeat(chunks))
    }
}

/// The state of an evaluation, of [`Conditioning::times`].
pub fn state_at(times: &[(usize, usize)], evaluation: usize) -> usize {
    let found = times.iter().find(|(end, _)| evaluation <= *end).or(times.last());
    found.map_or(0, |(_, state)| *state)
}

/// The ends of what rows read, each once.
fn times(rows: &[Row]) -> Vec<usize> {
    let mut ends: Vec<usize> = rows.iter().flat_map(|row| row.texts.iter().map(|(end, _)| *end)).collect();
    ends.sort_unstable();
    ends.dedup();
    ends
}

/// Which rows are read together, each once, and up to when.
fn states(rows: &[Row], times: &[usize], read: &Read, encoders: usize) -> (Vec<Tokens>, Vec<(usize, usize)>) {
    let mut known: HashMap<Vec<&str>, usize> = HashMap::new();
    let (mut states, mut until) = (Vec::new(), Vec::new());
    for end in times {
        let texts: Vec<&str> = rows.iter().map(|row| row.at(*end)).collect();
        let state = *known.entry(texts).or_insert_with_key(|texts| {
            let row = |encoder: usize| {
                let pairs = rows.iter().zip(texts);
                let encoded =
                    pairs.filter_map(move |(row, text)| read.get(&(row.field, (*text).to_string())));
                encoded.filter_map(move |encoded| Some(encoded.get(encoder)?.chunks.clone())).collect()
            };
            states.push(Tokens { texts: (0..encoders).map(row).collect() });
            states.len() - 1
        });
        until.push((*end, state));
    }
    (states, until)
}

/// The vectors of all embeddings that a request brings; those of another width are not read.
fn vectors(request: &Request, config: &ModelConfig) -> Vec<f32> {
    let width = config.texts.first().map_or(0, |text| text.hidden_size);
    let of = |embedding: &prompt::Embedding| match embedding.width == width {
        true => embedding.vectors.clone(),
        false => vec![0.0; embedding.vectors() * width],
    };
    request.embeddings.iter().flat_map(|embedding| of(embedding)).collect()
}

#[cfg(test)]
mod tests;
