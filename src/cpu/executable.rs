//! A graph bound to weights: run node by node, as often as wanted.

use std::collections::HashMap;
use std::sync::Arc;

use super::convolution::Geometry;
use super::enlarged::Enlarged;
use super::gemm::{Columns, columns};
use super::lifetimes::Places;
use super::matrix::Matrix;
use super::memory::{Memory, Values};
use super::ops;
use super::weights::{Table, Weight, Weights};
use super::winograd::{self, Winograd};
use crate::error::{Error, Result};
use crate::kernels::rgba;
use crate::plan::{Gemm, Graph, Node, Op, Outside, Section, ValueId, WeightId};

/// A graph ready to run.
pub struct Executable {
    pub(super) graph: Graph,
    weights: Vec<Arc<Weight>>,
    /// Per node, what a product needs.
    products: Vec<Option<Product>>,
    places: Places,
}

/// What of a [`Gemm`] is known before it runs.
pub(super) struct Product {
    matrix: Shared,
    pub bias: Option<Columns>,
    pub way: Way,
}

/// What the rows are that the matrix is multiplied with.
pub(super) enum Way {
    Lines,
    Patches(Geometry),
    Enlarged(Enlarged),
    Winograd(Winograd),
}

/// The layer's matrix, or one of its own of the channels that are computed.
enum Shared {
    Whole(Arc<Weight>),
    Section(Arc<Matrix>),
}

/// Matrices that are read the other way, by the names of their weights: graphs of one model share them.
type Transposed = HashMap<String, Arc<Matrix>>;

impl Executable {
    /// Binds a graph; fails where a weight is missing or of another size.
    pub fn new(graph: Graph, weights: &Weights) -> Result<Executable> {
        Executable::bound(graph, weights, &mut Transposed::new())
    }

    /// Binds graphs of one model, which share what they make of its weights.
    #[cfg(feature = "train")]
    pub fn all(graphs: Vec<Graph>, weights: &Weights) -> Result<Vec<Executable>> {
        let mut shared = Transposed::new();
        graphs.into_iter().map(|graph| Executable::bound(graph, weights, &mut shared)).collect()
    }

    fn bound(graph: Graph, weights: &Weights, transposed: &mut Transposed) -> Result<Executable> {
        let bound = graph.weights.iter().map(|decl| weights.get(&decl.name)).collect::<Result<Vec<_>>>()?;
        let mut kept = winograd::KEPT;
        let product = |node: &Node| match &node.op {
            Op::Gemm(op) => Product::new(&graph, node, op, &bound, (&mut kept, &mut *transposed)).map(Some),
            _ => Ok(None),
        };
        let products = graph.nodes.iter().map(product).collect::<Result<Vec<_>>>()?;
        let room = |node: usize| products[node].as_ref().map_or(0, Product::room);
        for (i, node) in graph.nodes.iter().enumerate() {
            fits(node, graph.shape(node.output).len())?;
            fits(node, room(i))?;
        }
        let places = Places::new(&graph, |node| room(node) as usize);
        Ok(Executable { graph, weights: bound, products, places })
    }

    /// The values that live outside the graph, and their lengths.
    pub fn externals(&self) -> impl Iterator<Item = (Outside, usize)> {
        self.graph.values.iter().filter_map(|value| Some((value.external?, value.shape.len() as usize)))
    }

    /// Runs the graph over the values in `memory`; stops between two nodes once `cancelled` says so.
    pub fn run(&self, memory: &mut Memory, cancelled: &dyn Fn() -> bool) -> Result<()> {
        self.run_from(0, memory, cancelled, &|| false).map(drop)
    }

    /// Runs the nodes from `first` on, until between two of them it is `enough`; gives the node to go on with, none at the end.
    pub fn run_from(
        &self,
        first: usize,
        memory: &mut Memory,
        cancelled: &dyn Fn() -> bool,
        enough: &dyn Fn() -> bool,
    ) -> Result<Option<usize>> {
        for (i, node) in self.graph.nodes.iter().enumerate().skip(first) {
            if cancelled() {
                return Err(Error::Aborted);
            }
            if i > first && enough() {
                return Ok(Some(i));
            }
            self.node(i, node, memory)?;
        }
        Ok(None)
    }

