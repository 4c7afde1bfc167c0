//! Weight declarations: what a model needs from a checkpoint, and in which form the kernels read it.

use serde::{Deserialize, Serialize};

use crate::kernels::WeightType;

/// One packed weight a plan reads: a matrix or vector made of one or several checkpoint tensors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightDecl {
    /// Unique in the model: the canonical path, merged parts named by what they form (`….attn1.to_qkv`).
    pub name: String,
    pub kind: WeightKind,
    /// The checkpoint tensors it is made of, in order.
    pub parts: Vec<Part>,
}

/// One checkpoint tensor, by canonical (diffusers) name with its component in front, or some of its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    /// Of the part: of the whole tensor, or of the rows that are taken.
    pub shape: Vec<usize>,
    /// Which rows of the tensor the part is; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Rows>,
}

/// Some rows of a tensor whose checkpoint keeps several layers in one, as OpenCLIP's `in_proj_weight` has q, k and v.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// The first row that is taken; as many follow as the part has.
    pub first: usize,
    /// Rows of the whole tensor.
    pub of: usize,
}

impl Part {
    /// A whole tensor.
    pub fn whole(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Part {
        Part { name: name.into(), shape: shape.into(), rows: None }
    }

    /// The tensor that the part is in.
    pub fn tensor(&self) -> Part {
        let mut shape = self.shape.clone();
        if let (Some(rows), Some(first)) = (self.rows, shape.first_mut()) {
            *first = rows.of;
        }
        Part::whole(self.name.clone(), shape)
    }
}

/// The types of a model's matrices. Those of one model differ, because their errors do not show alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Types {
    /// Of the autoencoder: it is small, runs once per picture, and its errors go straight into the pixels.
    pub vae: WeightType,
    /// Of kernels with more than one position, among them most values of a UNet.
    pub kernels: WeightType,
    /// Of linear maps: all others.
    pub maps: WeightType,
}

impl Types {
    /// What a model is kept in where one type is asked for. Linear maps are twice as delicate as kernels, so that four bits
    /// are for these alone; what that takes an autoencoder of eight bits gives back. docs/quantization.md has the numbers.
    pub const fn of(wanted: WeightType) -> Types {
        match wanted {
            WeightType::F32 | WeightType::F16 => Types::all(wanted),
            WeightType::Q8 => Types { vae: WeightType::F16, ..Types::all(wanted) },
            WeightType::Q5 => Types { vae: WeightType::Q8, ..Types::all(wanted) },
            WeightType::Q4 => Types { vae: WeightType::Q8, kernels: WeightType::Q4, maps: WeightType::Q5 },
        }
    }

    /// One type for everything.
    pub const fn all(ty: WeightType) -> Types {
        Types { vae: ty, kernels: ty, maps: ty }
    }

    /// What a record in this type becomes: narrower if these are, and what is in blocks already stays as it is.
    pub fn narrowed(self, decl: &WeightDecl, from: WeightType) -> WeightType {
        if from.is_quantized() { from } else { from.max(self.of_matrix(decl)) }
    }

    /// The type of a matrix, as far as it can have it.
    pub fn of_matrix(self, decl: &WeightDecl) -> WeightType {
        let is_kernel = decl.parts.iter().any(|part| matches!(*part.shape, [_, _, h, w] if h * w > 1));
        match () {
            () if decl.parts.iter().any(|part| part.name.starts_with("vae.")) => self.vae,
            () if is_kernel => self.kernels,
            () => self.maps,
        }
    }
}

/// How the parts are laid out for the kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WeightKind {
    /// f32 `[len]`: parts one after the other, zeros up to `len`.
    Vector { len: usize },
    /// `[n, k]`: parts stacked along n. A convolution `[n_i, cin, kh, kw]` becomes rows ordered (ky, kx, cin);
    /// cin and n are padded with zeros to multiples of 4.
    Matrix { n: usize, k: usize },
    /// A matrix whose rows alternate: packed row 2j is value row j, packed row 2j + 1 is gate row n/2 + j.
    Geglu { n: usize, k: usize },
    /// The bias of a [`WeightKind::Geglu`] matrix, f32, in the same order.
    GegluVector { len: usize },
    /// An embedding table `[rows, cols]`, row-major, F32 or F16.
    Table { rows: usize, cols: usize },
}
