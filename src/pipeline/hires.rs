//! A second pass at a larger size (A1111's hires fix): drawn small, enlarged, noised again, and drawn on.

use std::str::FromStr;

use super::limits::{DEFAULT_HIRES, SIZE_RANGE, SIZE_STEP, STEPS_RANGE, UPSCALE_RANGE};
use super::picture::Taken;
use super::request::Request;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::image::{Filter, Interpolation};

/// How a picture is drawn on at a larger size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hires {
    /// How many times as wide and high, rounded down to sizes that can be drawn.
    pub scale: f64,
    /// How much of a run the second pass is, above 0 to 1.
    pub strength: f64,
    /// Steps of the second pass, all of which are taken; as many as the first has, if left out.
    pub steps: Option<usize>,
    pub upscaler: Upscaler,
}

impl Default for Hires {
    fn default() -> Hires {
        DEFAULT_HIRES
    }
}

/// By what a picture is enlarged between the passes: its latents, as PyTorch's `interpolate` does it, or its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Upscaler {
    /// Bilinear.
    #[default]
    Latent,
    LatentAntialiased,
    LatentBicubic,
    LatentBicubicAntialiased,
    LatentNearest,
    LatentNearestExact,
    /// The picture itself, decoded and encoded again.
    Lanczos,
}

impl Upscaler {
    pub const ALL: [Upscaler; 7] = [
        Upscaler::Latent,
        Upscaler::LatentAntialiased,
        Upscaler::LatentBicubic,
        Upscaler::LatentBicubicAntialiased,
        Upscaler::LatentNearest,
        Upscaler::LatentNearestExact,
        Upscaler::Lanczos,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Upscaler::Latent => "latent",
            Upscaler::LatentAntialiased => "latent-antialiased",
            Upscaler::LatentBicubic => "latent-bicubic",
            Upscaler::LatentBicubicAntialiased => "latent-bicubic-antialiased",
            Upscaler::LatentNearest => "latent-nearest",
            Upscaler::LatentNearestExact => "latent-nearest-exact",
            Upscaler::Lanczos => "lanczos",
        }
    }

    /// A1111's name of it.
    pub fn a1111_name(self) -> &'static str {
        match self {
            Upscaler::Latent => "Latent",
            Upscaler::LatentAntialiased => "Latent (antialiased)",
            Upscaler::LatentBicubic => "Latent (bicubic)",
            Upscaler::LatentBicubicAntialiased => "Latent (bicubic antialiased)",
            Upscaler::LatentNearest => "Latent (nearest)",
            Upscaler::LatentNearestExact => "Latent (nearest-exact)",
            Upscaler::Lanczos => "Lanczos",
        }
    }

    /// The upscaler of A1111's name.
    pub fn from_a1111_name(name: &str) -> Option<Upscaler> {
        Upscaler::ALL.into_iter().find(|kind| kind.a1111_name() == name)
    }

    /// What it enlarges, and by what.
    pub(super) fn enlarges(self) -> Enlarged {
        match self {
            Upscaler::Latent => Enlarged::Latents(Interpolation::Bilinear),
            Upscaler::LatentAntialiased => Enlarged::Latents(Interpolation::BilinearAntialiased),
            Upscaler::LatentBicubic => Enlarged::Latents(Interpolation::Bicubic),
            Upscaler::LatentBicubicAntialiased => Enlarged::Latents(Interpolation::BicubicAntialiased),
            Upscaler::LatentNearest => Enlarged::Latents(Interpolation::Nearest),
            Upscaler::LatentNearestExact => Enlarged::Latents(Interpolation::NearestExact),
            Upscaler::Lanczos => Enlarged::Pixels(Filter::Lanczos),
        }
    }
}

/// What is enlarged between the passes.
pub(super) enum Enlarged {
    Latents(Interpolation),
    Pixels(Filter),
}

impl FromStr for Upscaler {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Upscaler, String> {
        let names = || Upscaler::ALL.map(Upscaler::name).join(", ");
        let found = Upscaler::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| format!("{text:?} is none of {}", names()))
    }
}

impl Hires {
    /// Width and height of the second pass.
    pub fn size(&self, request: &Request, config: &ModelConfig) -> [usize; 2] {
        let step = SIZE_STEP.max(config.vae.scale());
        [request.width, request.height].map(|side| (side as f64 * self.scale) as usize / step * step)
    }

    /// The steps of the second pass, as A1111 counts: all that are asked for.
    pub fn taken(&self, request: &Request) -> Taken {
        Taken::last(self.steps.unwrap_or(request.steps), self.strength, true)
    }

    /// The request of the second pass, which begins with what the first made: another size, other steps, and the seed's noise of
    /// that size.
    pub(super) fn second(&self, request: &Request, config: &ModelConfig) -> Request {
        let [width, height] = self.size(request, config);
        let steps = self.steps.unwrap_or(request.steps);
        Request { width, height, steps, noise: None, latents: None, hires: None, ..request.clone() }
    }

