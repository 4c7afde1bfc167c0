//! A bare device for holding kernels against their twins: compile, bind in order, dispatch, read back.

#![allow(dead_code, reason = "each test file uses its own part")]

#[path = "../left_out/mod.rs"]
pub mod left_out;
pub mod products;

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use half::f16;
use opengen::gpu::matrices;
use opengen::kernels::{Elem, Kernel};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use wgpu::util::DeviceExt;

/// The adapter's device.
pub struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    has_f16: bool,
    /// Compiled once for all shapes: on a software adapter that takes longer than the kernel.
    pipelines: Mutex<HashMap<Kernel, wgpu::ComputePipeline>>,
    subgroup: u32,
    has_matrices: bool,
}

/// The device all tests share. Without an adapter the test fails, unless `OPENGEN_SKIP_GPU=1` chose to leave it out.
pub fn gpu() -> Option<&'static Gpu> {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    if left_out::by_choice() {
        left_out::wholly("OPENGEN_SKIP_GPU=1, kernels are not held against their twins");
        return None;
    }
    let gpu = GPU.get_or_init(|| match pollster::block_on(Gpu::new()) {
        Ok(gpu) => gpu,
        Err(message) => panic!(
            "no GPU adapter: {message}. Install one (Debian: mesa-vulkan-drivers has lavapipe), \
             or set OPENGEN_SKIP_GPU=1 to leave these tests out knowingly"
        ),
    });
    if !gpu.has_f16 {
        left_out::partly("f16: this adapter has no shader-f16");
    }
    Some(gpu)
}

impl Gpu {
    async fn new() -> Result<Gpu, String> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
        let adapter =
            instance.request_adapter(&Default::default()).await.map_err(|error| error.to_string())?;
        let has_f16 = adapter.features().contains(wgpu::Features::SHADER_F16);
        let has_subgroups = adapter.features().contains(wgpu::Features::SUBGROUP);
        let info = adapter.get_info();
        let subgroup = if has_subgroups { info.subgroup_min_size } else { 0 };
        eprintln!("adapter: {}, shader-f16: {has_f16}, subgroups of at least {subgroup}", info.name);
        let mut required_features = wgpu::Features::empty();
        required_features.set(wgpu::Features::SHADER_F16, has_f16);
        required_features.set(wgpu::Features::SUBGROUP, has_subgroups);
        let mut descriptor = wgpu::DeviceDescriptor {
            label: Some("kernel tests"),
            required_features,
            ..Default::default() // WebGPU's default limits
        };
        let has_matrices = matrices::offered(&adapter);
        if has_matrices {
            matrices::request(&mut descriptor);
        }
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(|error| error.to_string())?;
        Ok(Gpu { device, queue, has_f16, subgroup, has_matrices, pipelines: Mutex::default() })
    }

    /// The element types this adapter can run.
    pub fn elems(&self) -> &'static [Elem] {
        if self.has_f16 { &[Elem::F32, Elem::F16] } else { &[Elem::F32] }
    }

    /// Invocations that a subgroup has at least; 0 where this adapter has none.
    pub fn subgroup(&self) -> u32 {
        self.subgroup
    }

    /// Whether kernels can use matrix units on this adapter.
    pub fn has_matrices(&self) -> bool {
        self.has_matrices
    }

    /// Runs a kernel once with `buffers` bound from 1 on; returns what the last `outputs` of them then hold.
    pub fn run(
        &self,
        kernel: impl Into<Kernel>,
        workgroups: [u32; 3],
        params: &[u8],
        buffers: &[Vec<u8>],
        outputs: usize,
    ) -> Vec<Vec<u8>> {
        let kernel = kernel.into();
        let pipeline = self.pipeline(&kernel);
        let create = |contents: &[u8], usage| {
            self.device.create_buffer_init(&wgpu::util::BufferInitDescriptor { label: None, contents, usage })
        };
        let mut bound = vec![create(params, wgpu::BufferUsages::UNIFORM)];
        bound.extend(
            buffers
                .iter()
                .map(|bytes| create(bytes, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC)),
        );
        let entries: Vec<_> = (0..)
            .zip(&bound)
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        let bind_group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(kernel.name()),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &bind_group, &[]);
            let [x, y, z] = workgroups;
            pass.dispatch_workgroups(x, y, z);
        }
        let staged: Vec<_> = bound[bound.len() - outputs..]
            .iter()
            .map(|buffer| {
                let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("readback"),
                    size: buffer.size(),
                    usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                    mapped_at_creation: false,
                });
                encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
                staging
            })
            .collect();
        self.queue.submit([encoder.finish()]);
        staged.iter().map(|buffer| self.read(buffer)).collect()
    }

    fn pipeline(&self, kernel: &Kernel) -> wgpu::ComputePipeline {
        let known = self.pipelines.lock().unwrap().get(kernel).cloned();
        known.unwrap_or_else(|| {
            let pipeline = self.compile(kernel);
            self.pipelines.lock().unwrap().insert(kernel.clone(), pipeline.clone());
            pipeline
        })
    }

    fn compile(&self, kernel: &Kernel) -> wgpu::ComputePipeline {
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(kernel.name()),
            source: wgpu::ShaderSource::Wgsl(kernel.source().into()),
        });
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(kernel.name()),
            layout: None,
            module: &module,
            entry_point: Some(Kernel::ENTRY_POINT),
            // as in the engine
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        })
    }

    fn read(&self, buffer: &wgpu::Buffer) -> Vec<u8> {
        buffer.map_async(wgpu::MapMode::Read, .., |result| result.unwrap());
        self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        buffer.get_mapped_range(..).unwrap().to_vec()
    }
}

