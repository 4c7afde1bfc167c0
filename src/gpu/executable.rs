//! A plan bound to a device: pipelines and bind groups made once, replayed as often as wanted.

use std::cell::Cell;
use std::num::NonZeroU64;

use web_time::{Duration, Instant};

use super::clock::{Clock, MOST_PASSES};
use super::{Context, Memory, Weights};
use crate::error::{Error, Result};
use crate::plan::{Binding, Dispatch, Plan};

/// Uniform bindings must start at multiples of this (WebGPU's default `minUniformBufferOffsetAlignment`).
const UNIFORM_ALIGNMENT: u64 = 256;

/// A plan ready to run.
pub struct Executable {
    context: Context,
    launches: Vec<Launch>,
    params: wgpu::Buffer,
    /// What every run begins by setting to zeros.
    clears: Vec<wgpu::Buffer>,
    /// Whose keys and values are read, of texts that take turns.
    text: Cell<usize>,
}

struct Launch {
    kernel: String,
    variant: String,
    pipeline: wgpu::ComputePipeline,
    /// One, or one for each text that takes turns with others.
    bind_groups: Vec<wgpu::BindGroup>,
    workgroups: [u32; 3],
    flops: u64,
    bytes: u64,
}

/// One dispatch as [`Executable::profile`] saw it.
pub struct Measured<'a> {
    pub kernel: &'a str,
    /// Which of the kernel's variants it is, where there are several.
    pub variant: &'a str,
    /// Floating point operations.
    pub flops: u64,
    /// Bytes of all operands.
    pub bytes: u64,
    /// By the device's clock; where there is none, submission and waiting included.
    pub time: Duration,
}

impl Executable {
    /// Compiles what is not compiled yet, uploads the parameters, binds everything.
    pub fn new(context: &Context, plan: &Plan, weights: &Weights, memory: &Memory) -> Result<Executable> {
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let params = context.buffer("params", Executable::params_bytes(plan), usage);
        let mut bytes = vec![0; UNIFORM_ALIGNMENT as usize * plan.dispatches.len()];
        for (slot, dispatch) in bytes.chunks_mut(UNIFORM_ALIGNMENT as usize).zip(&plan.dispatches) {
            slot[..dispatch.params.len()].copy_from_slice(&dispatch.params);
        }
        context.write(&params, 0, &bytes);
        let binder = Binder { context, plan, weights, memory, params: &params };
        let launches =
            plan.dispatches.iter().enumerate().map(|(i, d)| binder.launch(i, d)).collect::<Result<_>>()?;
        let cleared = |index: &usize| memory.external(plan.externals[*index].outside).cloned();
        let clears = plan.clears.iter().map(cleared).collect::<Result<_>>()?;
        Ok(Executable { context: context.clone(), launches, params, clears, text: Cell::new(0) })
    }

    /// Bytes of the parameters of a plan's dispatches on the device.
    pub fn params_bytes(plan: &Plan) -> u64 {
        UNIFORM_ALIGNMENT * plan.dispatches.len() as u64
    }

    /// Number of dispatches of one run.
    pub fn dispatches(&self) -> usize {
        self.launches.len()
    }

    /// Floating point operations of one run.
    pub fn flops(&self) -> u64 {
        self.launches.iter().map(|launch| launch.flops).sum()
    }

    /// Bytes of all dispatches' operands in one run.
    pub fn bytes(&self) -> u64 {
        self.launches.iter().map(|launch| launch.bytes).sum()
    }

    /// Replaces the parameters of one dispatch for the runs to come.
    pub fn set_params(&self, dispatch: usize, bytes: &[u8]) {
        self.context.write(&self.params, UNIFORM_ALIGNMENT * dispatch as u64, bytes);
    }

    /// Lets the runs to come make and read the keys and values of a text that takes turns with others.
    pub fn turn_to(&self, text: usize) {
        self.text.set(text);
    }

