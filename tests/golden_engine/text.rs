//! Token ids and text embeddings.

use opengen::prompt::{Dialect, Tokenizer};
use opengen::weights::ModelSource;
use pollster::block_on;

use crate::common::{Golden, TextCase, cases, model_folder};
use crate::engine::{Engine, Packed, tiers};

/// Ids are those of the pipeline's tokenizer; what it cuts off is in our later chunks. Needs no device.
#[test]
fn tokens() {
    for case in cases::<TextCase>("text") {
        let source = ModelSource::open(&model_folder(&case.model)).expect("model folder");
        let tokenizer = Tokenizer::from_json(source.tokenizer().as_bytes()).expect("tokenizer");
        let length = source.config().chunk_tokens();
        let golden = Golden::open(&case.file);
        for (prompt, want) in case.prompts.iter().zip(golden.tokens("tokens")) {
            let chunks = tokenizer.encode(Dialect::A1111, prompt, length).expect("tokens").chunks;
            assert_eq!(chunks[0].ids, want, "{}: {prompt:?}", case.model);
            let cut = want.len() == length && prompt == &case.prompts[case.prompts.len() - 1];
            assert_eq!(chunks.len(), if cut { 2 } else { 1 }, "{}: {prompt:?}", case.model);
        }
    }
}

#[test]
fn embeddings() {
    for tier in tiers() {
        let mut report = tier.report();
        for case in cases::<TextCase>("text") {
            let engine = Engine::new(tier, &Packed::open(&case.model, None));
            let golden = Golden::open(&case.file);
            let ids = &golden.tokens("tokens")[..case.embedded];
            let got = block_on(engine.stages().text_embeddings(&engine.config, ids, 0)).expect("embeddings");
            for (i, got) in got.chunks(got.len() / ids.len()).enumerate() {
                let name = format!("text_embeddings.{i}");
                report.compare(&format!("{} {} {name}", tier.name, case.model), got, &golden.values(&name));
            }
            // The penultimate layer's, of the second prompt.
            let name = "text_embeddings.clip_skip_1";
            let got =
                block_on(engine.stages().text_embeddings(&engine.config, &ids[1..2], 1)).expect("embeddings");
            report.compare(&format!("{} {} {name}", tier.name, case.model), &got, &golden.values(name));
        }
        report.finish();
    }
}
