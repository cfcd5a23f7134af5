"""The scripts as a user runs them: exit code, table, picture, and one line for what is wrong."""

import re
import struct

import numpy as np
import pytest

from tests.examples.scripts import COMPARED, WALKED, check_picture, rows, run
from tests.support import optimizer_makers

for needed in ("matplotlib", "sklearn", "tqdm"):
    pytest.importorskip(needed)


def write_idx(path, array):
    path.write_bytes(struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes())


@pytest.fixture
def mnist(tmp_path):
    """Four files in MNIST's format: two grey levels, one for odd and one for even labels."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    for split, count in (("train", 40), ("t10k", 20)):
        labels = np.arange(count, dtype=np.uint8) % 2
        write_idx(folder / f"{split}-labels-idx1-ubyte", labels)
        write_idx(folder / f"{split}-images-idx3-ubyte", np.tile(200 * labels[:, None, None], (1, 5, 5)))
    return folder


def test_trajectories_end_near_the_minimum(tmp_path):
    done = run("trajectories.py", "--out", "walks.png", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(float(row[4]) < 0.15 for row in rows(done.stdout, WALKED)), done.stdout  # the start is at 6.45
    check_picture(tmp_path / "walks.png")


def test_noise_follows_the_seed(call):
    first, same, other = (call("trajectories", "--quick", "--noise", 0.5, "--seed", s) for s in (1, 1, 2))
    assert first.returncode == 0, first.stderr
    assert first.stdout == same.stdout != other.stdout


@pytest.mark.slow
def test_trajectories_of_all_optimizers(tmp_path):
    done = run("trajectories.py", "--all", "--quick", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    table = {row[0]: [float(value) for value in row[1:]] for row in rows(done.stdout, optimizer_makers())}
    assert list(table) == sorted(optimizer_makers())
    assert all(abs(x) < 8.5 and abs(y) < 3.1 and f < 6.45 for _, x, y, f in table.values()), done.stdout
    assert table["newton_cg"][3] < 1e-6  # a quadratic takes it two steps
    # Over five steps of the grid's rates, one of 0.5 leaves least: x shrinks by 0.95 and y by 0, each time.
    assert table["sgd"][:3] == pytest.approx([0.5, -7 * 0.95**5, 0], abs=1e-4)
    check_picture(tmp_path / "figures" / "trajectories_all.png")


@pytest.mark.slow
def test_compare_on_mnist_files(call, tmp_path, mnist):
    done = call("compare_optimizers", "--quick", "--init", "xavier", "--l2", 0.001, "--data-dir", mnist)
    assert done.returncode == 0, done.stderr
    assert "MLP 25-128-64-10, 20 test and 40 training images, 2 seeds" in done.stdout
    table = rows(done.stdout, COMPARED)
    assert [row[0] for row in table] == COMPARED
    assert {row[2] for row in table} == {"100.00"}  # two grey levels are easy to tell apart
    check_picture(tmp_path / "figures" / "compare_optimizers.png")


@pytest.mark.slow
def test_compare_at_its_defaults(tmp_path):
    done = run("compare_optimizers.py", "--out", "curves.png", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    table = rows(done.stdout, COMPARED)
    assert [row[0] for row in table] == COMPARED
    accuracy = {row[0]: float(row[2]) for row in table}
    assert min(accuracy[name] for name in ("AdaGrad", "RMSProp", "Adam", "AdamW")) >= 95, done.stdout
    assert all(float(row[1]) < 0.1 and float(row[-1].replace(",", "")) > 0 for row in table)
    assert re.search(r"All 7 optimizers in one program: [\d,]+ steps/s, 2000 steps", done.stdout)
    check_picture(tmp_path / "curves.png")


def is_one_line_about(done, problem):
    return done.returncode == 2 and done.stdout == "" and problem in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("damage", ["missing", "truncated", "magic", "count", "gzip"])
def test_wrong_data_is_one_line_and_exit_code_2(call, tmp_path, mnist, damage):
    name = "t10k-labels-idx1-ubyte"
    path = mnist / name
    good = path.read_bytes()
    path.unlink()
    if damage == "gzip":
        path = mnist / f"{name}.gz"
        path.write_bytes(b"\x1f\x8b but no more")
    elif damage == "count":
        write_idx(path, np.zeros(19, np.uint8))
    elif damage != "missing":
        path.write_bytes(good[:-1] if damage == "truncated" else b"????" + good[4:])
    done = call("compare_optimizers", "--data-dir", mnist)
    assert is_one_line_about(done, f"compare_optimizers.py: {path}: "), done.stderr
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize("script", ["compare_optimizers", "trajectories"])
def test_wrong_argument_is_one_line_and_exit_code_2(call, script):
    done = call(script, "--steps", "-5")
    assert is_one_line_about(done, f"{script}.py: argument --steps: wanted a whole number of at least")


def test_an_error_of_a_process_is_one_line_and_its_exit_code(tmp_path):
    assert is_one_line_about(run("trajectories.py", "--steps", "-5", folder=tmp_path), "trajectories.py: argument")


@pytest.mark.parametrize("script", ["compare_optimizers", "trajectories"])
def test_help(call, script):
    done = call(script, "--help")
    assert done.returncode == 0
    assert all(option in done.stdout for option in ("--seed", "--out", "--quick", "--steps"))