    /// Runs the plan in slices, of which few are queued at once; stops between slices once `cancelled` says so.
    pub async fn run(&self, cancelled: &dyn Fn() -> bool) -> Result<()> {
        self.clear();
        let mut from = 0;
        while from < self.launches.len() {
            if cancelled() {
                return Err(Error::Aborted);
            }
            let to = self.slice_end(from);
            self.submit(&self.launches[from..to]);
            let flops = self.launches[from..to].iter().map(|launch| launch.flops as f64).sum();
            self.context.queued(flops).await?;
            from = to;
        }
        self.context.check()
    }

    /// Runs every dispatch by itself and measures it: for benchmarks.
    pub async fn profile(&self) -> Result<Vec<Measured<'_>>> {
        let mut times = Vec::with_capacity(self.launches.len());
        for launches in self.launches.chunks(MOST_PASSES) {
            times.extend(match Clock::new(&self.context, launches.len()) {
                Some(clock) => self.clocked(&clock, launches).await?,
                None => self.waited_for(launches).await?,
            });
        }
        let measured = self.launches.iter().zip(times).map(|(launch, time)| {
            let Launch { kernel, variant, flops, bytes, .. } = launch;
            Measured { kernel, variant, flops: *flops, bytes: *bytes, time }
        });
        Ok(measured.collect())
    }

    /// How long one run takes of `repeats` that follow each other in one pass: for benchmarks of a few kernels.
    pub async fn time(&self, repeats: u32) -> Result<Duration> {
        let repeats = repeats.max(1);
        self.context.finished().await?;
        let mut encoder = self.context.encoder();
        let clock = Clock::new(&self.context, 1);
        let mut pass = pass(&mut encoder, clock.as_ref().map(|clock| clock.pass(0)));
        (0..repeats).for_each(|_| self.launches.iter().for_each(|launch| launch.encode(&mut pass, 0)));
        drop(pass);
        let all = match clock {
            Some(clock) => clock.read(encoder).await?.into_iter().sum(),
            None => {
                let start = Instant::now();
                self.context.submit(encoder);
                self.context.finished().await?;
                start.elapsed()
            }
        };
        Ok(all / repeats)
    }

    /// How long the host takes to write one run down for the device, which is not told to run it: for benchmarks.
    pub fn encoding(&self) -> Duration {
        let start = Instant::now();
        let mut encoder = self.context.encoder();
        let mut pass = pass(&mut encoder, None);
        self.launches.iter().for_each(|launch| launch.encode(&mut pass, self.text.get()));
        drop(pass);
        drop(encoder.finish());
        start.elapsed()
    }

    async fn clocked(&self, clock: &Clock, launches: &[Launch]) -> Result<Vec<Duration>> {
        let mut encoder = self.context.encoder();
        for (number, launch) in launches.iter().enumerate() {
            launch.encode(&mut pass(&mut encoder, Some(clock.pass(number))), self.text.get());
        }
        clock.read(encoder).await
    }

    async fn waited_for(&self, launches: &[Launch]) -> Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(launches.len());
        for launch in launches {
            self.context.finished().await?;
            let start = Instant::now();
            self.submit(std::slice::from_ref(launch));
            self.context.finished().await?;
            times.push(start.elapsed());
        }
        Ok(times)
    }

    /// The end of the slice that starts at `from`: what the device does in one slice's time, at least one dispatch.
    fn slice_end(&self, from: usize) -> usize {
        let budget = self.context.slice_flops();
        let mut work = 0.0;
        for (i, launch) in self.launches.iter().enumerate().skip(from) {
            work += launch.flops as f64;
            if work >= budget {
                return i + 1;
            }
        }
        self.launches.len()
    }

    fn clear(&self) {
        if self.clears.is_empty() {
            return;
        }
        let mut encoder = self.context.encoder();
        self.clears.iter().for_each(|buffer| encoder.clear_buffer(buffer, 0, None));
        self.context.submit(encoder);
    }

    fn submit(&self, launches: &[Launch]) {
        let mut encoder = self.context.encoder();
        let mut pass = pass(&mut encoder, None);
        launches.iter().for_each(|launch| launch.encode(&mut pass, self.text.get()));
        drop(pass);
        self.context.submit(encoder);
    }
}

