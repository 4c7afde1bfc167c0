//! Values that pass one binding, in bands of whole rows.
//!
//! Which values those are, and where they are cut, follows from sizes alone. A node that touches one becomes launches
//! over pieces of its output, as large as its operands' bands allow; of values that are whole, a piece binds the rows it
//! needs. What a convolution reads across a border lies in both bands: a band that is convolved is stored with a row of
//! each neighbour, which is copied when the map is complete. A group norm takes the moments of all bands of an image
//! before it applies them to the first. So every number is what it would be in one piece, up to the order of summation.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::graph::{Conv, Convert, Factor, Gemm, GroupNorm, Node, Op, Shape, ValueId};
use super::launch;
use super::lower::Lowering;
use super::memory::ALIGNMENT;
use crate::error::{Error, Result};

/// The values that are cut.
pub type Cuts = BTreeMap<ValueId, Cut>;

/// A value in bands, image after image.
#[derive(Debug, Clone)]
pub struct Cut {
    bands: Vec<Band>,
    /// Whether the rows of neighbours are those of the last change.
    edged: bool,
}

/// Rows of one image.
#[derive(Debug, Clone)]
struct Band {
    image: usize,
    rows: Range<usize>,
    /// The same with those of neighbours that are stored beside them.
    stored: Range<usize>,
    value: ValueId,
}

/// Part of a node's output, in one band of everything it touches.
#[derive(Debug, Clone)]
struct Piece {
    image: usize,
    rows: Range<usize>,
}

/// Decides which values of the graph are cut, and appends their bands to it.
pub fn cut(l: &mut Lowering) -> Cuts {
    let (binding, mut cuts) = (l.target.limits.binding, Cuts::new());
    for id in (0..l.graph.values.len()).map(ValueId) {
        let value = l.graph.values[id.0].clone();
        if l.bytes_of(id) <= binding || value.external.is_some() || !is_divisible(&l.graph.nodes, id) {
            continue;
        }
        let shape = value.shape;
        let edge = edge(&l.graph.nodes, id);
        let row = (shape.w * shape.c * l.elem(id).size()) as u64;
        // After so many rows a value of four channels, too, has an address that can be bound.
        let unit = (ALIGNMENT as usize >> (4 * shape.w * l.elem(id).size()).trailing_zeros().min(8)).max(2);
        let most = ((binding / row.max(1)) as usize).saturating_sub(2 * edge) / unit * unit;
        if most == 0 {
            continue; // placing it is refused by name
        }
        let rows = shape.h.div_ceil(shape.h.div_ceil(most)).next_multiple_of(unit);
        let mut bands = Vec::new();
        for image in 0..shape.n {
            for first in (0..shape.h).step_by(rows) {
                let rows = first..(first + rows).min(shape.h);
                let stored = rows.start.saturating_sub(edge)..(rows.end + edge).min(shape.h);
                let value = l.scratch(Shape { n: 1, h: stored.len(), ..shape }, value.elem);
                bands.push(Band { image, rows, stored, value });
            }
        }
        cuts.insert(id, Cut { bands, edged: false });
    }
    cuts
}

/// Whether all that touches a value can take it row by row.
fn is_divisible(nodes: &[Node], id: ValueId) -> bool {
    nodes.iter().filter(|node| node.output == id || node.op.reads().any(|read| read == id)).all(|node| {
        match &node.op {
            Op::Gemm(op) => op.time.is_none_or(|(time, _)| time != id),
            Op::GroupNorm(_)
            | Op::LayerNorm { .. }
            | Op::Convert { .. }
            | Op::Add { .. }
            | Op::Rgba { .. } => true,
            Op::Attention { .. }
            | Op::AttentionMap { .. }
            | Op::Embed { .. }
            | Op::PixelShuffle { .. }
            | Op::PixelUnshuffle { .. } => false,
        }
    })
}

/// How many rows of its neighbours a band needs: what convolutions that read it reach beyond a row.
fn edge(nodes: &[Node], id: ValueId) -> usize {
    let reach = |node: &Node| match &node.op {
        Op::Gemm(Gemm { x, conv: Some(conv), .. }) if *x == id => conv.kernel / 2,
        _ => 0,
    };
    nodes.iter().map(reach).max().unwrap_or(0)
}

/// Appends the launches of one node: piece by piece, where it touches a value that is cut.
pub fn node(l: &mut Lowering, cuts: &mut Cuts, node: &Node) -> Result<()> {
    if cuts.is_empty() || !node.op.reads().chain([node.output]).any(|value| cuts.contains_key(&value)) {
        return launch::node(l, node);
    }
    if let Op::Gemm(Gemm { x, conv: Some(_), .. }) = &node.op {
        copy_edges(l, cuts, *x, &node.path)?;
    }
    let pieces = pieces(l, cuts, node);
    match &node.op {
        Op::GroupNorm(op) => group_norm(l, cuts, node, op, &pieces)?,
        _ => {
            for piece in &pieces {
                let part = part(l, cuts, node, piece)?;
                launch::node(l, &part)?;
            }
        }
    }
    if let Some(cut) = cuts.get_mut(&node.output) {
        cut.edged = false;
    }
    Ok(())
}

