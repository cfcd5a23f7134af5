"""Every script at its smallest setting: its claims hold, and it draws its picture.

Where the environment variable GRADTX_GALLERY names a folder, what each makes is kept there for the documentation, as
NAME.png and NAME.txt (docs/_gallery.py).
"""

import os
import re
from pathlib import Path

import pytest

from tests.examples.scripts import COMPARED, ROOT, WALKED, check_picture, rows

for needed in ("matplotlib", "sklearn", "tqdm", "flax", "equinox", "orbax.checkpoint"):
    pytest.importorskip(needed)

SCRIPTS = sorted(path.stem for path in (ROOT / "examples").glob("[!_]*.py"))
CLAIMS = {"trajectories": 0, "compare_optimizers": 0, "hyperparameter_search": 3, "hypergradients": 2}  # else 1 or more


def check_trajectories(done):
    assert done.stderr == ""
    table = rows(done.stdout, WALKED)
    assert [row[0] for row in table] == WALKED
    assert {row[1] for row in table} == {"5"}
    # Five steps of plain gradient descent multiply x by 1 - 0.95 / 10 and y by 1 - 0.95 * 2, each time.
    assert [float(value) for value in table[0][2:4]] == pytest.approx([-7 * 0.905**5, 2 * (-0.9) ** 5], abs=1e-4)


def check_compare_optimizers(done):
    assert {line.partition(":")[0] for line in re.split("[\r\n]+", done.stderr) if line} == {
        "Training"
    }  # one bar, no more
    assert [row[0] for row in rows(done.stdout, COMPARED)] == COMPARED


CHECKS = {"trajectories": check_trajectories, "compare_optimizers": check_compare_optimizers}


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_every_example(name, execute, tmp_path):
    gallery = Path(os.environ.get("GRADTX_GALLERY", tmp_path / "gallery")).absolute()
    gallery.mkdir(parents=True, exist_ok=True)
    picture = gallery / f"{name}.png"
    done = execute(name, "--quick", "--out", picture)
    picture.with_suffix(".txt").write_text(done.stdout, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"Figure: {picture}"
    assert done.stdout.count("Checked: ") >= CLAIMS.get(name, 1), done.stdout
    check_picture(picture)
    CHECKS.get(name, lambda done: None)(done)
