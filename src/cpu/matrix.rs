//! The matrix of a product, in panels of eight columns: as f32, or as its record has it ([`Packed`]), where that many values would
//! not fit in memory otherwise.

use std::ops::Range;
use std::sync::Arc;

use super::gemm::{Columns, PANEL};
use super::packed::Packed;
use super::threads;

/// A matrix `[k, n]` in panels of eight columns, `[n/8][k][8]`.
pub struct Matrix {
    panels: Panels,
    pub k: usize,
    pub n: usize,
}

enum Panels {
    Unpacked(Columns),
    Packed(Arc<Packed>, Part),
}

/// The part of a packed matrix that another one is.
struct Part {
    first_panel: usize,
    /// Kernel positions, each of which has so many rows in the packed matrix, of which it takes these.
    taps: usize,
    rows: usize,
    taken: Range<usize>,
}

impl Matrix {
    /// Packs the matrix of which `at(k, n)` is an element.
    pub fn pack(k: usize, n: usize, at: impl Fn(usize, usize) -> f32) -> Matrix {
        let mut panels = Vec::with_capacity(n.div_ceil(PANEL) * k);
        for first in (0..n).step_by(PANEL) {
            let element = |row, i| if first + i < n { at(row, first + i) } else { 0.0 };
            panels.extend((0..k).map(|row| std::array::from_fn(|i| element(row, i))));
        }
        Matrix::of_panels(panels, k, n)
    }

    /// Packs the matrix whose columns `column` writes, one after the other.
    pub fn from_columns(k: usize, n: usize, mut column: impl FnMut(usize, &mut [f32])) -> Matrix {
        let mut panels = Vec::with_capacity(n.div_ceil(PANEL) * k);
        let mut columns = vec![0.0; PANEL * k];
        for first in (0..n).step_by(PANEL) {
            columns.fill(0.0);
            for (i, values) in columns.chunks_exact_mut(k.max(1)).enumerate().take(n - first) {
                column(first + i, values);
            }
            panels.extend((0..k).map(|row| std::array::from_fn(|i| columns[i * k + row])));
        }
        Matrix::of_panels(panels, k, n)
    }

    /// Packs the matrix whose rows `row` writes, one after the other.
    #[cfg(feature = "train")]
    pub fn from_rows(k: usize, n: usize, mut row: impl FnMut(usize, &mut [f32])) -> Matrix {
        let count = n.div_ceil(PANEL);
        let mut panels = vec![[0.0; PANEL]; count * k];
        let mut values = vec![0.0; count * PANEL];
        for at in 0..k {
            row(at, &mut values[..n]);
            for (panel, some) in values.as_chunks::<PANEL>().0.iter().enumerate() {
                panels[panel * k + at] = *some;
            }
        }
        Matrix::of_panels(panels, k, n)
    }

    /// The matrix of these panels.
    pub fn of_panels(panels: Columns, k: usize, n: usize) -> Matrix {
        Matrix { panels: Panels::Unpacked(panels), k, n }
    }

    /// The matrix that stays as its record has it.
    pub fn packed(packed: Packed) -> Matrix {
        let (k, n) = (packed.k, packed.n);
        let part = Part { first_panel: 0, taps: 1, rows: k, taken: 0..k };
        Matrix { panels: Panels::Packed(Arc::new(packed), part), k, n }
    }

    /// Whether panels are unpacked where they are multiplied.
    pub fn is_packed(&self) -> bool {
        matches!(self.panels, Panels::Packed(..))
    }

    /// Values of the room that [`panel`](Matrix::panel) needs.
    pub fn room(&self) -> usize {
        if self.is_packed() { self.k * PANEL } else { 0 }
    }

    /// The rows of eight columns, which are those in `room` where they had to be unpacked.
    pub fn panel<'a>(&'a self, p: usize, room: &'a mut [f32]) -> &'a [[f32; PANEL]] {
        match &self.panels {
            Panels::Unpacked(panels) => &panels[p * self.k..][..self.k],
            Panels::Packed(packed, Part { first_panel, taps, rows, taken }) => {
                let room = &mut room.as_chunks_mut::<PANEL>().0[..self.k];
                for (tap, room) in (0..*taps).zip(room.chunks_exact_mut(taken.len().max(1))) {
                    let from = tap * rows + taken.start;
                    packed.unpack(first_panel + p, from..from + taken.len(), room);
                }
                room
            }
        }
    }

