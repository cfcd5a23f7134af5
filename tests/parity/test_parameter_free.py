"""Methods that find their own step size against Optax's, where Optax follows the source."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from gradtx.core import tree
from tests.support import make_grads, make_params, train

optax = pytest.importorskip("optax")
contrib = pytest.importorskip("optax.contrib")

PAIRS = {
    "polyak": (gradtx.polyak_sgd(0.3), optax.polyak_sgd(0.3)),
    "polyak plus": (
        gradtx.scale_by_polyak(50.0, variant="sps+", eps=0.1),
        optax.scale_by_polyak(50.0, variant="sps+", eps=0.1),
    ),
    "dog": (gradtx.dog(init_step=1e-2, weight_decay=0.1), contrib.dog(1.0, ("heuristic", 1e-2), weight_decay=0.1)),
    "dog distance": (gradtx.dog(0.9, 0.1, init_kind="distance"), contrib.dog(0.9, ("distance", 0.1))),
    "dog rate": (gradtx.dog(0.9, 0.1, init_kind="learning_rate"), contrib.dog(0.9, ("learning_rate", 0.1))),
    "ldog": (gradtx.scale_by_distance_over_gradients(1e-2), optax.scale_by_distance_over_gradients(1e-2)),
    "dowg": (gradtx.dowg(weight_decay=0.1), contrib.dowg(weight_decay=0.1)),
    "prodigy": (gradtx.prodigy(estim_lr0=1e-2, weight_decay=0.1), contrib.prodigy(estim_lr0=1e-2, weight_decay=0.1)),
    "prodigy safeguard": (
        gradtx.prodigy(0.5, b3=0.9, estim_lr0=1e-2, safeguard_warmup=True),
        contrib.prodigy(0.5, beta3=0.9, estim_lr0=1e-2, safeguard_warmup=True),
    ),
    "dadapt": (
        gradtx.dadapt_adamw(estim_lr0=1e-2, weight_decay=0.1),
        contrib.dadapt_adamw(estim_lr0=1e-2, weight_decay=0.1),
    ),
    "cocob": (gradtx.cocob(0.5, 20.0, weight_decay=0.1), contrib.cocob(0.5, 20.0, weight_decay=0.1)),
    "momo": (gradtx.momo(0.5), contrib.momo(0.5)),
    "momo adapted": (
        gradtx.momo(0.5, 0.8, 1.0, adapt_lower_bound=True),
        contrib.momo(0.5, 0.8, 1.0, adapt_lower_bound=True),
    ),
    "momo_adam": (gradtx.momo_adam(0.1), contrib.momo_adam(0.1)),
    "momo_adam adapted": (
        gradtx.momo_adam(0.1, lower_bound=1.0, adapt_lower_bound=True),
        contrib.momo_adam(0.1, lower_bound=1.0, adapt_lower_bound=True),
    ),
    "mechanize": (
        gradtx.mechanize(gradtx.adam(0.1), s_init=1e-2),
        contrib.mechanize(optax.adam(0.1), s_init=1e-2),
    ),
}


@pytest.mark.parametrize("case", PAIRS)
def test_equal_to_optax(case):
    params, grads = make_params(), make_grads(20)
    if case == "ldog":  # Optax makes a scalar a vector of one
        params, grads = ({k: v for k, v in x.items() if k != "scalar"} for x in (params, grads))
    loss = lambda params, grads: {"value": tree.norm_sq(params) / 2}
    with jax.numpy_dtype_promotion("standard"):  # Optax counts on it
        runs = []
        for tx in PAIRS[case]:
            tx = gradtx.chain(tx)
            runs.append(jax.jit(lambda tx=tx: train(tx, params, grads, loss)[2])())
    chex.assert_trees_all_close(*runs, rtol=1e-5, atol=1e-5)


STATES = {
    "dog": ("DoGState", gradtx.scale_by_dog()),
    "ldog": ("ScaleByDistanceOverGradientsState", gradtx.scale_by_distance_over_gradients()),
    "dowg": ("DoWGState", gradtx.scale_by_dowg()),
    "prodigy": ("ProdigyState", gradtx.prodigy()),
    "dadapt": ("DAdaptAdamWState", gradtx.dadapt_adamw()),
    "cocob": ("COCOBState", gradtx.scale_by_cocob()),
    "momo": ("MomoState", gradtx.momo()),
    "momo_adam": ("MomoAdamState", gradtx.momo_adam()),
    "mechanize": ("MechanicState", gradtx.mechanize(gradtx.sgd(0.1))),
}


@pytest.mark.parametrize("case", STATES)
def test_state_types_have_optaxs_names_and_fields(case):
    name, tx = STATES[case]
    state = tx.init(jnp.ones(2))
    assert type(state).__name__ == name
    wanted = PAIRS[case][1].init(jnp.ones(2))
    found = [x for x in (wanted if type(wanted) is tuple else (wanted,)) if type(x).__name__ == name]
    assert found, f"Optax's state is {wanted}"
    assert state._fields == found[0]._fields
