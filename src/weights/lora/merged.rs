//! Networks that change one model.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::super::decode::decode;
#[cfg(not(target_arch = "wasm32"))]
use super::super::header::Header;
use super::super::header::{TensorInfo, bad};
use super::super::packed::Manifest;
use super::about::TRAINED_ON;
use super::change::{Change, Matrix, Product};
use super::file::is_word;
use super::names::Layers;
use super::{During, Factor, LoraFile, Strength};
use crate::error::{Error, Result};
use crate::prompt::Embedding;

/// A file that is to be merged, and how much of it.
#[derive(Debug, Clone)]
pub struct Asked {
    pub file: Rc<LoraFile>,
    pub strength: Strength,
}

/// One that was found a place in a model.
#[derive(Debug)]
pub(super) struct Lora {
    file: Rc<LoraFile>,
    /// By the canonical name of a tensor, the tensors of the file that change it, by what they are.
    changes: BTreeMap<String, BTreeMap<Factor, usize>>,
    /// Tensors that fit no layer.
    unused: Vec<String>,
}

/// The most steps of a run before which what is merged may change: each time records are merged again.
const MOST_CHANGES: usize = 2;

/// Those that are merged into a model, each with how much of it.
#[derive(Debug, Default)]
pub struct Merged(Vec<(Rc<Lora>, Strength)>);

