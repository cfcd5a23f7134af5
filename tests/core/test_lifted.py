"""`lifted`: a signature made a transformation by a rule, and what is written in its docstring."""

import inspect
import pickle
from typing import NamedTuple

import chex
import jax.numpy as jnp
import pytest

import gradtx
from gradtx.core.docstring import parsed
from gradtx.core.hyperparameters import check_not_both_zero
from gradtx.core.slots import NumberSlot, PositiveSlot
from gradtx.core.typing import Mask
from gradtx.rules import Count, MatrixSlot, ema, zeros_shaped

PARAMS = {"w": jnp.array([1.0, -2.0])}
GRADS = {"w": jnp.array([4.0, 1.0])}


class AverageState(NamedTuple):
    count: Count
    nu: PositiveSlot
    norm: NumberSlot


def average_rule(g, s, p, *, b2, eps, share=1.0):
    nu = ema(s.nu, g * g, b2)
    return share * (g - p) / (jnp.sqrt(nu) + eps), s._replace(nu=nu)


@gradtx.lifted(average_rule, AverageState, real_only=True)
def average(b2: gradtx.Decay = 0.5, eps: gradtx.Positive = 1.0, *, initial: gradtx.Real = 0.0):
    """Divide by an average.

    Args:
        initial: nu at the start.
    """
    check_not_both_zero("average", b2=b2, initial=initial)
    return {"nu": initial}


def product_rule(g, *, factor, power):
    return factor * power * g


@gradtx.lifted(product_rule, reduce=lambda updates, value, power: {"factor": value + power}, degree=1)
def product(power: gradtx.Real = 2.0, mask: Mask = None):
    """Multiply."""


class LeftState(NamedTuple):
    left: MatrixSlot


def left_rule(g, s, *, b2, is_matrix, shape):
    if not is_matrix:
        return g, s
    left = ema(s.left, g @ g.mT, b2)
    return left @ g / shape[1], s._replace(left=left)


@gradtx.lifted(left_rule, LeftState, layout=gradtx.matrices("auto"))
def by_the_left(b2: gradtx.Decay = 0.5):
    """Multiply matrices by an average of g g^T."""
    return {"left": zeros_shaped(lambda g: g @ g.mT)}


def test_a_rule_for_matrices_is_told_of_its_items():
    g = jnp.arange(6.0).reshape(2, 3)
    grads = {"a": g, "b": -g, "bias": jnp.ones(2)}
    tx = by_the_left()
    updates, state = tx.update(grads, tx.init(grads))
    slots = gradtx.state_dict(state)
    assert {name: x.shape for name, x in slots.items()} == {"left/left/a": (2, 2), "left/left/b": (2, 2)}
    chex.assert_trees_all_close(updates, {"a": g @ g.T @ g / 6, "b": -g @ g.T @ g / 6, "bias": grads["bias"]})


@gradtx.lifted(lambda g, *, power: power * g)
def unscheduled(power: gradtx.Number = 2.0):
    """Multiply."""


def test_the_rule_gets_what_it_asks_for_by_name():
    tx = average(0.5, 2.0, initial=3.0)
    updates, state = tx.update(GRADS, tx.init(PARAMS), PARAMS)
    nu = 0.5 * 3.0 + 0.5 * GRADS["w"] ** 2
    chex.assert_trees_all_close(state.nu["w"], nu)
    chex.assert_trees_all_close(updates["w"], (GRADS["w"] - PARAMS["w"]) / (jnp.sqrt(nu) + 2.0))


def test_a_reduction_asks_too_and_a_mask_is_the_rules():
    tx = product(3.0, mask={"w": True, "b": False})
    tree = {"w": jnp.ones(2), "b": jnp.ones(1)}
    updates, _ = tx.update(tree, tx.init(tree), value=1.0)
    chex.assert_trees_all_close(updates, {"w": jnp.full(2, 12.0), "b": jnp.ones(1)})
    assert product.degree == 1


def test_it_is_a_value_like_any_other():
    tx = average(0.9, initial=1.0)
    assert repr(tx) == "average(b2=0.9, eps=1.0, initial=1.0)"
    assert pickle.loads(pickle.dumps(tx)) == tx
    assert str(inspect.signature(average)).startswith("(b2: ")


def test_the_body_checks():
    with pytest.raises(ValueError, match="average: b2 and initial must not both be 0"):
        average(0.0)


def test_the_docstring_has_what_is_declared():
    assert inspect.getdoc(average) == inspect.cleandoc("""Divide by an average.

        Args:
            b2: in [0, 1), decay of the average of their squares.
            eps: above 0, keeps the division finite.
            initial: nu at the start.

        State: `AverageState(count, nu, norm)`, one real value per parameter and one number per leaf.

        Raises: ValueError from `update` without params; TypeError for complex parameters.
        """)
    assert parsed(product.__doc__).sections == {
        "State": " none, or a step count (4 bytes) with a schedule.",
        "Raises": " TypeError from `update` without `value`.",
    }
    for none in (gradtx.scale_by_sign, unscheduled):
        assert parsed(none.__doc__).sections["State"] == " none."
    two = parsed(gradtx.scale_by_distance_over_gradients.__doc__).sections["State"]
    assert two.endswith(", one value per parameter and two numbers per leaf.")
    assert parsed(gradtx.clip.__doc__).arguments["max_delta"] == "at least 0, infinity included."


class ToldState(NamedTuple):
    """What is kept."""

    count: Count


class UntoldState(NamedTuple):
    count: Count


def test_a_state_that_says_nothing_of_itself_is_said_to_be_its_makers():
    def plain(b2: gradtx.Decay = 0.5):
        """Count.

        State: `UntoldState(count)`.
        """
        return gradtx.leafwise(lambda g, s: (g, s), UntoldState)

    assert AverageState.__doc__ == "State of `average`."
    assert UntoldState.__doc__ == "UntoldState(count,)"
    gradtx.transformation(plain)
    assert UntoldState.__doc__ == "State of `plain`."
    gradtx.lifted(lambda g, s, *, b2: (b2 * g, s), ToldState)(plain)
    assert ToldState.__doc__ == "What is kept."


def test_signatures_that_do_not_fit_are_refused():
    def nothing(b2: gradtx.Decay = 0.5): ...
    def spare(b2: gradtx.Decay = 0.5, eps: gradtx.Real = 0.1, beta: gradtx.Real = 0.1): ...

    with pytest.raises(TypeError, match="nothing: the rule asks for eps, which is no argument here"):
        gradtx.lifted(average_rule, AverageState)(nothing)
    with pytest.raises(TypeError, match="spare: nothing asks for beta"):
        gradtx.lifted(average_rule, AverageState)(spare)()
