//! Within a limit of memory weights come and leave, and every picture is the one that is made without.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use opengen::Error;
use opengen::gpu::{Context, Counters, Options};
use opengen::image::Rgba;
use opengen::kernels::WeightType;
use opengen::model::autoencoder;
use opengen::pipeline::engine::{Engine, Network};
use opengen::pipeline::graphs::{Controls, Shape};
use opengen::pipeline::plans::plan_of;
use opengen::pipeline::residency::{Residency, Stage};
use opengen::pipeline::stock::{Fetching, Files, Stock};
use opengen::pipeline::{Cancel, Event, Mask, Output, Picture, Pipeline, Request};
use opengen::plan::{MemoryLimits, WeightDecl, lower};
use opengen::sample::{self, SamplerKind};
use opengen::weights::{Component, Manifest, ModelSource, PackedRecord, Placement, Sink};
use pollster::block_on;

use crate::common::twice::two_encoders;
use crate::common::{DenoiseCase, cases, mini, mini_request, model_folder, request};
use crate::engine::{Packed, Tier, own_tiers, tiers};

/// A model that lies in memory in chunks, of which whole ones are handed over, as a browser's store does.
pub struct Shelf {
    packed: Rc<Packed>,
    seen: Rc<Seen>,
}

/// What a test knows of a shelf, and does to it.
#[derive(Default)]
pub struct Seen {
    fetched: RefCell<Vec<BTreeSet<Component>>>,
    /// The bytes of this component have changed.
    spoilt: Cell<Option<Component>>,
    /// Stop the run once this component is asked for.
    stop_at: RefCell<Option<(Component, Cancel)>>,
}

const CHUNK: usize = 4096;

impl Shelf {
    /// One that nothing happens to.
    pub fn of(packed: &Rc<Packed>) -> Shelf {
        Shelf { packed: packed.clone(), seen: Rc::default() }
    }
}

impl Stock for Shelf {
    fn fetch<'a>(
        &'a self,
        wanted: &'a dyn Fn(&PackedRecord) -> bool,
        sink: &'a mut Sink<'a>,
        cancel: &'a Cancel,
    ) -> Fetching<'a> {
        Box::pin(async move {
            let of = |record: &PackedRecord| Component::of(&record.decl.name);
            let records: Vec<&PackedRecord> =
                self.packed.manifest.records.iter().filter(|record| wanted(record)).collect();
            let components: BTreeSet<Component> = records.iter().map(|record| of(record)).collect();
            self.seen.fetched.borrow_mut().push(components.clone());
            for (slab, bytes) in self.packed.slabs.iter().enumerate() {
                for (index, chunk) in bytes.chunks(CHUNK).enumerate() {
                    let (from, to) = ((index * CHUNK) as u64, (index * CHUNK + chunk.len()) as u64);
                    let lies_here = |r: &&&PackedRecord| {
                        r.slab == slab && r.values.offset < to && r.values.offset + r.len() > from
                    };
                    let Some(record) = records.iter().find(lies_here) else { continue };
                    if let Some((component, stop)) = &*self.seen.stop_at.borrow()
                        && components.contains(component)
                    {
                        stop.cancel();
                    }
                    cancel.check()?;
                    let mut chunk = chunk.to_vec();
                    if self.seen.spoilt.get() == Some(of(record)) {
                        let first = record.values.offset.saturating_sub(from) as usize;
                        chunk[first] ^= 1;
                    }
                    sink(slab, from, (&chunk).into())?;
                }
            }
            Ok(())
        })
    }
}

/// A device of its own: the counters are the device's, and tests run side by side.
pub fn device(tier: &Tier) -> Context {
    let options = Options {
        f16: Some(tier.context.capabilities().f16),
        tuning: Some(tier.context.target().tuning),
        ..Options::default()
    };
    block_on(Context::new(&options)).expect("a device")
}

/// A model that stays on its device.
pub fn unlimited(tier: &Tier, packed: &Packed) -> Pipeline {
    let mut pipeline = block_on(Pipeline::new(device(tier), packed.manifest.clone())).expect("pipeline");
    for (slab, bytes) in packed.slabs.iter().enumerate() {
        pipeline.write(slab, 0, bytes).expect("weights written");
    }
    pipeline
}

