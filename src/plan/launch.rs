//! One op to its kernel launches: which kernel, which specialisation, which parameters.

use super::graph::{
    Conv, Convert, ElemKind, Factor, Gemm, GroupNorm, Node, Op, Shape, Slice, ValueId, WeightId,
};
use super::lower::{Lowering, Operand, Target, push};
#[cfg(feature = "train")]
use super::train;
use super::tuning::Winograd;
use super::winograd;
use crate::error::{Error, Result};
use crate::kernels::affine::Precision;
use crate::kernels::attention::Variant as AttentionVariant;
use crate::kernels::gemm::{self, Source};
use crate::kernels::group_norm::Pass;
use crate::kernels::winograd::Tile;
use crate::kernels::{
    Circular, Elem, add, affine, attention, attention_map, embed, gemm_sum, group_norm, layer_norm,
    pixel_shuffle, rgba,
};

/// Invocations that share a group on a CPU adapter, where every barrier costs: as many as a SIMD register has lanes.
const CPU_THREADS: u32 = 4;
/// Elements of one normalisation group from which on several workgroups share it there.
const CPU_SPLIT_GROUP: usize = 1 << 16;
/// Elements each of them then takes.
const CPU_CHUNK: usize = 1 << 14;

/// Appends the launches of one node.
pub fn node(l: &mut Lowering, node: &Node) -> Result<()> {
    match &node.op {
        #[cfg(feature = "train")]
        Op::Train(op) => train::launch::node(l, node, op)?,
        Op::Gemm(op) => gemm(l, node, op),
        Op::GroupNorm(op) => group_norm(l, node, op),
        Op::LayerNorm { x, gamma, beta, eps } => layer_norm(l, node, *x, *gamma, *beta, *eps),
        Op::Attention { q, k, v, heads, head_dim, causal, hidden } => {
            attention(l, node, [*q, *k, *v], [*heads, *head_dim], (*causal, *hidden))?;
        }
        Op::AttentionMap { q, k, heads, head_dim } => attention_map(l, node, [*q, *k], *heads, *head_dim),
        Op::Embed { tokens, own, table, positions } => embed(l, node, (*tokens, *own), [*table, *positions]),
        Op::Convert { x, convert } => affine(l, node, (*x, 0), *convert),
        Op::Add { x, y, factor } => add(l, node, [*x, *y], *factor),
        Op::PixelShuffle { x, base, factor } => pixel_shuffle(l, node, *x, *base, (*factor, false)),
        Op::PixelUnshuffle { x, factor } => pixel_shuffle(l, node, *x, None, (*factor, true)),
        Op::Rgba { x } => {
            let params = rgba::Params { pixels: l.shape(*x).rows() as u32 };
            let spec = rgba::Spec { elem: l.target.elem };
            let workgroups = rgba::workgroups(&spec, &params);
            let operands = vec![Operand::Read(*x), Operand::Write(node.output)];
            push(l, node, spec.into(), params.bytes(), workgroups, operands, 0);
        }
    }
    Ok(())
}

/// A product of sizes, in 64 bits.
pub fn product<const N: usize>(sizes: [usize; N]) -> u64 {
    sizes.into_iter().map(|size| size as u64).product()
}

fn group_norm(l: &mut Lowering, node: &Node, op: &GroupNorm) {
    let (mut spec, mut params) = norm(l, node, op);
    let group_len = group_len(&params);
    if !l.target.tuning.cpu {
        group_norm::for_gpu(&mut spec, &mut params);
    } else if group_len >= CPU_SPLIT_GROUP {
        params.chunks = group_len.div_ceil(CPU_CHUNK) as u32;
    }
    if params.chunks == 1 {
        apply(l, node, op, spec, &params, None);
        return;
    }
    let partial = l.scratch(Shape::tokens(1, 1, group_norm::partial_len(&params)), ElemKind::F32);
    find_moments(l, node, op, &spec, &params, partial);
    apply(l, node, op, group_norm::Spec { pass: Pass::Apply, ..spec }, &params, Some(partial));
}

