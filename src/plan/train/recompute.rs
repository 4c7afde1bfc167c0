//! Less memory for more work: what a part of the network keeps for its way back is forgotten and computed again when that way
//! comes to it (Chen et al. 2016, <https://arxiv.org/abs/1604.06174>).

use std::collections::{BTreeMap, BTreeSet};

use super::super::graph::{Graph, Node, Op, ValueId};
use super::TrainOp;
use super::joined::renamed;

/// Components of a path behind which a part begins: `resnets.1` is one, so is `attentions.0`.
const PARTS: [&str; 5] = ["resnets", "attentions", "layers", "downsamplers", "upsamplers"];

/// Nodes on the way to the loss: what comes before is forwards, what follows is the way back.
fn forward(graph: &Graph) -> usize {
    let is_loss = |node: &Node| matches!(node.op, Op::Train(TrainOp::Difference { .. }));
    graph.nodes.iter().position(is_loss).unwrap_or(graph.nodes.len())
}

/// Which part a node belongs to, by its path.
fn part(path: &str) -> String {
    let mut part = Vec::new();
    let mut components = path.split('.');
    while let Some(component) = components.next() {
        part.push(component);
        if PARTS.contains(&component) {
            part.extend(components.next());
            break;
        }
    }
    part.join(".")
}

/// The forward nodes of each part, in order.
fn parts(graph: &Graph) -> Vec<(String, Vec<usize>)> {
    let mut parts: Vec<(String, Vec<usize>)> = Vec::new();
    for (index, node) in graph.nodes[..forward(graph)].iter().enumerate() {
        let name = part(&node.path);
        match parts.last_mut() {
            Some((last, nodes)) if *last == name => nodes.push(index),
            _ => parts.push((name, vec![index])),
        }
    }
    parts
}

/// How many parts a graph has that learns.
pub fn count(graph: &Graph) -> usize {
    parts(graph).len()
}

/// A graph with its way back that computes the first so many of its parts once more on that way, and so keeps nothing of them but
/// what other parts read. It gives the same values.
pub fn recomputed(graph: Graph, count: usize) -> Graph {
    let forward = forward(&graph);
    let parts: Vec<Vec<usize>> = parts(&graph).into_iter().map(|(_, nodes)| nodes).take(count).collect();
    let again = Again::new(&graph, forward, parts);
    let nodes = graph.nodes.clone();
    let mut out = Graph { nodes: nodes[..forward].to_vec(), ..graph };
    let mut known = BTreeMap::new();
    let mut done = BTreeSet::new();
    for node in &nodes[forward..] {
        for value in node.op.reads() {
            if let Some(&part) = again.inner.get(&value)
                && done.insert(part)
            {
                again.copy(&mut out, &mut known, part, &nodes);
            }
        }
        let mut node = node.clone();
        renamed(&mut node.op, &|id| known.get(&id).copied().unwrap_or(id), &|id| id);
        out.nodes.push(node);
    }
    out
}

/// What is to be computed again.
struct Again {
    /// Values that only one part knows, with its number: what is forgotten.
    inner: BTreeMap<ValueId, usize>,
    /// Of each part the nodes that are needed again, in order.
    nodes: Vec<Vec<usize>>,
}

impl Again {
    fn new(graph: &Graph, forward: usize, parts: Vec<Vec<usize>>) -> Again {
        let mut inner = BTreeMap::new();
        for (part, nodes) in parts.iter().enumerate() {
            for &node in nodes {
                let output = graph.nodes[node].output;
                if graph.values[output.index()].external.is_none() {
                    inner.insert(output, part);
                }
            }
        }
        // What another part reads is kept.
        let owner: BTreeMap<usize, usize> = parts
            .iter()
            .enumerate()
            .flat_map(|(part, nodes)| nodes.iter().map(move |&node| (node, part)))
            .collect();
        for (index, node) in graph.nodes[..forward].iter().enumerate() {
            for value in node.op.reads() {
                if inner.get(&value).is_some_and(|part| owner.get(&index) != Some(part)) {
                    inner.remove(&value);
                }
            }
        }
        // Backwards through each part: what is read on the way back, and what that is made of.
        let mut wanted: BTreeSet<ValueId> = graph.nodes[forward..]
            .iter()
            .flat_map(|node| node.op.reads())
            .filter(|id| inner.contains_key(id))
            .collect();
        let needed = parts.into_iter().map(|nodes| {
            let mut needed = Vec::new();
            for &node in nodes.iter().rev() {
                if wanted.contains(&graph.nodes[node].output) {
                    wanted.extend(graph.nodes[node].op.reads().filter(|id| inner.contains_key(id)));
                    needed.push(node);
                }
            }
            needed.reverse();
            needed
        });
        let nodes = needed.collect();
        Again { inner, nodes }
    }

    /// Appends the nodes of a part once more, with outputs of their own.
    fn copy(&self, out: &mut Graph, known: &mut BTreeMap<ValueId, ValueId>, part: usize, nodes: &[Node]) {
        for &node in &self.nodes[part] {
            let Node { path, mut op, output } = nodes[node].clone();
            let made = *known.entry(output).or_insert_with(|| {
                let value = out.values[output.index()].clone();
                out.fresh(value.shape, value.elem, None)
            });
            renamed(&mut op, &|id| known.get(&id).copied().unwrap_or(id), &|id| id);
            out.nodes.push(Node { path: format!("{path}.again"), op, output: made });
        }
    }
}
