//! Pictures whose opposite borders meet (A1111's tiling).

use std::str::FromStr;

use crate::kernels::Circular;

/// A1111's word for it in a picture's metadata. It knows both axes alone; one is called by its name there.
pub(super) const TILING: &str = "Tiling";

/// Along which axes a picture is a tile: put beside itself, it shows no seam. Every convolution of the networks that draw it
/// then reads beyond a border what is at the other one (diffusers' recipe, circular padding of every `Conv2d`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tiling {
    #[default]
    None,
    Both,
    /// Left and right borders meet.
    X,
    /// Top and bottom borders meet.
    Y,
}

impl Tiling {
    pub const ALL: [Tiling; 4] = [Tiling::None, Tiling::Both, Tiling::X, Tiling::Y];

    pub fn name(self) -> &'static str {
        match self {
            Tiling::None => "none",
            Tiling::Both => "both",
            Tiling::X => "x",
            Tiling::Y => "y",
        }
    }

    /// Whether left and right borders meet, and top and bottom ones.
    pub fn wraps(self) -> [bool; 2] {
        [matches!(self, Tiling::Both | Tiling::X), matches!(self, Tiling::Both | Tiling::Y)]
    }

    /// How its networks' convolutions are padded.
    pub fn circular(self) -> Circular {
        let [x, y] = self.wraps();
        Circular { x, y }
    }

    /// The tiling along these axes.
    pub(super) fn of(x: bool, y: bool) -> Tiling {
        match (x, y) {
            (true, true) => Tiling::Both,
            (true, false) => Tiling::X,
            (false, true) => Tiling::Y,
            (false, false) => Tiling::None,
        }
    }

    /// How it stands in A1111's text; not at all where there is none.
    pub(super) fn a1111_value(self) -> Option<&'static str> {
        match self {
            Tiling::None => None,
            Tiling::Both => Some("True"),
            axis => Some(axis.name()),
        }
    }

    /// The same read back; the words of ComfyUI's SeamlessTile node too.
    pub(super) fn from_value(value: &str) -> Option<Tiling> {
        match value.to_ascii_lowercase().as_str() {
            "true" | "enable" => Some(Tiling::Both),
            "false" | "disable" => Some(Tiling::None),
            "x_only" => Some(Tiling::X),
            "y_only" => Some(Tiling::Y),
            name => name.parse().ok(),
        }
    }
}

impl FromStr for Tiling {
    type Err = String;

    fn from_str(text: &str) -> Result<Tiling, String> {
        let found = Tiling::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| format!("{text:?} is none of {}", Tiling::ALL.map(Tiling::name).join(", ")))
    }
}
