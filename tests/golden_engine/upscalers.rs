//! Upscalers on the device, and whole against tiles there.

use opengen::image::Rgba;
use opengen::pipeline::{Cancel, Enlarger, Tiling};
use pollster::block_on;

use crate::common::upscalers::{Upscaler, upscalers};
use crate::engine::tiers;

#[test]
fn as_spandrel() {
    for tier in tiers() {
        let mut report = tier.report();
        for upscaler in upscalers() {
            let file = upscaler.file();
            let enlarger = Enlarger::on_gpu(tier.context.clone(), &upscaler.name, &file);
            let enlarger = block_on(enlarger).expect(&upscaler.name);
            upscaler.hold(&mut report, tier.name, &enlarger);
        }
        report.finish();
    }
}

#[test]
fn tiles_are_the_whole_and_the_processors() {
    let Some(tier) = tiers().first() else { return };
    for (name, [width, height], side) in [("real-esrgan-x2", [101, 47], 46), ("compact-x4", [31, 22], 18)] {
        let file = Upscaler::of(name).file();
        let mut enlarger = block_on(Enlarger::on_gpu(tier.context.clone(), name, &file)).expect(name);
        let pixels = (0..width * height * 4).map(|i| if i % 4 == 3 { 255 } else { (i * i / 7 % 256) as u8 });
        let picture = Rgba { width, height, pixels: pixels.collect() };
        let larger = |enlarger: &Enlarger| {
            let mut tiles = 0;
            let larger = block_on(enlarger.enlarge(
                &picture,
                None,
                Tiling::None,
                &mut |progress| tiles = progress.tile,
                &Cancel::default(),
            ));
            (larger.expect(name), tiles)
        };
        let (whole, _) = larger(&enlarger);
        enlarger.set_side(Some(side));
        let (tiled, tiles) = larger(&enlarger);
        assert!(tiles > 1, "{name}");
        let on_cpu = Enlarger::on_cpu(name, &file).expect(name);
        let (processors, _) = larger(&on_cpu);
        for other in [tiled, processors] {
            let apart = whole.pixels.iter().zip(&other.pixels).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(apart <= Some(1), "{name}: {apart:?} levels apart");
        }
    }
}
