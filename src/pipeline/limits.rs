//! What a request may ask for, and what it takes where nothing is said: the one place for these numbers, with
//! [`crate::prompt::MAX_CHARS`] for the length of a prompt.
//!
//! JavaScript has them from `www/limits.js`, which a test here holds to this file, together with the comments of the
//! types in `www/protocol.d.ts` and the table in `pkg/README.md`.

use std::ops::RangeInclusive;

use super::hires::{Hires, Upscaler};
use crate::config::Suggested;
use crate::sample::{SamplerKind, ScheduleKind};

/// Denoising steps; a model has no more than it was trained with.
pub const STEPS_RANGE: RangeInclusive<usize> = 1..=1000;
/// Guidance beyond this is noise.
pub const MAX_GUIDANCE: f64 = 100.0;
/// Sizes are multiples of this many pixels.
pub const SIZE_STEP: usize = 8;
/// The smallest and largest width and height in pixels.
pub const SIZE_RANGE: RangeInclusive<usize> = 32..=2048;
/// The most embeddings that one run is given.
pub const MAX_EMBEDDINGS: usize = 64;
/// The farthest from its last that a layer of the text encoder is read: A1111's.
pub const MAX_CLIP_SKIP: usize = 12;
/// Pictures a run may make at once.
pub const MAX_BATCH: usize = 8;
/// The softest edge of a mask: a standard deviation in pixels of the picture.
pub const MAX_MASK_BLUR: f64 = 64.0;
/// A1111's.
pub const DEFAULT_MASK_BLUR: f64 = 4.0;
/// The most pixels of the picture that are drawn around its masked part, where that alone is.
pub const MAX_PADDING: usize = 256;
/// A1111's.
pub const DEFAULT_PADDING: usize = 32;
/// The most pixels of a picture over which what was drawn beside it becomes the picture.
pub const MAX_OVERLAP: usize = 256;
/// The most regions that prompts of one run have.
pub const MAX_REGIONS: usize = 64;
/// The most a region counts beside others: ComfyUI's.
pub const MAX_REGION_WEIGHT: f64 = 10.0;
/// Two latents of most models.
pub const DEFAULT_OVERLAP: usize = 16;
/// How many times as wide and high hires fix makes a picture: A1111's.
pub const UPSCALE_RANGE: RangeInclusive<f64> = 1.0..=4.0;
/// A1111's.
pub(super) const DEFAULT_HIRES: Hires =
    Hires { scale: 2.0, strength: 0.7, steps: None, upscaler: Upscaler::Latent };

/// The settings that depend on the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Defaults {
    pub steps: usize,
    pub guidance: f64,
    pub sampler: SamplerKind,
    pub schedule: ScheduleKind,
}

impl Defaults {
    /// For a model that says nothing of its own.
    pub const GENERAL: Defaults = Defaults {
        steps: 20,
        guidance: 7.5,
        sampler: SamplerKind::DpmPlusPlus2M,
        schedule: ScheduleKind::Default,
    };
    /// For the embedded model.
    pub const MINI: Defaults =
        Defaults { steps: 10, guidance: 2.0, sampler: SamplerKind::Ddim, schedule: ScheduleKind::Default };

