//! From graph to plan: every op becomes kernel launches, every value gets a place.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::bands;
use super::graph::{ElemKind, Graph, Node, Shape, Value, ValueId, WeightId};
use super::memory::{Arena, MemoryLimits, Place};
use super::program::{Binding, Dispatch, External, Plan};
use super::tuning::Tuning;
use super::weight::{Types, WeightDecl, WeightKind};
use crate::error::Result;
use crate::kernels::{BLOCK, Elem, Kernel, WeightType};

/// What of the adapter a plan depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// Element type of activations.
    pub elem: Elem,
    /// Which variants of kernels it takes.
    pub tuning: Tuning,
    /// Invocations that a subgroup has at least; 0 where shaders have no subgroups.
    pub subgroup: u32,
    pub limits: MemoryLimits,
}

impl Target {
    /// The same target, and after it one whose plans take less memory and more time.
    pub fn from_fast_to_small(self) -> [Target; 2] {
        [self, Target { tuning: Tuning { winograd: None, ..self.tuning }, ..self }]
    }
}

/// The type in which each weight is stored.
pub type WeightTypes<'a> = &'a dyn Fn(&WeightDecl) -> WeightType;

/// One kernel launch before its operands have places.
pub struct Launch {
    pub label: String,
    pub kernel: Kernel,
    pub params: Vec<u8>,
    pub workgroups: [u32; 3],
    /// In binding order.
    pub operands: Vec<Operand>,
    pub flops: u64,
}

/// What a launch binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    Read(ValueId),
    Write(ValueId),
    /// Read and written through one binding.
    Update(ValueId),
    Weight(WeightId),
    Scales(WeightId),
}

/// The state of lowering one graph; scratch values are appended as ops need them.
pub struct Lowering<'a> {
    pub graph: Graph,
    pub target: Target,
    weight_types: WeightTypes<'a>,
    pub launches: Vec<Launch>,
    /// Values that are rows of others: of which, and from which of its elements on.
    pub(super) views: BTreeMap<ValueId, (ValueId, u64)>,
}

/// The plan of `graph` on `target`, with weights stored as `weight_types` says.
///
/// Fails when a value, inside the arena or outside, is larger than the adapter can bind and cannot be cut into bands.
pub fn lower(graph: &Graph, target: Target, weight_types: WeightTypes) -> Result<Plan> {
    let mut lowering =
        Lowering { graph: graph.clone(), target, weight_types, launches: Vec::new(), views: BTreeMap::new() };
    #[cfg(feature = "train")]
    super::train::launch::together(&mut lowering)?;
    let mut cuts = bands::cut(&mut lowering);
    for node in &graph.nodes {
        bands::node(&mut lowering, &mut cuts, node)?;
    }
    place(lowering)
}

impl Lowering<'_> {
    /// The shape of a value.
    pub fn shape(&self, id: ValueId) -> Shape {
        self.graph.shape(id)
    }

    /// How a weight is stored.
    pub fn weight_type(&self, id: WeightId) -> WeightType {
        (self.weight_types)(&self.graph.weights[id.0])
    }

    /// Rows and columns of a matrix or table; a vector is one row.
    pub fn matrix_size(&self, id: WeightId) -> (usize, usize) {
        match self.graph.weights[id.0].kind {
            WeightKind::Matrix { n, k } | WeightKind::Geglu { n, k } => (n, k),
            WeightKind::Table { rows, cols } => (rows, cols),
            WeightKind::Vector { len } | WeightKind::GegluVector { len } => (1, len),
        }
    }

    /// The element type of a value on the GPU; u32 is as wide as f32.
    pub fn elem(&self, id: ValueId) -> Elem {
        match self.graph.values[id.0].elem {
            ElemKind::Activation => self.target.elem,
            ElemKind::F32 | ElemKind::U32 => Elem::F32,
        }
    }

    /// A value that lives between two launches of one op.
    pub fn scratch(&mut self, shape: Shape, elem: ElemKind) -> ValueId {
        self.graph.values.push(Value { shape, elem, external: None });
        ValueId(self.graph.values.len() - 1)
    }

    /// A value that is part of another, from element `first` on.
    pub fn view(&mut self, whole: ValueId, shape: Shape, first: u64) -> ValueId {
        let view = self.scratch(shape, self.graph.values[whole.0].elem);
        self.views.insert(view, (whole, first));
        view
    }

    /// The value that has a place, and from which of its bytes on.
    fn whole(&self, id: ValueId) -> (ValueId, u64) {
        let view = self.views.get(&id);
        view.map_or((id, 0), |(whole, first)| (*whole, first * self.elem(id).size() as u64))
    }

    pub fn bytes_of(&self, id: ValueId) -> u64 {
        self.shape(id).len() * self.elem(id).size() as u64
    }

    fn operand_bytes(&self, operand: Operand) -> u64 {
        match operand {
            Operand::Read(id) | Operand::Write(id) | Operand::Update(id) => self.bytes_of(id),
            Operand::Weight(id) => values_bytes(&self.graph.weights[id.0], self.weight_type(id)),
            Operand::Scales(id) => scales_bytes(&self.graph.weights[id.0], self.weight_type(id)),
        }
    }
}