    /// Does something with each panel, in their order.
    pub fn each_panel(&self, mut work: impl FnMut(usize, &[[f32; PANEL]])) {
        let panels = 0..self.n.div_ceil(PANEL);
        if !self.is_packed() {
            return panels.for_each(|p| work(p, self.panel(p, &mut [])));
        }
        threads::with_room(self.room(), |room| panels.for_each(|p| work(p, self.panel(p, room))));
    }

    /// Its elements, wherever they are packed, as `f(k, n)`.
    fn elements(&self) -> impl Fn(usize, usize) -> f32 {
        let mut all = Vec::new();
        if self.is_packed() {
            all.reserve_exact(self.n.div_ceil(PANEL) * self.k);
            self.each_panel(|_, panel| all.extend_from_slice(panel));
        }
        move |k, n| {
            let panels = match &self.panels {
                Panels::Unpacked(panels) => panels,
                Panels::Packed(..) => &all,
            };
            panels[n / PANEL * self.k + k][n % PANEL]
        }
    }

    /// The matrix of some of the columns, and of some of the channels in each of the `taps` that the rows are. It stays packed
    /// where it ends between what is packed together.
    pub fn section(&self, taps: usize, channels: Range<usize>, columns: Range<usize>) -> Matrix {
        let (all, some) = (self.k / taps.max(1), channels.len());
        if let Panels::Packed(packed, part) = &self.panels
            && part.taps == 1
            && part.taken.len() == part.rows
            && [all, channels.start, channels.end].iter().all(|at| at.is_multiple_of(packed.unit()))
            && columns.start.is_multiple_of(PANEL)
        {
            let first_panel = part.first_panel + columns.start / PANEL;
            let part = Part { first_panel, taps, rows: all, taken: channels };
            return Matrix { panels: Panels::Packed(packed.clone(), part), k: taps * some, n: columns.len() };
        }
        let element = self.elements();
        Matrix::pack(taps * some, columns.len(), |k, n| {
            element(k / some * all + channels.start + k % some, columns.start + n)
        })
    }

    /// The matrix of the way back, from outputs to inputs, with the `taps` of a kernel turned by half.
    pub fn transposed(&self, taps: usize) -> Matrix {
        let inputs = self.k / taps.max(1);
        let element = self.elements();
        Matrix::pack(taps * self.n, inputs, |k, n| element((taps - 1 - k / self.n) * inputs + n, k % self.n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(matrix: &Matrix) -> Vec<f32> {
        let element = matrix.elements();
        (0..matrix.k).flat_map(|k| (0..matrix.n).map(move |n| (k, n))).map(|(k, n)| element(k, n)).collect()
    }

    #[test]
    fn columns_or_rows_written_one_by_one_make_the_same_matrix() {
        let at = |k: usize, n: usize| (k * 100 + n) as f32;
        let column = |n: usize, column: &mut [f32]| {
            column.iter_mut().enumerate().for_each(|(k, value)| *value = at(k, n));
        };
        let row = |k: usize, row: &mut [f32]| {
            row.iter_mut().enumerate().for_each(|(n, value)| *value = at(k, n));
        };
        let packed = values(&Matrix::pack(6, 11, at));
        assert_eq!(values(&Matrix::from_columns(6, 11, column)), packed);
        assert_eq!(values(&Matrix::from_rows(6, 11, row)), packed);
    }

    /// Channels 1 and 2 of three in each of two taps, columns 3 to 9.
    #[test]
    fn a_section_has_its_channels_of_every_tap() {
        let at = |k: usize, n: usize| (k * 100 + n) as f32;
        let section = Matrix::pack(6, 11, at).section(2, 1..3, 3..10);
        let expected = Matrix::pack(4, 7, |k, n| at([1, 2, 4, 5][k], n + 3));
        assert_eq!((section.k, section.n, values(&section)), (4, 7, values(&expected)));
    }
}
