//! The ops of learning to their kernel launches.
//!
//! On a device everything that is learnt lies in one buffer, so do its gradients, and low-rank matrices are packed as weights
//! are: `[K / 4, rows]` groups of four values along K, which is `columns` of the first matrix and the rank of the second.

use super::super::graph::{Conv, Convert, ElemKind, GroupNorm, Node, Shape, Slice, ValueId, WeightId};
use super::super::launch::{self, attention_params, flops, product, sizes, way_back};
use super::super::lower::{Lowering, Operand, push};
use super::super::memory::ALIGNMENT;
use super::super::outside::Outside;
use super::{TrainOp, not_trainable};
use crate::error::{Error, Result};
use crate::kernels::attention_grad::Pass;
use crate::kernels::gemm::{self, Act, Source};
use crate::kernels::{
    Elem, WeightType, activation, attention_grad, difference, embed_grad, gemm_sum, group_norm,
    group_norm_grad, layer_norm_grad, low_rank_sum, resample,
};

/// Rows of a map that one workgroup sums up of a low-rank matrix's gradient, at least.
const CUT_ROWS: u32 = 256;
/// Most cuts.
const MOST_CUTS: u32 = 64;

/// Values of learnt tensors of such lengths one behind the other: where each begins, and how many there are in all.
pub fn places(lengths: impl Iterator<Item = usize>) -> (Vec<usize>, usize) {
    let mut next = 0;
    let mut place = |len: usize| {
        let at = next;
        next += len.next_multiple_of(ALIGNMENT as usize / 4);
        at
    };
    let places = lengths.map(&mut place).collect();
    (places, next)
}

/// Puts what is learnt together into one value, and so its gradients. Fails where that is larger than the adapter can bind.
pub fn together(l: &mut Lowering) -> Result<()> {
    type Number = fn(Outside) -> Option<usize>;
    let kinds: [(Outside, Number); 2] = [
        (
            Outside::AllTrained,
            |outside| if let Outside::Trained(index) = outside { Some(index) } else { None },
        ),
        (
            Outside::AllGradients,
            |outside| if let Outside::Gradient(index) = outside { Some(index) } else { None },
        ),
    ];
    for (all, number) in kinds {
        let of = |id: usize| Some((number(l.graph.values[id].external?)?, ValueId(id)));
        let mut parts: Vec<(usize, ValueId)> = (0..l.graph.values.len()).filter_map(of).collect();
        parts.sort();
        if parts.is_empty() {
            continue;
        }
        let (places, len) = places(parts.iter().map(|(_, id)| l.shape(*id).len() as usize));
        let (bytes, binding) = (4 * len as u64, l.target.limits.binding);
        if bytes > binding {
            let message = format!(
                "what is learnt takes {} MiB, this adapter binds at most {} MiB at once; choose a smaller rank or fewer layers",
                bytes >> 20,
                binding >> 20
            );
            return Err(Error::InvalidInput { field: "rank", message });
        }
        let whole = l.scratch(Shape::tokens(1, 1, len), ElemKind::F32);
        l.graph.values[whole.index()].external = Some(all);
        for ((_, id), place) in parts.iter().zip(places) {
            l.graph.values[id.index()].external = None;
            l.views.insert(*id, (whole, place as u64));
        }
    }
    Ok(())
}

