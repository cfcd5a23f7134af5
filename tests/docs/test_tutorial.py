"""The tutorial for a new optimizer, done as it says in a copy of the project."""

import re
import shutil
import subprocess
import sys

import pytest

from tests.copies import copied
from tests.docs.pages import ROOT, titled

PAGE = ROOT / "docs" / "develop" / "add_an_optimizer.md"


@pytest.mark.slow
def test_the_optimizer_of_the_tutorial(tmp_path):
    env = copied(tmp_path, "gradtx", "tests", "docs")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    files = titled(PAGE.read_text())
    assert len(files) <= 6, f"an optimizer is to touch six files at most, here {sorted(files)}"
    for path, text in files.items():
        exports = path == "gradtx/__init__.py"
        assert exports == (ROOT / path).exists(), f"{path}: made new by the tutorial, and there already"
        (tmp_path / path).write_text((ROOT / path).read_text() + text if exports else text)
    chosen = [
        "tests/optimizers/test_add_sign.py",
        "tests/laws",
        "tests/test_architecture.py",
        "-k",
        "add_sign or architecture",
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) > 30, done.stdout