/// Group norms of bands of one image by the moments of them all.
pub fn group_norm_of_bands(l: &mut Lowering, bands: &[Node]) {
    let bands: Vec<(&Node, &GroupNorm)> = bands
        .iter()
        .filter_map(|node| match &node.op {
            Op::GroupNorm(op) => Some((node, op)),
            _ => None,
        })
        .collect();
    let mut halves: Vec<(group_norm::Spec, group_norm::Params)> = Vec::with_capacity(bands.len());
    for (node, op) in &bands {
        let (mut spec, mut params) = norm(l, node, op);
        if !l.target.tuning.cpu {
            group_norm::in_slices(&mut spec, &mut params);
        }
        if !spec.sliced {
            spec.threads = CPU_THREADS;
            params.chunks = group_len(&params).div_ceil(CPU_CHUNK).max(1) as u32;
        }
        params.first_chunk = halves.iter().map(|(_, params)| params.chunks).sum();
        halves.push((spec, params));
    }
    let all: u32 = halves.iter().map(|(_, params)| params.chunks).sum();
    halves.iter_mut().for_each(|(_, params)| params.other_chunks = all - params.chunks);
    let Some((_, params)) = halves.first() else { return };
    let partial = l.scratch(Shape::tokens(1, 1, group_norm::partial_len(params)), ElemKind::F32);
    for ((node, op), (spec, params)) in bands.iter().zip(&halves) {
        find_moments(l, node, op, spec, params, partial);
    }
    for ((node, op), (spec, params)) in bands.into_iter().zip(halves) {
        apply(l, node, op, group_norm::Spec { pass: Pass::Apply, ..spec }, &params, Some(partial));
    }
}

/// Elements of one group of an image.
fn group_len(params: &group_norm::Params) -> usize {
    params.rows as usize * (params.channels1 + params.channels2) as usize / params.groups as usize
}

/// How a group norm is done in one dispatch, by four invocations a group.
fn norm(l: &Lowering, node: &Node, op: &GroupNorm) -> (group_norm::Spec, group_norm::Params) {
    let (from, to) = (l.shape(op.x), l.shape(node.output));
    let second = op.x2.map_or(0, |v| l.shape(v).c);
    let rows = from.h * from.w;
    let spec = group_norm::Spec {
        elem: l.target.elem,
        pass: Pass::Whole,
        width: group_norm::width(to.c as u32, op.groups as u32),
        threads: CPU_THREADS,
        concat: op.x2.is_some(),
        silu: op.silu,
        held: 0,
        sliced: false,
        in_place: node.output == op.x,
    };
    let channels = [to.c - second, second].map(|channels| channels as u32);
    let params = group_norm::Params {
        stride1: from.c as u32,
        first1: op.first as u32,
        first_affine: op.channel as u32,
        ..group_norm::Params::new(from.n as u32, rows as u32, channels, op.groups as u32, op.eps)
    };
    (spec, params)
}

fn inputs(op: &GroupNorm) -> impl Iterator<Item = Operand> + use<> {
    [Some(op.x), op.x2].into_iter().flatten().map(Operand::Read)
}

/// The first of a group norm's two halves.
fn find_moments(
    l: &mut Lowering,
    node: &Node,
    op: &GroupNorm,
    spec: &group_norm::Spec,
    params: &group_norm::Params,
    partial: ValueId,
) {
    let stats = group_norm::Spec { pass: Pass::Stats, silu: false, in_place: false, ..spec.clone() };
    let operands = inputs(op).chain([Operand::Write(partial)]).collect();
    let workgroups = group_norm::workgroups(&stats, params);
    push(l, node, stats.into(), params.bytes(), workgroups, operands, 0);
}