/// Appends the launches of one node.
pub fn node(l: &mut Lowering, node: &Node, op: &TrainOp) -> Result<()> {
    match op {
        TrainOp::Activation { x, act } => activate(l, node, (*act, false), *x, None),
        TrainOp::Gated { x } => activate(l, node, (Act::Gelu, true), *x, None),
        TrainOp::ActivationGrad { x, act, grad } => activate(l, node, (*act, false), *x, Some(*grad)),
        TrainOp::GatedGrad { x, grad } => activate(l, node, (Act::Gelu, true), *x, Some(*grad)),
        TrainOp::Difference { x, y, weights } => {
            let spec = difference::Spec { elem: l.target.elem };
            let params = difference::Params { groups: groups(l, *x) };
            let operands = vec![
                Operand::Read(*x),
                Operand::Read(*y),
                Operand::Read(*weights),
                Operand::Write(node.output),
            ];
            let workgroups = difference::workgroups(&spec, &params);
            push(l, node, spec.into(), params.bytes(), workgroups, operands, 0);
        }
        TrainOp::VectorSum { grad, tokens } => {
            let own = l.shape(node.output);
            let spec = embed_grad::Spec { elem: l.target.elem };
            let params = embed_grad::Params {
                tokens: l.shape(*grad).rows() as u32,
                c4: (own.c / 4) as u32,
                own: own.w as u32,
            };
            let operands = vec![Operand::Read(*tokens), Operand::Read(*grad), Operand::Update(node.output)];
            let workgroups = embed_grad::workgroups(&spec, &params);
            push(l, node, spec.into(), params.bytes(), workgroups, operands, 0);
        }
        TrainOp::Columns { x, first } => {
            launch::affine(l, node, (*x, *first), Convert::Affine { scale: 1.0, shift: 0.0 });
        }
        TrainOp::Spread { x } => resampled(l, node, *x, false),
        TrainOp::Pool { x } => resampled(l, node, *x, true),
        TrainOp::GroupNormGrad { norm, grad } => group_norm_grad(l, node, norm, *grad),
        TrainOp::LayerNormGrad { x, gamma, eps, grad } => layer_norm(l, node, (*x, *gamma, *eps), *grad),
        TrainOp::AttentionGrad { q, k, v, heads, head_dim, causal, grad, of } => {
            return attention(l, node, [*q, *k, *v], (*heads, *head_dim, *causal), *grad, *of);
        }
        TrainOp::Down { x, matrix, conv } => {
            let [rank, columns] = matrix_size(l, *matrix);
            let params = sizes(l.shape(*x), l.shape(node.output), *conv, (rank, columns));
            low_rank(l, node, (*x, *matrix), *conv, params, [false, false]);
        }
        TrainOp::DownGrad { grad, matrix, conv } => {
            let [rank, columns] = matrix_size(l, *matrix);
            let params = sizes(l.shape(*grad), l.shape(node.output), *conv, (rank, columns));
            low_rank(l, node, (*grad, *matrix), *conv, params, [true, false]);
        }
        TrainOp::Up { x, matrix, first, scale } => {
            let [outputs, rank] = matrix_size(l, *matrix);
            let (from, to) = (l.shape(*x), l.shape(node.output));
            let whole = sizes(from, to, None, (outputs, rank));
            let params = gemm::Params {
                n: outputs as u32,
                a_row4: (from.c / 4) as u32,
                out_row: to.c as u32,
                out_first: *first as u32,
                scale: *scale,
                ..whole
            };
            low_rank(l, node, (*x, *matrix), None, params, [false, true]);
        }
        TrainOp::UpGrad { grad, matrix, first, scale } => {
            let [outputs, rank] = matrix_size(l, *matrix);
            let (from, to) = (l.shape(*grad), l.shape(node.output));
            let whole = sizes(from.with_channels(outputs), to, None, (outputs, rank));
            let params = gemm::Params {
                a_row4: (from.c / 4) as u32,
                a_first4: (*first / 4) as u32,
                out_row: to.c as u32,
                scale: *scale,
                ..whole
            };
            low_rank(l, node, (*grad, *matrix), None, params, [true, true]);
        }
        TrainOp::UpSum { grad, x, first, scale } => {
            let outputs = l.shape(node.output).w;
            let params = low_rank_sum::Params {
                rows: l.shape(*x).rows() as u32,
                rank4: (l.shape(*x).c / 4) as u32,
                wide4: (outputs / 4) as u32,
                row4: (l.shape(*grad).c / 4) as u32,
                first4: (*first / 4) as u32,
                scale: *scale,
                ..low_rank_sum::Params::default()
            };
            let spec =
                low_rank_sum::Spec { elem: l.target.elem, conv: false, upsample: false, by_rank: true };
            sum(l, node, [*x, *grad], spec, params);
        }
        TrainOp::DownSum { grad, x, conv } => {
            let [from, to] = [*x, *grad].map(|id| l.shape(id));
            let sizes = sizes(from, to, *conv, (to.c, l.shape(node.output).c));
            let (full_h, full_w) = conv.and_then(|conv| conv.upsample).unwrap_or((from.h, from.w));
            let params = low_rank_sum::Params {
                rows: sizes.m,
                rank4: (to.c / 4) as u32,
                wide4: sizes.k4,
                row4: sizes.a_c4,
                scale: 1.0,
                in_h: sizes.in_h,
                in_w: sizes.in_w,
                out_h: to.h as u32,
                out_w: to.w as u32,
                full_h: full_h as u32,
                full_w: full_w as u32,
                kernel_w: sizes.kernel_w,
                stride: sizes.stride,
                pad_top: conv.map_or(0, |conv| conv.pad_top) as u32,
                pad_left: sizes.pad_left,
                ..low_rank_sum::Params::default()
            };
            let upsample = conv.is_some_and(|conv| conv.upsample.is_some());
            let spec =
                low_rank_sum::Spec { elem: l.target.elem, conv: conv.is_some(), upsample, by_rank: false };
            sum(l, node, [*grad, *x], spec, params);
        }
    }
    Ok(())
}

