//! How prompts are read, on the device.

use opengen::pipeline::Pipeline;
use pollster::block_on;

use crate::common::prompts::{
    assert_embeddings_are_their_vectors, assert_regions_are_each_pictures, assert_same_throughout,
    compare_compel, compare_prompts, compare_regions, compare_texts, compare_tiles, prompt_cases,
};
use crate::engine::{Packed, Tier, own_tiers};

fn pipeline(tier: &Tier) -> Pipeline {
    let packed = Packed::open("sd1", None);
    let mut pipeline = block_on(Pipeline::new(tier.context.clone(), packed.manifest)).expect("pipeline");
    for (slab, bytes) in packed.slabs.iter().enumerate() {
        pipeline.write(slab, 0, bytes).expect("weights written");
    }
    pipeline
}

/// In f32; in f16 a whole run drifts by its own rounding.
#[test]
fn runs_of_several_and_of_changing_prompts() {
    let Some(tier) = own_tiers().next() else { return };
    let (mut report, mut pipeline) = (tier.report(), pipeline(tier));
    for case in prompt_cases() {
        compare_prompts(&mut report, tier.name, &mut pipeline, &case);
    }
    report.finish();
}

#[test]
fn tiles_are_diffusers_panorama() {
    let Some(tier) = own_tiers().next() else { return };
    let (mut report, mut pipeline) = (tier.report(), pipeline(tier));
    compare_tiles(&mut report, tier.name, &mut pipeline);
    report.finish();
}

#[test]
fn regions_are_comfyuis() {
    let Some(tier) = own_tiers().next() else { return };
    let (mut report, mut pipeline) = (tier.report(), pipeline(tier));
    compare_regions(&mut report, tier.name, &mut pipeline);
    report.finish();
    assert_regions_are_each_pictures(&mut pipeline);
}

#[test]
fn what_stays_the_same_is_the_plain_prompt() {
    for tier in own_tiers() {
        assert_same_throughout(&mut pipeline(tier));
    }
}

#[test]
fn texts_are_those_of_every_origin() {
    for tier in own_tiers() {
        let mut report = tier.report();
        let mut pipeline = pipeline(tier);
        compare_texts(&mut report, tier.name, &mut pipeline);
        compare_compel(&mut report, tier.name, &mut pipeline);
        report.finish();
    }
}

#[test]
fn embeddings_are_their_vectors() {
    for tier in own_tiers() {
        assert_embeddings_are_their_vectors(&mut pipeline(tier));
    }
}
