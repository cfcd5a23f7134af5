"""Optax's optimizers, as chains of its transformations; see `table`."""

import warnings
from functools import partial
from typing import Any

import gradtx
from gradtx.compat.optax import base
from gradtx.compat.optax.base import DTypeOrNone, Number, Pair, ScalarOrSchedule
from gradtx.compat.optax.combine import chain, masked
from gradtx.compat.optax.config import reproduces_optax
from gradtx.compat.optax.linesearch import scale_by_zoom_linesearch
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.table import chains
from gradtx.compat.optax.transforms import directions, links
from gradtx.compat.optax.transforms.links import add_decayed_weights as decayed
from gradtx.compat.optax.transforms.links import scale_by_learning_rate
from gradtx.compat.optax.transforms.spelled import made


def heavy_ball(momentum: Number | None = None, nesterov: bool = False, accumulator_dtype: DTypeOrNone = None) -> Pair:
    """`trace`, or `identity` without momentum."""
    return base.identity() if momentum is None else made.trace(momentum, nesterov, accumulator_dtype)


LINKS: dict[str, Any] = {
    **made,
    **vars(directions),
    **vars(links),
    "averaged": lambda decay, accumulator_dtype=None: made.ema(decay, False, accumulator_dtype),
    "decayed": decayed,
    "down": lambda: made.scale(-1.0),
    "heavy_ball": heavy_ball,
    "masked_trust_ratio": lambda trust_coefficient, eps, trust_ratio_mask: masked(
        made.scale_by_trust_ratio(trust_coefficient=trust_coefficient, eps=eps), trust_ratio_mask
    ),
    "minus": lambda learning_rate: made.scale(-learning_rate),
    "of_size": lambda multiply_by_parameter_scale: made.scale_by_param_block_rms(),
    "rate_or_down": lambda learning_rate: scale_by_learning_rate(1.0 if learning_rate is None else learning_rate),
    "rms": lambda decay=0.9, eps=1e-8, initial_scale=0.0, eps_in_sqrt=True, bias_correction=False, centered=False: (
        made.scale_by_stddev if centered else made.scale_by_rms
    )(decay, eps, initial_scale, eps_in_sqrt, bias_correction),
    "rate": scale_by_learning_rate,
    "search": lambda linesearch: base.identity() if linesearch is None else linesearch,
    "trust_ratio": lambda: made.scale_by_trust_ratio(0.0),
    "up": lambda learning_rate: scale_by_learning_rate(learning_rate, flip_sign=False),
}
"""What the links below are made by."""

