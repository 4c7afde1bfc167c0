//! What a run reads of its prompts, and when.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::request::{Request, Walk};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::prompt::{
    self, Chunk, Dialect, Embeddings, Encoded, MAX_PARTS, OWN, Steps, Tokenizers, Weighting, timeline,
};
use crate::sample::spherical;

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

/// What is read at once: a row of chunks without a prompt, where guided, and one with each, whatever the batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens {
    /// For each text encoder its rows, each with equally many chunks.
    texts: Vec<Vec<Vec<Chunk>>>,
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
        let mut notices = notices_of(request.dialect, [prompt, negative]);
        let timeline = |text: &str| {
            let text = prompt::without_tags(request.dialect, text).0;
            if request.dialect == Dialect::A1111 { timeline(&text, steps) } else { vec![(steps.all, text)] }
        };
        let components = request.components_of(prompt);
        check_components(components.len(), config)?;
        let without = guided.then(|| Row { field: "negative_prompt", texts: timeline(negative) });
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
        let by = if request.dialect == Dialect::Compel { Filling::Empty } else { Filling::Again };
        fill(&mut read, rows.len(), tokenizers, (config.chunk_tokens(), by))?;
        let (states, times) = states(&rows, &times, &read, tokenizers.iter().count());
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

    /// The ids of no prompt in the place of each chunk of a text encoder's rows.
    pub fn empty_ids(&self, encoder: usize) -> Vec<u32> {
        let chunks = self.first().of_encoder(encoder).count();
        self.empty.get(encoder).map_or_else(Vec::new, |chunk| chunk.ids.repeat(chunks))
    }
}

/// Says which embeddings are asked for that there are not.
fn tell_unknown(read: &Read, notices: &mut Vec<String>) {
    let mut unknown: Vec<&String> = read.values().flatten().flat_map(|encoded| &encoded.unknown).collect();
    unknown.sort_unstable();
    unknown.dedup();
    let say = |name: &&String| format!("There is no embedding “{name}” here; it is left out.");
    notices.extend(unknown.iter().take(MAX_NAMED).map(say));
}

/// The embeddings that prompts use, by name and hash; refuses such as were made for another text encoder.
fn used(read: &Read, embeddings: &Embeddings, config: &ModelConfig) -> Result<Vec<(String, String)>> {
    let chunks = read.values().flatten().flat_map(|encoded| &encoded.chunks);
    let mut ids: Vec<u32> = chunks.flat_map(|chunk| &chunk.ids).copied().filter(|id| *id >= OWN).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut used = Vec::new();
    for embedding in ids.into_iter().filter_map(|id| embeddings.of_id(id)) {
        let named = (embedding.name.clone(), embedding.hash.clone());
        if used.last() == Some(&named) {
            continue;
        }
        let invalid = |message: String| Err(Error::InvalidInput { field: "embeddings", message });
        if config.texts.len() > 1 {
            return invalid(format!(
                "“{}” is for one text encoder, and this model has {}; leave it out",
                embedding.name,
                config.texts.len()
            ));
        }
        let width = config.texts.first().map_or(0, |text| text.hidden_size);
        if embedding.width != width {
            let made = match embedding.width {
                768 => ": it was made for Stable Diffusion 1",
                1024 => ": it was made for Stable Diffusion 2",
                1280 => ": it was made for Stable Diffusion XL",
                _ => "",
            };
            return invalid(format!(
                "“{}” has vectors of {} values, this model's text encoder has {width}{made}; leave it out",
                embedding.name, embedding.width
            ));
        }
        used.push(named);
    }
    Ok(used)
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

/// What makes texts of fewer chunks as long as the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filling {
    /// Their own chunks again, where that comes out even.
    Again,
    /// Empty chunks: compel's.
    Empty,
}

