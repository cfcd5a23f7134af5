"""The generated table of differences has a row for every optimizer of Optax, as they are run today."""

import re

import pytest

from tests.optax_table import PAGE, RUNS, optimizers


def test_every_optimizer_is_run():
    optax = pytest.importorskip("optax")
    assert sorted(row.name for row in RUNS) == sorted(optimizers(optax))


def test_the_page_has_the_rows_of_today():
    page = PAGE.read_text()
    calls = re.findall(r"^\| `(.*?)` \|.*\| (.*?) \|$", page, re.MULTILINE)
    assert calls == [(row.call, row.differs) for row in RUNS], "run python -m tests.optax_table"


def test_the_page_says_what_is_not_rounding():
    """What differs on purpose, and only that, is not rounding; with Optax's deviations repeated it is."""
    for row in re.findall(r"^\| `.*` \|.*$", PAGE.read_text(), re.MULTILINE):
        _, _, parameters, wide, _, _, again, differs, _ = (cell.strip() for cell in row.split("|"))
        assert (float(wide) > 1e-3) == bool(differs), row
        assert float(again.split()[0] if differs else parameters) < 1e-2, row
