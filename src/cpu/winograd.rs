//! 3×3 convolutions of stride 1 by minimal filtering, F(4×4, 3×3) of Winograd: a quarter of the products.
//!
//! A tile of 4×4 outputs depends on 6×6 inputs. Both sides are transformed, `U = G g Gᵀ` and `V = Bᵀ d B`, and each of the 36
//! elements is a product over the channels; `Aᵀ M A` are the outputs. Transformed weights are four times as large: those of
//! small models are kept ([`KEPT`]), others are transformed at each run, some columns at a time, for which there have to be
//! enough tiles (`pays`). The transforms are those of [`kernels::winograd`](crate::kernels::winograd), which names the source.

use std::ops::Range;

use super::convolution::Geometry;
use super::gemm::{Blocks, Columns, Onto, PANEL, TILE, multiply_planes};
use super::matrix::Matrix;
use super::simd::F4;
use super::threads;
use crate::plan::{Conv, Shape};

/// Inputs and outputs along a side of a tile.
const INPUTS: usize = 6;
const OUTPUTS: usize = 4;
const PRODUCTS: usize = INPUTS * INPUTS;

/// Tiles that are multiplied at once: what is transformed of them stays in the second cache, and weights are read once for them.
const TILES: usize = 4 * TILE;

/// Rows between the planes of transformed weights: at a power of two apart, all 36 would share a few lines of the cache.
const APART: usize = 2;

/// Values of weights that are transformed at once: 16 MiB.
const WEIGHTS: usize = 4 << 20;

/// Values of transformed weights that the convolutions of one graph keep: 64 MiB.
pub const KEPT: usize = 16 << 20;

/// Such a convolution at one size.
pub struct Winograd {
    geometry: Geometry,
    from: Shape,
    to: Shape,
    /// Panels of columns whose weights are transformed at once.
    panels: usize,
    /// The transformed weights of all, where they are kept.
    kept: Option<Vec<f32>>,
}

impl Winograd {
    /// None where the convolution is of another kind, or by itself takes less. Its transformed weights are kept, and taken
    /// off `room`, where so many values are left.
    pub fn new(
        conv: Conv,
        from: Shape,
        to: Shape,
        matrix: Option<&Matrix>,
        room: &mut usize,
    ) -> Option<Winograd> {
        let mut winograd = Winograd::of(conv, from, to)?;
        let all = to.c.div_ceil(PANEL);
        let len = all * transformed(from.c);
        if let Some(matrix) = matrix.filter(|_| len <= *room && pays(from.c, to, true)) {
            *room -= len;
            let mut weights = vec![0.0; len];
            winograd.transform(matrix, 0..all, &mut weights);
            (winograd.kept, winograd.panels) = (Some(weights), all);
            return Some(winograd);
        }
        pays(from.c, to, false).then_some(winograd)
    }

    fn of(conv: Conv, from: Shape, to: Shape) -> Option<Winograd> {
        if conv.kernel != 3 || conv.stride != 1 || !from.c.is_multiple_of(4) {
            return None;
        }
        let panels = (WEIGHTS / transformed(from.c)).clamp(1, to.c.div_ceil(PANEL));
        let [down, across] = tiles(to);
        let whole = Shape { h: down * OUTPUTS, w: across * OUTPUTS, ..to };
        Some(Winograd { geometry: Geometry::new(conv, from, whole), from, to, panels, kept: None })
    }

    /// The map with its border and what fills its last tiles, which is what is read.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Values of the room that transformed weights take in each run.
    pub fn weights_len(&self) -> usize {
        if self.kept.is_some() { 0 } else { self.panels * transformed(self.from.c) }
    }

    /// The panels of columns of each pass over the map.
    pub fn passes(&self) -> impl Iterator<Item = Range<usize>> {
        let all = self.to.c.div_ceil(PANEL);
        (0..all).step_by(self.panels).map(move |first| first..all.min(first + self.panels))
    }

    /// Whether these are the last panels.
    pub fn is_last(&self, panels: &Range<usize>) -> bool {
        panels.end == self.to.c.div_ceil(PANEL)
    }

    /// Pixels of the output that are computed together: whole tiles, and how many at most.
    pub fn block(&self) -> Blocks {
        let Shape { h, w, .. } = self.to;
        let lines = if h.is_multiple_of(OUTPUTS) { OUTPUTS } else { h };
        [lines * w, TILES * OUTPUTS * OUTPUTS]
    }

    /// The transformed weights of some panels of columns; those that are not kept are made in `room`.
    pub fn weights<'a>(&'a self, matrix: &Matrix, panels: Range<usize>, room: &'a mut [f32]) -> &'a [f32] {
        if let Some(weights) = &self.kept {
            return weights;
        }
        self.transform(matrix, panels, room);
        room
    }