/// As many chunks for each text: again and again what there is, where not too many come of that, for then attention sees what it
/// saw of the text alone; else empty ones behind.
fn fill(read: &mut Read, rows: usize, tokenizers: &Tokenizers, (length, by): (usize, Filling)) -> Result<()> {
    const LONGER: usize = 4;
    for encoded in read.values_mut() {
        // Encoders that pad with other tokens may count others.
        let most = encoded.iter().map(|encoded| encoded.chunks.len()).max().unwrap_or(1);
        for (tokenizer, encoded) in tokenizers.iter().zip(encoded) {
            let empty = tokenizer.empty(length)?;
            encoded.chunks.resize(most, empty);
        }
    }
    let counts =
        || read.values().flat_map(|encoded| encoded.first()).map(|encoded| encoded.chunks.len().max(1));
    let most = counts().max().unwrap_or(1);
    let common = counts().fold(1, |a, b| if a > MAX_PARTS { a } else { lcm(a, b) });
    let is_short = common <= LONGER * most && common * rows <= MAX_PARTS;
    let all = if by == Filling::Again && is_short { common } else { most };
    for encoded in read.values_mut() {
        for (tokenizer, encoded) in tokenizers.iter().zip(encoded) {
            match by {
                Filling::Again => tokenizer.fill(&mut encoded.chunks, all, length)?,
                Filling::Empty => encoded.chunks.resize(all, tokenizer.empty(length)?),
            }
        }
    }
    Ok(())
}

fn lcm(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x.max(1) * b
}

/// The state of an evaluation, of [`Conditioning::times`].
pub fn state_at(times: &[(usize, usize)], evaluation: usize) -> usize {
    let found = times.iter().find(|(end, _)| evaluation <= *end).or(times.last());
    found.map_or(0, |(_, state)| *state)
}

