//! LoRAs in files, merged into a model that is opened natively.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::super::decode::decode;
use super::super::disk::WeightFile;
use super::super::header::{Header, TensorInfo, bad};
use super::Factor;
use super::change::{Change, Matrix, Product};
use super::names::{Layers, split};
use crate::error::{Error, Result};

/// How tensors end that would make another change of a layer's other ones, and what such files are.
const UNREAD: [(&str, &str); 6] = [
    (".dora_scale", "a DoRA"),
    (".lora_magnitude_vector", "a DoRA"),
    (".lora_magnitude_vector.weight", "a DoRA"),
    (".on_input", "(IA)³"),
    (".hada_t1", "a LoHa whose kernels are decomposed"),
    (".lokr_t2", "a LoKr whose kernels are decomposed"),
];

/// Bytes that are hashed at once.
const PIECE: u64 = 1 << 20;

/// Metadata keys of what a file was trained on: kohya's, and the standard of modelspec.
const TRAINED_ON: [&str; 3] = ["ss_base_model_version", "modelspec.architecture", "ss_sd_model_name"];

/// A LoRA, and how much of it is merged.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraOption {
    pub path: PathBuf,
    /// Of the UNet's change and of the text encoder's; 1 is as trained, 0 nothing.
    pub unet: f64,
    pub text: f64,
}

/// One that is open.
#[derive(Debug)]
struct Lora {
    option: LoraOption,
    header: Header,
    file: WeightFile,
    /// By the canonical name of a tensor, the tensors of the file that change it, by what they are.
    changes: BTreeMap<String, BTreeMap<Factor, usize>>,
    /// Tensors that fit no layer.
    unused: Vec<String>,
}

/// Those that are merged into a model.
#[derive(Debug, Default)]
pub struct Merged(Vec<Lora>);

impl Merged {
    /// Opens files for a model of these tensors. Refused is a file of which nothing fits, and one whose layers have other sizes.
    pub fn open(options: &[LoraOption], model: &Header) -> Result<Merged> {
        let layers = Layers::new(model.tensors.iter().map(|info| info.name.as_str()));
        let shapes = model.tensors.iter().map(|info| (info.name.as_str(), info)).collect();
        options
            .iter()
            .map(|option| Lora::open(option, &layers, &shapes, model))
            .collect::<Result<_>>()
            .map(Merged)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each file's name, how many of the model's tensors it changes, and its tensors that fit none.
    pub fn told(&self) -> impl Iterator<Item = (&Path, usize, &[String])> {
        self.0.iter().map(|lora| (lora.option.path.as_path(), lora.changes.len(), lora.unused.as_slice()))
    }

    /// Each with what a prompt calls it and the hash by which A1111 knows it: the first twelve digits of the SHA-256 of what
    /// follows the header.
    pub fn hashes(&self) -> Result<Vec<(&LoraOption, String, String)>> {
        self.0.iter().map(|lora| Ok((&lora.option, lora.option.name(), lora.hash()?))).collect()
    }

    /// A tensor with all that is merged into it, in f32 and the model's own order; None where nothing changes it.
    pub fn changed(
        &self,
        info: &TensorInfo,
        bytes: &[u8],
        shape: &[usize],
        is_ohwi: bool,
    ) -> Result<Option<Vec<f32>>> {
        let mut changed = None;
        for lora in &self.0 {
            let weight = lora.option.weight(&info.name);
            let Some(factors) = lora.changes.get(&info.name).filter(|_| weight != 0.0) else { continue };
            let values = match &mut changed {
                Some(values) => values,
                None => changed.insert(decode(info.dtype, bytes)?),
            };
            lora.add(factors, (&info.name, shape), weight, is_ohwi, values)?;
        }
        Ok(changed)
    }
}

impl LoraOption {
    /// What a prompt calls it: the file's name without its ending.
    pub fn name(&self) -> String {
        self.path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
    }

