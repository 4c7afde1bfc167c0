//! Bringing values back to the host through a buffer that is made once.

use futures_channel::oneshot;

use super::{Context, Memory};
use crate::error::{Error, Result};
use crate::plan::Outside;

/// A staging buffer for one value outside the arena.
pub struct Readback {
    context: Context,
    outside: Outside,
    staging: wgpu::Buffer,
    bytes: u64,
}

impl Readback {
    /// A staging buffer for the first `bytes` of the value `outside`.
    pub fn new(context: &Context, outside: Outside, bytes: u64) -> Readback {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = context.buffer("readback", bytes, usage);
        Readback { context: context.clone(), outside, staging, bytes }
    }

    /// The value as it is after everything submitted so far.
    pub async fn read(&self, memory: &Memory) -> Result<Vec<u8>> {
        let mut encoder = self.context.encoder();
        encoder.copy_buffer_to_buffer(memory.external(self.outside)?, 0, &self.staging, 0, self.bytes);
        self.context.submit(encoder);
        let (sender, receiver) = oneshot::channel();
        self.staging.map_async(wgpu::MapMode::Read, .., move |result| {
            let _ = sender.send(result);
        });
        let refused =
            |message: String| Error::Gpu { message: format!("reading {}: {message}", self.outside) };
        self.context.wait(receiver).await?.map_err(|error| refused(error.to_string()))?;
        let bytes = {
            let view =
                self.staging.get_mapped_range(..self.bytes).map_err(|error| refused(error.to_string()))?;
            view.to_vec()
        };
        self.staging.unmap();
        Ok(bytes)
    }
}

impl Drop for Readback {
    fn drop(&mut self) {
        self.context.forget(&self.staging);
    }
}
