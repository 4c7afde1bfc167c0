//! `opengen bench --merging`: what it takes to merge LoRAs into a model that is packed, as a page does it: by the processor, and by
//! the device where there is one.

use std::time::{Duration, Instant};

use opengen::error::Result;
use opengen::gpu::{Context, Options, Weights};
use opengen::weights::{Asked, Bytes, LoraOption, Manifest, Merged, OpenOptions, PackedRecord};

use crate::model;

/// Merges each given LoRA, then all of them, `runs` times; prints medians: on as many threads as rayon has, and on the device, where
/// the stored bytes are written first, which is told by itself.
pub async fn run(name: &str, known: &OpenOptions, runs: usize) -> Result<()> {
    if known.loras.is_empty() {
        return Err(crate::invalid("lora", "give one with --lora".to_string()));
    }
    let source = model::open_quietly(name, &OpenOptions { loras: Vec::new(), ..known.clone() })?;
    let (manifest, slabs) = model::packed(&source)?;
    let all = known.loras.iter().map(LoraOption::open).collect::<Result<Vec<_>>>()?;
    let mut cases: Vec<Vec<Asked>> = all.iter().map(|one| vec![one.clone()]).collect();
    if all.len() > 1 {
        cases.push(all);
    }
    let device = Device::new(&manifest).await?;
    for case in cases {
        let names: Vec<String> = case.iter().map(|asked| asked.file.name.clone()).collect();
        let merged = Merged::for_packed(case, &manifest)?;
        let touched: Vec<_> = manifest.records.iter().filter(|record| merged.touches(record)).collect();
        let stored =
            |record: &PackedRecord| &slabs[record.slab][record.values.offset as usize..record.end() as usize];
        let mut times = Vec::new();
        for _ in 0..runs.max(1) {
            let start = Instant::now();
            for record in &touched {
                std::hint::black_box(merged.merged(record, stored(record))?);
            }
            times.push(start.elapsed());
        }
        let bytes: u64 = touched.iter().map(|record| record.len()).sum();
        println!(
            "{}: {} records, {:.1} MB, {:.2} GFLOP of products; by the processor {:.3} s",
            names.join(" + "),
            touched.len(),
            bytes as f64 / 1e6,
            merged.operations() as f64 / 1e9,
            median(times).as_secs_f64(),
        );
        if let Some(device) = &device {
            device.print(&merged, &touched, &stored, runs).await?;
        }
    }
    Ok(())
}

/// The model on the adapter, where there is one.
struct Device {
    context: Context,
    weights: Weights,
}

/// A record's bytes as they are stored.
type Stored<'a> = &'a dyn Fn(&PackedRecord) -> &'a [u8];

impl Device {
    async fn new(manifest: &Manifest) -> Result<Option<Device>> {
        let context = match Context::new(&Options::default()).await {
            Ok(context) => context,
            Err(error) => {
                eprintln!("by the processor alone: {error}");
                return Ok(None);
            }
        };
        let weights = context.guarded(|| Ok(Weights::new(&context, manifest))).await?;
        Ok(Some(Device { context, weights }))
    }

    async fn print(
        &self,
        merged: &Merged,
        touched: &[&PackedRecord],
        stored: Stored<'_>,
        runs: usize,
    ) -> Result<()> {
        let narrow = touched.iter().filter(|record| matches!(merged.low_rank(record), Ok(Some(_)))).count();
        let (mut written, mut whole) = (Vec::new(), Vec::new());
        for _ in 0..=runs.max(1) {
            let start = Instant::now();
            for record in touched {
                self.weights.write(record.slab, record.values.offset, &Bytes::Slice(stored(record)))?;
            }
            self.context.finished().await?;
            written.push(start.elapsed());
            let start = Instant::now();
            for record in touched {
                self.weights.merge(merged, record, stored(record))?;
            }
            self.context.finished().await?;
            whole.push(start.elapsed());
        }
        // The first run compiles.
        let [written, whole] = [written, whole].map(|times| median(times[1..].to_vec()).as_secs_f64());
        let name = &self.context.capabilities().adapter;
        println!(
            "  on {name}: {narrow} records as products, {whole:.3} s, of which {written:.3} s bring the stored bytes"
        );
        Ok(())
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
