"""What a sweep refuses, and what it returns when it is interrupted."""

import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.sweeps.run import make_plan

ONE = jax.devices()[:1]
SWEEP = gradtx.Sweep(gradtx.sgd, {"learning_rate": [0.1, 0.2, 0.3, 0.4, 0.5]})


def init(tx):
    return jnp.ones(100)


def step(tx, x, i):
    return x - tx.learning_rate * x


def score(x):
    return x[0]


def decayed(steps):
    """What is left after so many steps of the first members."""
    return (1 - np.array(SWEEP.values["learning_rate"][: len(steps)])) ** steps


def train(sweep=SWEEP, step=step, score=score, steps=6, **options):
    return sweep.train(init, step, score, steps, devices=ONE, **options)


def press_ctrl_c(after):
    return lambda done, total: signal.raise_signal(signal.SIGINT) if done >= after else None


@pytest.mark.parametrize(
    ("after", "steps"),
    [(2, [2, 2]), (12, [6, 6]), (14, [6, 6, 2, 2]), (26, [6, 6, 6, 6, 2]), (30, [6, 6, 6, 6, 6])],
)
def test_ctrl_c_returns_what_is_finished(after, steps):
    """Chunks of two, two and one member, three rounds of two steps each."""
    result = train(rounds=3, max_bytes=2000, progress=press_ctrl_c(after))
    assert result.steps.tolist() == steps
    count = len(steps)
    np.testing.assert_allclose(result.scores, decayed(result.steps), rtol=1e-5)
    assert result.states.shape == (count, 100)
    assert result.best == SWEEP.members[result.order[0]]
    assert len(result.table().splitlines()) == 1 + count


def test_ctrl_c_before_anything_is_finished_is_passed_on():
    traces = []

    def interrupted(tx, x, i):
        traces.append(1)
        if len(traces) == 2:  # while the program is compiled
            signal.raise_signal(signal.SIGINT)
        return step(tx, x, i)

    with pytest.raises(KeyboardInterrupt):
        train(step=interrupted)


def test_other_errors_are_passed_on():
    def broken(done, total):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        train(progress=broken)


def test_the_plan_fills_devices_evenly():
    plan = lambda n, devices, max_bytes=None: make_plan(n, 10, 4, range(devices), 100, 50, max_bytes)
    assert plan(64, 8).chunk == 64
    assert plan(65, 8).chunk == 72  # filled up
    assert plan(3, 8).devices == (0, 1, 2) and plan(3, 8).chunk == 3  # no device for nothing
    assert plan(64, 8, 450).chunk == 32  # four on each device
    assert plan(64, 8, 449).chunk == 24  # three on each
    assert plan(10, 1, 950).chunk == 5  # two equal chunks, not nine and one
    assert plan(1, 1).rounds == (2, 5, 7, 10)
    assert make_plan(1, 2, 4, [0], 1, 0, None).rounds == (1, 2)


WRONG = {
    "no member fits": (dict(max_bytes=807), ValueError, "takes 808 bytes .* max_bytes=807, wanted at least 808"),
    "no steps": (dict(steps=0), ValueError, r"sweep: steps must be in \[1, inf\), got 0"),
    "no rounds": (dict(rounds=0), ValueError, r"sweep: rounds must be in \[1, inf\), got 0"),
    "steps in words": (dict(steps="9"), TypeError, "sweep: steps must be a whole number in .*, got '9'"),
    "no function": (dict(progress=3), TypeError, "sweep: progress must be a function, got 3"),
    "a class for a function": (dict(score=float), TypeError, "sweep: score must be a function, got <class 'float'>"),
    "bytes in words": (dict(max_bytes="1 GB"), TypeError, "sweep: max_bytes must be a number .*, got '1 GB'"),
    "shape of the state": (dict(step=lambda tx, x, i: x[1:]), TypeError, r"got float32\(99,\) at \(root\)"),
    "structure of the state": (dict(step=lambda tx, x, i: (x, x)), TypeError, "step must keep the state's structure"),
    "score of many numbers": (dict(score=lambda x: x), TypeError, r"floating-point scalar, got float32\(100,\)"),
    "whole score": (dict(score=lambda x: jnp.int32(1)), TypeError, r"floating-point scalar, got int32\(\)"),
    "all diverged": (dict(score=lambda x: x[0] * jnp.nan), ValueError, "none of 5 members has a score"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "error", "message"), WRONG.values(), ids=WRONG)
def test_wrong_training_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        train(**options).best


RATE = {"learning_rate": gradtx.uniform(0, 1)}
REFUSED = {
    "unknown argument": (gradtx.adam, {"lr": gradtx.uniform(0, 1)}, 2, "adam takes no 'lr'; it takes: learning_rate"),
    "unknown path": (gradtx.adam(0.1), {"links[0].b1": gradtx.uniform(0, 1)}, 2, "no hyperparameter named 'links"),
    "nothing to sample": (gradtx.adam, {}, 2, "at least one hyperparameter"),
    "no members": (gradtx.adam, RATE, 0, r"sweep: n must be in \[1, inf\), got 0"),
    "out of bounds": (gradtx.adam, RATE | {"b1": gradtx.uniform(1, 2)}, 2, r"adam: b1 must be in \[0, 1\)"),
    "another program": (gradtx.adam, RATE | {"nesterov": (lambda u: u < 0.5)}, 9, "differ in numbers only"),
}  # fmt: skip


@pytest.mark.parametrize(("maker", "ranges", "n", "message"), REFUSED.values(), ids=REFUSED)
def test_wrong_sweeps_are_refused(maker, ranges, n, message):
    with pytest.raises(ValueError, match=message):
        gradtx.sweep(maker, ranges, n)


def test_devices_of_other_processes_are_refused_with_the_way_out():
    class Theirs:
        process_index = 1

    own = jax.local_devices()
    with pytest.raises(ValueError, match=r"^sweep: devices must be of this process, .* got 2 of others; give each .*"):
        gradtx.sweep(gradtx.adam, RATE, 2).train(len, max, min, 3, devices=[*own, Theirs(), Theirs()])
    whole = gradtx.sweep(gradtx.adam, RATE, 5)
    parts = [gradtx.Sweep(gradtx.adam, {name: column[i::2] for name, column in whole.values.items()}) for i in (0, 1)]
    assert sorted(map(repr, parts[0].members + parts[1].members)) == sorted(map(repr, whole.members))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.1], 2), "sweep: ranges must be a dictionary by name, each a range, .*, got "),
        (
            ({"learning_rate": 0.1}, 2),
            r"sweep: ranges\['learning_rate'\] must be a range, or a function of u .*, got 0.1",
        ),
        ((RATE, "two"), "sweep: n must be a whole number in .*, got 'two'"),
        ((RATE, 2.5), "sweep: n must be a whole number in .*, got 2.5"),
    ],
)
def test_what_is_no_range_or_number_is_refused(arguments, message):
    with pytest.raises(TypeError, match=message):
        gradtx.sweep(gradtx.adam, *arguments)
    with pytest.raises(TypeError, match=r"sweep: key must be an integer seed or a key from .*, got 'key'"):
        gradtx.sweep(gradtx.adam, RATE, 2, key="key")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("values", [{}, {"learning_rate": []}, {"learning_rate": [1, 1], "momentum": [0.9]}])
def test_wrong_values_are_refused(values):
    with pytest.raises(ValueError, match="sweep: wanted values for each name, of one length, got lengths"):
        gradtx.Sweep(gradtx.sgd, values)