/// Appends a launch of a node.
pub fn push(
    l: &mut Lowering,
    node: &Node,
    kernel: Kernel,
    params: &[u8],
    workgroups: [u32; 3],
    operands: Vec<Operand>,
    flops: u64,
) {
    l.launches.push(Launch {
        label: node.path.clone(),
        kernel,
        params: params.to_vec(),
        workgroups,
        operands,
        flops,
    });
}

/// Bytes of a packed weight's values.
pub fn values_bytes(decl: &WeightDecl, weight_type: WeightType) -> u64 {
    let len = match decl.kind {
        WeightKind::Vector { len } | WeightKind::GegluVector { len } => len as u64,
        WeightKind::Matrix { n, k } | WeightKind::Geglu { n, k } => n as u64 * k as u64,
        WeightKind::Table { rows, cols } => rows as u64 * cols as u64,
    };
    len * weight_type.bits() as u64 / 8
}

/// Bytes of a packed weight's scales; 0 where there are none.
pub fn scales_bytes(decl: &WeightDecl, weight_type: WeightType) -> u64 {
    match decl.kind {
        WeightKind::Matrix { n, k } | WeightKind::Geglu { n, k } if weight_type.is_quantized() => {
            n as u64 * k as u64 / BLOCK as u64 * 2
        }
        _ => 0,
    }
}

/// The type a weight gets when a model shall be kept as `wanted`: vectors stay f32, tables are f32 or f16, and a matrix
/// whose rows do not divide into blocks is f16 instead of quantized.
pub fn stored_type(decl: &WeightDecl, wanted: WeightType) -> WeightType {
    match decl.kind {
        WeightKind::Vector { .. } | WeightKind::GegluVector { .. } => WeightType::F32,
        WeightKind::Table { .. } if wanted == WeightType::F32 => WeightType::F32,
        WeightKind::Table { .. } => WeightType::F16,
        WeightKind::Matrix { k, .. } | WeightKind::Geglu { k, .. } => {
            let types = Types::of(wanted);
            // The autoencoder of a built-in in Q8 is too.
            let types = if wanted == WeightType::Q8 { Types::all(wanted) } else { types };
            let stored = types.of_matrix(decl);
            if stored.is_quantized() && !k.is_multiple_of(BLOCK) { WeightType::F16 } else { stored }
        }
    }
}

/// Gives every intermediate a place for its lifetime and turns launches into dispatches.
fn place(lowering: Lowering) -> Result<Plan> {
    let last_use = last_uses(&lowering);
    let apart = kept_apart(&lowering);
    let mut arena = Arena::new(lowering.target.limits);
    let mut places: Vec<Option<Place>> = vec![None; lowering.graph.values.len()];
    let mut externals: Vec<External> = Vec::new();
    let mut dispatches = Vec::with_capacity(lowering.launches.len());

    for (i, launch) in lowering.launches.iter().enumerate() {
        for value in launch.written(&lowering) {
            if places[value.0].is_none() && lowering.graph.values[value.0].external.is_none() {
                let avoid: Vec<usize> =
                    apart[value.0].iter().filter_map(|v| places[v.0]).map(|p| p.slab).collect();
                places[value.0] = Some(arena.place(lowering.bytes_of(value), &avoid, &launch.label)?);
            }
        }
        let bindings = launch.operands.iter().map(|o| bind(&lowering, &places, &mut externals, *o)).collect();
        dispatches.push(Dispatch {
            label: launch.label.clone(),
            kernel: launch.kernel.clone(),
            params: launch.params.clone(),
            workgroups: launch.workgroups,
            bindings,
            flops: launch.flops,
            bytes: launch.operands.iter().map(|o| lowering.operand_bytes(*o)).sum(),
        });
        let mut dead: Vec<ValueId> = launch.values(&lowering).filter(|v| last_use[v.0] == i).collect();
        dead.sort();
        dead.dedup();
        for value in dead {
            if let Some(place) = places[value.0] {
                arena.free(place);
            }
        }
    }
    let slabs = largest_first(&arena.sizes(), &mut dispatches);
    for external in &externals {
        lowering.target.limits.check(external.bytes, &external.outside.to_string())?;
    }
    Ok(Plan { name: lowering.graph.name, dispatches, slabs, externals, clears: Vec::new() })
}