/// Values as a tensor of this element type.
pub fn encode(elem: Elem, values: &[f32]) -> Vec<u8> {
    let mut bytes: Vec<u8> = match elem {
        Elem::F32 => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Elem::F16 => values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect(),
    };
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A tensor of this element type as values.
pub fn decode(elem: Elem, bytes: &[u8]) -> Vec<f32> {
    match elem {
        Elem::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        Elem::F16 => bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
    }
}

/// Words as bytes.
pub fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A source of test values; the same seed gives the same ones.
pub struct Random(StdRng);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(StdRng::seed_from_u64(seed))
    }

    /// `count` values around `center`, roughly normal with this spread, exact in the element type.
    pub fn values(&mut self, elem: Elem, count: usize, center: f32, spread: f32) -> Vec<f32> {
        let mut normal = || (0..3).map(|_| self.0.random_range(-1.0f32..1.0)).sum::<f32>();
        let values: Vec<f32> = (0..count).map(|_| center + spread * normal()).collect();
        decode(elem, &encode(elem, &values))[..count].to_vec()
    }

    /// `count` words below `end`.
    pub fn words(&mut self, count: usize, end: u32) -> Vec<u32> {
        (0..count).map(|_| self.0.random_range(0..end)).collect()
    }
}

/// The largest |found − expected| / (|expected| + r), r the root mean square of what is expected.
fn relative_error(found: &[f32], expected: &[f32]) -> f32 {
    assert!(found.len() >= expected.len(), "{} values instead of {}", found.len(), expected.len());
    let squares: f64 = expected.iter().map(|&x| f64::from(x).powi(2)).sum();
    let typical = ((squares / expected.len() as f64).sqrt() as f32).max(1e-30);
    let errors = found.iter().zip(expected).map(|(a, b)| (a - b).abs() / (b.abs() + typical));
    errors.fold(0.0, |worst, error| if error.is_nan() { f32::INFINITY } else { error.max(worst) })
}

/// Relative error allowed per element type. f32 differs in the order of sums, and a norm of values around 1000 with
/// spread 1 loses 6e-5 when its mean is rounded; f16 differs in the rounding of results too.
fn tolerance(elem: Elem) -> f32 {
    match elem {
        Elem::F32 => 1e-4,
        Elem::F16 => 2e-3,
    }
}

/// The worst errors of a kernel's cases; printed, so that `--nocapture` tells how much room there is.
pub struct Report {
    kernel: &'static str,
    worst: [f32; 2],
}

impl Report {
    pub fn new(kernel: &'static str) -> Report {
        Report { kernel, worst: [0.0; 2] }
    }

    /// Panics where the error is beyond the tolerance.
    pub fn check(&mut self, elem: Elem, case: impl std::fmt::Debug, found: &[f32], expected: &[f32]) {
        let error = relative_error(found, expected);
        assert!(error <= tolerance(elem), "{} {elem:?} {case:?}: relative error {error:.2e}", self.kernel);
        self.worst[elem as usize] = self.worst[elem as usize].max(error);
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let [f32, f16] = self.worst;
        eprintln!("{:18} worst relative error: f32 {f32:.1e}, f16 {f16:.1e}", self.kernel);
    }
}
