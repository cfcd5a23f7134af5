"""Scripts of examples/ in the process of the tests, which has imported already what they import."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture
def load(monkeypatch):
    """Import a script, or what scripts share, by name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples"))
    return importlib.import_module


@pytest.fixture
def call(load, monkeypatch, capsys, tmp_path):
    """Call a script's main in an empty folder with some arguments: its exit code, and what it printed."""
    import matplotlib.pyplot as plt

    def call(name, *arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        with plt.rc_context():
            try:
                load(name).main()
            except SystemExit as error:
                code = error.code
            else:
                code = 0
        plt.close("all")
        printed = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=printed.out, stderr=printed.err)

    return call
