//! The device: one adapter, what it can do, its compiled pipelines and what went wrong on it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_channel::oneshot;
use serde::Serialize;

use super::queue::Queue;
use crate::error::{Error, Result};
use crate::kernels::{Elem, Kernel};
use crate::plan::{MemoryLimits, Target, Tuning};
use crate::weights::Bytes;

/// What the caller wishes of the adapter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Force (`Some(true)`) or forbid (`Some(false)`) f16 activations; `None` uses them where the adapter has them.
    pub f16: Option<bool>,
    /// Which variants of kernels plans take; `None` takes the default of the kind of adapter. One with matrix units fails
    /// where the adapter has none, or computes wrongly with them; any other leaves them alone.
    pub tuning: Option<Tuning>,
    /// Takes matrix units as they are, without the check at start: for a benchmark that checks them itself.
    pub unchecked: bool,
    /// Forbid subgroups in shaders (`Some(false)`); else they are used where the adapter has them.
    pub subgroups: Option<bool>,
    /// Whether the device's own clock is wanted, where the adapter has one: for benchmarks.
    pub timestamps: bool,
}

/// What the adapter can do and how it is used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Capabilities {
    pub adapter: String,
    /// vulkan, metal, dx12 or webgpu.
    pub backend: String,
    /// The adapter is a CPU (lavapipe, SwiftShader).
    pub is_cpu: bool,
    /// Activations are f16.
    pub f16: bool,
    /// Invocations that a subgroup has at least; 0 where shaders have no subgroups.
    pub subgroup: u32,
    /// The largest storage binding in bytes.
    pub max_binding: u64,
    /// The largest buffer in bytes.
    pub max_buffer: u64,
}

/// What was allocated on the device so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counters {
    pub buffers: usize,
    pub bind_groups: usize,
    pub bytes: u64,
    /// The most bytes at once, of all or since [`Context::restart_peak`].
    pub peak: u64,
    pub submissions: usize,
}

/// A device and what belongs to it. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

struct Inner {
    device: wgpu::Device,
    queue: wgpu::Queue,
    capabilities: Capabilities,
    tuning: Tuning,
    /// Why matrix units that the adapter offers are not used, where they failed at start.
    refused: Option<String>,
    fault: Arc<Mutex<Option<Error>>>,
    queued: Mutex<Queue>,
    pipelines: Mutex<HashMap<Kernel, wgpu::ComputePipeline>>,
    buffers: AtomicUsize,
    bind_groups: AtomicUsize,
    bytes: AtomicU64,
    peak: AtomicU64,
    submissions: AtomicUsize,
}

