//! In which steps of a run a network counts.

use std::fmt;

/// A moment of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Moment {
    /// A share of the steps, above 0 and below 1.
    Share(f64),
    /// A step, counted from 1, as A1111's extension LoRA Block Weight has it.
    Step(usize),
}

impl Moment {
    /// What a number of a tag means: below 1 a share, else a step. `None` for what is no moment.
    pub fn of(number: f64) -> Option<Moment> {
        match number {
            number if number > 0.0 && number < 1.0 => Some(Moment::Share(number)),
            number if number >= 1.0 && number.fract() == 0.0 && number <= f64::from(u32::MAX) => {
                Some(Moment::Step(number as usize))
            }
            _ => None,
        }
    }

    /// The number that means it.
    pub fn number(self) -> f64 {
        match self {
            Moment::Share(share) => share,
            Moment::Step(step) => step as f64,
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

/// The steps of a pass in which a network's change of the denoiser counts. What it changes of a text encoder always does: the
/// text is read once.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct During {
    /// From this one on; from the first if there is none.
    pub start: Option<Moment>,
    /// Up to the one before this step, or up to this share; to the end if there is none.
    pub end: Option<Moment>,
}

impl During {
    /// Whether it is the whole run.
    pub fn is_whole(&self) -> bool {
        *self == During::default()
    }

    /// Whether step `i` of `steps` is in it; shares count as they do for a [`Control`](crate::pipeline::Control).
    pub fn holds(&self, i: usize, steps: usize) -> bool {
        let share = |step: usize| step as f64 / steps as f64;
        let begun = match self.start {
            None => true,
            Some(Moment::Share(start)) => share(i) >= start,
            Some(Moment::Step(start)) => i + 1 >= start,
        };
        let on = match self.end {
            None => true,
            Some(Moment::Share(end)) => share(i + 1) <= end,
            Some(Moment::Step(end)) => i + 1 < end,
        };
        begun && on
    }
}

/// As a tag has it: `:start=4:stop=0.8`.
impl fmt::Display for During {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, moment) in [("start", self.start), ("stop", self.end)] {
            if let Some(moment) = moment {
                write!(f, ":{name}={moment}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(during: During) -> Vec<usize> {
        (0..10).filter(|i| during.holds(*i, 10)).map(|i| i + 1).collect()
    }

    #[test]
    fn steps_are_counted_from_one_and_shares_as_control_nets_count_them() {
        let during = |start: f64, end: f64| During { start: Moment::of(start), end: Moment::of(end) };
        assert_eq!(steps(During::default()), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(steps(during(4.0, 8.0)), [4, 5, 6, 7]);
        assert_eq!(steps(during(0.3, 0.7)), [4, 5, 6, 7]);
        assert_eq!(steps(during(0.25, 9.0)), [4, 5, 6, 7, 8]);
        assert_eq!(steps(during(1.0, 1.0)), [0usize; 0]);
    }

    #[test]
    fn only_steps_and_shares_are_moments() {
        for number in [0.0, -1.0, 1.5, f64::NAN, f64::INFINITY, 1e12] {
            assert_eq!(Moment::of(number), None, "{number}");
        }
        assert_eq!(During { start: Moment::of(4.0), end: Moment::of(0.8) }.to_string(), ":start=4:stop=0.8");
    }
}