/// The same within a limit, and what the test sees of its shelf.
pub fn within(tier: &Tier, packed: &Rc<Packed>, bytes: u64) -> (Pipeline, Rc<Seen>) {
    let seen = Rc::new(Seen::default());
    let shelf = Shelf { packed: packed.clone(), seen: seen.clone() };
    let manifest = packed.manifest.clone();
    (Pipeline::within(device(tier), manifest, bytes, Box::new(shelf)).expect("pipeline"), seen)
}

pub fn make(pipeline: &mut Pipeline, request: &Request) -> Result<Output, Error> {
    block_on(pipeline.generate(request, &mut |_| {}, &Cancel::default()))
}

pub fn pixels(output: Output) -> Vec<Vec<u8>> {
    output.images.into_iter().map(|image| image.pixels).collect()
}

fn counters(pipeline: &mut Pipeline) -> Counters {
    let Engine::Gpu(engine) = pipeline.engine() else { panic!("not on the device") };
    engine.context().counters()
}

/// The phases that a pipeline decided on.
fn residency(pipeline: &mut Pipeline) -> Residency {
    let Engine::Gpu(engine) = pipeline.engine() else { panic!("not on the device") };
    engine.residency().expect("phases").clone()
}

pub fn shape(request: &Request, manifest: &Manifest) -> Shape {
    let [batch, _, h, w] = request.latents_shape(&manifest.config);
    let scheduler = &manifest.config.scheduler;
    let run = sample::trajectory(scheduler, request.sampler, request.schedule, request.steps);
    let run = run.expect("a trajectory");
    Shape {
        batch,
        copies: if request.guided(&manifest.config) { 2 } else { 1 },
        composed: false,
        h,
        w,
        chunks: 1,
        states: 1,
        vectors: 0,
        hides: false,
        skipped: 0,
        ancestral: run.draws_noise(),
        history: run.history(),
        maps: false,
        previews: request.preview_every > 0,
        encodes: request.picture.is_some(),
        masked: request.picture.as_ref().is_some_and(|picture| picture.mask.is_some()),
        controls: Controls::NONE,
        circular: request.tiling.circular(),
        windows: request.windows,
    }
}

/// The least memory that runs of a shape can do with.
pub fn least(tier: &Tier, manifest: &Manifest, shape: Shape) -> u64 {
    let config = &manifest.config;
    let stored = |decl: &WeightDecl| manifest.record(&decl.name).expect("a record").weight_type;
    let plan = |key| (key, plan_of(config, key, tier.context.target(), &stored).expect("a plan"));
    let planned: Vec<_> = shape.keys(config).into_iter().map(plan).collect();
    let parts: Vec<_> = planned.iter().map(|(key, plan)| (*key, plan)).collect();
    Residency::of_run(config, &parts, &Placement::of(manifest).sizes(), 0).peak()
}

fn case() -> DenoiseCase {
    let guided = |case: &DenoiseCase| case.model == "deep" && case.guided();
    let all = cases::<DenoiseCase>("denoise");
    let deep = all.iter().position(guided).or_else(|| all.iter().position(|case| case.model == "deep"));
    all.into_iter().nth(deep.expect("a case of the model with a tiny autoencoder")).expect("it")
}

