//! `opengen bench --merging`: what it takes to merge LoRAs into a model that is packed, as a page does it.

use std::time::{Duration, Instant};

use opengen::error::Result;
use opengen::weights::{Asked, LoraOption, Merged, OpenOptions};

use crate::model;

/// Merges each given LoRA, then all of them, `runs` times; prints the median on as many threads as rayon has.
pub fn run(name: &str, known: &OpenOptions, runs: usize) -> Result<()> {
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
    for case in cases {
        let names: Vec<String> = case.iter().map(|asked| asked.file.name.clone()).collect();
        let merged = Merged::for_packed(case, &manifest)?;
        let touched: Vec<_> = manifest.records.iter().filter(|record| merged.touches(record)).collect();
        let mut times = Vec::new();
        for _ in 0..runs.max(1) {
            let start = Instant::now();
            for record in &touched {
                let bytes = &slabs[record.slab][record.values.offset as usize..record.end() as usize];
                std::hint::black_box(merged.merged(record, bytes)?);
            }
            times.push(start.elapsed());
        }
        times.sort_unstable();
        let median: Duration = times[times.len() / 2];
        let bytes: u64 = touched.iter().map(|record| record.len()).sum();
        println!(
            "{}: {} records, {:.1} MB unpacked and packed again, {:.2} GFLOP of products, {:.3} s",
            names.join(" + "),
            touched.len(),
            bytes as f64 / 1e6,
            merged.operations() as f64 / 1e9,
            median.as_secs_f64(),
        );
    }
    Ok(())
}
