//! From a graph and its loss the gradients of what is learnt, as more nodes of the same graph.
//!
//! Reverse accumulation (Griewank & Walther, *Evaluating Derivatives*): the nodes are gone through from the last to the first;
//! a value's gradient is complete when the node that writes it is met. What depends on nothing that is learnt gets none.

use std::collections::{BTreeMap, BTreeSet};

use super::super::graph::{
    Conv, Convert, ElemKind, Factor, Gemm, Graph, GroupNorm, Node, Op, Section, Shape, ValueId,
};
use super::super::outside::Outside;
use super::{TrainOp, Value, not_trainable};
use crate::error::Result;
use crate::kernels::gemm::Act;

/// Appends to an adapted graph the gradient of `Σ weights · (prediction − target)² / 2` and with it that of every
/// [`Outside::Trained`], which is *added* to the [`Outside::Gradient`] of its number. The target is [`Outside::Target`], the
/// weights are [`Outside::LossWeights`], both like the prediction.
pub fn backward(graph: Graph) -> Result<Graph> {
    let predicted = graph.values.iter().position(|value| value.external == Some(Outside::Prediction));
    let prediction = ValueId(predicted.ok_or_else(|| not_trainable(&graph.name, "it predicts nothing"))?);
    let forward = graph.nodes.clone();
    let mut way = Way { learns: learning(&graph), graph, gradients: BTreeMap::new() };
    let shape = way.graph.shape(prediction);
    let target = way.graph.fresh(shape, ElemKind::F32, Some(Outside::Target));
    let weights = way.graph.fresh(shape, ElemKind::F32, Some(Outside::LossWeights));
    let error = Op::Train(TrainOp::Difference { x: prediction, y: target, weights });
    let gradient = way.graph.append("loss", error, shape);
    way.gradients.insert(prediction, gradient);
    for node in forward.iter().rev() {
        way.node(node)?;
    }
    Ok(way.graph)
}

/// The values that depend on what is learnt.
fn learning(graph: &Graph) -> BTreeSet<ValueId> {
    let learnt = |(i, value): (usize, &Value)| {
        matches!(value.external, Some(Outside::Trained(_))).then_some(ValueId(i))
    };
    let mut learns: BTreeSet<ValueId> = graph.values.iter().enumerate().filter_map(learnt).collect();
    for node in &graph.nodes {
        if node.op.reads().any(|value| learns.contains(&value)) {
            learns.insert(node.output);
        }
    }
    learns
}

/// The way back, as far as it has come.
struct Way {
    graph: Graph,
    learns: BTreeSet<ValueId>,
    /// What is known of each value's gradient.
    gradients: BTreeMap<ValueId, ValueId>,
}

