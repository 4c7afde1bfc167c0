//! Euler: the first-order step of T. Karras et al., <https://arxiv.org/abs/2206.00364>, without churn.
//!
//! Latents are in sigma space: clean + sigma · noise, scaled down only for the UNet.

use super::samplers::Asked;
use super::schedule::{
    alphas_cumprod_above_zero, euler_timesteps, k_timestep_at, karras, sigma_at, sigmas, timestep_at,
};
use super::schedules::spaced;
use super::step::{Churn, Step};
use super::{Evaluation, Linear, Linear2, ScheduleKind, Trajectory};
use crate::config::{FinalSigmas, PredictionType, SchedulerConfig, TimestepSpacing};
use crate::error::Result;

/// The noise levels a run in sigma space visits.
pub struct Levels {
    pub timesteps: Vec<f64>,
    /// One more than timesteps: the last is where the run ends.
    pub sigmas: Vec<f64>,
    pub init_noise_sigma: f64,
}

/// The levels of diffusers' `EulerDiscreteScheduler`, its Karras levels among them if asked for, or those of another schedule. Sigmas are
/// rounded to f32, as it keeps them. `kind` is the schedule asked for, or what the file says in its place.
pub fn levels(asked: &Asked<'_>, kind: ScheduleKind, end: FinalSigmas) -> Result<Levels> {
    let (config, options, steps) = (asked.config, asked.options, asked.levels());
    let all = sigmas(&alphas_cumprod_above_zero(config));
    let end = match end {
        FinalSigmas::Zero => 0.0,
        FinalSigmas::SigmaMin => f64::from(all[0]),
    };
    let levels = match kind {
        ScheduleKind::Karras if asked.has_class_karras() => {
            let timesteps = euler_timesteps(config, steps);
            let level = |t: Option<&f64>| t.map_or(1.0, |t| sigma_at(&all, *t));
            let max = options.sigma_max.or(config.sigma_max).unwrap_or(level(timesteps.first()));
            let min = options.sigma_min.or(config.sigma_min).unwrap_or(level(timesteps.last()));
            let levels = karras(max, min, options.rho, steps);
            let timesteps = levels.iter().map(|sigma| f64::from(timestep_at(&all, *sigma) as f32)).collect();
            let spacing = config.timestep_spacing;
            Levels::falling(timesteps, levels, end, spacing == Some(TimestepSpacing::Leading))
        }
        kind => match spaced(asked, kind, steps)? {
            Some(spaced) => Levels::falling(spaced.timesteps, spaced.sigmas, end, false),
            None => {
                let timestep_spacing = kind.spacing(config).unwrap_or_default();
                let config = SchedulerConfig { timestep_spacing, ..config.clone() };
                let timesteps = euler_timesteps(&config, steps);
                let levels = timesteps.iter().map(|t| sigma_at(&all, *t)).collect();
                Levels::falling(timesteps, levels, end, timestep_spacing == Some(TimestepSpacing::Leading))
            }
        },
    };
    Ok(levels.told(asked))
}

/// The levels of k-diffusion's samplers: its own Karras levels, the model's spacing where that is asked for, and the clean end.
pub fn k_levels(asked: &Asked<'_>) -> Result<Levels> {
    match (asked.kind(), spaced(asked, asked.kind(), asked.levels())?) {
        (_, Some(spaced)) => Ok(Levels::falling(spaced.timesteps, spaced.sigmas, 0.0, false).told(asked)),
        (kind, None) => levels(asked, kind, FinalSigmas::Zero),
    }
}

impl Levels {
    /// Of levels that fall to `end`. The initial noise is as large as the first level, or, where that has `room` for a picture, as
    /// what the model was trained on there.
    fn falling(timesteps: Vec<f64>, mut levels: Vec<f64>, end: f64, room: bool) -> Self {
        levels.push(end);
        let sigmas: Vec<f64> = levels.iter().map(|sigma| f64::from(*sigma as f32)).collect();
        let max = sigmas.iter().copied().fold(0.0, f64::max);
        Levels { timesteps, sigmas, init_noise_sigma: if room { max.hypot(1.0) } else { max } }
    }

    /// With what the options say of levels.
    fn told(mut self, asked: &Asked<'_>) -> Self {
        if asked.discards() && self.timesteps.len() > 1 {
            self.timesteps.pop();
            self.sigmas.remove(self.sigmas.len() - 2);
        }
        let max = self.sigmas.iter().copied().fold(0.0, f64::max);
        match asked.options.sgm_noise_multiplier {
            Some(true) => self.init_noise_sigma = max.hypot(1.0),
            Some(false) => self.init_noise_sigma = max,
            None => {}
        }
        self
    }
}

