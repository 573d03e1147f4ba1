//! The normal-mixture confidence sequence with one tuning parameter, as other tools show it (Robbins 1970; Waudby-Smith,
//! Arbour, Sinha, Kennedy, Ramdas 2024). The guard does not decide by it: far from its tuning point it is wide.

/// An estimate with its standard error, on so many units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimated {
    /// The estimate.
    pub effect: f64,
    /// Its standard error, above 0.
    pub standard_error: f64,
    /// Units of both arms together.
    pub units: u64,
}

/// One sequence: its level and the number of units at which it is tightest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sequence {
    alpha: f64,
    rho: f64,
    sides: Sides,
}

/// Which errors a sequence guards against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    /// An effect of either sign.
    Both,
    /// An effect above what the lower end says.
    Greater,
    /// An effect below what the upper end says.
    Lesser,
}

impl Sequence {
    /// A sequence at `alpha` in (0, 1), or in (0, ½) for one side, tightest at `units` of both arms together:
    /// ρ² = (−2 ln a + ln(1 − 2 ln a))/N with a = alpha, or 2·alpha for one side.
    #[must_use]
    pub fn tightest_at(units: f64, alpha: f64, sides: Sides) -> Self {
        let level = -2.0 * (if sides == Sides::Both { alpha } else { 2.0 * alpha }).ln();
        Self { alpha, rho: ((level + libm::log1p(level)) / units).sqrt(), sides }
    }

    /// The sequence with the same ρ at another `alpha`.
    #[must_use]
    pub fn at(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }

    /// The tuning parameter ρ.
    #[must_use]
    pub fn rho(&self) -> f64 {
        self.rho
    }

    /// Lower and upper end, infinite where the sequence has none on that side.
    ///
    /// Two sides: z² = 2(1 + 1/(Nρ²))·ln(√(Nρ² + 1)/alpha); one side: z² = 2(1 + 1/(Nρ²))·ln(1 + √(Nρ² + 1)/(2·alpha)).
    #[must_use]
    pub fn interval(&self, estimated: &Estimated) -> (f64, f64) {
        let growth = self.growth(estimated);
        let root = (growth + 1.0).sqrt();
        let level = match self.sides {
            Sides::Both => (root / self.alpha).ln(),
            Sides::Greater | Sides::Lesser => libm::log1p(root / (2.0 * self.alpha)),
        };
        let reach = (2.0 * (1.0 + 1.0 / growth) * level).sqrt() * estimated.standard_error;
        let (low, high) = (estimated.effect - reach, estimated.effect + reach);
        match self.sides {
            Sides::Both => (low, high),
            Sides::Greater => (low, f64::INFINITY),
            Sides::Lesser => (f64::NEG_INFINITY, high),
        }
    }

    /// The smallest alpha, at the same ρ, whose sequence excludes zero; at most 1, and at most ½ for one side.
    #[must_use]
    pub fn p_value(&self, estimated: &Estimated) -> f64 {
        let z = estimated.effect / estimated.standard_error;
        let growth = self.growth(estimated);
        let root = (growth + 1.0).sqrt();
        let exponent = 0.5 * z * z * growth / (growth + 1.0);
        let favours = match self.sides {
            Sides::Both => return (root * (-exponent).exp()).min(1.0),
            Sides::Greater => z > 0.0,
            Sides::Lesser => z < 0.0,
        };
        if favours { (root / (2.0 * libm::expm1(exponent))).min(0.5) } else { 0.5 }
    }

    fn growth(&self, estimated: &Estimated) -> f64 {
        estimated.units as f64 * self.rho * self.rho
    }
}