/// Refuses more prompts than can be drawn into one picture.
fn check_components(count: usize, config: &ModelConfig) -> Result<()> {
    let invalid = |message: String| Err(Error::InvalidInput { field: "prompt", message });
    if count > MAX_COMPONENTS {
        return invalid(format!(
            "{count} prompts joined by AND, at most {MAX_COMPONENTS} are drawn into one picture"
        ));
    }
    if count > 1 && config.denoiser.guidance_channels().is_some() {
        let message =
            "this model follows a guidance scale by itself, and so one prompt; write it without AND";
        return invalid(message.to_string());
    }
    Ok(())
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

/// Says what is read in parts, or not at all, and refuses what is too long.
fn check_parts(
    read: &Read,
    rows: usize,
    (request, config): (&Request, &ModelConfig),
    notices: &mut Vec<String>,
) -> Result<()> {
    let of =
        |field: &'static str| read.iter().filter(move |((of, _), _)| *of == field).flat_map(|(_, all)| all);
    let tokens = |field| of(field).map(|encoded| encoded.tokens).max().unwrap_or(0);
    let (tokens, negative_tokens) = (tokens("prompt"), tokens("negative_prompt"));
    // Encoders that pad with other tokens may count others.
    let parts = read.values().flatten().map(|encoded| encoded.chunks.len()).max().unwrap_or(1);
    let at_once = config.chunk_tokens() - 2;
    let cuts = [Dialect::Diffusers, Dialect::Compel].contains(&request.dialect);
    if cuts && tokens > at_once {
        let dialect = request.dialect;
        notices.push(format!(
            "The prompt has {tokens} tokens; {dialect} reads {at_once}, the rest was left out."
        ));
    } else if !cuts && parts > 1 {
        notices.push(format!(
            "The prompt has {tokens} tokens; the model reads {at_once} at a time, so it was read in {parts} parts."
        ));
    }
    if parts * rows > MAX_PARTS {
        let longer = if negative_tokens > tokens { "negative_prompt" } else { "prompt" };
        let most = MAX_PARTS / rows;
        let message = format!(
            "it fills {parts} parts of {at_once} tokens, at most {most} are read at once; make it shorter"
        );
        return Err(Error::InvalidInput { field: longer, message });
    }
    Ok(())
}

impl Tokens {
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

    /// Whether what a text encoder makes of it is changed: a token has a weight other than 1, or chunks are mixed.
    pub fn is_weighted(&self) -> bool {
        self.texts.iter().flatten().flatten().any(Chunk::is_changed)
    }

    /// How many chunks are mixed with one at most.
    pub fn mixed(&self, encoder: usize) -> usize {
        self.of_encoder(encoder).map(|chunk| chunk.mixed.len()).max().unwrap_or(0)
    }

    /// What is mixed with each chunk as number `number`, in the same rows; a chunk that has no such stands for itself, by a share of 0.
    pub fn beside(&self, number: usize) -> Tokens {
        let one = |chunk: &Chunk| match chunk.mixed.get(number) {
            Some((share, chunk)) => Chunk { share: *share, ..chunk.clone() },
            None => Chunk { share: 0.0, mixed: Vec::new(), ..chunk.clone() },
        };
        let row = |row: &Vec<Chunk>| row.iter().map(one).collect();
        let texts = self.texts.iter().map(|rows| rows.iter().map(row).collect());
        Tokens { texts: texts.collect() }
    }

    /// Embeddings on the way from this conditioning's to the other's, `[rows, chunks · tokens, hidden]`: an arc for
    /// each token.
    pub fn walk(from: &[f32], to: &[f32], share: f64, hidden: usize) -> Vec<f32> {
        from.chunks(hidden).zip(to.chunks(hidden)).flat_map(|(a, b)| spherical(a, b, share)).collect()
    }

    /// Applies the prompts' weights and shares to a text encoder's embeddings `[rows, chunks · tokens, hidden]`; `empty` `[tokens, hidden]` are
    /// those of no prompt, where they count.
    pub fn weigh(&self, encoder: usize, embeddings: &mut [f32], weighting: Weighting, empty: &[f32]) {
        let chunks = self.rows(encoder).len() * self.chunks();
        let len = embeddings.len() / chunks.max(1);
        for (part, chunk) in embeddings.chunks_mut(len.max(1)).zip(self.of_encoder(encoder)) {
            weighting.apply(part, &chunk.weights, empty);
            if chunk.share != 1.0 {
                part.iter_mut().for_each(|value| *value *= chunk.share);
            }
        }
    }
}

/// What of the prompts is not followed, each sentence once.
fn notices_of(dialect: Dialect, prompts: [&str; 2]) -> Vec<String> {
    let mut notices: Vec<String> = Vec::new();
    for notice in prompts.into_iter().flat_map(|text| prompt::notices(dialect, text)) {
        if !notices.contains(&notice) {
            notices.push(notice);
        }
    }
    notices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::common::tests::request;

    const TEN: Steps = Steps { all: 10, before: None };

    fn conditioning(request: &Request) -> Result<Conditioning> {
        conditioned(request, &[None])
    }

    /// For text encoders that pad with these tokens.
    fn conditioned(request: &Request, pads: &[Option<&str>]) -> Result<Conditioning> {
        let mut config = ModelConfig::builtin("sd15")?;
        config.texts[0].max_position_embeddings = 24;
        let json = include_bytes!("../../tests/data/tokenizer/tokenizer.json");
        Conditioning::new(&Tokenizers::from_json(json, pads.iter().copied())?, &config, request, TEN)
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
            ("a AND ".repeat(8), String::new(), 1, 2.0, "prompt", "9 prompts joined by AND, at most 8"),
            (format!("{} AND b AND c", breaks(40)), String::new(), 1, 2.0, "prompt", "at most 32 are read"),
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
        let asked = asked.first();
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
        assert_eq!(asked.first().rows(0)[0].len(), asked.first().rows(1)[0].len());
        assert_eq!(asked.chunks(), 2);
        assert!(conditioned(&request(1, 0, None), &[None, Some("no token")]).is_err());
        Ok(())
    }

    #[test]
    fn what_is_not_followed_is_said_when_drawing() -> Result<()> {
        let prompt = "a [red:green:0.5] apple AND a [cat|dog] <lora:shiny:0.8>".to_string();
        let typed = Request { prompt, ..request(1, 0, None) };
        let notices = conditioning(&typed)?.notices;
        assert_eq!(notices.len(), 1, "{notices:?}");
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

    /// Row by row what the texts are at each evaluation, with as many chunks throughout.
    #[test]
    fn what_changes_is_read_when_its_time_comes() -> Result<()> {
        let ask = |prompt: &str, negative: &str, guidance| {
            let (prompt, negative_prompt) = (prompt.to_string(), negative.to_string());
            conditioning(&Request { prompt, negative_prompt, guidance, ..request(1, 0, None) })
        };
        let changing = ask("a [red:green:3] apple AND a [cat|dog] :0.5", "[ugly:5]", 2.0)?;
        assert_eq!(changing.shares.as_deref(), Some([1.0, 0.5].as_slice()));
        for evaluation in 0..10 {
            // A1111 counts evaluations from 0, and reads a text up to its last one.
            let end = evaluation.max(1);
            let colour = if end <= 3 { "red" } else { "green" };
            let animal = if end % 2 == 1 { "cat" } else { "dog" };
            let negative = if end <= 5 { "" } else { "ugly" };
            let state = &changing.states[changing.at(evaluation)];
            let plain =
                ask(&format!("a {colour} apple AND a {animal} :0.5"), negative, 2.0)?.states.remove(0);
            assert_eq!(*state, plain, "{evaluation}");
        }
        // Each once: a cat or a dog, red or green, with and without the negative prompt.
        assert_eq!(changing.states.len(), 6);
        let same = ask("a [red|red] apple", "", 2.0)?;
        assert_eq!((same.states.len(), same.shares), (1, None));
        let longer = ask(&format!("a [{}:3]", "cat ".repeat(30)), "", 1.0)?;
        assert_eq!((longer.states.len(), longer.chunks()), (2, 2));
        let many: String = ["|a", "|b", "|c", "|d"].iter().map(|x| format!("[{}]", x.repeat(7))).collect();
        assert!(ask(&many, "", 2.0).is_ok(), "they take turns together");
        Ok(())
    }

    /// A shorter text is read as often as it takes, so that attention sees nothing that is not in it; only what would become too
    /// long gets empty chunks.
    #[test]
    fn texts_have_as_many_chunks() -> Result<()> {
        let rows = |prompt: &str, negative: &str| -> Result<[Vec<Chunk>; 2]> {
            let (prompt, negative_prompt) = (prompt.to_string(), negative.to_string());
            let asked =
                conditioning(&Request { prompt, negative_prompt, guidance: 2.0, ..request(1, 0, None) })?;
            let rows = asked.first().rows(0);
            Ok([rows[0].clone(), rows[1].clone()])
        };
        let [negative, prompt] = rows("a BREAK b BREAK c", "d")?;
        assert_eq!((negative.len(), prompt.len()), (3, 3));
        assert!(negative.iter().all(|chunk| *chunk == negative[0]) && prompt[0] != prompt[1]);
        let [negative, prompt] = rows("a BREAK b", "c BREAK d BREAK e")?;
        assert_eq!((negative.len(), prompt.len(), prompt[4] == prompt[0]), (6, 6, true));
        let breaks = |count: usize| vec!["a"; count].join(" BREAK ");
        let [negative, prompt] = rows(&breaks(11), &breaks(12))?;
        assert_eq!((negative.len(), prompt.len()), (12, 12));
        assert_ne!(prompt[11], prompt[0], "empty");
        Ok(())
    }

    /// The kernel's and the tokenizer's word for it are one.
    #[test]
    fn own_vectors_have_one_mark() {
        assert_eq!(OWN, crate::kernels::embed::OWN);
    }

    /// A weight alone guides, too; who follows a scale by itself takes one prompt.
    #[test]
    fn prompts_with_weights_are_guided() -> Result<()> {
        let composed = |prompt: &str| Request { prompt: prompt.to_string(), ..request(1, 0, None) };
        let rows = |request: &Request| conditioning(request).map(|c| (c.first().rows(0).len(), c.shares));
        assert_eq!(rows(&composed("a cat"))?, (1, None));
        assert_eq!(rows(&composed("a cat :0.5"))?, (2, Some(vec![0.5])));
        assert_eq!(rows(&composed("a AND b:-1 AND c"))?, (4, Some(vec![1.0, -1.0, 1.0])));
        let text = Request { dialect: Dialect::Diffusers, ..composed("a AND b :0.5") };
        assert_eq!(rows(&text)?, (1, None));
        Ok(())
    }

    #[test]
    fn a_walk_needs_prompts_that_stay() -> Result<()> {
        let to = |here: &str, there: &str| {
            let walk = Walk { prompt: Some(there.to_string()), seed: None, share: 0.5 };
            conditioning(&Request { prompt: here.to_string(), walk: Some(walk), ..request(1, 0, None) })
        };
        assert!(to("a cat", "a dog")?.towards.is_some());
        for (here, there) in [("a [cat|dog]", "a dog"), ("a cat", "a AND b"), ("a", "b :0.5")] {
            let error = to(here, there).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("stay as they are"), "{here} {there}: {error}");
        }
        Ok(())
    }
}
