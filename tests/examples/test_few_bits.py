"""Training with few bits: its tasks, its record and table, and what it says of what it cannot go on with."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")
pytest.importorskip("tqdm")

import gradtx
from examples.arena import characters
from examples.arena.digits import digits
from examples.arena.task import Task, train
from examples.benchmarks import few_bits
from examples.benchmarks.few_bits_cases import CASES, OPTIMIZERS, PLAIN, WAYS, Case
from examples.benchmarks.few_bits_record import Record, Run, load, table
from tests.examples.scripts import check_picture

# Tasks.


def test_the_text_is_that_of_python_and_validation_has_modules_of_its_own():
    train, others = characters.read()
    written = lambda codes: "".join("\n" if code == 0 else chr(31 + code) for code in codes)
    heading = "def parse_args(self, args=None, namespace=None):\n"  # of argparse, the seventh or so of the modules
    assert (heading in written(train)) != (heading in written(others))
    assert 5 < len(train) / len(others) < 20
    assert train.max() == others.max() == characters.VOCABULARY - 1  # "~" is the last of ASCII


def test_a_character_is_told_from_those_before_it():
    params = characters.init(jax.random.key(0))
    text = jax.random.randint(jax.random.key(1), (characters.CONTEXT,), 0, characters.VOCABULARY)
    before, after = (characters.logits(params, x) for x in (text, text.at[40].add(1) % characters.VOCABULARY))
    assert before.shape == (characters.CONTEXT, characters.VOCABULARY)
    np.testing.assert_array_equal(before[:40], after[:40])
    assert np.all(np.abs(before[40:] - after[40:]).max(axis=1) > 0)


def test_digits_are_learnt_and_codes_take_part():
    task, keys = digits(), jax.random.split(jax.random.key(0), 2)
    plain, coded = (train(task, WAYS[way].wrap(gradtx.adamw(1e-2)), keys, 60) for way in (PLAIN, "log8"))
    assert np.all(plain.final < math.log10(0.3)) and np.all(plain.score > 0.9)
    np.testing.assert_allclose(coded.final, plain.final, atol=0.3)
    assert np.all(coded.final != plain.final)


def line():
    """A task whose gradient is 1 wherever its one parameter is, from 1 to 2 at the start; judged by how far it went."""
    one = jnp.ones(())
    return Task(
        "line", lambda key: {"x": jax.random.uniform(key, minval=1.25, maxval=1.75)}, lambda p, batch: p["x"] * batch,
        lambda key: one, 8, 1.0, lambda p, losses: losses[0] - p["x"], "way", lambda p: p["x"], "place",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("way", "far"),
    [(PLAIN, 0.04), ("bfloat16 parameters", 0.0), ("bfloat16 parameters, kahan", 0.04)],
)
def test_parameters_in_bfloat16_do_not_move_by_less_than_their_spacing(way, far):
    tx = WAYS[way].wrap(gradtx.sgd(1e-3))
    found = train(line(), tx, jax.random.split(jax.random.key(0), 2), 40, WAYS[way].dtype)
    np.testing.assert_allclose(found.final, [far, far], atol=1e-5 if way == PLAIN else 2.0**-8)


def test_cases_are_of_known_optimizers_and_ways_each_with_its_float32():
    assert {case.optimizer for case in CASES} == set(OPTIMIZERS) and {case.way for case in CASES} == set(WAYS)
    assert {Case(name, PLAIN) for name in OPTIMIZERS} <= set(CASES) and len(set(CASES)) == len(CASES)


# Records.


def record():
    runs = [
        Run("line", Case("adamw", PLAIN), [0, 1, 2], 8, [1.0, 2.0, 3.0], [0.5, 0.5, 0.5]),
        Run("line", Case("adamw", "int8"), [0, 1, 2], 8, [2.0, 4.0, 6.0], [0.5, 0.25, 0.75]),
        Run("line", Case("lion", "int8"), [0, 1, 2], 8, [2.0, 4.0, math.nan], [0.0, 0.0, 0.0]),
        Run("line", Case("adamw", "log8"), [0, 1], 8, [1.0, 2.0], [0.5, 0.5]),
    ]
    return Record({"python": "3.0"}, runs)


def test_table_says_how_far_runs_with_the_same_seeds_are_from_float32():
    assert table(record(), "line", "score").splitlines()[2:] == [
        "| adamw | float32 | 2.000 ± 1.000 |  | 0.5000 |",
        "| adamw | int8 | 4.000 ± 2.000 | +2.0 | 0.5000 |",
        "| lion | int8 | nan ± nan |  | 0.0000 |",
        "| adamw | log8 | 1.500 ± 0.707 |  | 0.5000 |",
    ]


def test_record_survives_its_file(tmp_path):
    kept = Record({"python": "3.0"}, record().runs[:2])
    kept.save(tmp_path / "r.json")
    assert load(tmp_path / "r.json") == kept
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]
    new = kept.runs[1]._replace(final=[0.0, 0.0, 0.0])
    assert kept.with_run(new).runs == [kept.runs[0], new]


# The program.


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Call the program with the line for its task: its exit code."""
    monkeypatch.setattr(few_bits, "TASKS", {"line": line})
    return lambda *more: few_bits.main(["--quick", "--out", str(tmp_path / "b.png"), *more])


def test_quick_run(quick, tmp_path, capsys):
    assert quick() == 0
    runs = load(tmp_path / "b.json").runs
    assert [(run.case.way, run.seeds, run.steps) for run in runs] == [(PLAIN, [0, 1], 2), ("log8", [0, 1], 2)]
    assert "| adamw | log8 |" in capsys.readouterr().out
    check_picture(tmp_path / "b.png")


def test_resume_goes_on_where_it_was_interrupted(quick, tmp_path, monkeypatch, capsys):
    trained = []

    def stop_at_the_second(*given):
        trained.append(given)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return train(*given)

    monkeypatch.setattr(few_bits, "train", stop_at_the_second)
    assert quick() == few_bits.INTERRUPTED
    assert "--resume" in capsys.readouterr().err
    first = load(tmp_path / "b.json").runs
    assert quick("--resume") == 0 and len(trained) == 3
    assert load(tmp_path / "b.json").runs[:1] == first
    assert quick("--resume", "--seed", "1") == 0 and len(trained) == 5  # other seeds are other runs


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "No such file"),
        ("[]", "is not a record of this program"),
        ('{"versions": {"jax": "0.0.1"}, "runs": []}', "jax: 0.0.1 there"),
    ],
)
def test_resume_of_what_does_not_fit_is_one_line(content, problem, quick, tmp_path, capsys):
    if content:
        (tmp_path / "b.json").write_text(content)
    with pytest.raises(SystemExit) as caught:
        quick("--resume")
    error = capsys.readouterr().err
    assert caught.value.code == 2 and problem in error and error.count("\n") == 1


def test_a_choice_without_cases_is_one_line(quick, capsys):
    with pytest.raises(SystemExit):
        quick("--optimizers", "muon", "--ways", "bfloat16 parameters")
    assert "none of the cases" in capsys.readouterr().err