impl Context {
    /// The best adapter's device. Fails with [`Error::NoGpu`] where there is none.
    pub async fn new(options: &Options) -> Result<Context> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
        let request = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = instance.request_adapter(&request).await.map_err(no_gpu)?;
        let f16 = f16(&adapter, options)?;
        #[cfg(not(target_arch = "wasm32"))]
        if let Some(opened) = Context::with_matrices(&adapter, options, f16).await? {
            return Ok(opened);
        }
        let tuning = options.tuning.unwrap_or(Tuning::of(is_cpu(&adapter.get_info())));
        Context::open(&adapter, options, f16, tuning, None).await
    }

    /// The device with matrix units, where they are wanted; without them where the check at start finds them wrong.
    #[cfg(not(target_arch = "wasm32"))]
    async fn with_matrices(adapter: &wgpu::Adapter, options: &Options, f16: bool) -> Result<Option<Context>> {
        use super::matrices;
        let wanted = options.tuning.filter(|tuning| tuning.matrices.is_some());
        let info = adapter.get_info();
        if wanted.is_none() && (options.tuning.is_some() || !f16 || is_cpu(&info)) {
            return Ok(None);
        }
        if !f16 || !matrices::offered(adapter) {
            let why = if f16 { "has none that kernels could use" } else { "computes in f32, they take f16" };
            let message = format!("matrix units: {} {why}", info.name);
            return if wanted.is_some() { Err(Error::NoGpu { message }) } else { Ok(None) };
        }
        let opened = async {
            let tuning = wanted.unwrap_or(Tuning::MATRICES);
            let context = Context::open(adapter, options, f16, tuning, None).await?;
            if !options.unchecked {
                matrices::check(&context, &info).await?;
            }
            Ok(context)
        };
        match opened.await {
            Ok(context) => Ok(Some(context)),
            Err(error) if wanted.is_some() => Err(error),
            Err(error) => {
                let refused = Some(format!("the matrix units of {} are not used: {error}", info.name));
                Ok(Some(Context::open(adapter, options, f16, Tuning::GPU, refused).await?))
            }
        }
    }

    /// A device with what a tuning takes.
    #[cfg_attr(
        target_arch = "wasm32",
        allow(
            clippy::arc_with_non_send_sync,
            reason = "natively, where there are threads, the same type is both"
        )
    )]
    async fn open(
        adapter: &wgpu::Adapter,
        options: &Options,
        f16: bool,
        tuning: Tuning,
        refused: Option<String>,
    ) -> Result<Context> {
        let info = adapter.get_info();
        let mut features = wgpu::Features::empty();
        features.set(wgpu::Features::SHADER_F16, f16);
        features.set(wgpu::Features::TIMESTAMP_QUERY, options.timestamps);
        features.set(wgpu::Features::SUBGROUP, options.subgroups != Some(false));
        #[cfg_attr(target_arch = "wasm32", allow(unused_mut, reason = "only matrix units change it"))]
        let mut descriptor = wgpu::DeviceDescriptor {
            label: Some("opengen"),
            required_features: features & adapter.features(),
            required_limits: limits(&adapter.limits()),
            ..Default::default()
        };
        #[cfg(not(target_arch = "wasm32"))]
        if tuning.matrices.is_some() {
            super::matrices::request(&mut descriptor);
        }
        let features = descriptor.required_features;
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(no_gpu)?;
        let capabilities = Capabilities {
            is_cpu: is_cpu(&info),
            subgroup: if features.contains(wgpu::Features::SUBGROUP) { info.subgroup_min_size } else { 0 },
            adapter: info.name,
            backend: info.backend.to_string(),
            f16,
            max_binding: device.limits().max_storage_buffer_binding_size,
            max_buffer: device.limits().max_buffer_size,
        };
        let fault = watch(&device);
        Ok(Context {
            inner: Arc::new(Inner {
                device,
                queue,
                capabilities,
                tuning,
                refused,
                fault,
                queued: Mutex::default(),
                pipelines: Mutex::default(),
                buffers: AtomicUsize::new(0),
                bind_groups: AtomicUsize::new(0),
                bytes: AtomicU64::new(0),
                peak: AtomicU64::new(0),
                submissions: AtomicUsize::new(0),
            }),
        })
    }

    /// Why matrix units that the adapter offers are not used, where they failed at start.
    pub fn refused(&self) -> Option<&str> {
        self.inner.refused.as_deref()
    }

    /// What the adapter can do.
    pub fn capabilities(&self) -> &Capabilities {
        &self.inner.capabilities
    }

    /// What plans for this device depend on.
    pub fn target(&self) -> Target {
        let capabilities = self.capabilities();
        Target {
            elem: if capabilities.f16 { Elem::F16 } else { Elem::F32 },
            tuning: self.inner.tuning,
            subgroup: capabilities.subgroup,
            limits: MemoryLimits { binding: capabilities.max_binding, buffer: capabilities.max_buffer },
        }
    }

    /// What was allocated so far.
    pub fn counters(&self) -> Counters {
        Counters {
            buffers: self.inner.buffers.load(Ordering::Relaxed),
            bind_groups: self.inner.bind_groups.load(Ordering::Relaxed),
            bytes: self.inner.bytes.load(Ordering::Relaxed),
            peak: self.inner.peak.load(Ordering::Relaxed),
            submissions: self.inner.submissions.load(Ordering::Relaxed),
        }
    }

    /// From now on the peak is that of what follows.
    pub fn restart_peak(&self) {
        self.inner.peak.store(self.inner.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// What went wrong on the device and was told to nobody yet. It is told once, since it belongs to the work that met
    /// it, and the device works on; but a lost device stays lost.
    pub fn check(&self) -> Result<()> {
        let mut fault = self.inner.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match &*fault {
            Some(error @ Error::DeviceLost { .. }) => Err(error.clone()),
            Some(_) => fault.take().map_or(Ok(()), Err),
            None => Ok(()),
        }
    }

    /// Does work that allocates or compiles on the device; fails with what the device has against it. Nothing of that
    /// is left for later work to stumble over.
    pub async fn guarded<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let filters =
            [wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::OutOfMemory];
        let scopes = filters.map(|filter| self.inner.device.push_error_scope(filter));
        let done = work();
        // The last one first: that is where what went wrong first is told, since a buffer for which there is no memory
        // is not valid either.
        let popped: Vec<_> = scopes.into_iter().rev().map(|scope| scope.pop()).collect();
        let mut errors = Vec::new();
        for scope in popped {
            errors.extend(scope.await.map(told));
        }
        self.check()?;
        match errors.into_iter().next() {
            Some(error) => Err(error),
            None => done,
        }
    }

    /// Waits until everything submitted so far has run.
    pub async fn finished(&self) -> Result<()> {
        let done = self.submitted();
        self.wait(done).await
    }

    /// Destroys the device, as if it were lost: for tests of recovery.
    pub fn lose(&self) {
        let error = Error::DeviceLost { message: "destroyed on request".to_string() };
        *self.inner.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        self.inner.device.destroy();
    }

    /// The work of one submission, in floating point operations.
    pub(super) fn slice_flops(&self) -> f64 {
        self.queue().slice_flops()
    }

    /// A submission of so much work was made; waits while more than a few of them are under way.
    pub(super) async fn queued(&self, flops: f64) -> Result<()> {
        let done = self.submitted();
        self.queue().push(done, flops);
        loop {
            let overdue = self.queue().overdue();
            let Some((done, flops, from)) = overdue else { return Ok(()) };
            self.wait(done).await?;
            self.queue().learn(flops, from);
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.inner.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when what was submitted so far has run.
    pub(super) fn submitted(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.inner.queue.on_submitted_work_done(move || {
            let _ = sender.send(());
        });
        receiver
    }

    /// Awaits a callback of the device; natively this also drives the device until it comes.
    pub(super) async fn wait<T>(&self, receiver: oneshot::Receiver<T>) -> Result<T> {
        #[cfg(not(target_arch = "wasm32"))]
        let _ = self.inner.device.poll(wgpu::PollType::wait_indefinitely());
        let value = receiver.await;
        self.check()?;
        value.map_err(|_| Error::DeviceLost { message: "the device went away".to_string() })
    }

    /// The compiled pipeline of a kernel, from the cache after the first time.
    pub(super) fn pipeline(&self, kernel: &Kernel) -> wgpu::ComputePipeline {
        let mut pipelines = self.inner.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        let build = || {
            let module = self.inner.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(kernel.name()),
                source: wgpu::ShaderSource::Wgsl(kernel.source().into()),
            });
            self.inner.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(kernel.name()),
                layout: None,
                module: &module,
                entry_point: Some(Kernel::ENTRY_POINT),
                compilation_options: wgpu::PipelineCompilationOptions {
                    // Every kernel writes what it reads; zeroing workgroup memory would be wasted work.
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: None,
            })
        };
        pipelines.entry(kernel.clone()).or_insert_with(build).clone()
    }

    pub(super) fn buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        self.inner.buffers.fetch_add(1, Ordering::Relaxed);
        let size = buffer_bytes(bytes);
        let before = self.inner.bytes.fetch_add(size, Ordering::Relaxed);
        self.inner.peak.fetch_max(before + size, Ordering::Relaxed);
        self.inner.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        })
    }

    /// Takes a buffer out of the accounts and destroys it: its memory goes when what was submitted has run. Left to itself a
    /// browser would keep it until its garbage is collected.
    pub(super) fn forget(&self, buffer: &wgpu::Buffer) {
        self.inner.bytes.fetch_sub(buffer.size(), Ordering::Relaxed);
        buffer.destroy();
    }

    /// A buffer of bytes on their way, as the queue's own are: counted nowhere, and to be destroyed once what reads it is
    /// submitted.
    pub(super) fn passing(&self, bytes: &[u8], usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let buffer = self.inner.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("on its way"),
            size: buffer_bytes(bytes.len() as u64),
            usage: usage | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.write(&buffer, 0, bytes);
        buffer
    }

    pub(super) fn bind_group(
        &self,
        label: &str,
        pipeline: &wgpu::ComputePipeline,
        entries: &[wgpu::BindGroupEntry],
    ) -> wgpu::BindGroup {
        self.inner.bind_groups.fetch_add(1, Ordering::Relaxed);
        self.inner.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(label),
            layout: &pipeline.get_bind_group_layout(0),
            entries,
        })
    }

    /// So many queries of the device's clock, where it has one.
    pub(super) fn timestamps(&self, count: u32) -> Option<wgpu::QuerySet> {
        self.has_timestamps().then(|| {
            self.inner.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("timestamps"),
                ty: wgpu::QueryType::Timestamp,
                count,
            })
        })
    }

    /// Whether times are by the device's own clock: it has one, and it was asked for.
    pub fn has_timestamps(&self) -> bool {
        self.inner.device.features().contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// Nanoseconds of one tick of that clock.
    pub(super) fn timestamp_period(&self) -> f32 {
        self.inner.queue.get_timestamp_period()
    }

    pub(super) fn encoder(&self) -> wgpu::CommandEncoder {
        self.inner.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    pub(super) fn submit(&self, encoder: wgpu::CommandEncoder) {
        self.inner.submissions.fetch_add(1, Ordering::Relaxed);
        self.inner.queue.submit([encoder.finish()]);
    }

    /// Hands on what was written so far, so that copies of it do not pile up until the next work is submitted.
    pub fn flush(&self) {
        self.inner.queue.submit([]);
        #[cfg(not(target_arch = "wasm32"))]
        let _ = self.inner.device.poll(wgpu::PollType::wait_indefinitely());
    }

    pub(super) fn write(&self, buffer: &wgpu::Buffer, offset: u64, bytes: &[u8]) {
        self.inner.queue.write_buffer(buffer, offset, bytes);
    }

    /// Writes bytes from where they are: the browser's are handed over as they are.
    pub(super) fn write_bytes(&self, buffer: &wgpu::Buffer, offset: u64, bytes: &Bytes<'_>) -> Result<()> {
        match bytes {
            Bytes::Slice(bytes) => self.write(buffer, offset, bytes),
            #[cfg(target_arch = "wasm32")]
            Bytes::Elsewhere(bytes) => {
                let (queue, buffer) = (self.inner.queue.as_webgpu(), buffer.as_webgpu());
                let (Some(queue), Some(buffer), Some(array)) = (queue, buffer, bytes.as_any().downcast_ref())
                else {
                    let message = "bytes of the browser for a device that is not its own".to_owned();
                    return Err(Error::Gpu { message });
                };
                let written = queue.write_buffer_with_f64_and_u8_array(buffer, offset as f64, array);
                written.map_err(|error| Error::Gpu { message: format!("writeBuffer failed: {error:?}") })?;
            }
            #[cfg(not(target_arch = "wasm32"))]
            Bytes::Elsewhere(bytes) => {
                let mut here = vec![0; bytes.count()];
                bytes.copy_to(&mut here);
                self.write(buffer, offset, &here);
            }
        }
        Ok(())
    }
}

/// What a buffer for so many bytes takes.
pub fn buffer_bytes(bytes: u64) -> u64 {
    bytes.next_multiple_of(4).max(4)
}

/// Whether activations are f16.
fn f16(adapter: &wgpu::Adapter, options: &Options) -> Result<bool> {
    let has_f16 = adapter.features().contains(wgpu::Features::SHADER_F16);
    if options.f16 == Some(true) && !has_f16 {
        let name = adapter.get_info().name;
        let message = format!("{name} has no 16-bit floats in shaders (shader-f16)");
        return Err(Error::NoGpu { message });
    }
    Ok(options.f16.unwrap_or(has_f16))
}

/// WebGPU's default limits, with the larger buffers the adapter has.
fn limits(adapter: &wgpu::Limits) -> wgpu::Limits {
    wgpu::Limits {
        max_storage_buffer_binding_size: adapter.max_storage_buffer_binding_size.min(2 << 30),
        max_buffer_size: adapter.max_buffer_size.min(2 << 30),
        ..wgpu::Limits::default()
    }
}

/// Whether the "GPU" is a program on the CPU.
fn is_cpu(info: &wgpu::AdapterInfo) -> bool {
    let name = info.name.to_lowercase();
    info.device_type == wgpu::DeviceType::Cpu
        || ["swiftshader", "llvmpipe"].iter().any(|cpu| name.contains(cpu))
}

/// The device's error as ours.
fn told(error: wgpu::Error) -> Error {
    match error {
        wgpu::Error::OutOfMemory { source } => Error::OutOfMemory { message: source.to_string() },
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
            Error::Gpu { message: description }
        }
    }
}

/// Remembers the first error nobody asked for, and the device's loss.
fn watch(device: &wgpu::Device) -> Arc<Mutex<Option<Error>>> {
    let fault = Arc::new(Mutex::new(None));
    let remember = |fault: &Mutex<Option<Error>>, error: Error| {
        fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    };
    let first = fault.clone();
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        remember(&first, told(error));
    }));
    let lost = fault.clone();
    device.set_device_lost_callback(move |reason, message| {
        if reason != wgpu::DeviceLostReason::Destroyed {
            remember(&lost, Error::DeviceLost { message });
        }
    });
    fault
}

fn no_gpu(error: impl std::fmt::Display) -> Error {
    Error::NoGpu { message: error.to_string() }
}
