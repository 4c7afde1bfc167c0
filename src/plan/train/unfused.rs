//! A graph in which products only multiply: activations, gates and what is added behind them are ops of their own.

use super::super::graph::{ElemKind, Factor, Gemm, Graph, Node, Op};
use super::{TrainOp, not_trainable};
use crate::error::Result;
use crate::kernels::gemm::Act;

/// The same network, whose values before activations can be read. A product keeps its bias and what is added to its sums.
pub fn unfused(graph: Graph) -> Result<Graph> {
    let mut out = Graph { nodes: Vec::new(), ..graph };
    for node in graph.nodes {
        match &node.op {
            Op::Gemm(op) if op.geglu || op.act != Act::None => product(&mut out, &node, op)?,
            _ => out.nodes.push(node),
        }
    }
    Ok(out)
}

fn product(out: &mut Graph, node: &Node, op: &Gemm) -> Result<()> {
    if op.slope.is_some() || op.accumulate {
        return Err(not_trainable(
            &node.path,
            "its activation has slopes of its own, or it adds to what is there",
        ));
    }
    let path = &node.path;
    let shape = out.shape(node.output);
    // What is added before the activation stays in the product.
    let behind = op.residual.filter(|_| !op.act_last);
    let residual = op.residual.filter(|_| op.act_last);
    let sums = Gemm { act: Act::None, act_last: false, geglu: false, residual, ..op.clone() };
    let width = if op.geglu { 2 * shape.c } else { shape.c };
    let x = out.append(path, Op::Gemm(sums), shape.with_channels(width));
    let activation = if op.geglu { TrainOp::Gated { x } } else { TrainOp::Activation { x, act: op.act } };
    let activated = match behind {
        Some(_) => out.fresh(shape, ElemKind::Activation, None),
        None => node.output,
    };
    out.nodes.push(Node { path: format!("{path}.act"), op: Op::Train(activation), output: activated });
    if let Some(y) = behind {
        let sum = Op::Add { x: activated, y, factor: Factor::Constant(1.0) };
        out.nodes.push(Node { path: format!("{path}.sum"), op: sum, output: node.output });
    }
    Ok(())
}
