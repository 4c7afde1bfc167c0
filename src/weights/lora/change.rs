//! What a LoRA adds to one tensor, computed in f32.

#[cfg(not(target_arch = "wasm32"))]
use rayon::prelude::*;

/// A matrix, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    pub rows: usize,
    pub columns: usize,
    pub values: Vec<f32>,
}

impl Matrix {
    /// `self · right`.
    fn times(&self, right: &Matrix) -> Matrix {
        let columns = right.columns.max(1);
        let row = |(row, out): (usize, &mut [f32])| {
            for (factor, line) in self.row(row).iter().zip(right.values.chunks_exact(columns)) {
                out.iter_mut().zip(line).for_each(|(sum, value)| *sum += factor * value);
            }
        };
        let mut values = vec![0.0; self.rows * right.columns];
        #[cfg(not(target_arch = "wasm32"))]
        values.par_chunks_mut(columns).enumerate().for_each(row);
        #[cfg(target_arch = "wasm32")]
        values.chunks_mut(columns).enumerate().for_each(row);
        Matrix { rows: self.rows, columns: right.columns, values }
    }

    /// Rows for columns.
    fn turned(&self) -> Matrix {
        let (rows, columns) = (self.rows, self.columns);
        let values = (0..columns).flat_map(|column| (0..rows).map(move |row| (row, column)));
        let values = values.map(|(row, column)| self.values[row * columns + column]).collect();
        Matrix { rows: columns, columns: rows, values }
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..][..self.columns]
    }
}

/// A whole matrix, or two whose product it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Product {
    Whole(Matrix),
    Of(Matrix, Matrix),
    /// Of kernels: left `[r, O]`, middle `[r, s · taps]`, right `[s, I]`, whose product is `[O, I · taps]` (LyCORIS's Tucker
    /// decomposition).
    Tucker {
        left: Matrix,
        middle: Matrix,
        right: Matrix,
    },
}

/// `[r, s · taps]` and `[s, I]` to `[r, I · taps]`.
pub(super) fn widened(middle: &Matrix, right: &Matrix, taps: usize) -> Matrix {
    let (inner, i) = (right.rows, right.columns);
    let mut values = vec![0.0; middle.rows * i * taps];
    for (middle, wide) in middle.values.chunks_exact(inner * taps).zip(values.chunks_exact_mut(i * taps)) {
        for (line, middle) in right.values.chunks_exact(i).zip(middle.chunks_exact(taps)) {
            for (factor, wide) in line.iter().zip(wide.chunks_exact_mut(taps)) {
                wide.iter_mut().zip(middle).for_each(|(sum, value)| *sum += factor * value);
            }
        }
    }
    Matrix { rows: middle.rows, columns: i * taps, values }
}

impl Product {
    /// Rows and columns, told before anything is computed: a small file may ask for a matrix that no memory holds.
    fn sizes(&self) -> [usize; 2] {
        match self {
            Product::Whole(matrix) => [matrix.rows, matrix.columns],
            Product::Of(left, right) => [left.rows, right.columns],
            Product::Tucker { left, middle, right } => {
                let taps = middle.columns.checked_div(right.rows).unwrap_or(0);
                [left.columns, right.columns.saturating_mul(taps)]
            }
        }
    }

    fn matrix(self) -> Matrix {
        match self {
            Product::Whole(matrix) => matrix,
            Product::Of(left, right) => left.times(&right),
            Product::Tucker { left, middle, right } => {
                let taps = middle.columns / right.rows.max(1);
                left.turned().times(&widened(&middle, &right, taps))
            }
        }
    }
}

/// What is added to a tensor of `[O, I, taps]`, before it is weighed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// LoRA: up `[O, r]`, down `[r, I · taps]` (Hu et al. 2021, <https://arxiv.org/abs/2106.09685>).
    Low { up: Matrix, down: Matrix },
    /// LoCon with a convolution between: up `[O, r]`, middle `[r, r · taps]`, down `[r, I]` (LyCORIS,
    /// <https://arxiv.org/abs/2309.14859>, section 3).
    Middle { up: Matrix, middle: Matrix, down: Matrix },
    /// LoHa: element by element, the product of two products `[O, I · taps]`.
    Hadamard { first: Product, second: Product },
    /// LoKr: the Kronecker product of `[o, i]` and `[O / o, I / i · taps]`.
    Kronecker { first: Product, second: Product },
    /// All of it.
    Difference(Matrix),
}