    fn node(&self, i: usize, node: &Node, memory: &mut Memory) -> Result<()> {
        if let Op::Rgba { x } = node.op {
            let pixels = rgba::cpu::rgba(self.read(memory, x)?);
            return self.put(memory, node.output, Values::U32(pixels));
        }
        let (len, scratch) = (self.graph.shape(node.output).len() as usize, self.places.scratch[i]);
        let needed = self.products[i].as_ref().map_or(0, Product::room) as usize;
        let mut room = match scratch {
            Some(buffer) => memory.take(buffer, needed)?,
            None => Vec::new(),
        };
        let mut out = self.take(memory, node.output)?;
        let run = ops::Run { executable: self, memory, node };
        let done = run.op(self.products[i].as_ref(), &mut out[..len], &mut room);
        if let Some(buffer) = scratch {
            memory.buffers[buffer] = room;
        }
        self.put(memory, node.output, Values::F32(out))?;
        done
    }

    /// The values of an operand.
    pub(super) fn read<'a>(&self, memory: &'a Memory, id: ValueId) -> Result<&'a [f32]> {
        let len = self.graph.shape(id).len() as usize;
        let values = match (self.graph.values[id.index()].external, self.places.values[id.index()]) {
            (Some(outside), _) => memory.read(outside)?,
            (None, Some(buffer)) => memory.buffers.get(buffer).map_or(&[][..], Vec::as_slice),
            (None, None) => &[],
        };
        let unwritten =
            || Error::Cpu { message: format!("{}: a value is read before it is written", self.graph.name) };
        values.get(..len).ok_or_else(unwritten)
    }

    /// The ids of an operand.
    pub(super) fn read_ids<'a>(&self, memory: &'a Memory, id: ValueId) -> Result<&'a [u32]> {
        let inside = || Error::Cpu { message: format!("{}: ids come from outside", self.graph.name) };
        memory.read_ids(self.graph.values[id.index()].external.ok_or_else(inside)?)
    }

    /// Takes a value out of memory, to be written or changed.
    fn take(&self, memory: &mut Memory, id: ValueId) -> Result<Vec<f32>> {
        let len = self.graph.shape(id).len() as usize;
        match (self.graph.values[id.index()].external, self.places.values[id.index()]) {
            (Some(outside), _) => match memory.externals.get_mut(&outside) {
                Some(Values::F32(values)) if values.len() >= len => Ok(std::mem::take(values)),
                _ => Err(Error::Cpu { message: format!("no {len} values of {outside} in memory") }),
            },
            (None, Some(buffer)) => memory.take(buffer, len),
            (None, None) => {
                Err(Error::Cpu { message: format!("{}: a value without a place", self.graph.name) })
            }
        }
    }

    fn put(&self, memory: &mut Memory, id: ValueId, values: Values) -> Result<()> {
        match (self.graph.values[id.index()].external, self.places.values[id.index()], values) {
            (Some(outside), _, values) => {
                memory.externals.insert(outside, values);
            }
            (None, Some(buffer), Values::F32(values)) => memory.buffers[buffer] = values,
            _ => return Err(Error::Cpu { message: format!("{}: a value without a place", self.graph.name) }),
        }
        Ok(())
    }

    /// A weight that is a vector.
    pub(super) fn vector(&self, id: WeightId) -> Result<&[f32]> {
        match &*self.weights[id.index()] {
            Weight::Vector(values) => Ok(values),
            _ => Err(self.other_kind(id, "a vector")),
        }
    }

    /// A weight that is a table.
    pub(super) fn table(&self, id: WeightId) -> Result<&Table> {
        match &*self.weights[id.index()] {
            Weight::Table(table) => Ok(table),
            _ => Err(self.other_kind(id, "a table")),
        }
    }

    fn other_kind(&self, id: WeightId, expected: &str) -> Error {
        Error::Cpu {
            message: format!("the weight {} is not {expected}", self.graph.weights[id.index()].name),
        }
    }
}