/// One text encoder and two, previews by a tiny autoencoder, weighted words, batches, two runs after each other.
#[test]
fn the_same_pictures_in_less_memory() {
    for (index, tier) in own_tiers().enumerate() {
        let case = case();
        let (manifest, slabs) = two_encoders(&case.model);
        let two = Packed { config: manifest.config.clone(), manifest, slabs };
        let tiny = Request { preview_every: 1, guidance: 4.0, ..request(&case) };
        let weighted = Request { prompt: "(red:1.3) apple".to_string(), ..tiny.clone() };
        let ancestral = Request { sampler: SamplerKind::EulerAncestral, ..weighted.clone() };
        let batch = Request { batch: 2, ..tiny.clone() };
        // Its denoiser is larger than all else, so that it leaves too.
        let embedded = Request { steps: 2, guidance: 2.0, width: 64, height: 64, ..mini_request() };
        let all = [
            ("one text encoder", Packed::open(&case.model, None), vec![tiny, ancestral, batch]),
            ("two", two, vec![weighted]),
            ("mini", Packed::of(&mini(), None), vec![embedded]),
        ];
        // What moves does not depend on the tier.
        for (what, packed, requests) in all.into_iter().take(if index == 0 { 3 } else { 1 }) {
            let packed = Rc::new(packed);
            let mut free = unlimited(tier, &packed);
            for request in requests {
                let limit = least(tier, &packed.manifest, shape(&request, &packed.manifest));
                let (mut limited, seen) = within(tier, &packed, limit);
                let wanted = make(&mut free, &request).expect("a picture without a limit");
                let needed = wanted.stats.gpu_peak_bytes;
                assert!(limit < needed, "{what}: {limit} bytes are no limit where {needed} are needed");
                let wanted = pixels(wanted);
                for turn in ["first", "second"] {
                    let made = make(&mut limited, &request).expect("a picture within a limit");
                    let peak = made.stats.gpu_peak_bytes;
                    assert!(peak > 0 && peak <= limit, "{what}, {turn}: {peak} of {limit}");
                    assert!(pixels(made) == wanted, "{} {what}, {turn}: another picture", tier.name);
                }
                assert!(counters(&mut limited).peak <= limit, "{what}: beyond the limit between runs");
                let residency = residency(&mut limited);
                assert_eq!(
                    (residency.peak(), residency.excess()),
                    (limit, 0),
                    "{} {what}: {residency}",
                    tier.name
                );
                let texts = packed.config.texts.len();
                assert_eq!(residency.phases.len(), texts + 2, "{residency}");
                let fetched = seen.fetched.borrow();
                for component in [Component::Text(0), Component::Denoiser, Component::Decoder] {
                    let count = fetched.iter().filter(|all| all.contains(&component)).count();
                    let stays = residency.phases.iter().all(|phase| phase.resident.contains(component));
                    assert_eq!(count, if stays { 1 } else { 2 }, "{what}, {component}: {fetched:?}");
                    assert!(!stays || what != "mini", "{component} stays: {residency}");
                }
            }
        }
    }
}

/// The encoder has a phase of its own, before the text's.
#[test]
fn a_part_of_a_picture_in_less_memory() {
    let Some(tier) = tiers().first() else { return };
    let packed = Rc::new(Packed::open("deep", None));
    let [image, white] = [[40, 200], [255, 0]].map(|[left, right]| {
        let pixels = [left, right].map(|value| [value, value, value, 255]).concat();
        Rgba::new(2, 1, pixels).expect("a picture")
    });
    let picture = Picture { mask: Some(Mask::new(white)), ..Picture::new(image, 0.7) };
    let request = Request { picture: Some(picture), ..request(&case()) };
    let limit = least(tier, &packed.manifest, shape(&request, &packed.manifest));
    let wanted = pixels(make(&mut unlimited(tier, &packed), &request).expect("a picture"));
    let (mut limited, _) = within(tier, &packed, limit);
    for turn in ["first", "second"] {
        let made = make(&mut limited, &request).expect("a picture within a limit");
        assert!(made.stats.gpu_peak_bytes <= limit, "{turn}");
        assert!(pixels(made) == wanted, "{turn}: another picture");
    }
    let residency = residency(&mut limited);
    assert_eq!(
        (residency.phases.len(), residency.phases[0].stage.name.as_str()),
        (4, "encode"),
        "{residency}"
    );
}

/// A part whose weights were away is bound again, and planned once.
#[test]
fn parts_are_bound_again_but_not_planned_again() {
    let Some(tier) = tiers().first() else { return };
    let packed = Rc::new(Packed::open("deep", None));
    let request = request(&case());
    let (mut limited, _) =
        within(tier, &packed, least(tier, &packed.manifest, shape(&request, &packed.manifest)));
    make(&mut limited, &request).expect("a picture");
    make(&mut limited, &request).expect("and again");
    let Engine::Gpu(engine) = limited.engine() else { panic!("not on the device") };
    assert_eq!(engine.built()[&Network::Denoiser], [1, 2]);
    assert_eq!(engine.built()[&Network::Decoder], [1, 2]);
}

/// With room for everything nothing leaves, and a second run finds everything as it was.
#[test]
fn a_wide_limit_moves_nothing() {
    let Some(tier) = tiers().first() else { return };
    let packed = Rc::new(Packed::open("deep", None));
    let request = request(&case());
    let (mut limited, seen) = within(tier, &packed, u64::MAX);
    let first = pixels(make(&mut limited, &request).expect("a picture"));
    assert!(pixels(make(&mut limited, &request).expect("again")) == first);
    assert_eq!((residency(&mut limited).phases.len(), seen.fetched.borrow().len()), (1, 1));
    let Engine::Gpu(engine) = limited.engine() else { panic!("not on the device") };
    assert_eq!(engine.built()[&Network::Denoiser], [1, 1]);
    assert!(first == pixels(make(&mut unlimited(tier, &packed), &request).expect("a picture")));
}

