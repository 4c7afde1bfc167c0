//! Graphs one behind the other as one, so that a gradient finds its way from the last to the first.

use super::super::graph::{Factor, Gemm, Graph, GroupNorm, Op, Slice, ValueId, WeightId};

/// The first graph and the second, which reads what the first puts out under its name. What passes from one to the other is
/// outside no more.
pub fn joined(first: Graph, second: Graph) -> Graph {
    let mut out = first;
    let weights = out.weights.len();
    out.weights.extend(second.weights);
    let mut ids = Vec::with_capacity(second.values.len());
    let made: Vec<ValueId> = out.nodes.iter().map(|node| node.output).collect();
    for value in second.values {
        let same =
            |id: &&ValueId| value.external.is_some() && out.values[id.index()].external == value.external;
        match made.iter().find(same) {
            Some(&id) => ids.push(id),
            None => {
                let shared = value.external.and_then(|outside| {
                    out.values.iter().position(|known| known.external == Some(outside)).map(ValueId)
                });
                ids.push(shared.unwrap_or_else(|| out.fresh(value.shape, value.elem, value.external)));
            }
        }
    }
    for id in &ids {
        if made.contains(id) {
            out.values[id.index()].external = None;
        }
    }
    for mut node in second.nodes {
        node.output = ids[node.output.index()];
        renamed(&mut node.op, &|id| ids[id.index()], &|id| WeightId(id.index() + weights));
        out.nodes.push(node);
    }
    out
}

/// An op over other values and weights.
pub(super) fn renamed(
    op: &mut Op,
    value: &dyn Fn(ValueId) -> ValueId,
    weight: &dyn Fn(WeightId) -> WeightId,
) {
    let of = |id: &mut ValueId| *id = value(*id);
    let maybe = |id: &mut Option<ValueId>| *id = id.map(value);
    let slice = |slice: &mut Slice| slice.value = value(slice.value);
    let weights = |ids: [&mut WeightId; 2]| ids.into_iter().for_each(|id| *id = weight(*id));
    match op {
        Op::Gemm(Gemm { x, x2, weight: matrix, bias, slope, time, residual, .. }) => {
            of(x);
            maybe(x2);
            maybe(residual);
            *time = time.map(|(id, column)| (value(id), column));
            *matrix = weight(*matrix);
            *bias = bias.map(weight);
            *slope = slope.map(weight);
        }
        Op::GroupNorm(GroupNorm { x, x2, gamma, beta, .. }) => {
            of(x);
            maybe(x2);
            weights([gamma, beta]);
        }
        Op::LayerNorm { x, gamma, beta, .. } => {
            of(x);
            weights([gamma, beta]);
        }
        Op::Attention { q, k, v, hidden, .. } => {
            [q, k, v].into_iter().for_each(slice);
            maybe(hidden);
        }
        Op::AttentionMap { q, k, .. } => [q, k].into_iter().for_each(slice),
        Op::Embed { tokens, own, table, positions } => {
            of(tokens);
            maybe(own);
            weights([table, positions]);
        }
        Op::Convert { x, .. } | Op::PixelUnshuffle { x, .. } | Op::Rgba { x } => of(x),
        Op::PixelShuffle { x, base, .. } => {
            of(x);
            maybe(base);
        }
        Op::Add { x, y, factor } => {
            of(x);
            of(y);
            if let Factor::OfImages(id, _) = factor {
                of(id);
            }
        }
        Op::Train(op) => op.rename(value, weight),
    }
}