/// Numbers the slabs by size, the largest first, and gives the sizes in that order.
fn largest_first(sizes: &[u64], dispatches: &mut [Dispatch]) -> Vec<u64> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|slab| Reverse(sizes[*slab]));
    let mut rank = vec![0; sizes.len()];
    order.iter().enumerate().for_each(|(new, old)| rank[*old] = new);
    for binding in dispatches.iter_mut().flat_map(|dispatch| &mut dispatch.bindings) {
        if let Binding::Arena(place) = binding {
            place.slab = rank[place.slab];
        }
    }
    order.into_iter().map(|slab| sizes[slab]).collect()
}

fn bind(l: &Lowering, places: &[Option<Place>], externals: &mut Vec<External>, operand: Operand) -> Binding {
    match operand {
        Operand::Weight(id) => Binding::Weight(l.graph.weights[id.0].name.clone()),
        Operand::Scales(id) => Binding::Scales(l.graph.weights[id.0].name.clone()),
        Operand::Read(id) | Operand::Write(id) | Operand::Update(id) => {
            let (whole, offset) = l.whole(id);
            match (&l.graph.values[whole.0].external, places[whole.0]) {
                (Some(outside), _) => {
                    let external = External { outside: *outside, bytes: l.bytes_of(whole) };
                    let index = externals.iter().position(|e| *e == external).unwrap_or_else(|| {
                        externals.push(external);
                        externals.len() - 1
                    });
                    if whole == id {
                        Binding::External(index)
                    } else {
                        Binding::Part { external: index, offset, len: l.bytes_of(id) }
                    }
                }
                (None, Some(Place { slab, offset: first, .. })) => {
                    Binding::Arena(Place { slab, offset: first + offset, len: l.bytes_of(id) })
                }
                (None, None) => unreachable!("value {id:?} is read before any launch writes it"),
            }
        }
    }
}

impl Launch {
    /// Every value with a place that it touches.
    fn values(&self, l: &Lowering) -> impl Iterator<Item = ValueId> {
        self.operands.iter().filter_map(|operand| match operand {
            Operand::Read(id) | Operand::Write(id) | Operand::Update(id) => Some(l.whole(*id).0),
            Operand::Weight(_) | Operand::Scales(_) => None,
        })
    }

    /// Those of them that it writes or changes.
    fn written(&self, l: &Lowering) -> impl Iterator<Item = ValueId> {
        self.operands.iter().filter_map(|operand| match operand {
            Operand::Write(id) | Operand::Update(id) => Some(l.whole(*id).0),
            _ => None,
        })
    }
}

/// Per value, the index of the last launch that touches it.
fn last_uses(lowering: &Lowering) -> Vec<usize> {
    let mut last = vec![0; lowering.graph.values.len()];
    for (i, launch) in lowering.launches.iter().enumerate() {
        for value in launch.values(lowering) {
            last[value.0] = i;
        }
    }
    last
}

/// Per value, those it may not share a slab with: some launch reads the one and writes the other.
fn kept_apart(lowering: &Lowering) -> Vec<Vec<ValueId>> {
    let mut apart = vec![Vec::new(); lowering.graph.values.len()];
    for launch in &lowering.launches {
        for written in launch.written(lowering) {
            for other in launch.values(lowering).filter(|other| *other != written) {
                apart[written.0].push(other);
                apart[other.0].push(written);
            }
        }
    }
    apart
}