/// The second, or all of it where no moments have been found.
fn apply(
    l: &mut Lowering,
    node: &Node,
    op: &GroupNorm,
    spec: group_norm::Spec,
    params: &group_norm::Params,
    partial: Option<ValueId>,
) {
    let output = if spec.in_place { Operand::Update(op.x) } else { Operand::Write(node.output) };
    let mut operands: Vec<Operand> = if spec.in_place { Vec::new() } else { inputs(op).collect() };
    operands.extend(partial.map(Operand::Read));
    operands.extend([Operand::Weight(op.gamma), Operand::Weight(op.beta), output]);
    let workgroups = group_norm::workgroups(&spec, params);
    push(l, node, spec.into(), params.bytes(), workgroups, operands, 0);
}

fn layer_norm(l: &mut Lowering, node: &Node, x: ValueId, gamma: WeightId, beta: WeightId, eps: f32) {
    let shape = l.shape(x);
    let spec = layer_norm::Spec::new(l.target.elem, shape.c as u32, l.target.tuning.cpu);
    let params = layer_norm::Params { rows: shape.rows() as u32, channels: shape.c as u32, eps };
    let workgroups = layer_norm::workgroups(&spec, &params);
    let operands =
        vec![Operand::Read(x), Operand::Weight(gamma), Operand::Weight(beta), Operand::Write(node.output)];
    push(l, node, spec.into(), params.bytes(), workgroups, operands, 0);
}

fn attention(
    l: &mut Lowering,
    node: &Node,
    [q, k, v]: [Slice; 3],
    [heads, head_dim]: [usize; 2],
    (causal, hidden): (bool, Option<ValueId>),
) -> Result<()> {
    let (queries, keys) = (l.shape(q.value), l.shape(k.value));
    let (tq, tk) = (queries.h * queries.w, keys.h * keys.w);
    let Some(variant) =
        AttentionVariant::choose(head_dim as u32, l.target.elem, l.target.tuning.cpu, l.target.subgroup)
    else {
        return Err(Error::Unsupported {
            what: format!("{}: attention heads of {head_dim} channels", node.path),
            message: format!("at most {} are", attention::MAX_HEAD_DIM),
        });
    };
    if k.value != v.value {
        return Err(Error::Unsupported {
            what: format!("{}: keys and values in two tensors", node.path),
            message: "the kernel reads both from one".to_string(),
        });
    }
    let shared_qkv = q.value == k.value;
    let (elem, hides) = (l.target.elem, hidden.is_some());
    let spec = attention::Spec { elem, variant, head_dim: head_dim as u32, causal, shared_qkv, hides };
    let params = attention_params(l, [q, k, v], heads, head_dim);
    let mut operands = vec![Operand::Read(q.value)];
    operands.extend((!shared_qkv).then_some(Operand::Read(k.value)));
    operands.extend(hidden.map(Operand::Read));
    operands.push(Operand::Write(node.output));
    let workgroups = attention::workgroups(&spec, &params);
    let flops = 4 * product([queries.n, tq, tk, heads, head_dim]);
    push(l, node, spec.into(), params.bytes(), workgroups, operands, flops);
    Ok(())
}

/// What attention and its map are told of their operands.
pub fn attention_params(
    l: &Lowering,
    [q, k, v]: [Slice; 3],
    heads: usize,
    head_dim: usize,
) -> attention::Params {
    let (queries, keys) = (l.shape(q.value), l.shape(k.value));
    let tk = keys.h * keys.w;
    attention::Params {
        batch: queries.n as u32,
        heads: heads as u32,
        queries: (queries.h * queries.w) as u32,
        keys: tk as u32,
        q_stride: queries.c as u32,
        q_offset: q.offset as u32,
        kv_stride: keys.c as u32,
        kv_batch_stride: (tk * keys.c) as u32,
        kv_images: (queries.n / keys.n.max(1)).max(1) as u32,
        k_offset: k.offset as u32,
        v_offset: v.offset as u32,
        scale: 1.0 / (head_dim as f32).sqrt(),
    }
}

fn attention_map(l: &mut Lowering, node: &Node, [q, k]: [Slice; 2], heads: usize, head_dim: usize) {
    let spec = attention_map::Spec { elem: l.target.elem };
    let params = attention_map::Params::of(&attention_params(l, [q, k, k], heads, head_dim), head_dim as u32);
    let operands = vec![Operand::Read(q.value), Operand::Read(k.value), Operand::Write(node.output)];
    let workgroups = attention_map::workgroups(&spec, &params);
    let map = l.shape(node.output);
    push(
        l,
        node,
        spec.into(),
        params.bytes(),
        workgroups,
        operands,
        4 * map.len() * product([heads, head_dim]),
    );
}

