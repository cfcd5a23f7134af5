"""`optimizer`: what it makes, what it says, and that optimizers say what their directions say."""

import ast
import importlib
import inspect
import pickle
import re

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from gradtx.core import eager
from gradtx.core.docstring import parsed
from gradtx.core.hyperparameters import KeyLike, PositiveTimes
from gradtx.core.values import Maker
from gradtx.transforms.decay import DecayKind
from tests.support import compilations
from tests.test_architecture import PACKAGE, module_of

PARAMS = {"w": jnp.array([1.0, -2.0])}
GRADS = {"w": jnp.array([0.5, 0.25])}


def power_rule(g, *, power, odd):
    """u = sign(g) |g|^power, or |g|^power."""
    return (jnp.sign(g) if odd else 1) * jnp.abs(g) ** power


@gradtx.transformation
def scale_by_power(power: gradtx.Positive = 0.5, *, odd: bool = True):
    """Take a power of each element.

    Args:
        power: above 0,
            whatever that is good for.
        odd: keep the sign.

    State: none.
    Source: nobody.
    """
    return gradtx.leafwise(power_rule, power=power, odd=odd)


@gradtx.optimizer(scale_by_power)
def power_descent(
    learning_rate: gradtx.NonNegative,
    power: gradtx.Positive = 0.5,
    *,
    odd: bool = True,
    weight_decay: DecayKind = None,
):
    """Descent along powers."""


@gradtx.optimizer(gradtx.clip, scale_by_power, odd=False)
def clipped(learning_rate: gradtx.NonNegative, max_delta: gradtx.Threshold, power: gradtx.Positive = 2.0):
    """Powers of what is clipped.

    Args:
        power: p.
    """


@gradtx.optimizer(scale_by_power)
def reversed_power(learning_rate: gradtx.NonNegative, power: gradtx.Positive = 0.5):
    """Ascent."""
    return gradtx.chain(scale_by_power(power), gradtx.scale_by_lr(learning_rate), gradtx.scale(-1))


def test_it_is_the_direction_a_learning_rate_and_a_decay():
    tx = power_descent(0.1, odd=False, weight_decay=0.2)
    assert tx.made_as() == gradtx.descend(scale_by_power(odd=False), 0.1, 0.2)
    updates, _ = tx.update(GRADS, tx.init(PARAMS), PARAMS)
    by_hand = -0.1 * (jnp.abs(GRADS["w"]) ** 0.5 + 0.2 * PARAMS["w"])
    chex.assert_trees_all_close(updates["w"], by_hand, rtol=1e-6)


def test_several_directions_are_a_chain_and_each_gets_its_own_arguments():
    tx = clipped(0.1, 0.3, power=3.0)
    assert tx.made_as() == gradtx.descend(gradtx.chain(gradtx.clip(0.3), scale_by_power(3.0, odd=False)), 0.1)


@gradtx.optimizer(gradtx.scale_by_sophia, strength=gradtx.coupled, curvature=gradtx.hutchinson, delayed=True)
def curved(
    learning_rate: gradtx.NonNegative, b1: gradtx.Decay = 0.9, b2: gradtx.Decay = 0.99, eps: gradtx.Positive = 1e-8, *,
    gamma: gradtx.NonNegative = 0.01, clip_threshold: gradtx.Threshold = 1.0, update_interval: PositiveTimes = 10,
    debias: bool = False, key: KeyLike = 0, weight_decay: DecayKind = None,
):  # fmt: skip
    """Descent along curvature."""


def test_a_fixed_argument_may_be_a_maker_and_a_strength_may_be_of_any_kind():
    direction = gradtx.scale_by_sophia(gradtx.hutchinson(3), 0.9, gamma=0.5, delayed=True)
    tx = curved(0.1, gamma=0.5, key=3, weight_decay=0.2)
    assert tx.made_as() == gradtx.descend(direction, 0.1, gradtx.coupled(0.2))
    assert curved(0.1, weight_decay=gradtx.decoupled(0.2)).made_as().links[0].name == "scale_by_sophia"
    assert tx.weight_decay == 0.2
    assert "a strength (coupled), or a kind such as `decoupled(1e-4)`" in curved.__doc__
    assert "key: a seed" in curved.__doc__


def test_a_function_with_a_body_makes_what_that_returns():
    assert reversed_power(0.1).made_as().links[2] == gradtx.scale(-1)


def test_it_is_a_value_like_any_other():
    tx = power_descent(gradtx.constant_schedule(0.1), 0.7, weight_decay=gradtx.coupled(0.1))
    assert tx == power_descent(gradtx.constant_schedule(0.1), 0.7, weight_decay=gradtx.coupled(0.1))
    assert repr(tx) == (
        "power_descent(learning_rate=constant_schedule(value=0.1), power=0.7, "
        "weight_decay=coupled(weight_decay=0.1, mask=None))"
    )
    assert pickle.loads(pickle.dumps(tx)) == tx
    assert hash(pickle.loads(pickle.dumps(tx))) == hash(tx)
    assert gradtx.replace(tx, power=0.9).power == 0.9
    assert str(inspect.signature(clipped)).startswith("(learning_rate: ")
    with pytest.raises(ValueError, match=r"^power_descent: power must be in \(0, inf\), got 0"):
        power_descent(0.1, 0)


def test_programs_of_optimizers_made_anew_are_shared():
    """Those of gradtx's own, whose body the decorator wrote: that is nobody else's code."""
    tx, other = gradtx.adam(0.1), gradtx.adam(0.2)
    assert eager.is_own(tx) and not eager.is_own(power_descent(0.1))
    state = tx.init(PARAMS)
    tx.update(GRADS, state, PARAMS)
    assert compilations(lambda: other.update(GRADS, state, PARAMS)) == 0