impl Change {
    /// The values added, as a tensor `[O, I, taps]`; `taps` is 1 for a linear layer. None where shapes do not go together.
    pub fn values(self, [o, i, taps]: [usize; 3]) -> Option<Vec<f32>> {
        let whole = |matrix: Matrix| (matrix.values.len() == o * i * taps).then_some(matrix.values);
        let fits = |matrix: &Matrix| [matrix.rows, matrix.columns];
        match self {
            Change::Difference(matrix) => whole(matrix),
            Change::Low { up, down } => {
                let rank = up.columns;
                let fit = fits(&up) == [o, rank] && fits(&down) == [rank, i * taps];
                fit.then(|| up.times(&down).values)
            }
            Change::Middle { up, middle, down } => {
                let rank = up.columns;
                let inner = down.rows;
                let fit = rank <= o.max(i * taps)
                    && fits(&up) == [o, rank]
                    && fits(&middle) == [rank, inner * taps]
                    && fits(&down) == [inner, i];
                if !fit {
                    return None;
                }
                Some(up.times(&widened(&middle, &down, taps)).values)
            }
            Change::Hadamard { first, second } => {
                let [rows, columns] = first.sizes();
                if second.sizes() != [rows, columns] || rows.checked_mul(columns) != Some(o * i * taps) {
                    return None;
                }
                let (first, second) = (first.matrix(), second.matrix());
                Some(first.values.iter().zip(&second.values).map(|(a, b)| a * b).collect())
            }
            Change::Kronecker { first, second } => {
                let ([tall, broad], [rows, columns]) = (first.sizes(), second.sizes());
                if tall.checked_mul(rows) != Some(o) || broad.checked_mul(columns) != Some(i * taps) {
                    return None;
                }
                let (first, second) = (first.matrix(), second.matrix());
                let mut values = Vec::with_capacity(o * i * taps);
                for row in 0..o {
                    let inner = second.row(row % rows);
                    for factor in first.row(row / rows) {
                        values.extend(inner.iter().map(|value| factor * value));
                    }
                }
                Some(values)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, columns: usize, first: f32) -> Matrix {
        let values = (0..rows * columns).map(|i| first + ((i * 7) % 5) as f32).collect();
        Matrix { rows, columns, values }
    }

    /// Each element from its definition.
    #[test]
    fn changes_are_what_their_definitions_say() {
        let [o, i, taps, rank] = [4, 6, 9, 2];
        let tucker = Product::Tucker {
            left: matrix(3, o, 1.0),
            middle: matrix(3, 2 * taps, -1.0),
            right: matrix(2, i, 0.0),
        };
        assert_eq!(tucker.sizes(), [o, i * taps]);
        let decomposed = tucker.matrix();
        let (up, down) = (matrix(o, rank, 1.0), matrix(rank, i * taps, -2.0));
        let low = Change::Low { up: up.clone(), down: down.clone() }.values([o, i, taps]).expect("fits");
        let at = |m: &Matrix, row: usize, column: usize| m.values[row * m.columns + column];
        let product = |a: &Matrix, b: &Matrix, row: usize, column: usize| -> f32 {
            (0..a.columns).map(|k| at(a, row, k) * at(b, k, column)).sum()
        };
        let (middle, thin) = (matrix(rank, 3 * taps, 0.0), matrix(3, i, 1.0));
        let through = Change::Middle { up: up.clone(), middle: middle.clone(), down: thin.clone() };
        let through = through.values([o, i, taps]).expect("fits");
        let (a, b) = (matrix(o, 3, -1.0), matrix(3, i * taps, 0.0));
        let hadamard = Change::Hadamard {
            first: Product::Of(up.clone(), down.clone()),
            second: Product::Of(a.clone(), b.clone()),
        };
        let hadamard = hadamard.values([o, i, taps]).expect("fits");
        let (small, large) = (matrix(2, 3, 1.0), matrix(2, 2 * taps, -1.0));
        let kronecker =
            Change::Kronecker { first: Product::Whole(small.clone()), second: Product::Whole(large.clone()) };
        let kronecker = kronecker.values([o, i, taps]).expect("fits");
        for row in 0..o {
            for column in 0..i * taps {
                let place = row * i * taps + column;
                let (channel, tap) = (column / taps, column % taps);
                let (left, core, right) = (matrix(3, o, 1.0), matrix(3, 2 * taps, -1.0), matrix(2, i, 0.0));
                let expected: f32 = (0..3)
                    .flat_map(|r| (0..2).map(move |s| (r, s)))
                    .map(|(r, s)| at(&left, r, row) * at(&core, r, s * taps + tap) * at(&right, s, channel))
                    .sum();
                assert_eq!(decomposed.values[place], expected);
                assert_eq!(low[place], product(&up, &down, row, column));
                let expected: f32 = (0..rank)
                    .flat_map(|r| (0..3).map(move |s| (r, s)))
                    .map(|(r, s)| at(&up, row, r) * at(&middle, r, s * taps + tap) * at(&thin, s, channel))
                    .sum();
                assert_eq!(through[place], expected);
                assert_eq!(hadamard[place], product(&up, &down, row, column) * product(&a, &b, row, column));
                let (tall, wide) = (large.rows, large.columns);
                let expected = at(&small, row / tall, column / wide) * at(&large, row % tall, column % wide);
                assert_eq!(kronecker[place], expected);
            }
        }
    }

    #[test]
    fn what_does_not_go_together_is_none() {
        let low = |up, down| Change::Low { up, down }.values([4, 6, 1]);
        assert!(low(matrix(4, 2, 0.0), matrix(2, 6, 0.0)).is_some());
        assert!(low(matrix(4, 2, 0.0), matrix(3, 6, 0.0)).is_none());
        assert!(low(matrix(4, 2, 0.0), matrix(2, 7, 0.0)).is_none());
        assert!(low(matrix(5, 2, 0.0), matrix(2, 6, 0.0)).is_none());
        assert!(Change::Difference(matrix(4, 5, 0.0)).values([4, 6, 1]).is_none());
        // Larger than any memory, of a few values.
        let vast = || Product::Of(matrix(1 << 20, 1, 0.0), matrix(1, 1 << 20, 0.0));
        assert!(Change::Hadamard { first: vast(), second: vast() }.values([4, 6, 1]).is_none());
        assert!(Change::Kronecker { first: vast(), second: vast() }.values([4, 6, 1]).is_none());
    }
}