impl Merged {
    /// Opens files for a model of these tensors. Refused is a file of which nothing fits, and one whose layers have other sizes.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(options: &[super::LoraOption], model: &Header) -> Result<Merged> {
        let asked = options.iter().map(super::LoraOption::open).collect::<Result<Vec<_>>>()?;
        let tensors = model.tensors.iter().map(|info| (info.name.as_str(), info.shape.as_slice()));
        Merged::of(asked, tensors.collect(), &model.file)
    }

    /// Networks for a model that is packed; refused as by [`Merged::open`].
    pub fn for_packed(asked: Vec<Asked>, model: &Manifest) -> Result<Merged> {
        let parts = model.records.iter().flat_map(|record| &record.decl.parts);
        let tensors: Vec<_> = parts.map(|part| part.tensor()).collect();
        let shapes = tensors.iter().map(|part| (part.name.as_str(), part.shape.as_slice()));
        Merged::of(asked, shapes.collect(), &model.name)
    }

    fn of(asked: Vec<Asked>, tensors: HashMap<&str, &[usize]>, model: &str) -> Result<Merged> {
        if asked.is_empty() {
            return Ok(Merged::default());
        }
        let layers = Layers::new(tensors.keys().copied());
        let found = asked.into_iter().map(|Asked { file, strength }| {
            Ok((Rc::new(Lora::of(file, &layers, &tensors, model)?), strength))
        });
        found.collect::<Result<_>>().map(Merged)
    }

    /// Each, and how much of it.
    pub(super) fn networks(&self) -> impl Iterator<Item = (&Lora, &Strength)> {
        self.0.iter().map(|(lora, strength)| (&**lora, strength))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Words that the files bring.
    pub fn words(&self) -> Result<Vec<Embedding>> {
        let words = self.0.iter().map(|(lora, _)| lora.file.words()).collect::<Result<Vec<_>>>()?;
        Ok(words.concat())
    }

    /// In words, of each file of which some tensors fit no layer, which these are.
    pub fn notices(&self) -> impl Iterator<Item = String> {
        const NAMED: usize = 10;
        self.told().filter(|(.., unused)| !unused.is_empty()).map(|(file, _, unused)| {
            let named = unused.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = unused.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let count = unused.len();
            format!("{count} of the tensors of {} fit no layer of this model: {named}{more}", file.name)
        })
    }

    /// Each file, how many of the model's tensors it changes, and its tensors that fit none.
    pub fn told(&self) -> impl Iterator<Item = (&LoraFile, usize, &[String])> {
        self.0.iter().map(|(lora, _)| (&*lora.file, lora.changes.len(), lora.unused.as_slice()))
    }

    /// Those that count in step `i` of a run of so many.
    pub fn in_step(&self, i: usize, steps: usize) -> Merged {
        Merged(self.0.iter().map(|(lora, strength)| (lora.clone(), strength.in_step(i, steps))).collect())
    }

    /// Those that count throughout a run.
    pub fn steady(&self) -> Merged {
        let of = |strength: &Strength| if strength.during.is_whole() { strength.unet } else { 0.0 };
        let steady = |strength: &Strength| Strength {
            unet: of(strength),
            during: During::default(),
            ..strength.clone()
        };
        Merged(self.0.iter().map(|(lora, strength)| (lora.clone(), steady(strength))).collect())
    }

    /// The steps of a run of so many, counted from 0, before which something else is merged than in the step before. Refused are
    /// more than two.
    pub fn turns(&self, steps: usize) -> Result<Vec<usize>> {
        let all: Vec<During> = self.0.iter().map(|(_, strength)| strength.during).collect();
        let turns =
            |i: &usize| all.iter().any(|during| during.holds(*i, steps) != during.holds(*i - 1, steps));
        let turns: Vec<usize> = (1..steps).filter(turns).collect();
        if turns.len() > MOST_CHANGES {
            let message = format!(
                "they begin and end at {} steps of a run, where the model is merged again; at most {MOST_CHANGES} are taken: let \
                 some begin or end together",
                turns.len()
            );
            return Err(Error::InvalidInput { field: "loras", message });
        }
        Ok(turns)
    }

    /// Whether a tensor has the same merged into it in both.
    pub(super) fn agrees(&self, other: &Merged, tensor: &str) -> bool {
        self.of_tensor(tensor).eq(other.of_tensor(tensor))
    }

    /// What is merged into a tensor, as it is told apart: from which file, and how much of it.
    fn of_tensor<'a>(&'a self, tensor: &'a str) -> impl Iterator<Item = (*const LoraFile, f64)> + 'a {
        let counting = self.0.iter().map(|(lora, strength)| (lora, strength.at(tensor)));
        let counting = counting.filter(|(lora, weight)| *weight != 0.0 && lora.changes.contains_key(tensor));
        counting.map(|(lora, weight)| (Rc::as_ptr(&lora.file), weight))
    }

    /// Each with what a prompt calls it, how much of it is merged, and the hash by which A1111 knows it.
    pub fn hashes(&self) -> Result<Vec<(&str, &Strength, &str)>> {
        self.0
            .iter()
            .map(|(lora, strength)| Ok((lora.file.name.as_str(), strength, lora.file.hash()?)))
            .collect()
    }

    /// Floating point operations of the products that changes are made of.
    pub fn operations(&self) -> u64 {
        const PAIRS: [[Factor; 2]; 3] = [
            [Factor::Up, Factor::Down],
            [Factor::FirstUp, Factor::FirstDown],
            [Factor::SecondUp, Factor::SecondDown],
        ];
        let values = |lora: &Lora, index: usize| {
            let shape = &lora.file.header.tensors[index].shape;
            [shape.first().copied().unwrap_or(1), shape.iter().product()].map(|size: usize| size as u64)
        };
        let of = |lora: &Lora, factors: &BTreeMap<Factor, usize>| -> u64 {
            let both = |pair: &[Factor; 2]| Some((factors.get(&pair[0])?, factors.get(&pair[1])?));
            // Rows of the left one times all values of the right one.
            let products = PAIRS.iter().filter_map(both);
            products.map(|(left, right)| 2 * values(lora, *left)[0] * values(lora, *right)[1]).sum()
        };
        self.0.iter().flat_map(|(lora, _)| lora.changes.values().map(move |factors| of(lora, factors))).sum()
    }

    /// Whether a tensor is changed.
    pub fn changes(&self, tensor: &str) -> bool {
        self.of_tensor(tensor).next().is_some()
    }

    /// A tensor with all that is merged into it, in f32 and the model's own order; None where nothing changes it.
    pub fn changed(
        &self,
        info: &TensorInfo,
        bytes: &[u8],
        shape: &[usize],
        is_ohwi: bool,
    ) -> Result<Option<Vec<f32>>> {
        if !self.changes(&info.name) {
            return Ok(None);
        }
        let mut values = decode(info.dtype, bytes);
        self.change(&info.name, shape, is_ohwi, &mut values)?;
        Ok(Some(values))
    }

    /// Changes the values of a whole tensor. `is_ohwi`: kernels are rows in the order (ky, kx, i).
    pub(super) fn change(
        &self,
        tensor: &str,
        shape: &[usize],
        is_ohwi: bool,
        values: &mut [f32],
    ) -> Result<()> {
        for (lora, strength) in &self.0 {
            let weight = strength.at(tensor);
            if let Some(factors) = lora.changes.get(tensor).filter(|_| weight != 0.0) {
                lora.add(factors, (tensor, shape), weight, is_ohwi, values)?;
            }
        }
        Ok(())
    }
}