/// From a model's own files, as the command line has them.
#[test]
fn weights_come_again_from_a_folder() {
    let Some(tier) = tiers().first() else { return };
    let packed = Packed::open("deep", None);
    let request = request(&case());
    let source = ModelSource::open(&model_folder("deep")).expect("a model");
    let files = Files::new(source, packed.manifest.clone(), Vec::new());
    let limit = least(tier, &packed.manifest, shape(&request, &packed.manifest));
    let mut limited =
        Pipeline::within(device(tier), packed.manifest.clone(), limit, Box::new(files)).expect("pipeline");
    let wanted = pixels(make(&mut unlimited(tier, &packed), &request).expect("a picture"));
    for _ in 0..2 {
        assert!(pixels(make(&mut limited, &request).expect("a picture")) == wanted);
    }
}

#[test]
fn a_picture_that_does_not_keep_the_limit_is_refused_and_smaller_ones_are_made() {
    let Some(tier) = tiers().first() else { return };
    let packed = Rc::new(Packed::open("deep", None));
    let small = request(&case());
    let large = Request { width: 4 * small.width, height: 4 * small.height, ..small.clone() };
    let limit = least(tier, &packed.manifest, shape(&small, &packed.manifest));
    let (mut limited, _) = within(tier, &packed, limit);
    let before = pixels(make(&mut limited, &small).expect("a small picture"));
    let error = make(&mut limited, &large).map(|_| ()).expect_err("too large");
    assert_eq!(error.code(), "OUT_OF_MEMORY");
    assert!(error.to_string().contains("memory limit"), "{error}");
    assert!(pixels(make(&mut limited, &small).expect("the small one again")) == before);
    let (mut none, _) = within(tier, &packed, limit - 1);
    let error = make(&mut none, &small).map(|_| ()).expect_err("too low");
    assert_eq!(error.code(), "OUT_OF_MEMORY");
}

/// While steps are taken, and while weights are on their way.
#[test]
fn what_was_cancelled_leaves_nothing_half_done() {
    let Some(tier) = tiers().first() else { return };
    let packed = Rc::new(Packed::open("deep", None));
    let request = request(&case());
    let limit = least(tier, &packed.manifest, shape(&request, &packed.manifest));
    let (mut limited, _) = within(tier, &packed, limit);
    let wanted = pixels(make(&mut unlimited(tier, &packed), &request).expect("a picture"));

    let cancel = Cancel::default();
    let stop = |event| {
        if let Event::Step { .. } = event {
            cancel.cancel();
        }
    };
    let stopped = block_on(limited.generate(&request, &mut { stop }, &cancel)).map(|_| ());
    assert!(matches!(stopped, Err(Error::Aborted)), "{stopped:?}");
    assert!(pixels(make(&mut limited, &request).expect("after that")) == wanted);

    for component in [Component::Text(0), Component::Denoiser, Component::Decoder] {
        let (mut limited, seen) = within(tier, &packed, limit);
        let cancel = Cancel::default();
        *seen.stop_at.borrow_mut() = Some((component, cancel.clone()));
        let stopped = block_on(limited.generate(&request, &mut |_| {}, &cancel)).map(|_| ());
        assert!(matches!(stopped, Err(Error::Aborted)), "{component}: {stopped:?}");
        *seen.stop_at.borrow_mut() = None;
        assert!(pixels(make(&mut limited, &request).expect("after that")) == wanted, "{component}");
        assert!(counters(&mut limited).peak <= limit, "{component}");
    }
}

#[test]
fn weights_that_come_back_otherwise_are_refused() {
    let Some(tier) = tiers().first() else { return };
    let packed = Rc::new(Packed::open("deep", None));
    let request = request(&case());
    let limit = least(tier, &packed.manifest, shape(&request, &packed.manifest));
    let (mut limited, seen) = within(tier, &packed, limit);
    let wanted = pixels(make(&mut limited, &request).expect("a picture"));
    seen.spoilt.set(Some(Component::Decoder));
    let error = make(&mut limited, &request).map(|_| ()).expect_err("other weights");
    assert!(error.to_string().contains("decoder"), "{error}");
    seen.spoilt.set(None);
    assert!(pixels(make(&mut limited, &request).expect("the same weights")) == wanted);
}

