"""Ranges: their formulas, what they sample, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx

SLOW, FAST = gradtx.linear_schedule(1.0, 0.5, 10), gradtx.linear_schedule(1.0, 0.1, 10)


def test_formulas_at_ends_and_middle():
    assert [gradtx.uniform(-1, 3)(u) for u in (0, 0.25, 1)] == [-1, 0, 3]
    assert [gradtx.log_uniform(1e-4, 1.0)(u) for u in (0, 0.5, 1)] == pytest.approx([1e-4, 1e-2, 1])
    assert [gradtx.choice([5, 6, 7])(u) for u in (0, 0.33, 0.34, 0.99, 1)] == [5, 5, 6, 7, 7]
    assert gradtx.choice([SLOW, FAST])(0.7) is FAST


def test_a_range_is_a_value():
    wide = gradtx.log_uniform(1e-5, 1.0)
    assert repr(wide) == "log_uniform(low=1e-05, high=1.0)"
    assert eval("gradtx." + repr(wide)) == wide != gradtx.uniform(1e-5, 1.0)
    assert gradtx.replace(wide, high=0.1) == gradtx.log_uniform(1e-5, 0.1)
    assert gradtx.choice([1, 2]) == gradtx.choice(np.array([1, 2])) == gradtx.choice(jnp.array([1, 2]))
    assert len({wide, gradtx.log_uniform(1e-5, 1.0), gradtx.choice([SLOW]), gradtx.choice((SLOW,))}) == 2


def test_samples_follow_their_distributions_and_not_each_other():
    """Kolmogorov and Smirnov's distance to the distribution, and correlation, at about their 0.1 % bounds."""
    n = 1000
    ranges = {
        "learning_rate": gradtx.log_uniform(1e-4, 1e-1),
        "momentum": gradtx.uniform(0.5, 0.9),
        "dampening": gradtx.choice([0.0, 0.1, 0.2, 0.3]),
        "weight_decay": lambda u: u**2,
    }
    values = gradtx.sweep(gradtx.sgd, ranges, n, key=0).values
    columns = np.array(list(values.values()))
    assert columns.min(axis=1) == pytest.approx([1e-4, 0.5, 0, 0], abs=5e-3)
    assert columns.max(axis=1) == pytest.approx([1e-1, 0.9, 0.3, 1], abs=5e-3)
    uniform = [np.log10(columns[0]) / 3 + 4 / 3, (columns[1] - 0.5) / 0.4, np.sqrt(columns[3])]
    grid = (np.arange(n) + 0.5) / n
    assert all(np.max(np.abs(np.sort(u) - grid)) < 1.95 / np.sqrt(n) for u in uniform)
    counts = np.unique(columns[2], return_counts=True)[1]
    assert len(counts) == 4 and np.sum((counts - 250) ** 2 / 250) < 16.3
    assert np.max(np.abs(np.corrcoef([*uniform, columns[2]]) - np.eye(4))) < 3.3 / np.sqrt(n)


def test_same_key_same_samples():
    draw = lambda key: gradtx.sweep(gradtx.sgd, {"learning_rate": gradtx.uniform(0, 1)}, 5, key=key).values
    assert draw(7) == draw(jax.random.key(7)) != draw(8)


def test_a_sampled_number_is_short_and_is_the_one_in_the_stack():
    sweep = gradtx.sweep(gradtx.adam, {"learning_rate": gradtx.log_uniform(1e-5, 1e-1)}, 20)
    np.testing.assert_array_equal(sweep.tx.learning_rate, np.float32(sweep.values["learning_rate"]))
    assert all(
        len(f"{x:e}".replace("0", "")) <= 16 and float(str(np.float32(x))) == x for x in sweep.values["learning_rate"]
    )


WRONG = {
    "high below low": (lambda: gradtx.uniform(2.0, 1.0), ValueError, "low must not be above high, got 2.0 > 1.0"),
    "log of zero": (lambda: gradtx.log_uniform(0, 1), ValueError, r"log_uniform: low must be in \(0, inf\), got 0"),
    "log high below low": (lambda: gradtx.log_uniform(2, 1), ValueError, "log_uniform: low must not be above high"),
    "not a number": (lambda: gradtx.uniform("a", 1), TypeError, "uniform: low must be a number"),
    "no option": (lambda: gradtx.choice([]), ValueError, "choice: options must not be empty"),
    "text": (lambda: gradtx.choice("ab"), TypeError, "choice: options must be a sequence of numbers"),
    "two structures": (
        lambda: gradtx.choice([SLOW, gradtx.constant_schedule(1.0)]),
        ValueError,
        "choice: options must have one structure, got linear_schedule.* and constant_schedule",
    ),
    "a number and a schedule": (lambda: gradtx.choice([0.1, SLOW]), ValueError, "must have one structure"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "error", "message"), WRONG.values(), ids=WRONG)
def test_wrong_ranges_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