optimizers = chains(
    "gradtx.compat.optax",
    LINKS,
    """
adafactor | learning_rate=None min_dim_size_to_factor decay_rate decay_offset>step_offset:number
    multiply_by_parameter_scale=True clipping_threshold>threshold:optional=1.0 momentum>decay:optional=None
    dtype_momentum>accumulator_dtype:dtype=float32 weight_decay_rate>weight_decay:rate=None eps>epsilon factored
    weight_decay_mask>mask | scale_by_factored_rms clip_by_block_rms? up? of_size? averaged? decayed? down |
    Adafactor; differs from `gradtx.adafactor`: None is the rate 1, and decay is not multiplied by the rate.
adabelief | learning_rate! b1 b2 eps eps_root * nesterov | scale_by_belief rate | AdaBelief
adadelta | learning_rate=None rho eps weight_decay weight_decay_mask>mask | decayed scale_by_adadelta rate |
    Adadelta with coupled weight decay
adagrad | learning_rate! initial_accumulator_value eps | scale_by_rss rate | AdaGrad
adam | learning_rate! b1 b2 eps eps_root mu_dtype * nesterov | scale_by_adam rate | Adam
adamax | learning_rate! b1 b2 eps | scale_by_adamax rate | Adam in the infinity norm
adamaxw | learning_rate! b1 b2 eps weight_decay=1e-4 mask | scale_by_adamax decayed rate |
    AdaMax with decoupled weight decay
adamw | learning_rate! b1 b2 eps eps_root mu_dtype weight_decay=1e-4 mask * nesterov | scale_by_adam decayed rate |
    Adam with decoupled weight decay
adan | learning_rate! b1 b2 b3 eps eps_root=1e-8 weight_decay mask | scale_by_adan decayed rate |
    Adan; see `gradtx.adan` and, for what Optax computes, `config`.
amsgrad | learning_rate! b1 b2 eps eps_root mu_dtype bias_correction_mu bias_correction_nu | scale_by_amsgrad rate |
    Adam with the largest second moment so far
lamb | learning_rate! b1 b2 eps=1e-6 eps_root weight_decay mask | scale_by_adam decayed trust_ratio rate | LAMB
lars | learning_rate! weight_decay weight_decay_mask>mask=True trust_coefficient=0.001 eps=0.0 trust_ratio_mask=True
    momentum=0.9 nesterov | decayed masked_trust_ratio rate heavy_ball | LARS
lbfgs | learning_rate=None memory_size scale_init_precond linesearch:search=zoom | scale_by_lbfgs rate_or_down search |
    L-BFGS; see `gradtx.lbfgs` and `scale_by_lbfgs`.
lion | learning_rate! b1 b2 mu_dtype weight_decay=1e-3 mask | scale_by_lion decayed rate | Lion
noisy_sgd | learning_rate! eta=0.01 gamma=0.55 key:key * seed:int | add_noise rate |
    Gradient descent with noise that fades
novograd | learning_rate! b1 b2 eps=1e-6 eps_root weight_decay:number | scale_by_novograd rate | NovoGrad
optimistic_adam_v2 | learning_rate! * alpha beta b1 b2 eps eps_root mu_dtype nesterov=True |
    scale_by_adam scale_by_optimistic_gradient rate | Optimistic Adam
optimistic_gradient_descent | learning_rate! alpha beta | scale_by_optimistic_gradient rate |
    Optimistic gradient descent
radam | learning_rate! b1 b2 eps eps_root threshold * nesterov | scale_by_radam rate | Rectified Adam
rmsprop | learning_rate! decay eps initial_scale eps_in_sqrt centered momentum nesterov bias_correction |
    rms rate heavy_ball | RMSProp
rprop | learning_rate:number! eta_minus eta_plus min_step_size max_step_size | scale_by_rprop down |
    Rprop; see `gradtx.rprop` and, for what Optax computes, `config`.
sgd | learning_rate! momentum nesterov accumulator_dtype | heavy_ball rate | Gradient descent, with momentum or without
sign_sgd | learning_rate! | scale_by_sign rate | Steps along the sign of the gradient
signum | learning_rate! beta>decay=0.9 accumulator_dtype | averaged scale_by_sign rate |
    Steps along the sign of the average gradient
sm3 | learning_rate:number! momentum>b1=0.9 | scale_by_sm3 minus | SM3
yogi | learning_rate! b1 b2 eps | scale_by_yogi rate | Yogi
""",
    search=base.GradientTransformation | None,
    zoom=scale_by_zoom_linesearch(20, initial_guess_strategy="one"),
)
optimizers["nadam"] = partial(optimizers.adam, nesterov=True)
optimizers["nadamw"] = partial(optimizers.adamw, nesterov=True)
globals().update(optimizers)


@remembered
def fromage(learning_rate: ScalarOrSchedule, min_norm: Number = 1e-6) -> Pair:
    """Fromage, as a trust ratio, a rate and a decay; see `gradtx.fromage`."""
    cosine = lambda rate: 1 / (1 + rate**2) ** 0.5
    if callable(learning_rate):
        rate = lambda count: learning_rate(count) * cosine(learning_rate(count))
        decay = lambda count: cosine(learning_rate(count)) - 1
    else:
        rate, decay = learning_rate * cosine(learning_rate), cosine(learning_rate) - 1
    return chain(made.scale_by_trust_ratio(min_norm), scale_by_learning_rate(rate), decayed(decay))


@remembered
def polyak_sgd(
    max_learning_rate: Number = 1.0, scaling: ScalarOrSchedule = 1.0, f_min: Number = 0.0, eps: Number = 0.0,
    variant: str = "sps",
) -> Pair:  # fmt: skip
    """Gradient descent with Polyak's step size; see `gradtx.polyak_sgd` and, for what Optax computes, `config`."""
    if reproduces_optax():
        return chain(optimizers.sgd(scaling), directions.made.scale_by_polyak(f_min, max_learning_rate, eps, variant))
    step = base.expose(gradtx.scale_by_polyak, f_min, max_learning_rate, eps, variant, scaling=scaling)
    down, nothing = chain(optimizers.sgd(1.0), step), base.EmptyState()
    if not callable(scaling):
        return down
    return base.translated(down, lambda s: ((nothing, s[1]), nothing), lambda s: ((nothing, nothing), s[0][1]))


def optimistic_adam(
    learning_rate: Number, optimism: Number | None = None, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8,
    eps_root: Number = 0.0, mu_dtype: DTypeOrNone = None, *, nesterov: bool = True,
) -> Pair:  # fmt: skip
    """Deprecated: `optimistic_adam_v2` with `beta = optimism / learning_rate`.

    Raises:
        ValueError: for a schedule.
    """
    warnings.warn("please use `optimistic_adam_v2` instead of `optimistic_adam`", DeprecationWarning, stacklevel=2)
    if callable(learning_rate):
        raise ValueError("optimistic_adam: learning_rate must be a number; optimistic_adam_v2 takes schedules")
    beta = learning_rate if optimism is None else optimism
    return chain(
        made.scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        made.scale_by_optimistic_gradient(learning_rate, beta),
        scale_by_learning_rate(1.0),
    )
