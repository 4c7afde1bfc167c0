//! Every constant of a model family, read from a checkpoint's `config.json` files or built in.

mod scheduler;

pub use scheduler::{BetaSchedule, FinalSigmas, PredictionType, SchedulerConfig, TimestepSpacing};