/// Levels with noise added before each step (algorithm 2 of the paper, as k-diffusion has it).
pub struct Churned {
    /// Where each step begins, once noise was added.
    pub hat: Vec<f64>,
    /// The timestep of each of these.
    pub timesteps: Vec<f64>,
    /// How much fresh noise is added before each.
    noises: Vec<f64>,
}

impl Churned {
    pub fn new(asked: &Asked<'_>, levels: &Levels) -> Self {
        let options = asked.options;
        let all = sigmas(&alphas_cumprod_above_zero(asked.config));
        let n = levels.timesteps.len();
        let most = (options.s_churn.unwrap_or(0.0) / n as f64).min(std::f64::consts::SQRT_2 - 1.0);
        let (low, high) = (options.s_tmin.unwrap_or(0.0), options.s_tmax.unwrap_or(f64::INFINITY));
        let share = |sigma: f64| if (low..=high).contains(&sigma) { most } else { 0.0 };
        let hat: Vec<f64> = levels.sigmas[..n].iter().map(|sigma| sigma * (1.0 + share(*sigma))).collect();
        let pairs = || hat.iter().zip(&levels.sigmas);
        let noise = |(hat, sigma): (&f64, &f64)| {
            options.s_noise.unwrap_or(1.0) * (hat * hat - sigma * sigma).max(0.0).sqrt()
        };
        let told = |((hat, sigma), t): ((&f64, &f64), &f64)| {
            if hat == sigma { *t } else { k_timestep_at(&all, *hat) }
        };
        let timesteps = pairs().zip(&levels.timesteps).map(told).collect();
        Churned { noises: pairs().map(noise).collect(), timesteps, hat }
    }

    /// The run of these steps: what is added before one is the fresh noise of the one before it.
    pub fn run(&self, asked: &Asked<'_>, levels: &Levels, mut steps: Vec<Step>) -> Trajectory {
        for (step, noise) in steps.iter_mut().zip(&self.noises[1..]) {
            if let Some(last) = step.evaluations.last_mut() {
                last.noise += noise;
            }
        }
        let first = asked.first.min(self.noises.len() - 1);
        let churn = (self.noises[first] > 0.0)
            .then(|| Churn { from: levels.sigmas[first], noise: self.noises[first] });
        Trajectory { churn, ..Trajectory::new(levels.init_noise_sigma, steps) }
    }
}

/// One Euler step per level, each to the next.
pub fn trajectory(asked: &Asked<'_>) -> Result<Trajectory> {
    let levels = levels(asked, asked.kind(), asked.config.final_sigmas_type)?;
    let churned = Churned::new(asked, &levels);
    let step = |i: usize| {
        let [t, from, to] = [churned.timesteps[i], churned.hat[i], levels.sigmas[i + 1]];
        one_step(asked.config.prediction_type, t, from, to).into()
    };
    let steps = (0..levels.timesteps.len()).map(step).collect();
    Ok(churned.run(asked, &levels, steps))
}

/// From noise level `sigma` to `to`: next = latents + (latents - clean) / sigma · (to - sigma).
pub fn one_step(prediction: PredictionType, timestep: f64, sigma: f64, to: f64) -> Evaluation {
    let here = at(prediction, timestep, sigma);
    let by = (to - sigma) / sigma;
    let x = 1.0 + by * (1.0 - here.denoised.x);
    Evaluation { next: Linear { x, model: -by * here.denoised.model, ..Linear::default() }, ..here }
}

/// An evaluation at noise level `sigma` that so far leads nowhere.
pub fn at(prediction: PredictionType, timestep: f64, sigma: f64) -> Evaluation {
    let input_scale = 1.0 / sigma.hypot(1.0);
    let denoised = match prediction {
        PredictionType::Epsilon => Linear2 { x: 1.0, model: -sigma },
        PredictionType::VPrediction => Linear2 { x: input_scale * input_scale, model: -sigma * input_scale },
        PredictionType::Sample => Linear2 { x: 0.0, model: 1.0 },
    };
    Evaluation { timestep, sigma, input_scale, denoised, ..Evaluation::default() }
}

/// (latents - clean) / sigma: the direction in which the latents change with the noise level.
pub fn slope(denoised: Linear2, sigma: f64) -> Linear2 {
    Linear2 { x: (1.0 - denoised.x) / sigma, model: -denoised.model / sigma }
}
