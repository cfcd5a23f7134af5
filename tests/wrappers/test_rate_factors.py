"""monitor's learning rates where factors stand before and behind the rate: reported is applied."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.degree import LINEAR, SCALE_FREE, degrees_of
from tests.catalogue import ROWS, parametrized
from tests.laws.refusals import numbers
from tests.laws.test_states import extra_of

PARAMS = {"x": jnp.array([0.3, -0.7]), "y": jnp.array([[1.0, 2.0], [-0.5, 0.4]])}
GRADS = {"x": jnp.array([1.0, -2.0]), "y": jnp.array([[0.5, 3.0], [-1.0, 0.7]])}
STEPS = 24  # until a falling factor is forgotten by averages of decay 0.3
X_ALONE = {"x": True, "y": False}


def adam(rate):
    return gradtx.adam(rate, 0.3, 0.3)


def momentum(rate):
    return gradtx.sgd(rate, 0.3)


def inside(make):
    """A factor in front of an optimizer, in a wrapper: `make` of the chain."""
    return lambda p, rate: make(gradtx.chain(p, gradtx.sgd(rate)))


def around(make):
    """A factor in front of a wrapper: `make` of the optimizer."""
    return lambda p, rate: gradtx.chain(p, make(gradtx.sgd(rate)))


WRAPPERS = {
    "accumulate": lambda tx: gradtx.accumulate(tx, 1),
    "apply_if_finite": lambda tx: gradtx.apply_if_finite(tx, 3),
    "conditionally_mask": lambda tx: gradtx.conditionally_mask(tx, lambda step: step < 99),
    "conditionally_transform": lambda tx: gradtx.conditionally_transform(tx, lambda step: step < 99),
    "masked": lambda tx: gradtx.masked(tx, X_ALONE),
    "partition": lambda tx: gradtx.partition({"a": tx, "b": gradtx.set_to_zero()}, {"x": "a", "y": "b"}),
    "selective": lambda tx: gradtx.selective_transform(tx, freeze_mask={"x": False, "y": True}),
    "flatten": gradtx.flatten,
    "split": gradtx.split_real_and_imaginary,
    "inject": gradtx.inject_hyperparams,
    "ema_params": gradtx.ema_params,
    "lookahead": lambda tx: gradtx.lookahead(tx, 99, 0.5),
    "monitor": gradtx.monitor,
    "named": lambda tx: gradtx.named_chain(a=gradtx.identity(), b=tx),
}


def masked_momentum():
    return gradtx.masked(gradtx.scale_by_momentum(0.3), X_ALONE)


def selected_adam():
    return gradtx.selective_transform(gradtx.scale_by_adam(0.3, 0.3), freeze_mask={"x": False, "y": True})


def as_schedule(rate):
    return gradtx.constant_schedule(rate) if rate != 1.0 else rate


chain, sgd, lr = gradtx.chain, gradtx.sgd, gradtx.scale_by_lr
CHAINS = {
    "before": lambda p, rate: chain(p, sgd(rate)),
    "behind": lambda p, rate: chain(sgd(rate), p),
    "twice": lambda p, rate: chain(p, sgd(rate), p),
    "before momentum": lambda p, rate: chain(p, momentum(rate)),
    "before its direction": lambda p, rate: chain(p, gradtx.scale_by_momentum(0.3), lr(rate)),
    "before an average": lambda p, rate: chain(p, gradtx.ema(0.3), gradtx.centralize(), sgd(rate)),
    "before Adam": lambda p, rate: chain(p, adam(rate)),
    "behind Adam": lambda p, rate: chain(adam(rate), p),
    "behind Adam's direction": lambda p, rate: chain(gradtx.scale_by_adam(0.3, 0.3), p, lr(rate)),
    "before Adam, negative": lambda p, rate: chain(p, gradtx.scale(-3.0), adam(rate)),
    "negative": lambda p, rate: chain(p, gradtx.scale(-1.0), sgd(rate)),
    "before a sign": lambda p, rate: chain(p, gradtx.scale_by_sign(), lr(rate)),
    "rate before a length": lambda p, rate: chain(p, sgd(rate), gradtx.normalize(), p),
    "rate before Adam": lambda p, rate: chain(p, sgd(rate), gradtx.scale_by_adam(0.3, 0.3), p),
    "nested": lambda p, rate: chain(chain(p, p), gradtx.named_chain(a=p, b=sgd(rate))),
    "a schedule": lambda p, rate: chain(p, sgd(as_schedule(rate))),
    "shortened before Adam": lambda p, rate: chain(p, gradtx.clip_by_global_norm(0.1), adam(rate)),
    "shortened behind": lambda p, rate: chain(p, sgd(rate), gradtx.clip_by_global_norm(1e6)),
    "injected": lambda p, rate: chain(p, gradtx.inject_hyperparams(gradtx.adam)(rate, 0.3, 0.3), p),
    "injected, linear": lambda p, rate: chain(p, gradtx.inject_hyperparams(gradtx.sgd)(rate)),
    "masked direction": lambda p, rate: chain(p, masked_momentum(), lr(rate)),
    "frozen": lambda p, rate: chain(p, selected_adam(), lr(rate)),
    "grafted": lambda p, rate: chain(p, gradtx.graft(gradtx.scale_by_sign(), gradtx.identity()), lr(rate)),
}
CHAINS |= {f"in {name}": inside(make) for name, make in WRAPPERS.items()}
CHAINS |= {f"before {name}": around(make) for name, make in WRAPPERS.items()}


def run(tx):
    """The state and the updates of x after the last step."""
    state = tx.init(PARAMS)

    def one(state, _):
        updates, state = tx.update(GRADS, state, PARAMS, value=1.0)
        return state, updates["x"]

    state, updates = jax.lax.scan(one, state, None, STEPS)
    return state, np.asarray(updates[-1])


@pytest.mark.parametrize("name", CHAINS)
def test_reported_is_applied(name):
    make = CHAINS[name]
    state, updates = run(gradtx.monitor(make(gradtx.reduce_on_plateau(0.5, 1, min_scale=0.25), 0.125)))
    without = make(gradtx.identity(), 1.0)
    hyper = gradtx.hyperparameters(without)
    without = gradtx.replace(without, **{path: float(np.sign(x)) for path, x in hyper.items() if "step_size" in path})
    unit = run(without)[1]
    rates = {n: float(x) for n, x in state.measurements.items() if n.endswith("learning_rate")}
    assert len(rates) == 1, rates
    np.testing.assert_allclose(updates, abs(next(iter(rates.values()))) * unit, rtol=1e-4)
    assert np.sign(next(iter(rates.values()))) == (-1 if "negative" in name else 1)


UNKNOWN = {
    "clip": lambda p: gradtx.chain(p, gradtx.clip(1.0), gradtx.sgd(0.1)),
    "clip before Adam": lambda p: gradtx.chain(p, gradtx.clip(1.0), gradtx.adam(0.1)),
    "shortened": lambda p: gradtx.chain(p, gradtx.clip_by_global_norm(1.0), gradtx.sgd(0.1)),
    "a function": lambda p: gradtx.chain(p, gradtx.stateless_leafwise(jnp.tanh), gradtx.sgd(0.1)),
    "another's": lambda p: gradtx.chain(p, gradtx.GradientTransformation(*gradtx.identity()), gradtx.sgd(0.1)),
    "some leaves": lambda p: gradtx.chain(p, gradtx.masked(gradtx.scale_by_adam(), X_ALONE), gradtx.scale_by_lr(0.1)),
    "inside what learns": lambda p: gradtx.chain(p, gradtx.mechanize(gradtx.sgd(0.1))),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_product_that_is_not_known_is_nan_and_a_rate_alone_is_known(name):
    rate = lambda factor: float(run(gradtx.monitor(UNKNOWN[name](factor)))[0].measurements["learning_rate"])
    assert np.isnan(rate(gradtx.scale(0.5)))
    alone = rate(gradtx.identity())
    assert alone == pytest.approx(0.1) or (name == "inside what learns" and np.isfinite(alone))


def test_a_maker_of_ones_own_declares_its_degree():
    @gradtx.transformation(degree=1)
    def halve():
        return gradtx.leafwise(lambda g: g / 2)

    tx = gradtx.chain(gradtx.scale(0.5), halve(), gradtx.sgd(0.1))
    assert float(run(gradtx.monitor(tx))[0].measurements["learning_rate"]) == pytest.approx(0.05)


# What these add to a step, a decay or a part of the parameters, is as large as the step.
ONE_SIGN = {"adadelta", "adafactor-momentum", "fromage", "scale_by_fromage", "schedule_free_radam"}
DECLARED = [row for row in ROWS if degrees_of(row.tx) in (LINEAR, SCALE_FREE)]


@parametrized(DECLARED)
def test_declared_degrees_are_those_of_the_updates(row):
    """u(c g) = c u(g), or sign(c) u(g), where what is added besides, and what averages start with, is small."""

    def last(c):
        params = jax.tree.map(lambda p: p / 1000, numbers())
        state, updates = row.tx.init(params), None
        for seed in range(1, 5):
            grads = jax.tree.map(lambda x: c * 1e6 * x, numbers(seed))
            updates, state = row.tx.update(grads, state, params, **extra_of(row, params, grads))
        return np.concatenate([np.ravel(u) for u in jax.tree.leaves(updates)])

    linear = degrees_of(row.tx) == LINEAR
    for c in (4.0,) if row.id in ONE_SIGN else (4.0, -2.0):
        wanted = last(1.0) * (c if linear else np.sign(c))
        assert np.linalg.norm(last(c) - wanted) <= 1e-2 * np.linalg.norm(wanted), c
