//! Low-rank matrices beside the layers of a network.

use super::super::graph::{Conv, ElemKind, Graph, Node, Op, Shape, ValueId};
use super::super::outside::Outside;
use super::super::weight::{Part, WeightKind};
use super::{TrainOp, not_trainable};
use crate::error::Result;
use crate::kernels::gemm::Act;

/// One layer's pair of matrices, whose product, times a scale, is added to the layer's weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// The layer's weight, as the checkpoint has it.
    pub part: Part,
    pub rank: usize,
    pub scale: f32,
    /// Rows of `down` have so many values, in the order (ky, kx, channel).
    pub columns: usize,
    /// Side of the kernel: 1 for a linear layer.
    pub side: usize,
    /// Outputs are values and then as many gates, which a packed weight has in turns.
    pub gated: bool,
}

impl Adapter {
    /// Outputs of the layer, rows of `up`.
    pub fn outputs(&self) -> usize {
        self.part.shape[0]
    }

    /// Values of `down`, `[rank, columns]`, and of `up`, `[outputs, rank]`.
    pub fn lengths(&self) -> [usize; 2] {
        [self.rank * self.columns, self.outputs() * self.rank]
    }
}

/// All that is learnt: two matrices of each layer, down and up, and the vectors behind them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Learnt {
    pub adapters: Vec<Adapter>,
    /// How many vectors of the run's own a text encoder reads, and how wide they are.
    pub vectors: Option<[usize; 2]>,
}

impl Learnt {
    /// The path of the layer to which vectors belong.
    pub const TABLE: &str = "text_encoder.text_model.embeddings.token_embedding";

    /// Values of each tensor.
    pub fn lengths(&self) -> impl Iterator<Item = usize> {
        let vectors = self.vectors.map(|[count, width]| count * width);
        self.adapters.iter().flat_map(Adapter::lengths).chain(vectors)
    }

    /// The path of the layer that each tensor belongs to.
    pub fn layers(&self) -> impl Iterator<Item = &str> {
        let matrices =
            self.adapters.iter().flat_map(|adapter| [adapter.part.name.trim_end_matches(".weight"); 2]);
        matrices.chain(self.vectors.map(|_| Learnt::TABLE))
    }
}

/// A graph whose own vectors, where it reads some, are learnt, as the last of all: [`Outside::Trained`] of this number.
pub fn with_vectors(mut graph: Graph, number: usize) -> (Graph, Option<[usize; 2]>) {
    let vectors = graph.values.iter_mut().find(|value| value.external == Some(Outside::Vectors));
    let size = vectors.map(|value| {
        value.external = Some(Outside::Trained(number));
        [value.shape.w, value.shape.c]
    });
    (graph, size)
}

/// The graph with a low-rank pair beside each layer to which `target` gives a rank and a scale. Pair `i` is read from
/// [`Outside::Trained`] `2i` (down) and `2i + 1` (up). Products must be unfused.
pub fn adapted(
    graph: Graph,
    target: &dyn Fn(&Part) -> Option<(usize, f32)>,
) -> Result<(Graph, Vec<Adapter>)> {
    let mut out = Graph { nodes: Vec::new(), ..graph };
    let mut adapters = Vec::new();
    for node in graph.nodes {
        let Op::Gemm(op) = node.op.clone() else {
            out.nodes.push(node);
            continue;
        };
        out.nodes.push(node.clone());
        let mut first = 0;
        for part in out.weights[op.weight.index()].parts.clone() {
            let outputs = part.shape[0];
            if let Some((rank, scale)) = target(&part) {
                if op.x2.is_some() || op.act != Act::None || op.geglu {
                    return Err(not_trainable(&node.path, "it reads two maps at once"));
                }
                let side = op.conv.map_or(1, |conv: Conv| conv.kernel);
                let columns = side * side * out.shape(op.x).c;
                let gated = matches!(out.weights[op.weight.index()].kind, WeightKind::Geglu { .. });
                let adapter = Adapter { part, rank, scale, columns, side, gated };
                beside(&mut out, (&node, op.x, op.conv), first, &adapter, adapters.len());
                adapters.push(adapter);
            }
            first += outputs;
        }
    }
    Ok((out, adapters))
}

fn beside(
    out: &mut Graph,
    (node, x, conv): (&Node, ValueId, Option<Conv>),
    first: usize,
    adapter: &Adapter,
    index: usize,
) {
    let Adapter { rank, scale, columns, .. } = *adapter;
    let mut input = |which: usize, rows: usize, width: usize| {
        out.fresh(Shape::tokens(1, rows, width), ElemKind::F32, Some(Outside::Trained(2 * index + which)))
    };
    let (down, up) = (input(0, rank, columns), input(1, adapter.outputs(), rank));
    let shape = out.shape(node.output).with_channels(rank);
    let lowered = Op::Train(TrainOp::Down { x, matrix: down, conv });
    let hidden = out.append(&format!("{}.lora_down", node.path), lowered, shape);
    let raised = Op::Train(TrainOp::Up { x: hidden, matrix: up, first, scale });
    out.nodes.push(Node { path: format!("{}.lora_up", node.path), op: raised, output: node.output });
}