impl Way {
    fn node(&mut self, node: &Node) -> Result<()> {
        let Some(&grad) = self.gradients.get(&node.output) else { return Ok(()) };
        let path = format!("{}.grad", node.path);
        match &node.op {
            Op::Gemm(op) => self.gemm(&path, op, grad),
            Op::GroupNorm(op) if op.x == node.output || op.first + op.channel != 0 => {
                Err(not_trainable(&node.path, "it is normalised in place or in parts"))
            }
            Op::GroupNorm(op) => {
                self.group_norm(&path, *op, grad);
                Ok(())
            }
            Op::LayerNorm { x, gamma, eps, .. } => {
                let op = TrainOp::LayerNormGrad { x: *x, gamma: *gamma, eps: *eps, grad };
                self.if_learns(*x, &path, op);
                Ok(())
            }
            Op::Attention { hidden: Some(_), .. } => {
                Err(not_trainable(&node.path, "keys are hidden from it"))
            }
            Op::Attention { q, k, v, heads, head_dim, causal, hidden: None } => {
                for of in BTreeSet::from([q.value, k.value, v.value]) {
                    let (heads, head_dim, causal) = (*heads, *head_dim, *causal);
                    let op =
                        TrainOp::AttentionGrad { q: *q, k: *k, v: *v, heads, head_dim, causal, grad, of };
                    self.if_learns(of, &path, op);
                }
                Ok(())
            }
            Op::Add { x, y, factor } => {
                self.add(*x, grad);
                match *factor {
                    _ if !self.learns.contains(y) => {}
                    Factor::Constant(factor) if self.graph.shape(*y).n == self.graph.shape(*x).n => {
                        let scaled = self.scaled(&path, grad, factor);
                        self.add(*y, scaled);
                    }
                    _ => return Err(not_trainable(&node.path, "its factor is another for each picture")),
                }
                Ok(())
            }
            Op::Convert { x, convert: Convert::Affine { scale, .. } }
                if self.graph.shape(*x) == self.graph.shape(node.output) =>
            {
                let scaled = self.scaled(&path, grad, *scale);
                self.add(*x, scaled);
                Ok(())
            }
            Op::Train(op) => self.train(&path, op, grad),
            Op::Embed { tokens, own: Some(own), .. } if self.learns.contains(own) => {
                self.sum(&path, *own, TrainOp::VectorSum { grad, tokens: *tokens })
            }
            Op::Embed { .. } => Ok(()),
            op if op.reads().any(|value| self.learns.contains(&value)) => {
                Err(not_trainable(&node.path, "there is no gradient of this op"))
            }
            _ => Ok(()),
        }
    }

    fn train(&mut self, path: &str, op: &TrainOp, grad: ValueId) -> Result<()> {
        match op {
            TrainOp::Activation { x, act } => {
                self.if_learns(*x, path, TrainOp::ActivationGrad { x: *x, act: *act, grad })
            }
            TrainOp::Gated { x } => self.if_learns(*x, path, TrainOp::GatedGrad { x: *x, grad }),
            TrainOp::Up { x, matrix, first, scale } => {
                let (first, scale) = (*first, *scale);
                self.sum(path, *matrix, TrainOp::UpSum { grad, x: *x, first, scale })?;
                self.if_learns(*x, path, TrainOp::UpGrad { grad, matrix: *matrix, first, scale });
            }
            TrainOp::Down { x, matrix, conv } => {
                self.sum(path, *matrix, TrainOp::DownSum { grad, x: *x, conv: *conv })?;
                let (x, matrix) = (*x, *matrix);
                if self.learns.contains(&x) {
                    let shape = self.graph.shape(x);
                    let back = |grad, conv| Op::Train(TrainOp::DownGrad { grad, matrix, conv });
                    let gradient = self.through(path, *conv, grad, shape, &back)?;
                    self.add(x, gradient);
                }
            }
            _ => return Err(not_trainable(path, "a gradient has none of its own")),
        }
        Ok(())
    }

    fn gemm(&mut self, path: &str, op: &Gemm, grad: ValueId) -> Result<()> {
        if op.geglu || op.act != Act::None || op.accumulate || op.section != Section::default() {
            return Err(not_trainable(path, "the product is no plain one"));
        }
        if op.time.is_some_and(|(time, _)| self.learns.contains(&time)) {
            return Err(not_trainable(path, "nothing is learnt of the time"));
        }
        if let Some(residual) = op.residual {
            self.add(residual, grad);
        }
        let sources: Vec<ValueId> = [Some(op.x), op.x2].into_iter().flatten().collect();
        if !sources.iter().any(|source| self.learns.contains(source)) {
            return Ok(());
        }
        let channels = sources.iter().map(|source| self.graph.shape(*source).c).sum();
        let shape = self.graph.shape(op.x).with_channels(channels);
        let layer = Gemm { x2: None, bias: None, time: None, residual: None, transposed: true, ..op.clone() };
        let back = |x, conv| Op::Gemm(Gemm { x, conv, ..layer.clone() });
        let gradient = self.through(path, op.conv, grad, shape, &back)?;
        self.divided(path, &sources, gradient);
        Ok(())
    }