    /// Of what a tensor's component is changed by.
    fn weight(&self, tensor: &str) -> f64 {
        if tensor.starts_with("text_encoder") { self.text } else { self.unet }
    }
}

impl Lora {
    fn open(
        option: &LoraOption,
        layers: &Layers,
        model: &HashMap<&str, &TensorInfo>,
        of: &Header,
    ) -> Result<Lora> {
        let file = WeightFile::open(&option.path)?;
        let header = file.header()?;
        let unread = |info: &TensorInfo| UNREAD.iter().find(|(end, _)| info.name.ends_with(end));
        if let Some((_, what)) = header.tensors.iter().find_map(unread) {
            return Err(bad(&header.file, format!("it is {what}, which is not read here yet")));
        }
        let (mut changes, mut unused) = (BTreeMap::<String, BTreeMap<Factor, usize>>::new(), Vec::new());
        let mut is_network = false;
        for (index, info) in header.tensors.iter().enumerate() {
            let Some((layer, factor)) = split(&info.name) else {
                unused.push(info.name.clone());
                continue;
            };
            is_network = true;
            let end = if factor == Factor::BiasDifference { "bias" } else { "weight" };
            let target = layers.find(layer).map(|path| format!("{path}.{end}"));
            match target.filter(|target| model.contains_key(target.as_str())) {
                Some(target) => drop(changes.entry(target).or_default().insert(factor, index)),
                None => unused.push(info.name.clone()),
            }
        }
        if !is_network {
            let numbered = header.tensors.iter().any(|info| info.name.starts_with("unet:"));
            if numbered {
                let message = "a LoRA in the first dialect (cloneofsimo's of 2022), whose layers have numbers for names; \
                               convert it to kohya's or diffusers'";
                return Err(bad(&header.file, message.to_string()));
            }
            return Err(header.other_model());
        }
        let lora = Lora { option: option.clone(), header, file, changes, unused };
        if lora.changes.is_empty() {
            let message = format!("nothing in it fits a layer of {}{}", of.file, lora.trained_on());
            return Err(bad(&lora.header.file, message));
        }
        for (name, factors) in &lora.changes {
            lora.check(name, factors, model[name.as_str()])?;
        }
        Ok(lora)
    }

    fn hash(&self) -> Result<String> {
        let (mut hasher, mut at, mut piece) = (Sha256::new(), self.header.data_start, Vec::new());
        while at < self.file.len {
            let len = (self.file.len - at).min(PIECE);
            self.file.read_at(at, len as usize, &mut piece)?;
            hasher.update(&piece);
            at += len;
        }
        Ok(hasher.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect())
    }

    /// ": it was trained for …", where the file says that.
    fn trained_on(&self) -> String {
        let said = TRAINED_ON.iter().find_map(|key| self.header.metadata.get(*key));
        said.map_or_else(String::new, |what| format!("; it was trained for {what}"))
    }