impl Launch {
    fn encode(&self, pass: &mut wgpu::ComputePass, text: usize) {
        let [x, y, z] = self.workgroups;
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, self.bind_groups.get(text).or(self.bind_groups.first()), &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}

pub(super) fn pass<'a>(
    encoder: &'a mut wgpu::CommandEncoder,
    timestamp_writes: Option<wgpu::ComputePassTimestampWrites>,
) -> wgpu::ComputePass<'a> {
    encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes })
}

impl Drop for Executable {
    fn drop(&mut self) {
        self.context.forget(&self.params);
    }
}

/// What bind groups are made from.
struct Binder<'a> {
    context: &'a Context,
    plan: &'a Plan,
    weights: &'a Weights,
    memory: &'a Memory,
    params: &'a wgpu::Buffer,
}

impl Binder<'_> {
    fn launch(&self, index: usize, dispatch: &Dispatch) -> Result<Launch> {
        let pipeline = self.context.pipeline(&dispatch.kernel);
        let turns = dispatch.bindings.iter().map(|binding| self.turns(binding)).max().unwrap_or(1);
        let bind_groups = (0..turns).map(|text| self.bind_group(index, dispatch, &pipeline, text));
        Ok(Launch {
            kernel: dispatch.kernel.name().to_string(),
            variant: dispatch.kernel.variant(),
            bind_groups: bind_groups.collect::<Result<_>>()?,
            pipeline,
            workgroups: dispatch.workgroups,
            flops: dispatch.flops,
            bytes: dispatch.bytes,
        })
    }

    fn bind_group(
        &self,
        index: usize,
        dispatch: &Dispatch,
        pipeline: &wgpu::ComputePipeline,
        text: usize,
    ) -> Result<wgpu::BindGroup> {
        let uniform = range(self.params, UNIFORM_ALIGNMENT * index as u64, dispatch.params.len() as u64);
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: uniform }];
        for (i, binding) in dispatch.bindings.iter().enumerate() {
            entries.push(wgpu::BindGroupEntry {
                binding: i as u32 + 1,
                resource: self.resource(binding, text)?,
            });
        }
        Ok(self.context.bind_group(&dispatch.label, pipeline, &entries))
    }

    /// Of how many texts a binding has keys and values.
    fn turns(&self, binding: &Binding) -> usize {
        match binding {
            Binding::External(index) | Binding::Part { external: index, .. } => {
                self.memory.turns(self.plan.externals[*index].outside)
            }
            Binding::Arena(_) | Binding::Weight(_) | Binding::Scales(_) => 1,
        }
    }

    /// The buffer of a value outside the arena, of a text that takes turns its own.
    fn external(&self, index: usize, text: usize) -> Result<&wgpu::Buffer> {
        let outside = self.plan.externals[index].outside;
        let own = if text > 0 { outside.waiting(text) } else { None };
        self.memory.external(own.unwrap_or(outside))
    }

    fn resource(&self, binding: &Binding, text: usize) -> Result<wgpu::BindingResource<'_>> {
        Ok(match binding {
            Binding::Arena(place) => range(self.memory.slab(place.slab), place.offset, place.len),
            Binding::External(index) => {
                range(self.external(*index, text)?, 0, self.plan.externals[*index].bytes)
            }
            Binding::Part { external, offset, len } => range(self.external(*external, text)?, *offset, *len),
            Binding::Weight(name) => {
                let record = self.weights.record(name)?;
                range(self.weights.buffer(record)?, record.values.offset, record.values.len)
            }
            Binding::Scales(name) => {
                let record = self.weights.record(name)?;
                let scales = record.scales.as_ref();
                let missing = || Error::Gpu { message: format!("the weight {name} has no scales") };
                let scales = scales.ok_or_else(missing)?;
                range(self.weights.buffer(record)?, scales.offset, scales.len)
            }
        })
    }
}

/// A binding of `len` bytes, rounded up to whole words.
pub(super) fn range(buffer: &wgpu::Buffer, offset: u64, len: u64) -> wgpu::BindingResource<'_> {
    wgpu::BindingResource::Buffer(wgpu::BufferBinding {
        buffer,
        offset,
        size: NonZeroU64::new(len.next_multiple_of(4)),
    })
}