    /// Transforms the weights of some panels of columns, to `[panels, 36, C + 2, 8]`.
    fn transform(&self, matrix: &Matrix, panels: Range<usize>, weights: &mut [f32]) {
        let len = transformed(self.from.c);
        let weights = &mut weights[..panels.len() * len];
        threads::by_chunks(weights, len, |i, to| {
            threads::with_room(matrix.room(), |room| {
                self.transform_panel(matrix.panel(panels.start + i, room), to)
            })
        });
    }

    /// A panel of weights, transformed to `[36, C + 2, 8]`.
    fn transform_panel(&self, panel: &[[f32; PANEL]], transformed: &mut [f32]) {
        let c = self.from.c;
        let transformed = transformed.as_chunks_mut::<PANEL>().0;
        for channel in 0..c {
            let taps: [[[F4; 2]; 3]; 3] = std::array::from_fn(|y| {
                std::array::from_fn(|x| F4::load8(&panel[(y * 3 + x) * c + channel]))
            });
            for half in 0..2 {
                let lines = taps.map(|line| weight(line.map(|tap| tap[half])));
                for x in 0..INPUTS {
                    let column = weight(std::array::from_fn(|y| lines[y][x]));
                    for (y, value) in column.into_iter().enumerate() {
                        let to = &mut transformed[(y * INPUTS + x) * (c + APART) + channel];
                        to.as_chunks_mut::<4>().0[half] = value.to_array();
                    }
                }
            }
        }
    }

    /// The columns of some panels, whose transformed weights these are, of the pixels from `first` on, as many as `out` has
    /// room for; `onto` lies as `out` does.
    pub fn multiply(
        &self,
        map: &[f32],
        (panels, weights): (Range<usize>, &[f32]),
        first: usize,
        bias: Option<&Columns>,
        onto: Onto,
        out: &mut [f32],
    ) {
        let (c, n) = (self.from.c, self.to.c);
        let tiles = self.tiles_of(first / self.to.w, out.len() / (self.to.w * n));
        let weights = weights.as_chunks::<PANEL>().0;
        threads::with_room(PRODUCTS * TILES * (c + PANEL), |room| {
            let (inputs, sums) = room.split_at_mut(PRODUCTS * TILES * c);
            for tiles in tiles.chunks(TILES) {
                for (tile, inputs) in tiles.iter().zip(inputs.chunks_exact_mut(PRODUCTS * c)) {
                    self.transform_input(map, tile.input, inputs);
                }
                for (p, weights) in panels.clone().zip(weights.chunks_exact(PRODUCTS * (c + APART))) {
                    let panels = weights.chunks_exact(c + APART);
                    multiply_planes::<TILES>((inputs, tiles.len(), c), panels, sums);
                    let bias = bias.map_or(&[0.0; PANEL], |bias| &bias[p]);
                    let sums = sums.as_chunks::<PANEL>().0;
                    for (i, tile) in tiles.iter().enumerate() {
                        self.transform_output(sums, i, tile, bias, p * PANEL, onto, out);
                    }
                }
            }
        });
    }

    /// The tiles of some lines of all images' output.
    fn tiles_of(&self, first: usize, lines: usize) -> Vec<Tile> {
        let Shape { h, w, c, .. } = self.to;
        let [down, across] = tiles(self.to);
        let (tall, wide) = (down * OUTPUTS + 2, across * OUTPUTS + 2);
        let mut tiles = Vec::with_capacity(across * lines.div_ceil(OUTPUTS));
        let mut line = first;
        while line < first + lines {
            let (image, y) = (line / h, line % h);
            let height = OUTPUTS.min(h - y);
            tiles.extend((0..w).step_by(OUTPUTS).map(|x| Tile {
                input: (image * tall + y) * wide + x,
                output: ((line - first) * w + x) * c,
                height,
                width: OUTPUTS.min(w - x),
            }));
            line += height;
        }
        tiles
    }

    /// One tile of the map, to `[36, C]`.
    fn transform_input(&self, map: &[f32], pixel: usize, to: &mut [f32]) {
        let fours = self.from.c / 4;
        let wide = tiles(self.to)[1] * OUTPUTS + 2;
        let (map, to) = (map.as_chunks::<4>().0, to.as_chunks_mut::<4>().0);
        for four in 0..fours {
            let lines: [[F4; INPUTS]; INPUTS] = std::array::from_fn(|y| {
                let line = &map[(pixel + y * wide) * fours..][..INPUTS * fours];
                input(std::array::from_fn(|x| F4::load(line[x * fours + four])))
            });
            for x in 0..INPUTS {
                let column = input(std::array::from_fn(|y| lines[y][x]));
                for (y, value) in column.into_iter().enumerate() {
                    to[(y * INPUTS + x) * fours + four] = value.to_array();
                }
            }
        }
    }

