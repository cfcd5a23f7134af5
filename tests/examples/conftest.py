"""Scripts of examples/ in the process of the tests, which has imported already what they import."""

import importlib
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def load(monkeypatch):
    """Import a script, or what scripts share, by name."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


@pytest.fixture
def call(load, run_as):
    """Call a script's main in an empty folder with some arguments: its exit code, and what it printed."""
    return lambda name, *arguments: run_as(lambda: load(name).main(), name, *arguments)


@pytest.fixture
def execute(load, run_as):
    """Execute a script, as Python does what it is given, in an empty folder: its exit code, and what it printed."""
    path = lambda name: str(EXAMPLES / f"{name}.py")
    return lambda name, *arguments: run_as(lambda: runpy.run_path(path(name), run_name="__main__"), name, *arguments)


@pytest.fixture
def run_as(monkeypatch, capfd, tmp_path):
    """Run a function as the script of a name, with some arguments."""
    import matplotlib.pyplot as plt

    def run_as(function, name, *arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        cached = jax.config.jax_enable_compilation_cache  # which a script may change
        with plt.rc_context(), jax.numpy_rank_promotion("raise"):
            try:
                function()
            except SystemExit as error:
                code = error.code
            else:
                code = 0
        jax.config.update("jax_enable_compilation_cache", cached)
        plt.close("all")
        printed = capfd.readouterr()
        return SimpleNamespace(returncode=code, stdout=printed.out, stderr=printed.err)

    return run_as