fn embed(
    l: &mut Lowering,
    node: &Node,
    (tokens, own): (ValueId, Option<ValueId>),
    [table, positions]: [WeightId; 2],
) {
    let shape = l.shape(node.output);
    let spec = embed::Spec {
        elem: l.target.elem,
        tokens: l.weight_type(table),
        positions: l.weight_type(positions),
        own: own.is_some(),
    };
    let params = embed::Params {
        batch: shape.n as u32,
        tokens: shape.w as u32,
        channels: shape.c as u32,
        vocabulary: l.matrix_size(table).0 as u32,
        own: own.map_or(0, |own| l.shape(own).w as u32),
    };
    let workgroups = embed::workgroups(&spec, &params);
    let mut operands = vec![Operand::Read(tokens), Operand::Weight(table), Operand::Weight(positions)];
    operands.extend(own.map(Operand::Read));
    operands.push(Operand::Write(node.output));
    push(l, node, spec.into(), params.bytes(), workgroups, operands, 0);
}

/// A conversion of as many channels as the output has, from `first` on.
pub fn affine(l: &mut Lowering, node: &Node, (x, first): (ValueId, usize), convert: Convert) {
    let (from, to) = (l.shape(x), l.shape(node.output));
    let (op, scale, shift) = match convert {
        Convert::Affine { scale, shift } => (affine::Op::Affine, scale, shift),
        Convert::TanhClamp => (affine::Op::TanhClamp, 1.0, 0.0),
    };
    let spec =
        affine::Spec { elem: l.target.elem, op, input: precision(l, x), output: precision(l, node.output) };
    let params = affine::Params {
        pixels: from.rows() as u32,
        input_channels: from.c as u32,
        input_offset: first as u32,
        output_channels: to.c as u32,
        channels: (from.c - first).min(to.c) as u32,
        scale,
        shift,
    };
    let workgroups = affine::workgroups(&spec, &params);
    let operands = vec![Operand::Read(x), Operand::Write(node.output)];
    push(l, node, spec.into(), params.bytes(), workgroups, operands, 0);
}

/// Channels to pixels, or with `back` pixels to channels.
fn pixel_shuffle(
    l: &mut Lowering,
    node: &Node,
    x: ValueId,
    base: Option<ValueId>,
    (factor, back): (usize, bool),
) {
    let (from, to) = (l.shape(x), l.shape(node.output));
    let spec = pixel_shuffle::Spec { elem: l.target.elem, back, base: base.is_some() };
    let (small, channels) = if back { (to, to.c) } else { (from, from.c) };
    let params = pixel_shuffle::Params {
        images: small.n as u32,
        height: small.h as u32,
        width: small.w as u32,
        channels: channels as u32,
        factor: factor as u32,
    };
    let workgroups = pixel_shuffle::workgroups(&spec, &params);
    let mut operands = vec![Operand::Read(x)];
    operands.extend(base.map(Operand::Read));
    operands.push(Operand::Write(node.output));
    push(l, node, spec.into(), params.bytes(), workgroups, operands, 0);
}

fn add(l: &mut Lowering, node: &Node, [x, y]: [ValueId; 2], factor: Factor) {
    let params = factor.params(l.shape(x), l.shape(y));
    let spec = add::Spec { elem: l.target.elem, scaled: factor.value().is_some() };
    let workgroups = add::workgroups(&spec, &params);
    let mut operands = vec![Operand::Read(x), Operand::Read(y)];
    operands.extend(factor.value().map(Operand::Read));
    operands.push(Operand::Write(node.output));
    push(l, node, spec.into(), params.bytes(), workgroups, operands, 0);
}