    /// The way back through a convolution, or a linear layer without one: `product` is what goes between maps of one size.
    fn through(
        &mut self,
        path: &str,
        conv: Option<Conv>,
        grad: ValueId,
        shape: Shape,
        product: &dyn Fn(ValueId, Option<Conv>) -> Op,
    ) -> Result<ValueId> {
        let Some(conv) = conv else { return Ok(self.graph.append(path, product(grad, None), shape)) };
        let (h, w) = conv.upsample.unwrap_or((shape.h, shape.w));
        let read = self.graph.shape(grad);
        let wide = match conv.stride {
            1 => grad,
            2 => self.graph.append(path, Op::Train(TrainOp::Spread { x: grad }), Shape { h, w, ..read }),
            _ => return Err(not_trainable(path, "its stride is neither 1 nor 2")),
        };
        let last = conv.kernel - 1;
        let (pad_top, pad_left) = (last - conv.pad_top, last - conv.pad_left);
        let back = Conv { stride: 1, pad_top, pad_left, upsample: None, ..conv };
        let whole = self.graph.append(path, product(wide, Some(back)), Shape { h, w, ..shape });
        match conv.upsample {
            None => Ok(whole),
            Some(_) => Ok(self.graph.append(path, Op::Train(TrainOp::Pool { x: whole }), shape)),
        }
    }

    fn group_norm(&mut self, path: &str, norm: GroupNorm, grad: ValueId) {
        let sources: Vec<ValueId> = [Some(norm.x), norm.x2].into_iter().flatten().collect();
        if !sources.iter().any(|source| self.learns.contains(source)) {
            return;
        }
        let shape = self.graph.shape(grad);
        let gradient = self.graph.append(path, Op::Train(TrainOp::GroupNormGrad { norm, grad }), shape);
        self.divided(path, &sources, gradient);
    }

    /// Gives each of the maps that stand side by side its channels of a gradient.
    fn divided(&mut self, path: &str, sources: &[ValueId], gradient: ValueId) {
        let mut first = 0;
        for source in sources {
            let shape = self.graph.shape(*source);
            if self.learns.contains(source) {
                let own = match sources {
                    [_] => gradient,
                    _ => self.graph.append(path, Op::Train(TrainOp::Columns { x: gradient, first }), shape),
                };
                self.add(*source, own);
            }
            first += shape.c;
        }
    }

    /// What an op makes of it is the gradient of a value, if that is wanted.
    fn if_learns(&mut self, value: ValueId, path: &str, op: TrainOp) {
        if self.learns.contains(&value) {
            let gradient = self.graph.append(path, Op::Train(op), self.graph.shape(value));
            self.add(value, gradient);
        }
    }

    /// An op that adds to the gradient of what is learnt.
    fn sum(&mut self, path: &str, trained: ValueId, op: TrainOp) -> Result<()> {
        let Value { shape, external, .. } = self.graph.values[trained.index()];
        let Some(Outside::Trained(index)) = external else {
            return Err(not_trainable(path, "what it reads is not learnt"));
        };
        let output = self.graph.fresh(shape, ElemKind::F32, Some(Outside::Gradient(index)));
        self.graph.nodes.push(Node { path: path.to_string(), op: Op::Train(op), output });
        Ok(())
    }

    fn scaled(&mut self, path: &str, x: ValueId, scale: f32) -> ValueId {
        if scale == 1.0 {
            return x;
        }
        let convert = Convert::Affine { scale, shift: 0.0 };
        self.graph.append(path, Op::Convert { x, convert }, self.graph.shape(x))
    }

    /// Adds to what is known of a value's gradient.
    fn add(&mut self, value: ValueId, more: ValueId) {
        if !self.learns.contains(&value) {
            return;
        }
        let sum = match self.gradients.get(&value) {
            None => more,
            Some(&known) => {
                let op = Op::Add { x: known, y: more, factor: Factor::Constant(1.0) };
                self.graph.append("sum.grad", op, self.graph.shape(known))
            }
        };
        self.gradients.insert(value, sum);
    }
}