    /// Eight columns, from `column` on, of one tile's outputs.
    #[allow(clippy::too_many_arguments, reason = "what an epilogue is made of")]
    fn transform_output(
        &self,
        sums: &[[f32; PANEL]],
        index: usize,
        tile: &Tile,
        bias: &[f32; PANEL],
        column: usize,
        onto: Onto,
        out: &mut [f32],
    ) {
        let Shape { w, c: n, .. } = self.to;
        let bias = F4::load8(bias);
        let of = |half: usize| {
            let lines: [[F4; OUTPUTS]; INPUTS] = std::array::from_fn(|y| {
                let sum = |x: usize| F4::load8(&sums[(y * INPUTS + x) * TILES + index])[half];
                output(std::array::from_fn(sum))
            });
            let columns: [[F4; OUTPUTS]; OUTPUTS] =
                std::array::from_fn(|x| output(std::array::from_fn(|y| lines[y][x])));
            columns.map(|column| column.map(|value| value + bias[half]))
        };
        let halves = [of(0), of(1)];
        let columns = PANEL.min(n - column);
        for y in 0..tile.height {
            for x in 0..tile.width {
                let at = tile.output + (y * w + x) * n + column;
                onto.store(halves.map(|half| half[x][y]), out, at, columns);
            }
        }
    }
}

/// Where a tile lies.
struct Tile {
    /// Its first pixel in the map with its border.
    input: usize,
    /// Its first value in what is computed at once.
    output: usize,
    /// Lines and columns of it that there are.
    height: usize,
    width: usize,
}

/// Values of a panel's transformed weights.
fn transformed(c: usize) -> usize {
    PRODUCTS * (c + APART) * PANEL
}

/// Rows and columns of tiles of an image.
fn tiles(to: Shape) -> [usize; 2] {
    [to.h, to.w].map(|size| size.div_ceil(OUTPUTS))
}

/// Whether it takes less than four fifths of the convolution by itself, in vector operations for a channel and a panel.
fn pays(c: usize, to: Shape, kept: bool) -> bool {
    /// Of the transforms of a tile's inputs and of its outputs, as they are written above, and of a channel's weights, which
    /// memory holds up.
    const INPUT: usize = 55;
    const OUTPUT: usize = 360;
    const WEIGHT: usize = 4000;
    /// Of a transformed weight that is kept, which comes from afar for each so many rows as are multiplied at once.
    const LOAD: usize = 20;
    const PRODUCT: usize = 4;
    /// Those of a guided picture, however many there are: a picture of a batch is to be what it is alone.
    const IMAGES: usize = 2;
    let panels = to.c.div_ceil(PANEL);
    let tiles = IMAGES * tiles(to).into_iter().product::<usize>();
    let by_itself = IMAGES * to.h * to.w * 9 * PRODUCT;
    let weights = if kept { PRODUCTS * LOAD * tiles.div_ceil(TILE) } else { WEIGHT };
    let here = tiles * (PRODUCTS * PRODUCT + INPUT / panels + OUTPUT / c) + weights;
    c >= 16 && here * 5 <= by_itself * 4
}

/// A line of a kernel, transformed.
#[inline(always)]
fn weight([g0, g1, g2]: [F4; 3]) -> [F4; INPUTS] {
    let [quarter, sixth, twelfth, part] = [1.0 / 4.0, 1.0 / 6.0, 1.0 / 12.0, 1.0 / 24.0].map(F4::splat);
    let (outer, middle) = ((g0 + g2) * sixth, g1 * sixth);
    let (far, half) = (g0 * part + g2 * sixth, g1 * twelfth);
    let zero = F4::splat(0.0);
    [g0 * quarter, zero - outer - middle, middle - outer, far + half, far - half, g2]
}

/// A line of a tile's inputs, transformed.
#[inline(always)]
fn input([d0, d1, d2, d3, d4, d5]: [F4; INPUTS]) -> [F4; INPUTS] {
    let [two, four, five] = [2.0, 4.0, 5.0].map(F4::splat);
    let (even, odd) = (d4 - d2 * four, d3 - d1 * four);
    let (near, twice) = (d4 - d2, (d3 - d1) * two);
    [
        d0 * four - d2 * five + d4,
        even + odd,
        even - odd,
        near + twice,
        near - twice,
        d1 * four - d3 * five + d5,
    ]
}

/// A line of outputs, of a line of sums.
#[inline(always)]
fn output([m0, m1, m2, m3, m4, m5]: [F4; INPUTS]) -> [F4; OUTPUTS] {
    let [two, four, eight] = [2.0, 4.0, 8.0].map(F4::splat);
    let (sum, difference) = (m1 + m2, m1 - m2);
    let (far, apart) = (m3 + m4, m3 - m4);
    [m0 + sum + far, difference + apart * two, sum + far * four, difference + apart * eight + m5]
}

