//! Options of `opengen generate` that say where each part of a prompt counts.

use std::path::PathBuf;

use opengen::error::Result;
use opengen::pipeline::{Place, Region, split_region};

use crate::picture;

/// Where the parts of a prompt count.
#[derive(clap::Args, Clone, Default)]
pub struct Regions {
    /// Where a part of a prompt joined by AND counts, counted from 1: a rectangle in shares of the picture (2:0.5,0,0.5,1 is its
    /// right half) or a mask, a PNG that is white there, stretched over the picture; behind it by how much, 0 to 10, the part's
    /// own weight if left out. Where parts meet they are averaged by their weights, as ComfyUI does; a part without a region is
    /// everywhere, and where no part is the picture is drawn without a prompt. Repeat it for more parts, or more places of one.
    #[arg(
        long = "region",
        value_name = "PART:LEFT,TOP,WIDTH,HEIGHT|MASK.png[:WEIGHT]",
        value_parser = region
    )]
    regions: Vec<Named>,
}

/// One of them, as the command line has it.
#[derive(Clone, Debug)]
enum Named {
    Rect(Region),
    Mask { part: usize, path: PathBuf, weight: Option<f64> },
}

impl Regions {
    /// As a request has them.
    pub fn read(&self) -> Result<Vec<Region>> {
        let one = |named: &Named| match named {
            Named::Rect(region) => Ok(region.clone()),
            Named::Mask { part, path, weight } => {
                let place = Place::Mask(picture::read(path)?.into());
                Ok(Region { part: *part, place, weight: *weight })
            }
        };
        self.regions.iter().map(one).collect()
    }
}

/// A rectangle, or what is none and so is the path of a mask.
fn region(text: &str) -> std::result::Result<Named, String> {
    let told = match text.parse() {
        Ok(region) => return Ok(Named::Rect(region)),
        Err(told) => told,
    };
    let is_path = |place: &str| !place.chars().all(|c| c.is_ascii_digit() || " ,.-+".contains(c));
    match split_region(text).filter(|(_, place, _)| is_path(place)) {
        Some((part, path, weight)) => Ok(Named::Mask { part, path: path.into(), weight }),
        None => Err(told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_a_rectangle_or_a_mask() {
        let read = |text: &str| match region(text) {
            Ok(Named::Rect(region)) => region.to_string(),
            Ok(Named::Mask { part, path, weight }) => format!("{part} {} {weight:?}", path.display()),
            Err(told) => told,
        };
        assert_eq!(read("2:0.5,0,0.5,1:0.8"), "2:0.5,0,0.5,1:0.8");
        assert_eq!(read("1:a,b.png"), "1 a,b.png None");
        assert_eq!(read(r"3:C:\m.png:0.5"), r"3 C:\m.png Some(0.5)");
        for wrong in ["", "m.png", "2:", "2:0,0,1", "2:0,0,1,1,1:2", ":m.png"] {
            assert!(read(wrong).contains("PART:LEFT"), "{wrong}");
        }
    }
}
