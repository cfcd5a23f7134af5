"""The benchmark scripts, on the smallest of their problems."""

import pytest

from tests.examples.test_scripts import rows, run

pytest.importorskip("scipy")


def test_lbfgs_vs_scipy(tmp_path):
    done = run("benchmarks/lbfgs_vs_scipy.py", "--quick", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    table = rows(done.stdout, ["Rosenbrock", "Beale", "Wood"])
    assert [row[-1] for row in table] == ["yes"] * 4, done.stdout
    assert "Within 1.5 times SciPy's evaluations: 4 of 4" in done.stdout
    assert "SciPy 1." in done.stdout and "Machine: " in done.stdout


def test_wrong_tolerance(tmp_path):
    done = run("benchmarks/lbfgs_vs_scipy.py", "--tol", 0, folder=tmp_path)
    assert done.returncode == 2 and "--tol" in done.stderr