    /// What a model's maker suggests, and these where that says nothing that is known here.
    pub fn with(self, suggested: &Suggested) -> Defaults {
        Defaults {
            steps: suggested.steps.unwrap_or(self.steps),
            guidance: suggested.guidance.unwrap_or(self.guidance),
            sampler: suggested.sampler.as_deref().and_then(|name| name.parse().ok()).unwrap_or(self.sampler),
            schedule: suggested
                .schedule
                .as_deref()
                .and_then(|name| name.parse().ok())
                .unwrap_or(self.schedule),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::MAX_PIXELS;
    use crate::prompt::MAX_CHARS;
    use crate::sample::{Group, NoiseSource};
    use std::path::Path;

    fn file(name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
        names.into_iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
    }

    fn defaults(Defaults { steps, guidance, sampler, schedule }: Defaults) -> String {
        format!("{{ steps: {steps}, guidance: {guidance}, sampler: '{sampler}', schedule: '{schedule}' }}")
    }

    /// `www/limits.js` as it has to be.
    fn javascript() -> String {
        let (steps, sizes) = (STEPS_RANGE, SIZE_RANGE);
        let row = |kind: SamplerKind| {
            let (title, evaluations, alone) = (kind.title(), kind.evaluations(), kind.is_alone());
            format!("  '{kind}': {{ title: '{title}', evaluations: {evaluations}, alone: {alone} }},")
        };
        let samplers = SamplerKind::ALL.map(row).join("\n");
        let (upscale, upscalers) = (UPSCALE_RANGE, list(Upscaler::ALL.map(Upscaler::name)));
        let schedules = list(ScheduleKind::ALL.map(ScheduleKind::name));
        let sources = list(NoiseSource::ALL.map(NoiseSource::name));
        [
            "/**",
            " * What a request may ask for, and what it takes where neither it nor the model says anything.",
            " *",
            " * These are the engine's own numbers: change them in src/pipeline/limits.rs, whose test says what stands here.",
            " */",
            "",
            "/**",
            " * The samplers, in the order in which they are offered. `title`: to people; `evaluations`: how often a step asks the",
            " * denoiser, the first or last maybe otherwise; `alone`: whether `study` can take a step by itself.",
            " * @type {Record<import('./protocol.d.ts').Sampler, { title: string, evaluations: number, alone: boolean }>}",
            " */",
            "export const SAMPLERS = {",
            &samplers,
            "};",
            "",
            "export const LIMITS = {",
            "  /** Characters of a prompt. */",
            &format!("  prompt: {{ most: {MAX_CHARS} }},"),
            &format!("  steps: {{ from: {}, to: {} }},", steps.start(), steps.end()),
            &format!("  guidance: {{ from: 0, to: {MAX_GUIDANCE} }},"),
            "  /** Width and height in pixels. */",
            &format!("  size: {{ from: {}, to: {}, step: {SIZE_STEP} }},", sizes.start(), sizes.end()),
            &format!("  batch: {{ from: 1, to: {MAX_BATCH} }},"),
            &format!("  clipSkip: {{ from: 1, to: {MAX_CLIP_SKIP} }},"),
            "  variationStrength: { from: 0, to: 1 },",
            &format!("  maskBlur: {{ from: 0, to: {MAX_MASK_BLUR} }},"),
            &format!("  onlyMasked: {{ from: 0, to: {MAX_PADDING} }},"),
            "  /** Of `extend`. */",
            &format!("  overlap: {{ from: 0, to: {MAX_OVERLAP} }},"),
            "  /** Of a region's `weight`. */",
            &format!("  regionWeight: {{ from: 0, to: {MAX_REGION_WEIGHT} }},"),
            "  /** Of the largest picture. */",
            &format!("  pixels: {{ most: {MAX_PIXELS} }},"),
            "  /** Of `hires`. */",
            &format!("  scale: {{ from: {}, to: {} }},", upscale.start(), upscale.end()),
            &format!("  upscalers: [{upscalers}],"),
            "  samplers: Object.keys(SAMPLERS),",
            &format!("  schedules: [{schedules}],"),
            &format!("  rngs: [{sources}],"),
            "};",
            "",
            "/** For a model that says nothing of its own. @type {import('./protocol.d.ts').ModelInfo['defaults']} */",
            &format!("export const DEFAULTS = {};", defaults(Defaults::GENERAL)),
            "",
        ]
        .join("\n")
    }

    #[test]
    fn a_makers_suggestions_come_first_as_far_as_they_go() {
        let suggested = Suggested {
            steps: Some(30),
            sampler: Some("euler".to_string()),
            schedule: Some("linear_quadratic".to_string()),
            ..Suggested::default()
        };
        let expected = Defaults { steps: 30, sampler: SamplerKind::Euler, ..Defaults::GENERAL };
        assert_eq!(Defaults::GENERAL.with(&suggested), expected);
    }

    #[test]
    fn javascript_has_the_same_limits() {
        assert_eq!(file("www/limits.js"), javascript());
        assert!(file("www/models.js").contains(&format!("defaults: {},", defaults(Defaults::MINI))));
    }

    /// Where samplers are listed for people and for TypeScript, they are those of the table.
    #[test]
    fn every_list_of_samplers_is_the_table() {
        let all = SamplerKind::ALL;
        let types = list(all.map(SamplerKind::name)).replace(", ", " | ");
        let options = [Group::SamePath, Group::FreshNoise, Group::Distilled].map(|group| {
            let of_group = all.into_iter().filter(|kind| kind.group() == group);
            let option = |kind: SamplerKind| {
                format!("\n{}<option value=\"{kind}\">{}</option>", " ".repeat(18), kind.title())
            };
            let options: String = of_group.map(option).collect();
            let indent = " ".repeat(16);
            format!("{indent}<optgroup label=\"{}\">{options}\n{indent}</optgroup>\n", group.title())
        });
        let names = all.map(|kind| format!("`{kind}`")).join(", ");
        for (name, told) in [
            ("www/protocol.d.ts", format!("export type Sampler = {types};")),
            (
                "www/index.html",
                format!(
                    "<select id=\"sampler\" aria-describedby=\"sampler-error\">\n{}{}</select>",
                    options.concat(),
                    " ".repeat(14)
                ),
            ),
            ("pkg/README.md", format!("| `sampler` | {names} |")),
            ("README.md", format!("samplers {names}")),
        ] {
            assert!(file(name).replace("\n`", " `").contains(&told), "{name} does not say {told}");
        }
    }

    /// As for samplers; the table of `docs/samplers.md` has both.
    #[test]
    fn every_list_of_schedules_is_the_table() {
        let all = ScheduleKind::ALL;
        let types = list(all.map(ScheduleKind::name)).replace(", ", " | ");
        let option = |kind: ScheduleKind| {
            format!("{}<option value=\"{kind}\">{}</option>\n", " ".repeat(16), kind.title())
        };
        let options = all.map(option).concat();
        let names = all.map(|kind| format!("`{kind}`")).join(", ");
        for (name, told) in [
            ("www/protocol.d.ts", format!("export type Schedule = {types};")),
            (
                "www/index.html",
                format!(
                    "<select id=\"schedule\" aria-describedby=\"schedule-error\">\n{options}{}</select>",
                    " ".repeat(14)
                ),
            ),
            ("pkg/README.md", format!("| `schedule` | {names}")),
            ("README.md", format!("schedules {names}")),
        ] {
            assert!(file(name).replace("\n`", " `").contains(&told), "{name} does not say {told}");
        }
        let docs = file("docs/samplers.md");
        for kind in SamplerKind::ALL {
            let row = format!("| `{kind}` | {} |", kind.names_elsewhere().join(" | "));
            assert!(docs.contains(&row), "docs/samplers.md does not say {row}");
        }
        for kind in all {
            let row = format!("| `{kind}` | {} |", kind.names_elsewhere().join(" | "));
            assert!(docs.contains(&row), "docs/samplers.md does not say {row}");
        }
    }

    /// What the types' comments say of options that have options of their own.
    #[test]
    fn the_documentation_of_options_of_options_says_the_same() {
        let types = file("www/protocol.d.ts");
        let Hires { scale, strength, upscaler, .. } = Hires::default();
        let (low, high, most) = (UPSCALE_RANGE.start(), UPSCALE_RANGE.end(), SIZE_RANGE.end());
        let pixels = MAX_PIXELS / 1_000_000;
        for told in [
            format!("{low} … {high}, up to {most} pixels on a side. Default: {scale}."),
            format!("above 0 to 1. Default: {strength}."),
            format!("/** Default: \"{}\". */\n  upscaler?: Upscaler;", upscaler.name()),
            format!(
                "0 … {MAX_OVERLAP}, new becomes old; behind them it is the image to the byte. Default: {DEFAULT_OVERLAP}."
            ),
            format!("the result has at most {pixels} million"),
            format!("whose own number is {DEFAULT_PADDING}"),
        ] {
            assert!(types.contains(&told), "www/protocol.d.ts does not say {told}");
        }
        let names = list(Upscaler::ALL.map(Upscaler::name)).replace("', '", "' | '");
        let (_, union) = types.split_once("export type Upscaler = ").expect("Upscaler");
        let union =
            union.split_once(';').expect("its end").0.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(union, names);
        let readme = file("pkg/README.md");
        let row = readme.lines().find(|line| line.starts_with("| `hires` |")).expect("hires");
        assert!(Upscaler::ALL.iter().all(|kind| row.contains(&format!("`\"{}\"`", kind.name()))), "{row}");
        assert!(
            row.ends_with(&format!(
                "| none; {scale}, {strength}, as many as `steps`, `\"{}\"` |",
                upscaler.name()
            )),
            "{row}"
        );
    }

    /// What the types' comments and the package's README say of each option: its name, its range, its default.
    #[test]
    fn the_documentation_says_the_same() {
        let Defaults { steps, guidance, sampler, schedule } = Defaults::GENERAL;
        let (many, sizes) = (STEPS_RANGE, SIZE_RANGE);
        let size = format!("{} … {}, multiples of {SIZE_STEP}", sizes.start(), sizes.end());
        let of_model = |fallback: String| format!("the model's, else {fallback}");
        let told = [
            ("prompt", format!("at most {MAX_CHARS} characters"), String::new()),
            ("steps", format!("{} … {}", many.start(), many.end()), of_model(steps.to_string())),
            ("guidance", format!("0 … {MAX_GUIDANCE}"), of_model(guidance.to_string())),
            ("sampler", String::new(), of_model(format!("\"{sampler}\""))),
            ("schedule", String::new(), of_model(format!("\"{schedule}\""))),
            ("rng", String::new(), format!("\"{}\"", NoiseSource::default())),
            ("width", size.clone(), "the model's".to_string()),
            ("height", size, "the model's".to_string()),
            ("batch", format!("1 … {MAX_BATCH}"), "1".to_string()),
            ("variationStrength", "0 … 1".to_string(), "0".to_string()),
            ("maskBlur", format!("0 … {MAX_MASK_BLUR}"), DEFAULT_MASK_BLUR.to_string()),
            ("onlyMasked", format!("0 … {MAX_PADDING}"), String::new()),
        ];
        let (types, readme) = (file("www/protocol.d.ts"), file("pkg/README.md"));
        let (_, after) = types.split_once("export interface GenerateRequest {").expect("GenerateRequest");
        let (request, _) = after.split_once("\n}").expect("its end");
        for (name, range, default) in told {
            let field = [format!("\n  {name}:"), format!("\n  {name}?:")];
            let before = field.iter().find_map(|field| request.split_once(field.as_str())).expect(name).0;
            let comment = &before[before.rfind("/**").expect(name)..];
            assert!(comment.contains(&range), "{name}: {comment:?} does not say {range:?}");
            let words = if default.is_empty() { String::new() } else { format!("Default: {default}.") };
            assert!(comment.contains(&words), "{name}: {comment:?} does not say {words:?}");
            let row = readme.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).expect(name);
            assert!(row.contains(&range.replace('"', "`")), "README, {name}: {row}");
            let cell = format!("| {} |", default.replace('"', "`"));
            assert!(default.is_empty() || row.ends_with(&cell), "README, {name}: {row}");
        }
    }
}