/// The largest pieces of a node's output that lie in one band of every value.
fn pieces(l: &Lowering, cuts: &Cuts, node: &Node) -> Vec<Piece> {
    let shape = l.shape(node.output);
    let mut borders = BTreeSet::from([0, shape.h]);
    for value in node.op.reads().chain([node.output]) {
        let conv = match &node.op {
            Op::Gemm(op) if value == op.x => op.conv,
            _ => None,
        };
        let starts = cuts.get(&value).into_iter().flat_map(|cut| &cut.bands).map(|band| band.rows.start);
        borders.extend(starts.map(|row| conv.map_or(row, |conv| conv.first_output(row)).min(shape.h)));
    }
    let borders: Vec<usize> = borders.into_iter().collect();
    let of_image = |image| borders.windows(2).map(move |pair| Piece { image, rows: pair[0]..pair[1] });
    (0..shape.n).flat_map(of_image).collect()
}

impl Conv {
    /// The first row of the output whose middle is not above row `row` of the input.
    fn first_output(&self, row: usize) -> usize {
        if self.upsample.is_some() { 2 * row } else { row.div_ceil(self.stride) }
    }

    /// The rows of an input of `h` that these of the output read, and the convolution over just those.
    fn over(&self, h: usize, rows: &Range<usize>) -> (Range<usize>, Conv) {
        let (tall, wide) = self.upsample.unwrap_or((h, 0));
        let above = rows.start * self.stride;
        let first = above.saturating_sub(self.pad_top);
        let end = ((rows.end - 1) * self.stride + self.kernel).saturating_sub(self.pad_top).min(tall);
        let times = if self.upsample.is_some() { 2 } else { 1 };
        let read = first / times..end.div_ceil(times);
        let conv = Conv {
            pad_top: self.pad_top.saturating_sub(above),
            skip_top: first - read.start * times,
            upsample: self.upsample.map(|_| ((read.len() * times).min(tall - read.start * times), wide)),
            ..*self
        };
        (read, conv)
    }
}

/// The node that computes a piece, of any op but a group norm.
fn part(l: &mut Lowering, cuts: &Cuts, node: &Node, piece: &Piece) -> Result<Node> {
    let mut rows = |value: ValueId| rows_of(l, cuts, value, piece.image, &piece.rows, &node.path);
    let output = rows(node.output)?;
    let op = match &node.op {
        Op::Gemm(op) => {
            let x2 = op.x2.map(&mut rows).transpose()?;
            let residual = op.residual.map(&mut rows).transpose()?;
            let (x, conv) = match op.conv {
                None => (rows(op.x)?, None),
                Some(conv) => {
                    let (read, conv) = conv.over(l.shape(op.x).h, &piece.rows);
                    (rows_of(l, cuts, op.x, piece.image, &read, &node.path)?, Some(conv))
                }
            };
            Op::Gemm(Gemm { x, x2, residual, conv, ..op.clone() })
        }
        Op::LayerNorm { x, gamma, beta, eps } => {
            Op::LayerNorm { x: rows(*x)?, gamma: *gamma, beta: *beta, eps: *eps }
        }
        Op::Convert { x, convert } => Op::Convert { x: rows(*x)?, convert: *convert },
        Op::Add { x, y, factor } => {
            let (x, images) = (rows(*x)?, l.shape(*y).n);
            let y = rows_of(l, cuts, *y, piece.image % images, &piece.rows, &node.path)?;
            let factor = match *factor {
                Factor::OfImages(value, first) => Factor::OfImages(value, first + piece.image),
                constant => constant,
            };
            Op::Add { x, y, factor }
        }
        Op::Rgba { x } => Op::Rgba { x: rows(*x)? },
        Op::GroupNorm(_)
        | Op::Attention { .. }
        | Op::AttentionMap { .. }
        | Op::Embed { .. }
        | Op::PixelShuffle { .. }
        | Op::PixelUnshuffle { .. } => {
            unreachable!("{}: not taken in pieces of rows", node.path)
        }
    };
    Ok(Node { path: node.path.clone(), op, output })
}

