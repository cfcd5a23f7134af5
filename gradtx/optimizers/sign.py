"""Descent along signs: signSGD, Signum and Lion."""

from typing import Annotated, NamedTuple, TypeAlias

import jax.numpy as jnp

from gradtx.combine.chain import chain
from gradtx.combine.descend import descend
from gradtx.combine.optimizer import optimizer
from gradtx.core.arguments import OneOf
from gradtx.core.averages import ema as average
from gradtx.core.averages import sign
from gradtx.core.degree import SCALE_FREE
from gradtx.core.fields import Count
from gradtx.core.hyperparameters import Decay, NonNegative
from gradtx.core.lifted import lifted
from gradtx.core.slots import Slot
from gradtx.core.transformation import GradientTransformation
from gradtx.core.typing import Array, ArrayLike
from gradtx.transforms.decay import DecayKind
from gradtx.transforms.momentum import ema

LionMode: TypeAlias = Annotated[str, OneOf("hard", "smooth", "refined")]
"""What becomes of Lion's average: its sign, or a softer function."""


class ScaleByLionState(NamedTuple):
    count: Count  # steps taken, int32
    mu: Slot  # running average of g


def lion_rule(
    g: Array, s: ScaleByLionState, *, b1: ArrayLike, b2: ArrayLike, mode: str, smooth_beta: ArrayLike
) -> tuple[Array, ScaleByLionState]:
    """u = sign(c), c = b1 mu + (1 - b1) g; or a softer function of c."""
    c = average(s.mu, g, b1)
    soft = {"smooth": lambda r: jnp.tanh(smooth_beta * r), "refined": lambda r: jnp.minimum(r, 1)}
    size = soft.get(mode, jnp.ones_like)
    return size(jnp.abs(c)) * sign(c), s._replace(mu=average(s.mu, g, b2))


@lifted(sign, degree=0)
def scale_by_sign():
    """Keep only the sign of each element: u <- sign(g), 0 at 0; for complex g, g / |g|.

    Source: Bernstein et al. 2018, arXiv:1802.04434.
    """


@lifted(lion_rule, ScaleByLionState, degree=lambda arguments: SCALE_FREE if arguments["mode"] == "hard" else None)
def scale_by_lion(b1: Decay = 0.9, b2: Decay = 0.99, *, mode: LionMode = "hard", smooth_beta: NonNegative = 1.0):
    """Take the sign of an average in which the newest gradient counts more than in the average that is kept.

    Per leaf:

        c  <- b1 mu + (1 - b1) g
        u  <- sign(c); "smooth" tanh(smooth_beta c); "refined" c where |c| < 1, else sign(c)
        mu <- b2 mu + (1 - b2) g

    Args:
        b1: in [0, 1), the weight of mu in the direction.
        b2: in [0, 1), decay of the average mu.
        mode: "hard", "smooth" or "refined"; the paper has only "hard".
        smooth_beta: at least 0, the slope of "smooth" at 0.

    Source: Chen et al. 2023, Algorithm 2, arXiv:2302.06675; differs: for complex g the functions act on |c|.
    """


@optimizer(scale_by_sign)
def sign_sgd(learning_rate: NonNegative, *, weight_decay: DecayKind = None):
    """Descent along signs: theta <- theta - eta sign(g), where eta is the size of every element's step."""


@optimizer(ema, scale_by_sign)
def signum(learning_rate: NonNegative, beta: Decay = 0.9, *, weight_decay: DecayKind = None) -> GradientTransformation:
    """Descent along the signs of an average: m <- beta m + (1 - beta) g; theta <- theta - eta sign(m).

    Args:
        learning_rate: eta >= 0, the size of every element's step.
        beta: in [0, 1), decay of the average.
    """
    return descend(chain(ema(beta, debias=False), scale_by_sign()), learning_rate, weight_decay)


@optimizer(scale_by_lion)
def lion(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.99, *, mode: LionMode = "hard",
    smooth_beta: NonNegative = 1.0, weight_decay: DecayKind = 1e-3,
):  # fmt: skip
    """Lion: theta <- theta - eta (sign(b1 mu + (1 - b1) g) + lambda theta).

    eta is the size of every element's step: against AdamW the paper takes one 3 to 10 times smaller, and a decay that
    is as much larger.
    """
