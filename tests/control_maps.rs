//! Maps that follow from a picture, against OpenCV's.

mod common;

use common::Golden;
use opengen::image::maps::{Norm, canny, lineart, scribble};

const SIZE: [usize; 2] = [64, 48];

fn bytes(golden: &Golden, name: &str) -> Vec<u8> {
    golden.values(name).into_iter().map(|value| value as u8).collect()
}

#[test]
fn edges_are_opencvs() {
    let golden = Golden::open("controls/maps.safetensors");
    let picture = bytes(&golden, "picture");
    for thresholds in [[100, 200], [50, 150], [30, 400]] {
        for (norm, end) in [(Norm::L1, ""), (Norm::L2, ".l2")] {
            let [low, high] = thresholds;
            let expected = bytes(&golden, &format!("canny.{low}.{high}{end}"));
            assert!(expected.contains(&255) && expected.contains(&0));
            assert!(canny(&picture, SIZE, thresholds, norm) == expected, "{low} to {high}, {norm:?}");
        }
    }
}

/// Sums of floats in another order may round the other way.
#[test]
fn lines_are_those_of_differences_of_gaussians() {
    let golden = Golden::open("controls/maps.safetensors");
    let picture = bytes(&golden, "picture");
    for (name, found) in [("lineart", lineart(&picture, SIZE)), ("scribble", scribble(&picture, SIZE))] {
        let expected = bytes(&golden, name);
        let off = |(found, expected): (&u8, &u8)| found.abs_diff(*expected);
        let most = found.iter().zip(&expected).map(off).max();
        assert!(most <= Some(1), "{name}: {most:?}");
        assert!(found.iter().any(|value| *value > 0));
    }
}
