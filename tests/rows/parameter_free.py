"""Rows: methods that find their own step size."""

import gradtx
from gradtx.core import tree
from tests.oracles import hypergradient
from tests.oracles import parameter_free as oracles
from tests.rows import Row


def half_norm_sq(params, grads):
    """The loss that the oracles assume."""
    return {"value": tree.norm_sq(params) / 2}


COPY = {"init": "keeps a copy of the parameters"}

ROWS = [
    Row(gradtx.scale_by_polyak(0.1, 0.2, 1e-3), oracles.polyak, half_norm_sq, complex="pairs"),
    Row(
        gradtx.scale_by_polyak(50.0, variant="sps+", scaling=2.0, weight_decay=0.1),
        oracles.polyak,
        half_norm_sq,
        complex="pairs",
        label="plus",
    ),
    Row(gradtx.polyak_sgd(0.3, 0.5, weight_decay=0.1), oracles.polyak_sgd, half_norm_sq, complex="pairs"),
    Row(gradtx.scale_by_dog(1e-2), oracles.scale_by_dog, exempt=COPY, complex="pairs"),
    Row(gradtx.scale_by_distance_over_gradients(1e-2), oracles.scale_by_ldog, exempt=COPY),
    Row(gradtx.dog(0.9, 1e-2, weight_decay=0.1), oracles.dog, exempt=COPY, complex="pairs"),
    Row(gradtx.dog(0.9, 0.1, init_kind="distance"), oracles.dog, exempt=COPY, complex="pairs", label="distance"),
    Row(gradtx.dog(1.0, 0.1, init_kind="learning_rate"), oracles.dog, exempt=COPY, complex="pairs", label="rate"),
    Row(gradtx.ldog(0.9, 1e-2), oracles.ldog, exempt=COPY),
    Row(gradtx.scale_by_dowg(0.02), oracles.scale_by_dowg, exempt=COPY, complex="pairs"),
    Row(gradtx.dowg(0.9), oracles.dowg, exempt=COPY, complex="pairs"),
    Row(gradtx.prodigy(estim_lr0=1e-2, weight_decay=0.1), oracles.prodigy, exempt=COPY),
    Row(
        gradtx.prodigy(0.5, b3=0.9, estim_lr0=1e-2, estim_lr_coef=2.0, safeguard_warmup=True),
        oracles.prodigy,
        exempt=COPY,
        label="safeguard",
    ),
    Row(gradtx.dadapt_adamw(0.5, estim_lr0=1e-2, weight_decay=0.1), oracles.dadapt_adamw),
    Row(gradtx.scale_by_cocob(20.0, 1e-3), oracles.cocob, exempt=COPY, complex="refused"),
    Row(gradtx.cocob(0.5, 20.0, 1e-3), oracles.cocob, exempt=COPY, complex="refused"),
    Row(gradtx.momo(0.5, weight_decay=0.1), oracles.momo, half_norm_sq, complex="pairs"),
    Row(
        gradtx.momo(0.5, 0.8, 30.0, adapt_lower_bound=True, bias_correction=True),
        oracles.momo,
        half_norm_sq,
        complex="pairs",
        label="adapted",
    ),
    Row(gradtx.momo_adam(0.1, weight_decay=0.1), oracles.momo_adam, half_norm_sq),
    Row(gradtx.momo_adam(0.1, adapt_lower_bound=True), oracles.momo_adam, half_norm_sq, label="adapted"),
    Row(gradtx.mechanize(gradtx.sgd(0.5), s_init=1e-2), oracles.mechanic_sgd, complex="pairs"),
    Row(
        gradtx.hypergradient(gradtx.identity(), 0.1, 1e-3, max_learning_rate=0.2), hypergradient.plain, complex="pairs"
    ),
    Row(gradtx.sgd_hd(0.1, 0.2, form="multiplicative", weight_decay=0.1), hypergradient.sgd_hd, complex="pairs"),
    Row(
        gradtx.sgd_hd(0.1, 1e-3, 0.9, True, max_learning_rate=0.2),
        hypergradient.sgd_hd,
        complex="pairs",
        label="nesterov",
    ),
    Row(gradtx.adam_hd(0.01, 1e-4, max_learning_rate=0.1), hypergradient.adam_hd),
]
