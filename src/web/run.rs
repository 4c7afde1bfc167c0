//! One run of the pipeline, timed, with its pictures as PNG files.

use wasm_bindgen::JsValue;

use super::browser::{self, now_ms};
use super::device::Backend;
use super::values::{self, Pictures, Stats, Timings};
use crate::Result;
use crate::config::ModelConfig;
use crate::pipeline::{Cancel, Event, Output, Request, Stage, networks};
use crate::weights::Merged;

/// How long each stage takes; a run may come to some of them twice.
#[derive(Default)]
struct Clock {
    start: f64,
    /// The stage under way, and since when.
    now: Option<(Stage, f64)>,
    text: f64,
    denoise: f64,
    decode: f64,
}

impl Clock {
    fn begin(&mut self, stage: Option<Stage>) {
        let now = now_ms();
        if let Some((before, since)) = self.now {
            match before {
                Stage::Encode => {}
                Stage::Text => self.text += now - since,
                Stage::Denoise => self.denoise += now - since,
                Stage::Decode => self.decode += now - since,
            }
        }
        self.now = stage.map(|stage| (stage, now));
    }

    fn timings(mut self) -> Timings {
        self.begin(None);
        Timings {
            text_ms: self.text,
            denoise_ms: self.denoise,
            decode_ms: self.decode,
            total_ms: now_ms() - self.start,
        }
    }
}

/// What a run made.
pub(super) struct Made {
    output: Output,
    timings: Timings,
}

/// Makes pictures and tells the page how far it is.
pub(super) async fn run(
    backend: &mut Backend,
    request: &Request,
    cancel: &Cancel,
    on_event: &JsValue,
) -> Result<Made> {
    let mut clock = Clock { start: now_ms(), ..Clock::default() };
    let mut listen = |event: Event| {
        if let Event::Stage(stage) = &event {
            clock.begin(Some(*stage));
        }
        browser::call(on_event, &values::event(&event));
    };
    let output = backend.generate(request, &mut listen, cancel).await?;
    Ok(Made { output, timings: clock.timings() })
}

impl Made {
    /// The answer to `generate`.
    pub(super) fn to_js(
        &self,
        request: &Request,
        (config, merged): (&ModelConfig, &Merged),
        notices: &[String],
    ) -> Result<JsValue> {
        let png = self.png(request, config, merged)?;
        let stats = &self.output.stats;
        let notices = notices.iter().chain(&self.output.notices).cloned().chain(merged.notices());
        let notices: Vec<String> = notices.collect();
        let pictures = Pictures {
            images: &self.output.images,
            png: &png,
            seed: request.seed,
            timings: self.timings,
            notices: &notices,
            stats: Stats {
                dispatches_per_step: stats.dispatches_per_step,
                new_buffers_per_step: stats.new_buffers_per_step,
                new_bind_groups_per_step: stats.new_bind_groups_per_step,
                gpu_bytes: stats.gpu_bytes,
                gpu_peak_bytes: stats.gpu_peak_bytes,
                widened_bytes: stats.widened_bytes,
                wasm_heap_bytes: 0.0,
            },
        };
        Ok(pictures.to_js())
    }

    /// One PNG file per picture with the settings in its text.
    fn png(&self, request: &Request, config: &ModelConfig, merged: &Merged) -> Result<Vec<Vec<u8>>> {
        self.output
            .images
            .iter()
            .enumerate()
            .map(|(index, image)| {
                let mut parameters = request.parameters(&config.name, &config.control_names(), index);
                networks::tell(merged, &mut parameters)?;
                self.output.tell(&mut parameters);
                crate::image::encode_made(image, request.made_of(), Some(&parameters.to_string()))
            })
            .collect()
    }
}