/// The moments of all pieces of an image, then each normalised with them.
fn group_norm(l: &mut Lowering, cuts: &Cuts, node: &Node, op: &GroupNorm, pieces: &[Piece]) -> Result<()> {
    for pieces in pieces.chunk_by(|a, b| a.image == b.image) {
        let mut bands = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let mut rows = |value| rows_of(l, cuts, value, piece.image, &piece.rows, &node.path);
            let output = rows(node.output)?;
            let (x, x2) = (rows(op.x)?, op.x2.map(&mut rows).transpose()?);
            // In place, both are the same rows.
            let x = if op.x == node.output { output } else { x };
            bands.push(Node {
                path: node.path.clone(),
                op: Op::GroupNorm(GroupNorm { x, x2, ..*op }),
                output,
            });
        }
        launch::group_norm_of_bands(l, &bands);
    }
    Ok(())
}

/// Copies the rows that bands share with their neighbours, where they are not what they are there.
fn copy_edges(l: &mut Lowering, cuts: &mut Cuts, value: ValueId, path: &str) -> Result<()> {
    let Some(cut) = cuts.get(&value).filter(|cut| !cut.edged) else { return Ok(()) };
    for Band { image, rows, stored, value: band } in cut.bands.clone() {
        for edge in [stored.start..rows.start, rows.end..stored.end] {
            if edge.is_empty() {
                continue;
            }
            let x = rows_of(l, cuts, value, image, &edge, path)?;
            let output = view(l, band, 0, &(edge.start - stored.start..edge.end - stored.start), path)?;
            let convert = Convert::Affine { scale: 1.0, shift: 0.0 };
            launch::node(
                l,
                &Node { path: format!("{path}, edges"), op: Op::Convert { x, convert }, output },
            )?;
        }
    }
    if let Some(cut) = cuts.get_mut(&value) {
        cut.edged = true;
    }
    Ok(())
}

/// Rows of an image of a value: in the band they belong to, else in one that has all of them beside its own.
fn rows_of(
    l: &mut Lowering,
    cuts: &Cuts,
    value: ValueId,
    image: usize,
    rows: &Range<usize>,
    path: &str,
) -> Result<ValueId> {
    let Some(cut) = cuts.get(&value) else { return view(l, value, image, rows, path) };
    let holds = |all: &Range<usize>| all.start <= rows.start && rows.end <= all.end;
    let bands = || cut.bands.iter().filter(|band| band.image == image);
    let band = bands().find(|band| holds(&band.rows)).or_else(|| bands().find(|band| holds(&band.stored)));
    let Some(Band { stored, value, .. }) = band else {
        return Err(refused(path, "reads rows of several bands at once"));
    };
    view(l, *value, 0, &(rows.start - stored.start..rows.end - stored.start), path)
}

/// Rows of an image of a value that is whole.
fn view(l: &mut Lowering, value: ValueId, image: usize, rows: &Range<usize>, path: &str) -> Result<ValueId> {
    let shape = l.shape(value);
    if shape.n == 1 && *rows == (0..shape.h) {
        return Ok(value);
    }
    let first = (image * shape.h + rows.start) as u64 * (shape.w * shape.c) as u64;
    if !(first * l.elem(value).size() as u64).is_multiple_of(ALIGNMENT) {
        return Err(refused(path, "has rows that begin at no multiple of 256 bytes"));
    }
    Ok(l.view(value, Shape { n: 1, h: rows.len(), ..shape }, first))
}

fn refused(path: &str, why: &str) -> Error {
    Error::InvalidInput {
        field: "size",
        message: format!(
            "{path} is more than this adapter binds at once and {why}; choose another size or a smaller picture"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(conv: Conv, h: usize, rows: Range<usize>) -> (Range<usize>, [usize; 2], Option<usize>) {
        let (read, conv) = conv.over(h, &rows);
        (read, [conv.pad_top, conv.skip_top], conv.upsample.map(|(h, _)| h))
    }

    #[test]
    fn a_band_reads_a_row_of_its_neighbours() {
        assert_eq!(over(Conv::same(), 20, 0..8), (0..9, [1, 0], None));
        assert_eq!(over(Conv::same(), 20, 8..16), (7..17, [0, 0], None));
        assert_eq!(over(Conv::same(), 20, 16..20), (15..20, [0, 0], None));
    }

    #[test]
    fn an_enlarged_band_skips_the_half_it_does_not_read() {
        let enlarged = Conv::upsample(40, 30);
        assert_eq!(over(enlarged, 20, 0..16), (0..9, [1, 0], Some(18)));
        assert_eq!(over(enlarged, 20, 16..40), (7..20, [0, 1], Some(26)));
        let odd = Conv::upsample(39, 30);
        assert_eq!(over(odd, 20, 16..39), (7..20, [0, 1], Some(25)));
    }

    #[test]
    fn a_halved_band_reads_twice_as_many_rows() {
        assert_eq!(over(Conv::downsample(), 20, 4..10), (7..20, [0, 0], None));
        assert_eq!(over(Conv::downsample_asymmetric(), 20, 0..4), (0..9, [0, 0], None));
        assert_eq!(over(Conv::downsample_asymmetric(), 20, 4..10), (8..20, [0, 0], None));
    }
}
