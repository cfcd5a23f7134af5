"""The benchmark program: its cases, its processes, and what it says of libraries that are not there."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from examples.benchmarks.cases import WORKLOADS, Case

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("workload", "leaves", "elements"),
    [("gpt2", 148, 124_439_808), ("resnet50", 161, 25_557_032), ("1000 leaves", 1000, 64_000), ("mlp", 10, 1_195_018)],
)
def test_workloads_are_the_models(workload, leaves, elements):
    shapes = WORKLOADS[workload]()
    assert len(shapes) == leaves
    assert sum(map(math.prod, shapes)) == elements


def test_size_shrinks_large_models_only():
    assert 0.09 < sum(map(math.prod, Case("gpt2", "adam", 0.1, "float32").shapes)) / 124e6 < 0.12
    assert Case("mlp", "adam", 0.1, "float32").shapes == WORKLOADS["mlp"]()


@pytest.mark.slow
def test_quick_run(tmp_path):
    command = [sys.executable, "-m", "examples.benchmarks", "--quick", "--out", str(tmp_path / "b.png"), "--libraries"]
    done = subprocess.run(
        [*command, "gradtx", "numpy", "torch fused"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    record = json.loads((tmp_path / "b.json").read_text())
    assert (tmp_path / "b.png").stat().st_size > 0
    for case in record["cases"]:
        ours = case["results"]["gradtx"]
        assert ours["seconds"] > 0
        assert ours["temporary bytes"] < ours["state bytes"]
        torch = case["results"]["torch fused"]
        assert torch.get("seconds", 0) > 0 or "torch" in torch["absent"]
    assert "of limit" in done.stdout