def test_the_rest_of_the_docstring_is_the_directions():
    assert inspect.getdoc(power_descent) == inspect.cleandoc("""Descent along powers.

        See `scale_by_power`.

        Args:
            learning_rate: eta >= 0, a number or a schedule.
            power: above 0,
                whatever that is good for.
            odd: keep the sign.
            weight_decay: None, a strength (decoupled), or a kind such as `coupled(1e-4)`; see `descend`.

        State: none.

        Source: nobody.
        """)
    assert parsed(clipped.__doc__).arguments["power"] == "p."
    assert "See `clip` and `scale_by_power`." in clipped.__doc__
    assert "Source: nobody." in clipped.__doc__


def test_a_stripped_docstring_is_no_fault():
    def bare(learning_rate: gradtx.NonNegative): ...

    made = gradtx.optimizer(gradtx.scale_by_sign)(bare)
    assert made(0.1).made_as() == gradtx.descend(gradtx.scale_by_sign(), 0.1)


def test_signatures_that_do_not_fit_are_refused():
    decorate = gradtx.optimizer(scale_by_power)

    def unknown(learning_rate: gradtx.NonNegative, power: gradtx.Positive = 0.5, odd: bool = True, beta: float = 0): ...
    def missing(learning_rate: gradtx.NonNegative, power: gradtx.Positive = 0.5): ...
    def other_range(learning_rate: gradtx.NonNegative, power: gradtx.Real = 0.5, odd: bool = True): ...
    def no_rate(power: gradtx.Positive = 0.5, odd: bool = True): ...

    with pytest.raises(TypeError, match="unknown: beta: no argument of `scale_by_power`"):
        decorate(unknown)
    with pytest.raises(TypeError, match="missing: odd of `scale_by_power`: wanted an argument or a fixed value"):
        decorate(missing)
    with pytest.raises(TypeError, match=r"power is a number in \(-inf, .*, in `scale_by_power` a number in \(0, "):
        decorate(other_range)
    with pytest.raises(TypeError, match="no_rate: wanted an argument learning_rate"):
        decorate(no_rate)
    with pytest.raises(TypeError, match=r"^optimizer: directions must be makers such as .*, got .*power_rule"):
        gradtx.optimizer(power_rule)


@pytest.mark.parametrize("jit", [False, True])
def test_it_traces_and_batches(jit):
    step = lambda lr: power_descent(lr).update(GRADS, power_descent(lr).init(PARAMS), PARAMS)[0]["w"]
    rates = jnp.array([0.1, 0.2])
    many = (jax.jit if jit else lambda f: f)(jax.vmap(step))(rates)
    chex.assert_trees_all_close(many, jnp.stack([step(0.1), step(0.2)]), rtol=1e-6)


def optimizers():
    """Every optimizer of gradtx that says which directions it follows, with them and its own docstring."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            for call in getattr(node, "decorator_list", ()):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "optimizer":
                    module = importlib.import_module(module_of(path))
                    given = [*call.args, *(word.value for word in call.keywords if word.arg != "strength")]
                    makers = [getattr(module, arg.id) for arg in given if isinstance(arg, ast.Name)]
                    directions = [make for make in makers if isinstance(make, Maker)]
                    yield getattr(module, node.name), directions, parsed(ast.get_docstring(node))


OTHER_DEFAULTS = {
    ("adan", "eps_root"),
    ("ademamix", "alpha"),
    ("lamb", "eps"),
    ("lars", "trust_coefficient"),
    ("muon", "shape_factor"),
    ("novograd", "eps"),
    ("optimistic_adam_v2", "nesterov"),
    ("sophia_g", "gamma"),
}
"""Arguments whose default is not the direction's, by optimizer."""


def test_optimizers_have_their_directions_defaults():
    found = set()
    for made, directions, _ in optimizers():
        for direction in directions:
            for name in set(made.parameters) & set(direction.parameters) - {"learning_rate", "weight_decay"}:
                default = direction.parameters[name].inspected.default
                if default is not inspect.Parameter.empty and not made.parameters[name].is_default(default):
                    found.add((made.__name__, name))
    assert found == OTHER_DEFAULTS


def test_optimizers_say_everything_and_nothing_twice():
    faults = []
    for made, directions, own in optimizers():
        doc = parsed(made.__doc__)
        faults += [f"{made.__name__}: no line for {name}" for name in made.parameters if name not in doc.arguments]
        faults += [f"{made.__name__}: no section State"] if "State" not in doc.sections else []
        for direction in directions:
            said = parsed(direction.__doc__)
            twice = [name for name, line in own.arguments.items() if said.arguments.get(name) == line]
            twice += [name for name, text in own.sections.items() if said.sections.get(name) == text]
            faults += [f"{made.__name__}: {name} is said as in {direction.__name__}" for name in twice]
        assert isinstance(made, Maker)
    assert not faults


def only_descends(node):
    """Whether a function's body is what the decorator writes: `descend` by a direction, and names for its parts."""
    *named, last = node.body[1:] or node.body
    whole = re.fullmatch(r"return descend\(.*, learning_rate, weight_decay\)", ast.unparse(last))
    return whole is not None and all(isinstance(x, ast.Assign | ast.AnnAssign) for x in named)


def test_what_only_descends_is_an_optimizer_of_its_direction():
    spelled_out = [
        node.name
        for path in sorted((PACKAGE / "optimizers").glob("*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and "transformation" in map(ast.unparse, node.decorator_list)
        if only_descends(node)
    ]
    assert not spelled_out