    /// Whether a layer's tensors make a change of its size, told from shapes alone.
    fn check(&self, name: &str, factors: &BTreeMap<Factor, usize>, info: &TensorInfo) -> Result<()> {
        let has = |wanted: &[Factor]| wanted.iter().all(|factor| factors.contains_key(factor));
        let one_of = |whole: Factor, parts: [Factor; 2]| has(&[whole]) || has(&parts);
        use Factor::*;
        let is_whole = has(&[Up, Down])
            || has(&[Difference])
            || has(&[BiasDifference])
            || one_of(First, [FirstUp, FirstDown]) && one_of(Second, [SecondUp, SecondDown]);
        if !is_whole {
            let has: Vec<&str> =
                factors.values().map(|index| self.header.tensors[*index].name.as_str()).collect();
            return Err(bad(
                &self.header.file,
                format!("of the change of {name} there is {} alone", has.join(", ")),
            ));
        }
        let [up, down] =
            [Up, Down].map(|factor| factors.get(&factor).map(|index| &self.header.tensors[*index].shape));
        let (Some(up), Some(down)) = (up, down) else { return Ok(()) };
        // Rows, and values of each.
        let sizes = |shape: &[usize]| {
            let rows = shape.first().copied().unwrap_or(0);
            [rows, shape.iter().product::<usize>().checked_div(rows).unwrap_or(0)]
        };
        let ([o, _], [_, columns], [rows, wanted]) = (sizes(up), sizes(down), sizes(&info.shape));
        let narrow = has(&[Middle]);
        if o != rows || (!narrow && columns != wanted) {
            let message = format!(
                "it changes {name} by a matrix of {o} × {columns}, which has {rows} × {wanted} here: it belongs to another \
                 family of models{}",
                self.trained_on()
            );
            return Err(bad(&self.header.file, message));
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
        let misfit = || bad(&self.header.file, format!("what it has for {name} does not go together"));
        let (change, rank) = self.change(factors)?.ok_or_else(misfit)?;
        let [o, i, taps] = match *shape {
            [o] => [o, 1, 1],
            [o, i] => [o, i, 1],
            [o, i, h, w] => [o, i, h * w],
            _ => return Err(misfit()),
        };
        let added = change.values([o, i, taps]).filter(|added| added.len() == values.len());
        let (added, per) = (added.ok_or_else(misfit)?, i * taps);
        let alpha = match factors.get(&Factor::Alpha) {
            Some(index) => self.values(*index)?.first().copied().map(f64::from),
            None => None,
        };
        let scale = match (alpha, rank) {
            (Some(alpha), Some(rank)) => weight * alpha / rank as f64,
            _ => weight,
        } as f32;
        if added.iter().any(|value| !value.is_finite()) || !scale.is_finite() {
            return Err(bad(&self.header.file, format!("the change of {name} is no finite number")));
        }
        for (row, added) in values.chunks_exact_mut(per.max(1)).zip(added.chunks_exact(per.max(1))) {
            for (place, value) in row.iter_mut().enumerate() {
                let from = if is_ohwi { place % i * taps + place / i } else { place };
                *value += scale * added[from];
            }
        }
        Ok(())
    }

    /// The change, and its rank where that weighs it.
    fn change(&self, factors: &BTreeMap<Factor, usize>) -> Result<Option<(Change, Option<usize>)>> {
        use Factor::*;
        let matrix = |factor: Factor| factors.get(&factor).map(|index| self.matrix(*index)).transpose();
        let product =
            |whole: Factor, [left, right]: [Factor; 2]| -> Result<Option<(Product, Option<usize>)>> {
                if let Some(whole) = matrix(whole)? {
                    return Ok(Some((Product::Whole(whole), None)));
                }
                let Some((left, right)) = matrix(left)?.zip(matrix(right)?) else { return Ok(None) };
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
        let (first, second) =
            (product(First, [FirstUp, FirstDown])?, product(Second, [SecondUp, SecondDown])?);
        let Some(((first, a), (second, b))) = first.zip(second) else { return Ok(None) };
        let is_kronecker = factors.values().any(|index| self.header.tensors[*index].name.contains(".lokr_"));
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
        let values = self.values(index)?;
        let rows = self.header.tensors[index].shape.first().copied().unwrap_or(1).max(1);
        Ok(Matrix { rows, columns: values.len() / rows, values })
    }

    fn values(&self, index: usize) -> Result<Vec<f32>> {
        let info = &self.header.tensors[index];
        let mut bytes = Vec::new();
        self.file.read(info, &mut bytes)?;
        decode(info.dtype, &bytes)
    }
}

/// A LoRA's file and weights: `FILE`, `FILE:0.8`, `FILE:0.8:0.5` (UNet, then text encoder).
impl std::str::FromStr for LoraOption {
    type Err = Error;

    fn from_str(text: &str) -> Result<LoraOption> {
        let mut path = text;
        let mut weights = Vec::new();
        while let Some((before, last)) = path.rsplit_once(':')
            && let Ok(weight) = last.parse::<f64>()
            && weights.len() < 2
        {
            if !weight.is_finite() {
                let message = format!("weighs by {last}, which is no number");
                return Err(Error::InvalidInput { field: "lora", message });
            }
            weights.insert(0, weight);
            path = before;
        }
        let unet = weights.first().copied().unwrap_or(1.0);
        let text = weights.get(1).copied().unwrap_or(unet);
        Ok(LoraOption { path: PathBuf::from(path), unet, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_stand_behind_the_file() {
        let option = |path: &str, unet, text| LoraOption { path: PathBuf::from(path), unet, text };
        for (text, expected) in [
            ("a.safetensors", option("a.safetensors", 1.0, 1.0)),
            ("a.safetensors:0.8", option("a.safetensors", 0.8, 0.8)),
            ("a.safetensors:-0.5:0", option("a.safetensors", -0.5, 0.0)),
            ("C:\\loras\\a.safetensors:2", option("C:\\loras\\a.safetensors", 2.0, 2.0)),
        ] {
            assert_eq!(text.parse::<LoraOption>().unwrap(), expected, "{text}");
        }
        assert!("a:inf".parse::<LoraOption>().is_err());
    }
}
