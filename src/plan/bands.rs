//! Values that pass one binding, in bands of whole rows.
//!
//! Which values those are, and where they are cut, follows from sizes alone. A node that touches one becomes launches
//! over pieces of its output, as large as its operands' bands allow; of values that are whole, a piece binds the rows it
//! needs. What a convolution reads across a border lies in both bands: a band that is convolved is stored with a row of
//! each neighbour, which is copied when the map is complete; of a map that is padded circularly the first and the last band
//! are neighbours. A group norm takes the moments of all bands of an image
//! before it applies them to the first. So every number is what it would be in one piece, up to the order of summation.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::graph::{Conv, Convert, Factor, Gemm, GroupNorm, Node, Op, Shape, ValueId};
use super::launch;
use super::lower::Lowering;
use super::memory::ALIGNMENT;
use crate::error::{Error, Result};
use crate::kernels::Circular;

/// The values that are cut.
pub type Cuts = BTreeMap<ValueId, Cut>;

/// A value in bands, image after image.
#[derive(Debug, Clone)]
pub struct Cut {
    bands: Vec<Band>,
    /// Whether the first band of an image and its last are neighbours.
    ring: bool,
    /// Whether the rows of neighbours are those of the last change.
    edged: bool,
}

/// Rows of an image; beyond its first and its last one those of its other end, where it is a ring.
type Rows = Range<isize>;

/// Rows of one image.
#[derive(Debug, Clone)]
struct Band {
    image: usize,
    rows: Rows,
    /// The same with those of neighbours that are stored beside them.
    stored: Rows,
    value: ValueId,
}

/// Part of a node's output, in one band of everything it touches.
#[derive(Debug, Clone)]
struct Piece {
    image: usize,
    rows: Rows,
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
        // An image in one band has both its ends in it.
        let ring = rows < shape.h && is_ring(&l.graph.nodes, id);
        let mut bands = Vec::new();
        for image in 0..shape.n {
            for first in (0..shape.h).step_by(rows) {
                let rows = signed(&(first..(first + rows).min(shape.h)));
                let (above, below) = (rows.start - edge as isize, rows.end + edge as isize);
                let stored = if ring { above..below } else { above.max(0)..below.min(shape.h as isize) };
                let value = l.scratch(Shape { n: 1, h: stored.len(), ..shape }, value.elem);
                bands.push(Band { image, rows, stored, value });
            }
        }
        cuts.insert(id, Cut { bands, ring, edged: false });
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
            #[cfg(feature = "train")]
            Op::Train(_) => false,
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

/// Whether a convolution reads a value as a ring of rows.
fn is_ring(nodes: &[Node], id: ValueId) -> bool {
    nodes.iter().any(|node| match &node.op {
        Op::Gemm(Gemm { x, conv: Some(conv), .. }) => *x == id && conv.circular.y,
        _ => false,
    })
}

fn signed(rows: &Range<usize>) -> Rows {
    rows.start as isize..rows.end as isize
}

/// Appends the launches of one node: piece by piece, where it touches a value that is cut.
pub fn node(l: &mut Lowering, cuts: &mut Cuts, node: &Node) -> Result<()> {
    if cuts.is_empty() || !node.op.reads().chain([node.output]).any(|value| cuts.contains_key(&value)) {
        return launch::node(l, node);
    }
    #[cfg(feature = "train")]
    if super::train::learns(node) {
        return Err(super::train::too_large(l, node));
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
        let starts = starts.map(|row| row as usize); // no band's own rows are beyond the first
        borders.extend(starts.map(|row| conv.map_or(row, |conv| conv.first_output(row)).min(shape.h)));
    }
    let borders: Vec<usize> = borders.into_iter().collect();
    let of_image =
        |image| borders.windows(2).map(move |pair| Piece { image, rows: signed(&(pair[0]..pair[1])) });
    (0..shape.n).flat_map(of_image).collect()
}

impl Conv {
    /// The first row of the output whose middle is not above row `row` of the input.
    fn first_output(&self, row: usize) -> usize {
        if self.upsample.is_some() { 2 * row } else { row.div_ceil(self.stride) }
    }