impl Lora {
    fn of(file: Rc<LoraFile>, layers: &Layers, model: &HashMap<&str, &[usize]>, name: &str) -> Result<Lora> {
        let header = &file.header;
        let (mut changes, mut unused) = (BTreeMap::<String, BTreeMap<Factor, usize>>::new(), Vec::new());
        for (index, (info, part)) in header.tensors.iter().zip(&file.parts).enumerate() {
            let target = part.as_ref().and_then(|(layer, factor)| {
                let end = if *factor == Factor::BiasDifference { "bias" } else { "weight" };
                Some((format!("{}.{end}", layers.find(layer)?), *factor))
            });
            match target.filter(|(target, _)| model.contains_key(target.as_str())) {
                Some((target, factor)) => drop(changes.entry(target).or_default().insert(factor, index)),
                None if is_word(&file.header, &info.name) => {}
                None => unused.push(info.name.clone()),
            }
        }
        let lora = Lora { file, changes, unused };
        if lora.changes.is_empty() {
            let message = format!("nothing in it fits a layer of {name}{}", lora.trained_on());
            return Err(bad(&lora.file.header.file, message));
        }
        for (name, factors) in &lora.changes {
            lora.check(name, factors, model[name.as_str()])?;
        }
        Ok(lora)
    }

    /// ": it was trained for …", where the file says that.
    fn trained_on(&self) -> String {
        let said = TRAINED_ON.iter().find_map(|key| self.file.header.metadata.get(*key));
        said.map_or_else(String::new, |what| format!("; it was trained for {what}"))
    }

    /// Whether a layer's tensors make a change of its size, told from shapes alone.
    fn check(&self, name: &str, factors: &BTreeMap<Factor, usize>, wanted: &[usize]) -> Result<()> {
        let has = |wanted: &[Factor]| wanted.iter().all(|factor| factors.contains_key(factor));
        let one_of = |whole: Factor, parts: [Factor; 2]| has(&[whole]) || has(&parts);
        use Factor::*;
        let is_whole = has(&[Up, Down])
            || has(&[Difference])
            || has(&[BiasDifference])
            || has(&[Gate])
            || one_of(First, [FirstUp, FirstDown]) && one_of(Second, [SecondUp, SecondDown]);
        if !is_whole {
            let has: Vec<&str> =
                factors.values().map(|index| self.file.header.tensors[*index].name.as_str()).collect();
            return Err(bad(
                &self.file.header.file,
                format!("of the change of {name} there is {} alone", has.join(", ")),
            ));
        }
        let tensors = || factors.values().map(|index| &self.file.header.tensors[*index]);
        if let Some(empty) = tensors().find(|tensor| tensor.shape.contains(&0)) {
            let message = format!(
                "the change of {name} has rank 0: {} is empty, and changes nothing; train it with a rank of 1 or more",
                empty.name
            );
            return Err(bad(&self.file.header.file, message));
        }
        let [up, down] = [Up, Down]
            .map(|factor| factors.get(&factor).map(|index| &self.file.header.tensors[*index].shape));
        let (Some(up), Some(down)) = (up, down) else { return Ok(()) };
        // Rows, and values of each.
        let sizes = |shape: &[usize]| {
            let rows = shape.first().copied().unwrap_or(0);
            [rows, shape.iter().product::<usize>().checked_div(rows).unwrap_or(0)]
        };
        let ([o, _], [_, columns], [rows, wanted]) = (sizes(up), sizes(down), sizes(wanted));
        let narrow = has(&[Middle]);
        if o != rows || (!narrow && columns != wanted) {
            let message = format!(
                "it changes {name} by a matrix of {o} × {columns}, which has {rows} × {wanted} here: it belongs to another \
                 family of models{}",
                self.trained_on()
            );
            return Err(bad(&self.file.header.file, message));
        }
        Ok(())
    }