/// Groups of four values.
fn groups(l: &Lowering, id: ValueId) -> u32 {
    (l.shape(id).len() / 4) as u32
}

/// Rows and columns of a low-rank matrix.
fn matrix_size(l: &Lowering, id: ValueId) -> [usize; 2] {
    let shape = l.shape(id);
    [shape.w, shape.c]
}

fn activate(l: &mut Lowering, node: &Node, (act, gated): (Act, bool), x: ValueId, grad: Option<ValueId>) {
    let spec = activation::Spec { elem: l.target.elem, act, gated, back: grad.is_some() };
    let params = activation::Params { groups: groups(l, x) / if gated { 2 } else { 1 } };
    let mut operands = vec![Operand::Read(x)];
    operands.extend(grad.map(Operand::Read));
    operands.push(Operand::Write(node.output));
    let workgroups = activation::workgroups(&spec, &params);
    push(l, node, spec.into(), params.bytes(), workgroups, operands, 0);
}

fn resampled(l: &mut Lowering, node: &Node, x: ValueId, pool: bool) {
    let (from, to) = (l.shape(x), l.shape(node.output));
    let spec = resample::Spec { elem: l.target.elem, pool };
    let params = resample::Params {
        groups: groups(l, node.output),
        c4: (to.c / 4) as u32,
        in_h: from.h as u32,
        in_w: from.w as u32,
        out_h: to.h as u32,
        out_w: to.w as u32,
    };
    let workgroups = resample::workgroups(&spec, &params);
    let operands = vec![Operand::Read(x), Operand::Write(node.output)];
    push(l, node, spec.into(), params.bytes(), workgroups, operands, 0);
}

fn group_norm_grad(l: &mut Lowering, node: &Node, norm: &GroupNorm, grad: ValueId) {
    let from = l.shape(norm.x);
    let second = norm.x2.map_or(0, |x2| l.shape(x2).c);
    let channels = (from.c + second) as u32;
    let spec = group_norm_grad::Spec {
        elem: l.target.elem,
        width: group_norm::width(channels, norm.groups as u32),
        threads: if l.target.tuning.cpu { 4 } else { 256 },
        concat: norm.x2.is_some(),
        silu: norm.silu,
    };
    let params = group_norm_grad::Params {
        batch: from.n as u32,
        rows: (from.h * from.w) as u32,
        channels1: from.c as u32,
        channels2: second as u32,
        groups: norm.groups as u32,
        eps: norm.eps,
    };
    let mut operands: Vec<Operand> =
        [Some(norm.x), norm.x2].into_iter().flatten().map(Operand::Read).collect();
    operands.push(Operand::Weight(norm.gamma));
    operands.extend(norm.silu.then_some(Operand::Weight(norm.beta)));
    operands.extend([Operand::Read(grad), Operand::Write(node.output)]);
    let workgroups = group_norm_grad::workgroups(&spec, &params);
    push(l, node, spec.into(), params.bytes(), workgroups, operands, 0);
}

fn layer_norm(l: &mut Lowering, node: &Node, (x, gamma, eps): (ValueId, WeightId, f32), grad: ValueId) {
    let shape = l.shape(x);
    let spec = layer_norm_grad::Spec { elem: l.target.elem };
    let params = layer_norm_grad::Params { rows: shape.rows() as u32, channels: shape.c as u32, eps };
    let workgroups = layer_norm_grad::workgroups(&spec, &params);
    let operands =
        vec![Operand::Read(x), Operand::Weight(gamma), Operand::Read(grad), Operand::Write(node.output)];
    push(l, node, spec.into(), params.bytes(), workgroups, operands, 0);
}

