"""A run that stops, is saved with orbax and goes on in another process ends with the same bits."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ocp = pytest.importorskip("orbax.checkpoint")
from tests.laws import resume  # noqa: E402

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent.parent


def test_resumed_in_another_process_every_optimizer_ends_with_the_same_bits(tmp_path):
    halves = {name: resume.steps(name, 0, resume.HALF, *resume.start(row)) for name, row in resume.rows().items()}
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "half", halves)
    command = [sys.executable, "-m", "tests.laws.resume", str(tmp_path)]
    program = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert program.returncode == 0, program.stderr[-3000:]
    ends = np.load(tmp_path / "ends.npy", allow_pickle=True)[0]
    assert set(ends) == set(halves)
    # The same run, never stopped, goes on from what is in memory.
    whole = {name: resume.steps(name, resume.HALF, 2 * resume.HALF, *half) for name, half in halves.items()}
    assert [name for name in ends if resume.bits(whole[name]) != ends[name]] == []
    assert all(resume.bits(half) != ends[name] for name, half in halves.items())