    /// Adds the change of a tensor to its values.
    fn add(
        &self,
        factors: &BTreeMap<Factor, usize>,
        (name, shape): (&str, &[usize]),
        weight: f64,
        is_ohwi: bool,
        values: &mut [f32],
    ) -> Result<()> {
        let misfit = || bad(&self.file.header.file, format!("what it has for {name} does not go together"));
        let (change, scale) = self.change(factors)?.unzip();
        let scale = scale.unwrap_or(1.0);
        let [o, i, taps] = match *shape {
            [o] => [o, 1, 1],
            [o, i] => [o, i, 1],
            [o, i, h, w] => [o, i, h * w],
            _ => return Err(misfit()),
        };
        let per = i * taps;
        let added = match factors.get(&Factor::Gate) {
            Some(gate) => self.gated(*gate, [o, i, taps], is_ohwi, values),
            None => change.and_then(|change| change.values([o, i, taps])),
        };
        let added = added.filter(|added| added.len() == values.len()).ok_or_else(misfit)?;
        let before = factors.contains_key(&Factor::Magnitude).then(|| values.to_vec());
        // What a DoRA weighs is the way from the layer as it was.
        let scale = if before.is_some() { scale } else { weight * scale } as f32;
        let endless = || bad(&self.file.header.file, format!("the change of {name} is no finite number"));
        if added.iter().any(|value| !value.is_finite()) || !scale.is_finite() {
            return Err(endless());
        }
        for (row, added) in values.chunks_exact_mut(per.max(1)).zip(added.chunks_exact(per.max(1))) {
            for (place, value) in row.iter_mut().enumerate() {
                let from = if is_ohwi { place % i * taps + place / i } else { place };
                *value += scale * added[from];
            }
        }
        if let Some(before) = before {
            let magnitude = factors.get(&Factor::Magnitude).map(|index| self.matrix(*index)).transpose()?;
            self.decompose(&magnitude.ok_or_else(misfit)?, [o, i, taps], is_ohwi, values)
                .ok_or_else(misfit)?;
            for (value, before) in values.iter_mut().zip(&before) {
                *value = before + weight as f32 * (*value - before);
            }
            if values.iter().any(|value| !value.is_finite()) {
                return Err(endless());
            }
        }
        Ok(())
    }

    /// (IA)³: each row of a tensor, or each column, as often as its number says (Liu et al. 2022,
    /// <https://arxiv.org/abs/2205.05638>; LyCORIS). In the checkpoint's order.
    fn gated(
        &self,
        gate: usize,
        [o, i, taps]: [usize; 3],
        is_ohwi: bool,
        values: &[f32],
    ) -> Option<Vec<f32>> {
        let gates = self.file.values(gate).ok()?;
        let layer = self.file.parts[gate].as_ref().map(|(layer, _)| layer.as_str())?;
        let on_input = self.file.is_on_input(layer).unwrap_or(gates.len() != o);
        if gates.len() != if on_input { i } else { o } || values.len() != o * i * taps {
            return None;
        }
        let at = |place: usize| {
            let (row, inner) = (place / (i * taps), place % (i * taps));
            let (column, tap) = (inner / taps, inner % taps);
            let from = if is_ohwi { tap * i + column } else { inner };
            values[row * i * taps + from] * gates[if on_input { column } else { row }]
        };
        Some((0..values.len()).map(at).collect())
    }

