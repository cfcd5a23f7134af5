"""Bad arguments are refused where a value is built: name, wanted, got. The matrix is made from every public maker."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.arguments import Interval, IsDType, IsKey, OneOf
from gradtx.core.values import Maker
from gradtx.transforms.decay import IsWeightDecay

# Schedules have tests of their own.
MAKERS = {name: m for name, m in vars(gradtx).items() if isinstance(m, Maker) and m.kind is not gradtx.Schedule}
STRENGTH = Interval("[0, inf)", schedule=lambda fn: fn)

# What the ranges of these must be, typed by hand.
OURS = ["sgd", "adagrad", "rmsprop", "adam", "adamw", "nadam", "nadamw", "adamax", "adamaxw", "amsgrad"]
OURS += ["scale_by_lr", "scale_by_adam", "scale_by_amsgrad", "scale_by_adamax", "scale_by_rms", "scale_by_rss", "ema"]
OURS += ["scale_by_momentum", "clip_by_global_norm", "independent", "add_independent_decay"]
RANGES = {
    "learning_rate": "[0, inf)",
    "b1": "[0, 1)",
    "b2": "[0, 1)",
    "decay": "[0, 1)",
    "momentum": "[0, 1]",
    "dampening": "[0, 1]",
    "eps_root": "[0, inf)",
    "initial_accumulator_value": "[0, inf)",
    "max_norm": "[0, inf]",
    "peak": "(0, inf)",
}
EXCEPTIONS = {("scale_by_momentum", "decay"): "[0, 1]"}
CHECKED = [(name, argument) for name in OURS for argument in MAKERS[name].parameters if argument in RANGES]


def good(accept):
    """An argument that is accepted."""
    if isinstance(accept, Interval):
        return next(x for x in (1, 2, 0.5) if accept._contains(x))
    if isinstance(accept, OneOf):
        return accept.choices[0]
    return {"IsTransformation": gradtx.identity(), "IsSchedule": lambda step: 0.1}.get(type(accept).__name__, 0.5)


def required(maker, but):
    """The required arguments of a maker, except one."""
    return {
        name: good(p._accept)
        for name, p in maker.parameters.items()
        if p.inspected.default is p.inspected.empty and name != but and not p.variadic and not p.named_variadic
    }


def outside(interval):
    """Numbers just outside a range, and NaN."""
    out = [float("nan"), np.array([float("nan"), 0.5])]
    if interval.low > -np.inf:
        low = interval.low if interval.low_open else float(np.nextafter(np.float32(interval.low), np.float32(-9)))
        out += [low, np.float32(low), interval.low - 1, -np.inf]
    if interval.high < np.inf:
        out += [interval.high if interval.high_open else interval.high + 1e-6, interval.high + 1]
    return out + ([np.inf, jnp.inf] if interval.high_open else [])


def wrong_types(parameter):
    return ["0.1", b"1", True, np.True_, 0.1j, jnp.array(0.1j), [0.1], {}, np.array("a"), object()] + (
        [] if parameter.optional else [None]
    )


def interval_of(parameter) -> Any:
    return STRENGTH if isinstance(parameter._accept, IsWeightDecay) else parameter._accept


MATRIX = [
    (maker, argument, parameter, interval_of(parameter))
    for maker in MAKERS.values()
    for argument, parameter in maker.parameters.items()
    if isinstance(interval_of(parameter), Interval)
]
every_number = pytest.mark.parametrize(
    ("maker", "argument", "parameter", "interval"), MATRIX, ids=[f"{row[0].__name__}-{row[1]}" for row in MATRIX]
)


@every_number
def test_every_hyperparameter_refuses_what_is_no_number_in_its_range(maker, argument, parameter, interval):
    others = required(maker, argument)
    prefix = rf"^{maker.__name__}: {argument} must be "
    for bad in outside(interval):
        error = (ValueError, TypeError) if interval.integer or not interval.dynamic else ValueError
        with pytest.raises(error, match=prefix + r"(a (whole )?number )?in [\[(].*, got "):
            maker(**others, **{argument: bad})
    for bad in wrong_types(parameter):
        with pytest.raises(TypeError, match=prefix + "a .*number.*, got "):
            maker(**others, **{argument: bad})
    maker(**others, **{argument: good(interval)})


@every_number
def test_a_number_on_a_device_is_taken_unread(maker, argument, parameter, interval, monkeypatch):
    others, x, y = required(maker, argument), jnp.asarray(good(interval)), jnp.asarray(good(interval))
    read: list[Any] = []

    def watch(where, name):
        plain = getattr(where, name)
        watched = lambda a, *args, **kwargs: (read.append(a), plain(a, *args, **kwargs))[1]
        monkeypatch.setattr(where, name, watched)

    for where, name in ((np, "asarray"), (np, "array"), (type(x), "__bool__"), (type(x), "__float__")):
        watch(where, name)
    gradtx.replace(maker(**others, **{argument: x}), **{argument: y})
    monkeypatch.undo()
    assert any(a is x for a in read) == (not interval.dynamic)
    assert any(a is y for a in read) == (not interval.dynamic)


@pytest.mark.parametrize(("name", "argument"), CHECKED)
def test_ranges(name, argument):
    wanted = EXCEPTIONS.get((name, argument), RANGES[argument])
    assert interval_of(MAKERS[name].parameters[argument]).text == wanted


def test_the_matrix_is_whole():
    seen = {(maker.__name__, argument) for maker, argument, *_ in MATRIX}
    for maker in OURS[:10]:
        assert (maker, "learning_rate") in seen
        assert (maker, "weight_decay") in seen
    assert len(seen) > 80


def of_type(accept):
    return [(m, a) for m in MAKERS.values() for a, p in m.parameters.items() if isinstance(p._accept, accept)]


@pytest.mark.parametrize(("maker", "argument"), of_type(IsDType), ids=lambda x: getattr(x, "__name__", x))
def test_dtypes(maker, argument):
    others = required(maker, argument)
    for bad in ("float33", jnp.int32, "bool", 3, object()):
        with pytest.raises(TypeError, match=f"{argument} must be a floating-point dtype or None, got"):
            maker(**others, **{argument: bad})
    assert maker(**others, **{argument: jnp.bfloat16}) == maker(**others, **{argument: "bfloat16"})


@pytest.mark.parametrize(("maker", "argument"), of_type(IsKey), ids=lambda x: getattr(x, "__name__", x))
def test_keys(maker, argument):
    for bad in (None, True, 0.5, "0", np.ones(2), jnp.ones(2), object()):
        with pytest.raises(TypeError, match=f"{maker.__name__}: {argument} must be an integer seed or a key"):
            maker(**required(maker, argument), **{argument: bad})


def test_flags_and_choices():
    for bad in ("yes", 1, None):
        with pytest.raises(TypeError, match="sgd: nesterov must be True or False, got"):
            gradtx.sgd(0.1, 0.9, nesterov=bad)  # pyright: ignore[reportArgumentType]
    for bad in (1.5, "0", True, None):
        with pytest.raises(TypeError, match="centralize: output_axis must be a whole number, got"):
            gradtx.centralize(bad)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="amsgrad: max_of must be one of 'debiased', 'raw', got 'both'"):
        gradtx.amsgrad(0.1, max_of="both")
    bool_true: Any = np.True_
    assert gradtx.sgd(0.1, 0.9, nesterov=bool_true) == gradtx.sgd(0.1, 0.9, nesterov=True)


def test_calls_that_do_not_fit():
    adam: Maker = MAKERS["adam"]
    with pytest.raises(TypeError, match=r"^adam: missing a required argument: 'learning_rate'"):
        adam()
    with pytest.raises(TypeError, match=r"^adam: got an unexpected keyword argument 'lr'"):
        adam(0.1, lr=0.1)
    with pytest.raises(TypeError, match=r"^adam: too many positional arguments"):
        adam(0.1, 0.9, 0.9, 0.1, 0.1)
    with pytest.raises(ValueError, match="sgd: nesterov needs momentum"):
        gradtx.sgd(0.1, nesterov=True)
    with pytest.raises(ValueError, match="scale_by_adam: eps and eps_root must not both be 0"):
        gradtx.adam(0.1, eps=0.0)
    with pytest.raises(TypeError, match=r"GradientTransformation: update must be a function .*, got 3"):
        gradtx.GradientTransformation(lambda p: (), 3)  # pyright: ignore[reportArgumentType]


def test_links_must_be_transformations():
    for bad in (3, None, "adam", gradtx.adam, (gradtx.adam, 3)):
        with pytest.raises(TypeError, match=r"^chain: links\[1\] must be a gradient transformation .*, got"):
            gradtx.chain(gradtx.identity(), bad)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"^named_chain: b must be a gradient transformation"):
        gradtx.named_chain(a=gradtx.identity(), b=0.1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"^scale_by_schedule: step_size must be a schedule or a function of the step"):
        gradtx.scale_by_schedule(0.1)  # pyright: ignore[reportArgumentType]


def test_tracers_are_taken_on_trust_and_schedules_as_they_come():
    tx = jax.jit(lambda b1: gradtx.adam(0.1, b1=b1))(2.0)
    assert tx.b1 == 2.0
    assert isinstance(gradtx.adam(lambda step: 0.1).learning_rate, gradtx.Schedule)


NO_NUMBER = {
    "it gives 'x'": lambda step: "x",
    r"it gives float32\(2,\)": lambda step: jnp.ones(2),
    "it gives complex64": lambda step: step * 1j,
    "it raises ZeroDivisionError": lambda step: 1 / 0,
}


@pytest.mark.parametrize("told", NO_NUMBER)
def test_a_schedule_of_a_function_that_gives_no_number(told):
    with pytest.raises(TypeError, match=f"^Schedule: fn must be a function of the step, got .*: {told}"):
        gradtx.Schedule(NO_NUMBER[told])