fn precision(l: &Lowering, value: ValueId) -> Precision {
    match l.graph.values[value.0].elem {
        ElemKind::Activation => Precision::Elem,
        ElemKind::F32 | ElemKind::U32 => Precision::Single,
    }
}

fn gemm(l: &mut Lowering, node: &Node, op: &Gemm) {
    let (from, to) = (l.shape(op.x), l.shape(node.output));
    let source = match op.x2 {
        Some(_) if op.conv.is_none() => Source::Concat,
        _ => source(op.conv),
    };
    let second = op.x2.map_or(0, |v| l.shape(v).c);
    let n = if op.geglu { 2 * to.c } else { to.c };
    let params = sizes(from, to, op.conv, l.matrix_size(op.weight));
    let params = gemm::Params {
        n: n as u32,
        k4: params.k4 + (second / 4) as u32,
        a2_c4: (second / 4) as u32,
        time_offset: op.time.map_or(0, |(_, offset)| offset) as u32,
        first_column: op.section.output as u32,
        first_c4: (op.section.input / 4) as u32,
        ..params
    };
    let way = match op.transposed {
        true => {
            let (variant, cuts) = way_back(l.target, &params);
            Way::Product(variant, cuts)
        }
        false => way(l.target, source, &params),
    };
    let (variant, cuts) = match way {
        Way::Product(variant, cuts) => (variant, cuts),
        Way::Winograd(_, tuning) => (tuning.variant, 1),
    };
    let params = gemm::Params { cut_k4: gemm::cut_k4(variant, params.k4, cuts as u32), ..params };
    let spec = gemm::Spec {
        elem: l.target.elem,
        weight: l.weight_type(op.weight),
        variant,
        source,
        circular: op.conv.map_or(Circular::NONE, |conv| conv.circular),
        bias: op.bias.is_some(),
        time: op.time.is_some(),
        residual: op.residual.is_some(),
        accumulate: op.accumulate,
        act: op.act,
        act_last: op.act_last,
        geglu: op.geglu,
        split: false,
        transposed: op.transposed,
        window: false,
    };
    let mut weight = vec![Operand::Weight(op.weight)];
    weight.extend(spec.weight.is_quantized().then_some(Operand::Scales(op.weight)));
    let mut epilogue: Vec<Operand> = op.bias.map(Operand::Weight).into_iter().collect();
    epilogue.extend(op.slope.map(Operand::Weight));
    epilogue.extend(op.time.map(|(value, _)| Operand::Read(value)));
    epilogue.extend(op.residual.map(Operand::Read));
    epilogue.push(if op.accumulate { Operand::Update(node.output) } else { Operand::Write(node.output) });
    let flops = flops(&params);
    if let Way::Winograd(tile, tuning) = way {
        let operands = (Operand::Read(op.x), weight, epilogue);
        winograd::launches(l, node, tile, &tuning, (&spec, &params), operands);
        return;
    }
    let mut operands = vec![Operand::Read(op.x)];
    operands.extend(op.x2.map(Operand::Read));
    operands.extend(weight);
    if cuts > 1 {
        cut(l, node, &spec, &params, operands, epilogue, flops);
        return;
    }
    operands.extend(epilogue);
    let workgroups = gemm::workgroups(&spec, &params);
    push(l, node, spec.into(), params.bytes(), workgroups, operands, flops);
}

/// How a layer reads the one map that it is of.
pub fn source(conv: Option<Conv>) -> Source {
    match conv {
        None => Source::Rows,
        Some(Conv { upsample: Some(_), .. }) => Source::ConvUpsample,
        Some(_) => Source::Conv,
    }
}

