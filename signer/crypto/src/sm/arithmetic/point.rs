//! Points of the curve y² = x³ − 3x + b. Its order is the prime n, so every point on it but infinity generates it.

use std::sync::LazyLock;

use zeroize::Zeroize;

use super::field::Fe;

/// A finite point. Infinity has no affine form. One line of the cache, which lanes load as one vector.
#[derive(Clone, Copy, PartialEq, Eq, Zeroize)]
#[repr(C, align(64))]
pub(crate) struct Affine {
    pub(super) x: Fe,
    pub(super) y: Fe,
}

/// (X/Z², Y/Z³). Infinity is Z = 0.
#[derive(Clone, Copy, Zeroize)]
pub(super) struct Jacobian {
    pub(super) x: Fe,
    pub(super) y: Fe,
    pub(super) z: Fe,
}

/// What a mixed addition came to, and what tells the cases apart that its formula does not cover.
pub(super) struct Sum {
    pub(super) point: Jacobian,
    /// Zero when both had the same x (or the first was at infinity): the point is then wrong.
    x_difference: Fe,
    /// With `x_difference` zero: zero when both were the same point, else they were opposite.
    y_difference: Fe,
}

const B: &str = "28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93";
const GENERATOR_X: &str = "32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7";
const GENERATOR_Y: &str = "BC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0";

static CURVE_B: LazyLock<Fe> = LazyLock::new(|| constant(B));

fn constant(text: &str) -> Fe {
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
        let digit = |ascii: u8| {
            char::from(ascii)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
                .unwrap_or(0)
        };
        *byte = digit(pair[0]) << 4 | digit(pair[1]);
    }
    Fe::from_bytes(&bytes).expect("the curve's constants are below p")
}

impl Affine {
    pub(crate) fn generator() -> Self {
        Self {
            x: constant(GENERATOR_X),
            y: constant(GENERATOR_Y),
        }
    }

    /// `None` unless both are below p and the point is on the curve.
    pub(crate) fn from_coordinates(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        let point = Self {
            x: Fe::from_bytes(x)?,
            y: Fe::from_bytes(y)?,
        };
        point.is_on_curve().then_some(point)
    }

    /// Big-endian.
    pub(crate) fn x(&self) -> [u8; 32] {
        self.x.to_bytes()
    }

    /// x and y, big-endian.
    pub(crate) fn coordinates(&self) -> [[u8; 32]; 2] {
        [self.x.to_bytes(), self.y.to_bytes()]
    }

    fn is_on_curve(&self) -> bool {
        let three_x = self.x.double().add(&self.x);
        let right = self.x.square().mul(&self.x).sub(&three_x).add(&CURVE_B);
        self.y.square() == right
    }

    /// −self under a mask of all ones, self under zero.
    #[inline(always)]
    pub(super) fn negated_if(&self, mask: u64) -> Self {
        Self {
            x: self.x,
            y: self.y.negated_if(mask),
        }
    }
}

impl From<Affine> for Jacobian {
    fn from(point: Affine) -> Self {
        Self {
            x: point.x,
            y: point.y,
            z: Fe::ONE,
        }
    }
}

impl Jacobian {
    pub(super) const INFINITY: Self = Self {
        x: Fe::ONE,
        y: Fe::ONE,
        z: Fe::ZERO,
    };

    pub(super) fn is_infinity(&self) -> bool {
        self.z.is_zero()
    }

    /// 2·self for a = −3, 4M + 4S: with G = 4Y², B = X·G and A = 3(X − Z²)(X + Z²), the double has
    /// X = A² − 2B, Y = A(B − X) − G²/2, Z = 2YZ. Right for infinity too: Z stays zero.
    #[inline(always)]
    pub(super) fn double(&self) -> Self {
        let zz = self.z.square();
        let y2 = self.y.double();
        let g = y2.square();
        let b = self.x.mul(&g);
        let slope = self.x.sub(&zz).mul(&self.x.add(&zz));
        let a = slope.double().add(&slope);
        let x = a.square().sub(&b.double());
        Self {
            x,
            y: a.mul(&b.sub(&x)).sub(&g.square().half()),
            z: y2.mul(&self.z),
        }
    }

    /// Mixed addition without a branch, 8M + 3S.
    #[inline(always)]
    pub(super) fn plus_affine(&self, other: &Affine) -> Sum {
        let zz = self.z.square();
        let h = other.x.mul(&zz).sub(&self.x);
        let r = other.y.mul(&zz.mul(&self.z)).sub(&self.y);
        let hh = h.square();
        let hhh = hh.mul(&h);
        let v = self.x.mul(&hh);
        let x = r.square().sub(&hhh).sub(&v.double());
        let y = r.mul(&v.sub(&x)).sub(&self.y.mul(&hhh));
        let z = self.z.mul(&h);
        Sum {
            point: Self { x, y, z },
            x_difference: h,
            y_difference: r,
        }
    }

    /// Addition of public points: branches on the exceptional cases, and is right for all of them.
    #[inline(always)]
    pub(super) fn plus_public(&self, other: &Affine) -> Self {
        if self.is_infinity() {
            return (*other).into();
        }
        let sum = self.plus_affine(other);
        if !sum.x_difference.is_zero() {
            return sum.point;
        }
        if sum.y_difference.is_zero() {
            self.double()
        } else {
            Self::INFINITY
        }
    }

    /// `None` for infinity.
    pub(super) fn to_affine(self) -> Option<Affine> {
        if self.is_infinity() {
            return None;
        }
        let inverse = self.z.invert();
        let squared = inverse.square();
        Some(Affine {
            x: self.x.mul(&squared),
            y: self.y.mul(&squared.mul(&inverse)),
        })
    }

    /// All of them with one inversion; `None` for infinity. Tells nothing of them by its time but where infinity is.
    pub(super) fn to_affine_all(points: &[Self]) -> Vec<Option<Affine>> {
        let finite = points
            .iter()
            .map(|point| if point.is_infinity() { Fe::ONE } else { point.z });
        let mut inverses: Vec<Fe> = finite.collect();
        Fe::invert_all(&mut inverses);
        let affine = points.iter().zip(&inverses).map(|(point, inverse)| {
            let squared = inverse.square();
            (!point.is_infinity()).then(|| Affine {
                x: point.x.mul(&squared),
                y: point.y.mul(&squared.mul(inverse)),
            })
        });
        let affine = affine.collect();
        inverses.iter_mut().for_each(Zeroize::zeroize);
        affine
    }
}
