"""The scripts that tune hyperparameters: how they search, what they print, and one line for what is wrong."""

import numpy as np
import pytest

for needed in ("matplotlib", "sklearn", "tqdm", "flax"):
    pytest.importorskip(needed)

import jax  # noqa: E402

import gradtx  # noqa: E402

SCRIPTS = ["hyperparameter_search", "hypergradients"]


@pytest.fixture
def search(load):
    return load("hyperparameter_search")


def best_at_a_third(sweep):
    """A search's run without any training: the best learning rate is 0.3, other hyperparameters are good if small."""
    columns = np.array(list(sweep.values.values()))
    return gradtx.SweepResult(sweep, np.abs(np.log10(columns[0] / 0.3)) / 10, columns.T, np.full(len(sweep), 1))


def test_recipe_narrows_the_ranges_around_the_best(search):
    rounds = list(search.search_recipe(best_at_a_third, 64, seed=0))
    rates = [np.array(found.sweep.values["learning_rate"]) for found in rounds]
    spans = [np.log10(rate.max() / rate.min()) for rate in rates]
    assert [len(rate) for rate in rates] == [64, 64, 64]
    assert spans[0] > 7 and spans[1] < spans[0] / 2 and spans[2] < spans[1] / 2
    assert all(rate.min() < 0.3 < rate.max() for rate in rates)
    # The first samples are those of the search that does not narrow.
    assert next(search.search_random(best_at_a_third, 64, seed=0)).sweep.values == rounds[0].sweep.values


def test_optuna_asks_in_batches_and_learns_from_them(search):
    pytest.importorskip("optuna")
    batches = list(search.search_bayes(best_at_a_third, 20, seed=0))
    assert [len(found.sweep) for found in batches] == [16, 16, 16, 12]
    assert np.median(batches[-1].scores) < np.median(batches[0].scores) / 2


def test_grids_span_the_ranges(search):
    assert [len(search.grid(budget)) for budget in (8, 24, 64, 192)] == [8, 24, 64, 175]
    points = np.array(search.grid(64))
    assert [len(np.unique(column)) for column in points.T] == [4, 4, 4]
    assert points.min(axis=0) == pytest.approx([1e-6, 0, 1e-8]) and points.max(axis=0) == pytest.approx([100, 0.99, 10])
    best = search.search_grids(best_at_a_third, [8, 64])
    # Two rates are 1e-6 and 100, four are 1e-6, 4.6e-4, 0.215 and 100.
    assert best == {8: pytest.approx(0.252, abs=1e-3), 64: pytest.approx(0.0144, abs=1e-3)}


def test_curves_never_fall_and_an_absent_optuna_is_left_out(search, monkeypatch, capsys):
    monkeypatch.setattr(search, "installed", lambda name: False)
    found, grids = search.search_all(best_at_a_third, 8, range(2))
    assert list(found) == [search.RECIPE, search.RANDOM] and list(grids) == [8, 16, 24]
    curves = search.best_so_far(found)
    assert {curve.shape for curve in curves.values()} == {(2, 24)}
    assert all((np.diff(curve) >= 0).all() and curve.max() <= 100 for curve in curves.values())
    search.print_table(curves, grids)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]] == ["Random,", "Random", "Grid"]


def test_a_package_that_is_absent_is_reported(load, capsys):
    assert load("_arguments").installed("numpy") and not load("_arguments").installed("no_such_package")
    assert capsys.readouterr().out == "no_such_package is not installed: its part is left out\n"


def test_an_optimizer_learns_within_its_bounds(load):
    """The learner's step on a loss of the optimizer itself, in place of one after training."""
    script = load("hypergradients")
    make = script.maker(10)
    tx, bounds = make(0.1, 0.95, 1e-4), (make(*script.LOWEST), make(*script.HIGHEST))
    tx = jax.tree.map(np.float32, tx)
    state = script.LEARNER.init(tx)
    slopes = jax.tree.map(lambda x: np.float32(-1), tx)
    for _ in range(3):
        learned, state = gradtx.step(script.LEARNER, tx, state, slopes)
        tx = jax.tree.map(jax.numpy.clip, learned, *bounds)
    rate, momentum, decay = script.numbers(tx)
    assert 0.15 < rate < 0.2 and momentum == pytest.approx(0.99) and 1.5e-4 < decay < 2e-4
    assert tx.learning_rate.end_value == 0 and tx.learning_rate.transition_steps == 10


WRONG = [("--steps", 0), ("--seed", -1), ("--out", "picture.txt"), ("--data-dir", "nowhere")]


@pytest.mark.parametrize("name", SCRIPTS)
def test_wrong_argument_is_one_line_and_exit_code_2(call, tmp_path, name):
    for option, value in WRONG:
        done = call(name, option, value)
        problem = "nowhere" if option == "--data-dir" else f"argument {option}"
        assert done.returncode == 2 and done.stdout == "", done
        assert done.stderr.startswith(f"{name}.py: {problem}") and done.stderr.count("\n") == 1, done
    assert list(tmp_path.iterdir()) == []