/// Refuses what is larger than memory can be.
fn fits(node: &Node, len: u64) -> Result<()> {
    let bytes = len.saturating_mul(4);
    if bytes <= isize::MAX as u64 {
        return Ok(());
    }
    let message = format!(
        "{} takes {} MiB, more than memory can hold; choose a smaller picture",
        node.path,
        bytes >> 20
    );
    Err(Error::OutOfMemory { message })
}

impl Product {
    /// `kept` is how many values transformed weights may still take, `transposed` what others have read the other way.
    fn new(
        graph: &Graph,
        node: &Node,
        op: &Gemm,
        weights: &[Arc<Weight>],
        (kept, transposed): (&mut usize, &mut Transposed),
    ) -> Result<Product> {
        let wrong = |what: String| Error::Cpu { message: format!("{}: {what}", node.path) };
        let (from, to) = (graph.shape(op.x), graph.shape(node.output));
        let taps = op.conv.map_or(1, |conv| conv.kernel * conv.kernel);
        let wide = if op.transposed { to.c * taps } else { 0 };
        let n = if op.geglu { 2 * to.c } else { to.c };
        let k = taps * from.c + op.x2.map_or(0, |x2| graph.shape(x2).c);
        let weight = &weights[op.weight.index()];
        let Weight::Matrix(matrix) = &**weight else {
            return Err(wrong("the weight is no matrix".to_string()));
        };
        let Section { input, output } = op.section;
        let matrix = if op.transposed && (matrix.k, matrix.n) == (wide, from.c) {
            let name = &graph.weights[op.weight.index()].name;
            let known = transposed.entry(name.clone()).or_insert_with(|| Arc::new(matrix.transposed(taps)));
            Shared::Section(known.clone())
        } else if !op.transposed && (matrix.k, matrix.n) == (k, n) && op.section == Section::default() {
            Shared::Whole(weight.clone())
        } else if !op.transposed
            && op.x2.is_none()
            && (input + from.c) * taps <= matrix.k
            && output + n <= matrix.n
        {
            Shared::Section(Arc::new(matrix.section(taps, input..input + from.c, output..output + n)))
        } else {
            return Err(wrong(format!("a matrix of {}×{}, expected {k}×{n}", matrix.k, matrix.n)));
        };
        let bias = match op.bias.map(|id| &*weights[id.index()]) {
            None => None,
            Some(Weight::Vector(bias)) => {
                let short = || wrong(format!("a bias of {}, expected {n} from {output} on", bias.len()));
                Some(columns(bias.get(output..output + n).ok_or_else(short)?))
            }
            Some(_) => return Err(wrong("the bias is no vector".to_string())),
        };
        let mut product = Product { matrix, bias, way: Way::Lines };
        if let Some(conv) = op.conv {
            let alone = product.matrix().filter(|_| op.x2.is_none());
            let enlarged = alone.and_then(|matrix| Enlarged::new(conv, from, to, matrix)).map(Way::Enlarged);
            let winograd = || Winograd::new(conv, from, to, product.matrix(), kept).map(Way::Winograd);
            let way = enlarged.or_else(winograd);
            product.way = way.unwrap_or_else(|| Way::Patches(Geometry::new(conv, from, to)));
        }
        Ok(product)
    }

    /// The map that a convolution reads.
    pub(super) fn geometry(&self) -> Option<Geometry> {
        match &self.way {
            Way::Lines => None,
            Way::Patches(geometry) => Some(*geometry),
            Way::Enlarged(enlarged) => Some(enlarged.geometry()),
            Way::Winograd(winograd) => Some(winograd.geometry()),
        }
    }

    /// Values of that map with what surrounds it.
    pub(super) fn padded(&self) -> u64 {
        self.geometry().map_or(0, |geometry| geometry.padded_len())
    }

    /// Values of the room that it needs: that map, and behind it weights that are transformed.
    fn room(&self) -> u64 {
        let weights = if let Way::Winograd(winograd) = &self.way { winograd.weights_len() } else { 0 };
        self.padded() + weights as u64
    }

    /// The matrix.
    pub fn matrix(&self) -> Option<&Matrix> {
        match &self.matrix {
            Shared::Section(matrix) => Some(matrix),
            Shared::Whole(weight) => match &**weight {
                Weight::Matrix(matrix) => Some(matrix),
                _ => None,
            },
        }
    }
}