    /// DoRA: rows (or, where the file has one number a column, columns) get the length that it says (Liu et al. 2024,
    /// <https://arxiv.org/abs/2402.09353>; LyCORIS's `weight_decompose`).
    fn decompose(
        &self,
        magnitude: &Matrix,
        [o, i, taps]: [usize; 3],
        is_ohwi: bool,
        values: &mut [f32],
    ) -> Option<()> {
        let by_row = magnitude.rows == o && magnitude.values.len() == o;
        if !by_row && magnitude.values.len() != i {
            return None;
        }
        let place = |place: usize| {
            let inner = place % (i * taps);
            let column = if is_ohwi { inner % i } else { inner / taps };
            if by_row { place / (i * taps) } else { column }
        };
        let mut squares = vec![0f64; magnitude.values.len()];
        for (at, value) in values.iter().enumerate() {
            squares[place(at)] += f64::from(*value).powi(2);
        }
        let factor =
            |(length, square): (&f32, &f64)| (f64::from(*length) / square.sqrt().max(f64::EPSILON)) as f32;
        let factors: Vec<f32> = magnitude.values.iter().zip(&squares).map(factor).collect();
        values.iter_mut().enumerate().for_each(|(at, value)| *value *= factors[place(at)]);
        Some(())
    }

    /// What changes a tensor, where the file has it.
    pub(super) fn factors(&self, tensor: &str) -> Option<&BTreeMap<Factor, usize>> {
        self.changes.get(tensor)
    }

    /// The change, and what the file weighs it with: alpha over the rank.
    pub(super) fn change(&self, factors: &BTreeMap<Factor, usize>) -> Result<Option<(Change, f64)>> {
        let Some((change, rank)) = self.of_rank(factors)? else { return Ok(None) };
        let alpha = match factors.get(&Factor::Alpha) {
            Some(index) => self.file.values(*index)?.first().copied().map(f64::from),
            None => None,
        };
        let scale = match (alpha, rank) {
            (Some(alpha), Some(rank)) => alpha / rank as f64,
            _ => 1.0,
        };
        Ok(Some((change, scale)))
    }

    /// The change, and its rank where that weighs it.
    fn of_rank(&self, factors: &BTreeMap<Factor, usize>) -> Result<Option<(Change, Option<usize>)>> {
        use Factor::*;
        let matrix = |factor: Factor| factors.get(&factor).map(|index| self.matrix(*index)).transpose();
        let product =
            |whole: Factor, [left, middle, right]: [Factor; 3]| -> Result<Option<(Product, Option<usize>)>> {
                if let Some(whole) = matrix(whole)? {
                    return Ok(Some((Product::Whole(whole), None)));
                }
                let Some((left, right)) = matrix(left)?.zip(matrix(right)?) else { return Ok(None) };
                if let Some(middle) = matrix(middle)? {
                    let fits = middle.rows == left.rows && right.rows > 0 && middle.columns % right.rows == 0;
                    let rank = right.rows;
                    return Ok(fits.then_some((Product::Tucker { left, middle, right }, Some(rank))));
                }
                if left.columns != right.rows {
                    return Ok(None);
                }
                let rank = right.rows;
                Ok(Some((Product::Of(left, right), Some(rank))))
            };
        if let Some((up, down)) = matrix(Up)?.zip(matrix(Down)?) {
            let rank = down.rows;
            let change = match matrix(Middle)? {
                Some(middle) => Change::Middle { up, middle, down },
                None => Change::Low { up, down },
            };
            return Ok(Some((change, Some(rank))));
        }
        for kind in [Difference, BiasDifference] {
            if let Some(whole) = matrix(kind)? {
                return Ok(Some((Change::Difference(whole), None)));
            }
        }
        let (first, second) = (
            product(First, [FirstUp, FirstMiddle, FirstDown])?,
            product(Second, [SecondUp, SecondMiddle, SecondDown])?,
        );
        let Some(((first, a), (second, b))) = first.zip(second) else { return Ok(None) };
        let is_kronecker =
            factors.values().any(|index| self.file.header.tensors[*index].name.contains(".lokr_"));
        // LoKr is weighed where one of its factors is a product.
        let rank = a.or(b);
        let change = match is_kronecker {
            true => Change::Kronecker { first, second },
            false => Change::Hadamard { first, second },
        };
        Ok(Some((change, rank)))
    }

    /// A tensor as a matrix of its outermost size.
    fn matrix(&self, index: usize) -> Result<Matrix> {
        let values = self.file.values(index)?;
        let rows = self.file.header.tensors[index].shape.first().copied().unwrap_or(1).max(1);
        Ok(Matrix { rows, columns: values.len() / rows, values })
    }
}