    pub(super) fn check(&self, request: &Request, config: &ModelConfig, most_steps: usize) -> Result<()> {
        let invalid = |field, message| Err(Error::InvalidInput { field, message });
        if request.picture.is_some() {
            let message = "it enlarges what is drawn from words; a picture is drawn at a larger size at once: ask for that size";
            return invalid("hires", message.to_string());
        }
        let Hires { scale, strength, steps, .. } = *self;
        if !UPSCALE_RANGE.contains(&scale) {
            let (low, high) = (UPSCALE_RANGE.start(), UPSCALE_RANGE.end());
            return invalid("hires", format!("{scale} times as large asked for, expected {low} to {high}"));
        }
        let (size, most) = (self.size(request, config), *SIZE_RANGE.end());
        let [width, height] = [request.width, request.height];
        if size.iter().any(|side| *side > most) {
            let [wide, high] = size;
            let fits = (most as f64 / width.max(height) as f64 * 100.0).floor() / 100.0;
            let message = format!(
                "{scale} times {width}×{height} are {wide}×{high} pixels, up to {most} on a side are drawn; ask for {fits} times \
                 at most, or begin smaller"
            );
            return invalid("hires", message);
        }
        if size == [width, height] {
            let message = format!(
                "{scale} times {width}×{height} is the same size, in steps of {SIZE_STEP} pixels; ask for more"
            );
            return invalid("hires", message);
        }
        if !(strength > 0.0 && strength <= 1.0) {
            return invalid(
                "hires",
                format!("a strength of {strength} asked for, expected more than 0, to 1"),
            );
        }
        let low = *STEPS_RANGE.start();
        if let Some(steps) = steps.filter(|steps| !(low..=most_steps).contains(steps)) {
            return invalid("hires", format!("{steps} steps asked for, expected {low} to {most_steps}"));
        }
        let taken = self.taken(request);
        if taken.total > most_steps {
            let message = format!(
                "{} steps at a strength of {strength} are the last of {}, and there are {most_steps}; raise it, or ask for fewer \
                 steps",
                taken.count(),
                taken.total
            );
            return invalid("hires", message);
        }
        Ok(())
    }

    /// What of it stands in a picture's metadata beside the strength, in A1111's words; a network has the name of its file.
    pub(super) fn fields(&self, network: Option<&str>) -> Vec<(&'static str, String)> {
        let mut fields = vec![(UPSCALE, self.scale.to_string())];
        fields.extend(self.steps.map(|steps| (STEPS, steps.to_string())));
        fields.push((UPSCALER, network.unwrap_or(self.upscaler.a1111_name()).to_string()));
        fields
    }
}

/// A1111's words for a second pass.
pub(super) const UPSCALE: &str = "Hires upscale";
/// In its place where a size was asked for, `WxH`; 0 stands for what follows from the other side. Only read.
pub(super) const RESIZE: &str = "Hires resize";
pub(super) const STEPS: &str = "Hires steps";
pub(super) const UPSCALER: &str = "Hires upscaler";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::picture::tests::picture;

    fn request(hires: Hires) -> Request {
        Request { steps: 10, hires: Some(hires), ..crate::pipeline::common::tests::request(1, 0, None) }
    }

    #[test]
    fn a_second_pass_is_as_a1111_counts_it() -> Result<()> {
        let config = ModelConfig::builtin("sd15")?;
        let hires = Hires { strength: 0.5, ..Hires::default() };
        let twice = request(hires);
        assert_eq!(
            (hires.size(&twice, &config), hires.taken(&twice)),
            ([128, 192], Taken { total: 20, first: 10 })
        );
        assert_eq!(twice.all_steps(), 20);
        let some = Hires { scale: 1.3, steps: Some(3), ..hires };
        assert_eq!(
            (some.size(&twice, &config), some.taken(&twice)),
            ([80, 120], Taken { total: 6, first: 3 })
        );
        let second = some.second(&twice, &config);
        assert_eq!((second.width, second.height, second.steps, second.hires), (80, 120, 3, None));
        assert_eq!(request(some).all_steps(), 13);
        request(some).check(&config)
    }

    #[test]
    fn what_cannot_be_is_refused() -> Result<()> {
        let config = ModelConfig::builtin("sd15")?;
        let said = |request: Request| match request.check(&config) {
            Err(Error::InvalidInput { field: "hires", message }) => message,
            other => panic!("{other:?}"),
        };
        let usual = Hires::default();
        let large = Request { width: 1024, height: 1536, ..request(usual) };
        let text = said(large);
        assert!(text.starts_with("2 times 1024×1536 are 2048×3072 pixels, up to 2048 on a side"), "{text}");
        assert!(text.contains("ask for 1.33 times at most"), "{text}");
        assert!(said(request(Hires { scale: 1.05, ..usual })).contains("is the same size, in steps of 8"));
        assert!(
            said(request(Hires { scale: 0.5, ..usual }))
                .contains("0.5 times as large asked for, expected 1 to 4")
        );
        assert!(said(request(Hires { scale: f64::NAN, ..usual })).contains("expected 1 to 4"));
        assert!(said(request(Hires { strength: 0.0, ..usual })).contains("expected more than 0, to 1"));
        assert!(
            said(request(Hires { steps: Some(0), ..usual }))
                .contains("0 steps asked for, expected 1 to 1000")
        );
        assert!(
            said(request(Hires { strength: 0.001, ..usual }))
                .contains("the last of 10000, and there are 1000")
        );
        let from = Request { picture: Some(picture(0.5, false)), ..request(usual) };
        assert!(said(from).contains("it enlarges what is drawn from words"));
        Ok(())
    }
}