/// What the kernel is told of a map of one shape, of which a layer of so many rows and columns makes one of another.
pub fn sizes(from: Shape, to: Shape, conv: Option<Conv>, (layer_n, layer_k): (usize, usize)) -> gemm::Params {
    let conv = conv.unwrap_or(Conv {
        kernel: 1,
        stride: 1,
        pad_top: 0,
        pad_left: 0,
        skip_top: 0,
        upsample: None,
        circular: Circular::NONE,
    });
    let taps = conv.kernel * conv.kernel;
    gemm::Params {
        m: to.rows() as u32,
        n: to.c as u32,
        k4: (taps * from.c / 4) as u32,
        a_c4: (from.c / 4) as u32,
        in_h: from.h as u32,
        in_w: from.w as u32,
        out_h: conv.upsample.map_or(to.h, |(h, _)| h) as u32,
        out_w: to.w as u32,
        kernel_w: conv.kernel as u32,
        taps: taps as u32,
        stride: conv.stride as u32,
        pad_top: conv.pad_top as i32 - conv.skip_top as i32,
        pad_left: conv.pad_left as u32,
        rows_per_image: (to.h * to.w) as u32,
        weight_n: layer_n as u32,
        weight_c4: (layer_k / taps / 4) as u32,
        ..gemm::Params::default()
    }
}

/// Floating point operations of a product.
pub fn flops(params: &gemm::Params) -> u64 {
    8 * [params.m, params.n, params.k4].into_iter().map(u64::from).product::<u64>()
}

/// The variant that computes the way back through a layer, and in how many cuts of K: in registers where few columns come out.
pub fn way_back(target: Target, params: &gemm::Params) -> (gemm::Variant, u64) {
    let shape = [params.m, params.n, 4 * params.k4].map(u64::from);
    match target.tuning.products.choose(shape) {
        _ if params.n <= THIN_COLUMNS => (gemm::Variant::REGISTERS, 1),
        (variant, cuts) if gemm::WAYS_BACK.contains(&variant) => (variant, cuts),
        _ => (gemm::Variant::OUTER, 1),
    }
}

/// Most columns for which a tile of outer products would be mostly empty.
const THIN_COLUMNS: u32 = 16;

/// How a linear layer or a convolution is computed.
enum Way {
    /// As one product by a variant, its K in so many cuts.
    Product(gemm::Variant, u64),
    Winograd(Tile, Winograd),
}

/// The way that takes least: by matrix units where they take it, in fewer multiplications where that pays.
fn way(target: Target, source: Source, params: &gemm::Params) -> Way {
    let shape = [params.m, params.n, 4 * params.k4].map(u64::from);
    let units = target.tuning.matrices.filter(|_| target.elem == Elem::F16);
    if let Some((variant, cuts)) =
        units.and_then(|matrices| matrices.choose(shape, |variant| variant.fits(params)))
    {
        return Way::Product(variant, cuts);
    }
    let fewer = target.tuning.winograd.and_then(|tuning| {
        let tile = winograd::choose(&tuning, source, params)?;
        Some(Way::Winograd(tile, tuning))
    });
    fewer.unwrap_or_else(|| {
        let (variant, cuts) = target.tuning.products.choose(shape);
        Way::Product(variant, cuts)
    })
}

/// A product in two launches: the sums of each cut of K, then what adds them and does the rest of `whole`.
fn cut(
    l: &mut Lowering,
    node: &Node,
    whole: &gemm::Spec,
    params: &gemm::Params,
    mut operands: Vec<Operand>,
    mut epilogue: Vec<Operand>,
    flops: u64,
) {
    let gemm::Spec { elem, weight, variant, source, circular, transposed, .. } = *whole;
    let plain = gemm::Spec::plain(elem, weight, variant, source);
    let spec = gemm::Spec { split: true, circular, transposed, ..plain };
    let workgroups = gemm::workgroups(&spec, params);
    let [_, _, cuts] = workgroups;
    let shape = Shape::image(1, cuts as usize, params.m as usize, params.n as usize);
    let sums = l.scratch(shape, ElemKind::F32);
    operands.push(Operand::Write(sums));
    push(l, node, spec.into(), params.bytes(), workgroups, operands, flops);

    let (spec, params) = (gemm_sum::Spec::of(whole), gemm_sum::Params::of(params));
    epilogue.insert(0, Operand::Read(sums));
    let workgroups = gemm_sum::workgroups(&spec, &params);
    push(l, node, spec.into(), params.bytes(), workgroups, epilogue, 0);
}