#[cfg(test)]
mod tests {
    use super::super::gemm::{by_blocks, columns};
    use super::*;
    use crate::kernels::Circular;

    /// Two images, sizes that are no whole tiles, columns that are no whole panels or several passes, onto what is there.
    #[test]
    fn the_output_is_that_of_the_convolution_by_itself() {
        let sizes = [(2, 8, 12, 16, 20), (2, 13, 7, 20, 8), (1, 4, 300, 16, 3), (1, 12, 8, 1536, 80)];
        let all = sizes.into_iter().flat_map(|size| Circular::ALL.map(|circular| (size, circular)));
        for ((n, h, w, c, out_channels), circular) in all {
            let conv = Conv { circular, ..Conv::same() };
            let value = |i: usize| (i as f32 * 0.37).sin();
            let (from, to) = (Shape::image(n, h, w, c), Shape::image(n, h, w, out_channels));
            let matrix = Matrix::pack(9 * c, out_channels, |k, n| value(k * 5 + n * 3) / c as f32);
            let x: Vec<f32> = (0..from.len() as usize).map(value).collect();
            let bias = columns(&(0..out_channels).map(value).collect::<Vec<_>>());
            let add: Vec<f32> = (0..to.len() as usize).map(|i| value(i * 7)).collect();

            let plain = Geometry::new(conv, from, to);
            let mut map = vec![f32::NAN; plain.padded_len() as usize];
            plain.surround(&x, &mut map);
            let mut expected = vec![f32::NAN; add.len()];
            plain.multiply(&map, 0, &matrix, Some(&bias), Onto::These(&add), &mut expected);

            let winograd = Winograd::of(conv, from, to).expect("this kind");
            let mut map = vec![f32::NAN; winograd.geometry().padded_len() as usize];
            winograd.geometry().surround(&x, &mut map);
            let mut got = vec![f32::NAN; add.len()];
            let mut weights = vec![f32::NAN; winograd.weights_len()];
            for panels in winograd.passes() {
                let weights = winograd.weights(&matrix, panels.clone(), &mut weights);
                by_blocks(&mut got, out_channels, winograd.block(), |first, block| {
                    let onto = Onto::These(&add[first * out_channels..][..block.len()]);
                    winograd.multiply(&map, (panels.clone(), weights), first, Some(&bias), onto, block);
                });
            }
            assert_eq!(winograd.passes().count() > 1, c == 1536, "{} passes", winograd.passes().count());
            for (got, expected) in got.iter().zip(&expected) {
                assert!((got - expected).abs() < 2e-5, "{n}x{h}x{w}x{c} {circular:?}: {got} for {expected}");
            }
        }
    }

    #[test]
    fn convolutions_of_another_kind_go_by_themselves() {
        let map = |h, w, c| Shape::image(1, h, w, c);
        let new = |conv, c| Winograd::new(conv, map(32, 32, c), map(32, 32, 64), None, &mut 0);
        assert!(new(Conv::same(), 64).is_some());
        assert!(new(Conv { stride: 2, ..Conv::same() }, 64).is_none());
        assert!(new(Conv { kernel: 1, ..Conv::same() }, 64).is_none());
        assert!(new(Conv::same(), 4).is_none() && new(Conv::same(), 62).is_none());
    }

    /// Of few pixels the weights would have to be transformed for nothing; kept, they pay, as long as there is room.
    #[test]
    fn weights_of_small_maps_are_kept_or_not_transformed() {
        let map = Shape::image(1, 8, 8, 64);
        let matrix = Matrix::pack(9 * 64, 64, |k, n| (k + n) as f32);
        let new = |room: &mut usize| Winograd::new(Conv::same(), map, map, Some(&matrix), room);
        let len = 8 * transformed(64);
        let mut room = 2 * len + 1;
        for left in [len + 1, 1] {
            let kept = new(&mut room).expect("room for it");
            assert_eq!((room, kept.weights_len(), kept.passes().count()), (left, 0, 1));
            let mut made = vec![f32::NAN; len];
            assert_eq!(kept.weights(&matrix, 0..8, &mut []).len(), len);
            kept.transform(&matrix, 0..8, &mut made);
            let apart =
                kept.weights(&matrix, 0..8, &mut []).iter().zip(&made).filter(|(a, b)| a != b).count();
            assert!(apart <= 8 * PRODUCTS * APART * PANEL, "{apart}"); // what lies between the planes
        }
        assert!(new(&mut room).is_none() && room == 1);
    }
}
