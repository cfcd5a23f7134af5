"""Rows of the table become functions: signatures, documentation, what reaches the maker, and errors."""

import inspect

import jax.numpy as jnp
import pytest

import gradtx
import gradtx.compat.optax as optax
from gradtx.compat.optax.base import DTypeOrNone, Number, Pair, ScalarOrSchedule
from gradtx.compat.optax.table import chains, same, translation

PARAMS = jnp.ones(2)


def test_words_make_a_signature():
    made = same("m", "ema | decay! debias accumulator_dtype@ema\nscale_by_lion | b1 b2=0.5 * mode")
    ema, lion = (inspect.signature(made[name]) for name in ("ema", "scale_by_lion"))
    assert [(p.name, p.default, p.kind.name) for p in lion.parameters.values()] == [
        ("b1", 0.9, "POSITIONAL_OR_KEYWORD"), ("b2", 0.5, "POSITIONAL_OR_KEYWORD"), ("mode", "hard", "KEYWORD_ONLY"),
    ]  # fmt: skip
    assert [p.annotation for p in lion.parameters.values()] == [Number, Number, str]
    assert [p.annotation for p in ema.parameters.values()] == [Number, bool, DTypeOrNone]
    assert ema.parameters["decay"].default is inspect.Parameter.empty
    assert lion.return_annotation is Pair
    assert (made.ema.__name__, made.ema.__module__) == ("ema", "m")


def test_names_that_differ_and_fixed_arguments():
    made = same("m", "average | share>decay! weighted>-=True | ema debias=False")
    with pytest.raises(TypeError, match="average: missing a required argument: 'share'"):
        made.average()
    state = made.average(0.5).init(PARAMS)
    u, _ = made.average(0.5).update(PARAMS, state)
    assert u[0] == 0.5  # not debiased


def test_one_argument_for_several():
    both = same("m", "adam | betas>b1,b2:betas=(0.5,0.75) eps | scale_by_adam")["adam"]
    assert inspect.signature(both).parameters["betas"].default == (0.5, 0.75)
    assert both((0.9, 0.999)).call.kwargs["b1"] == 0.9
    start = optax.scale_by_yogi(initial_accumulator_value=3.0).init(PARAMS)
    assert start.mu[0] == start.nu[0] == 3


def test_dtypes_of_slots():
    state = optax.contrib.scale_by_ademamix(mu_dtype="bfloat16").init(PARAMS)
    assert {x.dtype for x in (state.m1, state.m2, state.nu)} == {jnp.dtype("bfloat16")}
    assert optax.scale_by_adam(mu_dtype="bfloat16").init(PARAMS).nu.dtype == jnp.float32


def test_chains_give_each_link_what_it_takes():
    known = {"trace": optax.trace, "rate": optax.scale_by_learning_rate}
    made = chains("m", known, "heavy | learning_rate! momentum>decay=0.5\n  nesterov | trace rate | Heavy ball")
    assert list(inspect.signature(made.heavy).parameters) == ["learning_rate", "momentum", "nesterov"]
    assert inspect.signature(made.heavy).parameters["learning_rate"].annotation == ScalarOrSchedule
    assert made.heavy(0.1, nesterov=True) == optax.chain(optax.trace(0.5, True), optax.scale_by_learning_rate(0.1))
    assert made.heavy.__doc__ == "Heavy ball; see `gradtx.heavy`."


def test_links_are_left_out():
    made = chains("m", {"clip": optax.clip, "up": optax.scale}, "f | max_delta=None step_size=1.0 | clip? up | F")
    assert made.f(step_size=2.0) == made.f(None, 2.0) == optax.chain(optax.scale(2.0))
    assert made.f(0.0, 2.0) == optax.chain(optax.clip(0.0), optax.scale(2.0))


def test_translations_get_what_makes_the_pair_and_the_arguments():
    @translation("b1>step_size=0.9 times>-=2.0", gradtx.scale)
    def doubled(make, b1, times):
        """Twice."""
        return optax.chain(make(), make(step_size=times))

    u, _ = doubled(3.0).update(PARAMS, doubled(3.0).init(PARAMS))
    assert u[0] == 6
    assert doubled(3.0) == doubled(3.0) != doubled(2.0)


def test_help_ends_with_what_gradtx_says():
    assert optax.scale_by_adam.__doc__.startswith("As `gradtx.scale_by_adam`.\n\n")
    for name in ("scale_by_adam", "lookahead", "conditionally_mask", "join_schedules", "cosine_decay_schedule"):
        assert getattr(optax, name).__doc__.count(inspect.cleandoc(getattr(gradtx, name).__doc__)) == 1, name
    assert optax.cosine_decay_schedule.__doc__.startswith("Half a cosine")
