"""plot_schedule: what it draws is the schedule."""

import sys

import numpy as np
import pytest

import gradtx

pytest.importorskip("matplotlib").use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

cosine = gradtx.warmup_cosine_decay_schedule(0.0, 1.0, 10, 50)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_one_schedule_on_new_axes():
    axes = gradtx.plot_schedule(cosine, 60)
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_xdata(), np.arange(60))
    np.testing.assert_allclose(line.get_ydata(), [float(cosine(t)) for t in range(60)], rtol=1e-5)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "value")
    assert axes.get_legend() is None
    assert gradtx.plot_schedule(cosine, 60).figure is not axes.figure


def test_several_on_given_axes_with_a_legend():
    given = plt.subplots()[1]
    schedules = {"cosine": cosine, "half": lambda t: 0.5, "square": lambda t: (t * t).astype(float)}
    axes = gradtx.plot_schedule(schedules, [0, 10, 30], axes=given)
    assert axes is given
    assert [line.get_label() for line in axes.lines] == ["cosine", "half", "square"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["cosine", "half", "square"]
    for line, schedule in zip(axes.lines, schedules.values(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [0, 10, 30])
        np.testing.assert_allclose(line.get_ydata(), [gradtx.Schedule(schedule)(t) for t in (0, 10, 30)], rtol=1e-6)


def test_each_schedule_is_called_once_for_all_steps():
    calls = []

    def seen(t):
        calls.append(t)
        return 1.0 + t.astype(float)

    axes = gradtx.plot_schedule({"seen": seen}, 1000)
    assert [t.shape for t in calls] == [(), ()]  # tried, and then under `jax.vmap`
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), 1.0 + np.arange(1000))


@pytest.mark.parametrize("installed", [True, False])
def test_matplotlib_is_imported_only_to_draw(installed, monkeypatch):
    assert not [name for name, value in vars(gradtx).items() if getattr(value, "__name__", "").startswith("matplotlib")]
    if not installed:
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
        with pytest.raises(ImportError, match=r"plot_schedule needs matplotlib: install gradtx\[examples\]"):
            gradtx.plot_schedule(cosine, 10)
    else:
        gradtx.plot_schedule(cosine, 10)


class Stateful:
    def init(self):
        return 0

    def update(self, state, **extra):
        return state

    def __call__(self, state, **extra):
        return 1.0


@pytest.mark.parametrize(
    ("schedule", "steps", "error", "message"),
    [
        (3.0, 10, TypeError, "plot_schedule: schedule_or_dict must be a schedule or a function of the step, got 3.0"),
        ({"a": 3.0}, 10, TypeError, r"plot_schedule: schedule_or_dict\['a'\] must be a schedule or a function"),
        ({}, 10, ValueError, "plot_schedule: schedule_or_dict must have at least one schedule, got none"),
        (cosine, 0, ValueError, "plot_schedule: steps must be a number >= 1 or some steps in one dimension, got 0"),
        (cosine, np.ones((2, 2)), ValueError, "plot_schedule: steps must be"),
        (cosine, 1.5, ValueError, "plot_schedule: steps must be"),
        (Stateful(), 10, TypeError, "a stateful schedule has no number at a step"),
    ],
)
def test_errors(schedule, steps, error, message):
    with pytest.raises(error, match=message):
        gradtx.plot_schedule(schedule, steps)
    assert not plt.get_fignums()
