"""monitor's learning rates: what was applied, wherever the schedule stands."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx

PARAMS = {"x": jnp.ones(2), "y": jnp.ones((2, 2))}
NAN = jax.tree.map(lambda p: p * jnp.nan, PARAMS)
BAD = (1, 2, 4)


def falling():
    return gradtx.linear_schedule(1.0, 0.0, 10)


def sgd():
    return gradtx.sgd(falling())


def third(step):
    return step % 3 == 0


def run(tx, steps=5, bad=(), **extra):
    """The rates after some updates, and the largest share of the gradient that the last step taken moved by."""
    tx = gradtx.monitor(tx, gradient_norm=False, update_norm=False, update_ratio=False)
    state, applied = tx.init(PARAMS), 0.0
    for i in range(steps):
        updates, state = tx.update(NAN if i in bad else PARAMS, state, PARAMS, **extra)
        moved = -float(updates["x"][0])
        applied = moved if moved != 0 else applied
    return {name: float(x) for name, x in state.measurements.items()}, applied


HALF = gradtx.accumulate(sgd(), 2)
# Around plain descent on gradients of 1, what was applied is the update itself.
AROUND = {
    "alone": (sgd(), {}),
    "accumulate": (gradtx.accumulate(sgd(), 2), {}),
    "accumulate, nothing yet": (gradtx.accumulate(sgd(), 7), {}),
    "skip": (gradtx.accumulate(sgd(), 1, skip=gradtx.skip_not_finite()), {"bad": BAD}),
    "apply_if_finite": (gradtx.apply_if_finite(sgd(), 9), {"bad": BAD}),
    "conditionally_mask": (gradtx.conditionally_mask(sgd(), third), {}),
    "plateau": (gradtx.chain(sgd(), gradtx.reduce_on_plateau(0.5, 1)), {"value": 1.0}),
    "scaled": (gradtx.chain(sgd(), gradtx.chain(gradtx.scale(0.5), gradtx.scale_by_schedule(falling()))), {}),
    "scaled inside": (gradtx.accumulate(gradtx.named_chain(a=sgd(), b=gradtx.scale(0.5)), 2), {}),
    "inject": (gradtx.inject_hyperparams(gradtx.sgd)(falling()), {}),
    "inject in accumulate": (gradtx.accumulate(gradtx.inject_hyperparams(gradtx.sgd)(falling()), 2), {}),
    "inject a chain": (gradtx.inject_hyperparams(gradtx.chain(gradtx.clip(2.0), sgd())), {}),
    "masked": (gradtx.masked(sgd(), {"x": True, "y": False}), {}),
    "partition": (gradtx.partition({"a": HALF, "b": gradtx.set_to_zero()}, {"x": "a", "y": "b"}), {}),
    "selective": (gradtx.selective_transform(sgd(), freeze_mask={"x": False, "y": True}), {}),
    "split": (gradtx.split_real_and_imaginary(sgd()), {}),
    "flatten": (gradtx.flatten(sgd()), {}),
    "lookahead": (gradtx.lookahead(gradtx.accumulate(sgd(), 2), 9, 0.5), {}),
    "averaged": (gradtx.ema_params(gradtx.polyak_params(gradtx.accumulate(sgd(), 2))), {}),
    "monitor": (gradtx.monitor(gradtx.monitor(gradtx.accumulate(sgd(), 2))), {}),
    "deep": (gradtx.apply_if_finite(gradtx.ema_params(gradtx.masked(HALF, True)), 9), {"bad": BAD}),
}  # fmt: skip


@pytest.mark.parametrize("name", AROUND)
def test_the_rate_is_what_the_last_step_was_made_with(name):
    tx, given = AROUND[name]
    rates, applied = run(tx, **given)
    assert list(rates) == ["learning_rate"]
    np.testing.assert_allclose(rates["learning_rate"], applied, rtol=1e-5)


def test_right_values():
    assert run(gradtx.accumulate(sgd(), 4), 8)[0] == {"learning_rate": pytest.approx(0.9)}
    assert run(gradtx.apply_if_finite(sgd(), 9), 5, BAD)[0] == {"learning_rate": pytest.approx(0.9)}
    plateau = gradtx.chain(gradtx.sgd(0.1), gradtx.reduce_on_plateau(0.5, 1))
    assert run(plateau, 4, value=1.0)[0] == {"learning_rate": pytest.approx(0.0125)}
    assert run(gradtx.schedule_free_sgd(1.0, 5.0), 3)[0] == {"learning_rate": pytest.approx(0.6)}
    both = run(gradtx.schedule_free(sgd(), falling()), 3)[0]
    assert both == {"learning_rate": pytest.approx(0.8), "base_optimizer.learning_rate": pytest.approx(0.8)}


@pytest.mark.parametrize(
    "make", [gradtx.adamw, gradtx.muon, gradtx.adafactor, gradtx.galore, gradtx.madgrad, gradtx.prodigy, gradtx.momo]
)
def test_optimizers_with_the_rate_inside(make):
    assert run(make(falling()), 3, value=1.0)[0] == {"learning_rate": pytest.approx(0.8)}


def test_rates_that_are_learned_or_searched_for():
    tx = gradtx.monitor(gradtx.sgd_hd(0.1, 0.01))
    updates, state = tx.update(PARAMS, tx.init(PARAMS), PARAMS)
    updates, state = tx.update(PARAMS, state, PARAMS)
    np.testing.assert_allclose(state.measurements["learning_rate"], -updates["x"][0], rtol=1e-6)
    assert float(state.measurements["learning_rate"]) > 0.1
    mechanic = run(gradtx.mechanize(gradtx.sgd(1.0), s_init=1e-3), 1)
    np.testing.assert_allclose(mechanic[0]["learning_rate"], mechanic[1], rtol=1e-3)


def test_a_wrapper_that_does_not_say_where_its_state_is_goes_by_the_monitors_count():
    inner = sgd()

    @gradtx.transformation
    def twice(learning_rate: gradtx.NonNegative):
        return gradtx.GradientTransformation(
            lambda params: {"mine": inner.init(params)},
            lambda updates, state, params=None: (updates, {"mine": inner.update(updates, state["mine"], params)[1]}),
        )

    assert run(twice(falling()), 3)[0] == {"learning_rate": pytest.approx(0.8)}


def test_after_a_reset_the_runs_rate_goes_on():
    tx = gradtx.monitor(gradtx.adam(falling()))
    state = tx.init(PARAMS)
    for _ in range(3):
        _, state = tx.update(PARAMS, state, PARAMS)
    state = gradtx.reset(tx, state, PARAMS, "x")
    assert float(tx.update(PARAMS, state, PARAMS)[1].measurements["learning_rate"]) == pytest.approx(0.7)
