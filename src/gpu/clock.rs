//! The device's own clock: what passes took, without submission and waiting.

use web_time::Duration;

use futures_channel::oneshot;

use super::Context;
use crate::error::{Error, Result};

/// The most passes one query set can time: WebGPU allows 4096 queries.
pub const MOST_PASSES: usize = 2048;

/// Begin and end of each of some passes.
pub struct Clock {
    context: Context,
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    staging: wgpu::Buffer,
}

impl Clock {
    /// A clock for so many passes; `None` where the device has none.
    pub fn new(context: &Context, passes: usize) -> Option<Clock> {
        let queries = context.timestamps(2 * passes as u32)?;
        let bytes = 16 * passes as u64;
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = context.buffer("timestamps", bytes, usage);
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = context.buffer("timestamps read", bytes, usage);
        Some(Clock { context: context.clone(), queries, resolved, staging })
    }

    /// What tells a pass to be timed as the one of that number.
    pub fn pass(&self, number: usize) -> wgpu::ComputePassTimestampWrites<'_> {
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(2 * number as u32),
            end_of_pass_write_index: Some(2 * number as u32 + 1),
        }
    }

    /// Submits the passes of an encoder and says how long each took.
    pub async fn read(&self, mut encoder: wgpu::CommandEncoder) -> Result<Vec<Duration>> {
        let bytes = self.resolved.size();
        encoder.resolve_query_set(&self.queries, 0..(bytes / 8) as u32, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.staging, 0, bytes);
        self.context.submit(encoder);
        let (sender, receiver) = oneshot::channel();
        self.staging.map_async(wgpu::MapMode::Read, .., move |result| {
            let _ = sender.send(result);
        });
        let refused = |message: String| Error::Gpu { message: format!("reading timestamps: {message}") };
        self.context.wait(receiver).await?.map_err(|error| refused(error.to_string()))?;
        let ticks: Vec<u64> = {
            let view = self.staging.get_mapped_range(..).map_err(|error| refused(error.to_string()))?;
            view.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect()
        };
        self.staging.unmap();
        let period = f64::from(self.context.timestamp_period());
        let time =
            |pair: &[u64]| Duration::from_secs_f64(pair[1].saturating_sub(pair[0]) as f64 * period / 1e9);
        Ok(ticks.chunks_exact(2).map(time).collect())
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.context.forget(&self.resolved);
        self.context.forget(&self.staging);
    }
}
