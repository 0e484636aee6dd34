//! Welch's t-test over two classes of durations, as dudect does it: over all of them, and over those below one of many
//! thresholds, because what disturbs a machine makes the long durations longer and hides a difference among the short.

/// Thresholds besides "all".
const CROPS: u32 = 40;

/// Which of two sorts of input an operation was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// The same secret each time, or the sound input.
    Fixed,
    /// Another secret each time, or the unsound input.
    Varied,
}

/// Count, mean and sum of squared deviations, kept up by Welford's rule.
#[derive(Debug, Default, Clone, Copy)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn push(&mut self, value: f64) {
        self.count += 1.0;
        let before = value - self.mean;
        self.mean += before / self.count;
        self.squares += before * (value - self.mean);
    }

    /// The square of the mean's standard error.
    fn error_squared(&self) -> f64 {
        self.squares / (self.count - 1.0) / self.count
    }
}

/// Durations in nanoseconds of both classes.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// Upper ends, the last of them infinite.
    thresholds: Vec<f64>,
    moments: Vec<[Moments; 2]>,
}

/// What a comparison came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Difference {
    /// The greatest |t| of all thresholds.
    pub(crate) t: f64,
    pub(crate) durations: f64,
    /// Of all durations: the mean of the fixed class, and by how much the varied class takes longer.
    pub(crate) nanoseconds: f64,
    pub(crate) longer: f64,
}

impl Comparison {
    /// Thresholds from a first sample of durations, which does not count itself.
    pub(crate) fn new(mut sample: Vec<f64>) -> Self {
        sample.sort_by(f64::total_cmp);
        let place = |crop: u32| {
            // dense towards the long end: 1 − 2^(−10 crop / CROPS)
            let share = 1.0 - 0.5f64.powf(10.0 * f64::from(crop) / f64::from(CROPS));
            let below = sample.iter().enumerate();
            let wanted = share * f64::from(u32::try_from(sample.len()).unwrap());
            let (_, duration) = below
                .min_by(|a, b| distance(a.0, wanted).total_cmp(&distance(b.0, wanted)))
                .unwrap();
            *duration
        };
        let thresholds: Vec<f64> = (1..=CROPS).map(place).chain([f64::INFINITY]).collect();
        let moments = vec![[Moments::default(); 2]; thresholds.len()];
        Self { thresholds, moments }
    }

    pub(crate) fn push(&mut self, class: Class, duration: f64) {
        for (threshold, [fixed, varied]) in self.thresholds.iter().zip(&mut self.moments) {
            if duration <= *threshold {
                match class {
                    Class::Fixed => fixed.push(duration),
                    Class::Varied => varied.push(duration),
                }
            }
        }
    }

    pub(crate) fn difference(&self) -> Difference {
        const ENOUGH: f64 = 1000.0;
        let enough = self
            .moments
            .iter()
            .filter(|[fixed, varied]| fixed.count >= ENOUGH && varied.count >= ENOUGH);
        let t = enough.map(|[fixed, varied]| {
            let error = (fixed.error_squared() + varied.error_squared()).sqrt();
            ((fixed.mean - varied.mean) / error.max(f64::MIN_POSITIVE)).abs()
        });
        let [fixed, varied] = self.moments.last().unwrap();
        Difference {
            t: t.fold(0.0, f64::max),
            durations: fixed.count + varied.count,
            nanoseconds: fixed.mean,
            longer: varied.mean - fixed.mean,
        }
    }
}

fn distance(at: usize, wanted: f64) -> f64 {
    (f64::from(u32::try_from(at).unwrap()) - wanted).abs()
}
