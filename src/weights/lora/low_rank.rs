//! What is merged into a packed record as products of narrow matrices: what a device adds where the record lies.

use super::super::blocks::Rounding;
use super::super::packed::{Geometry, PackedRecord};
use super::super::types::SourceType;
use super::change::{Change, Matrix, widened};
use super::merged::{Lora, Merged};
use super::{Factor, Strength};
use crate::error::Result;
use crate::kernels::low_rank_merge::Params;
use crate::plan::{Part, WeightKind};

/// A product that is added to some rows of a record, as the kernel takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct LowRank {
    pub params: Params,
    /// `[rank, rows]`, weighed.
    pub left: Vec<f32>,
    /// `[rank, K]`, in the record's order.
    pub right: Vec<f32>,
}

impl Merged {
    /// What is added to a record, part by part, of all files together: nothing where nothing changes it. None where something is no such product (LoHa, LoKr, (IA)³,
    /// DoRA, whole differences) or does not fit, where errors of rounding are fed on (3×3 kernels in five and four bits), and where
    /// a product might pass what f32 holds: then [`Merged::merged`] computes, or says what is wrong.
    pub fn low_rank(&self, record: &PackedRecord) -> Result<Option<Vec<LowRank>>> {
        if !self.touches(record) {
            return Ok(Some(Vec::new()));
        }
        let Some((weight_n, k)) = record.matrix() else { return Ok(None) };
        let (mut products, mut first) = (Vec::new(), 0);
        for part in &record.decl.parts {
            let Some(geometry) = Geometry::of(part) else { return Ok(None) };
            let rows = geometry.rows;
            if self.changes(&part.name) {
                let even = rows.is_multiple_of(2) && usize::is_multiple_of(first, 2);
                let fed_on = geometry.taps > 1 && record.weight_type.bits() < 8;
                if !even || fed_on {
                    return Ok(None);
                }
                let is_geglu = matches!(record.decl.kind, WeightKind::Geglu { .. });
                let half = if is_geglu { rows / 2 } else { 0 };
                let Some((left, right)) = self.factors(part, geometry, half)? else { return Ok(None) };
                let seed = match Rounding::of_changed(SourceType::of(record.weight_type), &part.name) {
                    Rounding::Dithered { seed } => seed,
                    Rounding::Plain | Rounding::Fitted => 0,
                };
                let rank = (left.len() / rows) as u32;
                let [rows, first, weight_n, k4, half] =
                    [rows, first, weight_n, k / 4, half].map(|size| size as u32);
                let params = Params { rows, first, weight_n, k4, rank, half, seed };
                products.push(LowRank { params, left, right });
            }
            first += rows;
        }
        Ok(Some(products))
    }

    /// Both sides of the product that changes a part, in the record's order.
    fn factors(&self, part: &Part, geometry: Geometry, half: usize) -> Result<Option<(Vec<f32>, Vec<f32>)>> {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (lora, strength) in self.networks() {
            let Some((up, down, scale)) = lora.narrow(part, geometry, strength)? else { continue };
            let (Some(up), Some(down)) = (up, down) else { return Ok(None) };
            let (rank, columns) = (down.rows, geometry.k_source());
            let tensor_rows = part.rows.map_or(geometry.rows, |rows| rows.of);
            if [up.rows, up.columns, down.columns] != [tensor_rows, rank, columns] {
                return Ok(None);
            }
            let from = part.rows.map_or(0, |rows| rows.first);
            let row_of = |packed: usize| if half == 0 { packed } else { packed / 2 + packed % 2 * half };
            for r in 0..rank {
                let value = |packed: usize| scale * up.values[(from + row_of(packed)) * rank + r];
                left.extend((0..geometry.rows).map(value));
                let row = &down.values[r * columns..][..columns];
                right.extend((0..geometry.k()).map(|place| {
                    let (tap, c) = (place / geometry.cin_padded(), place % geometry.cin_padded());
                    if c < geometry.cin { row[c * geometry.taps + tap] } else { 0.0 }
                }));
            }
        }
        let most = |values: &[f32]| values.iter().fold(0.0, |most: f64, x| most.max(f64::from(x.abs())));
        let is_finite = left.iter().chain(&right).all(|value| value.is_finite());
        let sum = most(&left) * most(&right) * (left.len() / geometry.rows.max(1)) as f64;
        Ok((is_finite && sum < f64::from(f32::MAX) / 2.0).then_some((left, right)))
    }
}

/// Both narrow matrices where a file has them, and what their product is weighed with.
type Narrow = (Option<Matrix>, Option<Matrix>, f32);

impl Lora {
    /// What changes a part; None where nothing does.
    fn narrow(&self, part: &Part, geometry: Geometry, strength: &Strength) -> Result<Option<Narrow>> {
        const NARROW: [Factor; 4] = [Factor::Up, Factor::Down, Factor::Middle, Factor::Alpha];
        let weight = strength.at(&part.name);
        let Some(factors) = self.factors(&part.name).filter(|_| weight != 0.0) else { return Ok(None) };
        if !factors.keys().all(|factor| NARROW.contains(factor)) {
            return Ok(Some((None, None, 0.0)));
        }
        let taps = geometry.taps;
        let weighed = |scale: f64| (weight * scale) as f32;
        Ok(Some(match self.change(factors)? {
            Some((Change::Low { up, down }, scale)) => (Some(up), Some(down), weighed(scale)),
            Some((Change::Middle { up, middle, down }, scale)) if middle.columns == down.rows * taps => {
                (Some(up), Some(widened(&middle, &down, taps)), weighed(scale))
            }
            _ => (None, None, 0.0),
        }))
    }
}