/// The view that explains asks for one stage after another, in any order.
#[test]
fn single_stages_bring_their_weights() {
    let Some(tier) = tiers().first() else { return };
    let packed = Rc::new(Packed::open("deep", None));
    let request = Request { sampler: SamplerKind::Euler, ..request(&case()) };
    let config = packed.config.clone();
    let stored = |decl: &WeightDecl| packed.manifest.record(&decl.name).expect("a record").weight_type;
    let encoder =
        autoencoder::encoder(&config.vae, 1, request.height, request.width, tier.context.target().limits);
    let encoder = lower(&encoder, tier.context.target(), &stored).expect("a plan");
    let sizes = Placement::of(&packed.manifest).sizes();
    let encoding = Residency::of(vec![Stage::alone("encode", &encoder)], &sizes, 0).peak();
    let shape = shape(&request, &packed.manifest);
    let looking = least(tier, &packed.manifest, Shape { maps: true, ..shape });
    let limit = encoding.max(looking);

    let (mut limited, _) = within(tier, &packed, limit);
    let mut free = unlimited(tier, &packed);
    let picture = make(&mut free, &request).expect("a picture").images.remove(0);
    let [_, _, h, w] = request.latents_shape(&config);
    for turn in 0..2 {
        let [clean, again] = [&mut free, &mut limited]
            .map(|pipeline| block_on(pipeline.study_encode(&picture)).expect("latents"));
        assert!(clean == again, "encoded, turn {turn}");
        let [traced, also] = [&mut free, &mut limited].map(|pipeline| {
            block_on(pipeline.study_step(&request, 1, &clean, true, &Cancel::default())).expect("a step")
        });
        assert!(traced.next == also.next && traced.maps.len() == also.maps.len(), "a step, turn {turn}");
        let maps = traced.maps.iter().zip(&also.maps);
        assert!(maps.into_iter().all(|(a, b)| a.values == b.values), "maps, turn {turn}");
        let [seen, shown] = [&mut free, &mut limited]
            .map(|pipeline| block_on(pipeline.study_decode(&clean, h, w)).expect("a picture"));
        assert!(seen.pixels == shown.pixels, "decoded, turn {turn}");
        assert!(make(&mut limited, &request).expect("a picture").images[0].pixels == picture.pixels);
    }
    assert!(counters(&mut limited).peak <= limit, "{} of {limit}", counters(&mut limited).peak);
}

/// An autoencoder beyond f16 is decoded again in memory of its own, within the limit too, or refused with the numbers.
#[test]
fn a_second_decode_keeps_the_limit() {
    let Some(tier) = tiers().iter().find(|tier| tier.context.capabilities().f16) else { return };
    let mut packed = Packed::open("deep", Some(WeightType::F32));
    packed.scale("vae.decoder.conv_in", 50_000.0);
    let packed = Rc::new(packed);
    let request = request(&case());
    let [_, _, h, w] = request.latents_shape(&packed.config);
    let target = opengen::plan::Target { elem: opengen::kernels::Elem::F32, ..tier.context.target() };
    let graph = autoencoder::decoder(&packed.config.vae, 1, h, w, MemoryLimits::default());
    let stored = |decl: &WeightDecl| packed.manifest.record(&decl.name).expect("a record").weight_type;
    let plan = lower(&graph, target, &stored).expect("a plan");
    let sizes = Placement::of(&packed.manifest).sizes();
    let exact = Residency::of(vec![Stage::alone("decode", &plan)], &sizes, 0).peak();
    let limit = exact.max(least(tier, &packed.manifest, shape(&request, &packed.manifest)));
    let (mut limited, _) = within(tier, &packed, limit);
    let wanted = pixels(make(&mut unlimited(tier, &packed), &request).expect("a picture"));
    for _ in 0..2 {
        let made = make(&mut limited, &request).expect("a picture");
        assert!(made.notices.iter().any(|notice| notice.contains("single precision")), "{:?}", made.notices);
        assert!(pixels(made) == wanted);
    }
    assert!(counters(&mut limited).peak <= limit);
}