    /// The rows of an input of `h` that these of the output read, and the convolution over just those. A ring is read whole,
    /// where its bands do not have rows of its other end beside them.
    fn over(&self, h: usize, rows: &Rows, ring_in_bands: bool) -> (Rows, Conv) {
        let (tall, wide) = self.upsample.unwrap_or((h, 0));
        let above = rows.start as usize * self.stride;
        if self.circular.y && !ring_in_bands {
            return (signed(&(0..h)), Conv { skip_top: above, ..*self });
        }
        let (pad, times) = (self.pad_top as isize, if self.upsample.is_some() { 2 } else { 1 });
        let first = above as isize - pad;
        let end = (rows.end as usize - 1) * self.stride + self.kernel;
        let (first, end) = match self.circular.y {
            true => (first, end as isize - pad),
            false => (first.max(0), (end as isize - pad).min(tall as isize)),
        };
        let read = first.div_euclid(times)..(end + times - 1).div_euclid(times);
        let enlarged = read.len() * times as usize;
        let left = if self.circular.y { enlarged } else { tall - (read.start * times) as usize };
        let conv = Conv {
            pad_top: if self.circular.y { 0 } else { self.pad_top.saturating_sub(above) },
            skip_top: (first - read.start * times) as usize,
            upsample: self.upsample.map(|_| (enlarged.min(left), wide)),
            circular: Circular { y: false, ..self.circular },
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
                    let ring = cuts.get(&op.x).is_some_and(|cut| cut.ring);
                    let h = l.shape(op.x).h;
                    if ring && conv.upsample.is_some_and(|(tall, _)| tall != 2 * h) {
                        return Err(refused(&node.path, "is a ring of an odd number of rows"));
                    }
                    let (read, conv) = conv.over(h, &piece.rows, ring);
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
        #[cfg(feature = "train")]
        Op::Train(_) => unreachable!("{}: not taken in pieces of rows", node.path),
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
    let h = l.shape(value).h as isize;
    for Band { image, rows, stored, value: band } in cut.bands.clone() {
        for edge in [stored.start..rows.start, rows.end..stored.end] {
            if edge.is_empty() {
                continue;
            }
            let first = edge.start.rem_euclid(h);
            let x = rows_of(l, cuts, value, image, &(first..first + edge.len() as isize), path)?;
            let output = view(l, band, 0, &within(&edge, &stored), path)?;
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
    rows: &Rows,
    path: &str,
) -> Result<ValueId> {
    let Some(cut) = cuts.get(&value) else { return view(l, value, image, &within(rows, &(0..0)), path) };
    let holds = |all: &Rows| all.start <= rows.start && rows.end <= all.end;
    let bands = || cut.bands.iter().filter(|band| band.image == image);
    let band = bands().find(|band| holds(&band.rows)).or_else(|| bands().find(|band| holds(&band.stored)));
    let Some(Band { stored, value, .. }) = band else {
        return Err(refused(path, "reads rows of several bands at once"));
    };
    view(l, *value, 0, &within(rows, stored), path)
}

/// Rows counted from the first of others.
fn within(rows: &Rows, all: &Rows) -> Range<usize> {
    (rows.start - all.start) as usize..(rows.end - all.start) as usize
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
        let (read, conv) = conv.over(h, &signed(&rows), false);
        (read.start as usize..read.end as usize, [conv.pad_top, conv.skip_top], conv.upsample.map(|(h, _)| h))
    }

    #[test]
    fn a_band_of_a_ring_reads_rows_of_its_other_end() {
        let circular = Circular { x: false, y: true };
        let over = |conv: Conv, h, rows: Range<usize>, ring| {
            let (read, conv) = Conv { circular, ..conv }.over(h, &signed(&rows), ring);
            (read, [conv.pad_top, conv.skip_top], conv.upsample.map(|(h, _)| h), conv.circular.y)
        };
        assert_eq!(over(Conv::same(), 20, 0..8, true), (-1..9, [0, 0], None, false));
        assert_eq!(over(Conv::same(), 20, 16..20, true), (15..21, [0, 0], None, false));
        let enlarged = Conv::upsample(40, 30);
        assert_eq!(over(enlarged, 20, 0..16, true), (-1..9, [0, 1], Some(20), false));
        assert_eq!(over(enlarged, 20, 16..40, true), (7..21, [0, 1], Some(28), false));
        assert_eq!(over(Conv::downsample(), 20, 4..10, true), (7..20, [0, 0], None, false));
        // Of a map that is whole all is read, from a row on.
        assert_eq!(over(Conv::same(), 20, 8..16, false), (0..20, [1, 8], None, true));
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