/// The passes that the gradient of one operand needs, which holds queries, or keys and values, or all three and nothing else.
fn attention(
    l: &mut Lowering,
    node: &Node,
    [q, k, v]: [Slice; 3],
    (heads, head_dim, causal): (usize, usize, bool),
    grad: ValueId,
    of: ValueId,
) -> Result<()> {
    let shared_qkv = q.value == k.value;
    let inner = heads * head_dim;
    let held = [q, k, v].iter().filter(|slice| slice.value == of).count();
    if k.value != v.value || l.shape(of).c != held * inner {
        return Err(not_trainable(&node.path, "its operand holds more than queries, keys and values"));
    }
    let params = attention_params(l, [q, k, v], heads, head_dim);
    let sums =
        l.scratch(Shape::tokens(params.batch as usize, heads * params.queries as usize, 2), ElemKind::F32);
    let mut passes = vec![Pass::Sums];
    passes.extend((q.value == of).then_some(Pass::Queries));
    passes.extend((k.value == of).then_some(Pass::Keys));
    let pairs = product([params.batch as usize, heads, params.queries as usize, params.keys as usize]);
    let mut written = false;
    for pass in passes {
        let spec =
            attention_grad::Spec { elem: l.target.elem, pass, head_dim: head_dim as u32, causal, shared_qkv };
        let mut operands = vec![Operand::Read(q.value)];
        operands.extend((!shared_qkv).then_some(Operand::Read(k.value)));
        operands.push(Operand::Read(grad));
        if pass == Pass::Sums {
            operands.push(Operand::Write(sums));
        } else {
            operands.push(Operand::Read(sums));
            operands.push(if written { Operand::Update(node.output) } else { Operand::Write(node.output) });
            written = true;
        }
        let products = match pass {
            Pass::Sums => 2,
            Pass::Queries => 3,
            Pass::Keys => 4,
        };
        let workgroups = attention_grad::workgroups(&spec, &params);
        let flops = 2 * products * pairs * head_dim as u64;
        push(l, node, spec.into(), params.bytes(), workgroups, operands, flops);
    }
    Ok(())
}

/// A product with a low-rank matrix, f32: the other way with the first flag, over windows and added to what is there with the
/// second (the way back is written instead).
fn low_rank(
    l: &mut Lowering,
    node: &Node,
    (x, matrix): (ValueId, ValueId),
    conv: Option<Conv>,
    params: gemm::Params,
    [transposed, window]: [bool; 2],
) {
    let (variant, _) = way_back(l.target, &params);
    let accumulate = window && !transposed;
    let spec = gemm::Spec {
        transposed,
        window,
        accumulate,
        circular: conv.map_or(crate::kernels::Circular::NONE, |conv| conv.circular),
        ..gemm::Spec::plain(l.target.elem, WeightType::F32, variant, launch::source(conv))
    };
    let output = if accumulate { Operand::Update(node.output) } else { Operand::Write(node.output) };
    let operands = vec![Operand::Read(x), Operand::Read(matrix), output];
    let workgroups = gemm::workgroups(&spec, &params);
    let flops = flops(&params);
    push(l, node, spec.into(), params.bytes(), workgroups, operands, flops);
}

/// The gradient of a low-rank matrix: what cuts of the rows sum to, then their sum added to what is there.
fn sum(
    l: &mut Lowering,
    node: &Node,
    [narrow, wide]: [ValueId; 2],
    spec: low_rank_sum::Spec,
    params: low_rank_sum::Params,
) {
    let cut = params.rows.div_ceil(MOST_CUTS).max(CUT_ROWS);
    let params = low_rank_sum::Params { cut, ..params };
    let cuts = params.cuts() as usize;
    let sums = l.scratch(Shape::image(1, 1, cuts, params.len() as usize), ElemKind::F32);
    let workgroups = low_rank_sum::workgroups(&spec, &params);
    let operands = vec![Operand::Read(narrow), Operand::Read(wide), Operand::Write(sums)];
    let flops = 2 * u64::from(params.len()) * u64::from(params.rows);
    push(l, node, spec.into(), params.bytes(), workgroups, operands, flops);
    let plain = gemm::Spec::plain(Elem::F32, WeightType::F32, gemm::Variant::OUTER, Source::Rows);
    let spec = gemm_sum::Spec::of(&gemm::Spec { accumulate: true, ..plain });
    let params =
        gemm_sum::Params { m: 1, n: params.len(), cuts: cuts as u32, time_offset: 0, first_column: 0 };
    let workgroups = gemm_sum::workgroups(&spec, &params);
    let operands = vec![Operand::Read(sums), Operand::Update(node.output)];
    push(l, node, spec.into(), params.bytes(), workgroups, operands, 0);
}
