"""Whatever is called under the handler's name is run as it is meant, or refused: nothing ends the process."""

import json
import subprocess
import sys

import pytest

from tests.native.support import ROOT, needs_native

REFUSED = "gradtx: a program that the native step cannot run: "


def run(*command):
    """The output of a module of tests that runs in a process of its own, which it may end."""
    found = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", *command], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert found.returncode == 0, f"ended with {found.returncode}:\n{found.stdout[-2000:]}\n{found.stderr[-4000:]}"
    return found.stdout


@needs_native
@pytest.mark.parametrize(
    "seed, count", [(0, 1500), *(pytest.param(k, 50_000, marks=pytest.mark.exhaustive) for k in (1, 2))]
)
def test_random_calls(seed, count):
    found = dict(line.split(" ", 1)[::-1] for line in run("tests.native.fuzz", str(seed), str(count)).splitlines())
    assert sum(map(int, found.values())) == count
    assert int(found["whole"]) > count // 20
    assert int(found["ran"]) > count // 50
    assert sum(name.startswith(REFUSED) for name in found) > 12


@needs_native
def test_malformed_calls_through_xla():
    broken, whole = json.loads(run("tests.native.malformed"))
    assert len(broken) > 50
    for name, told in broken.items():
        assert isinstance(told, str) and f"INVALID_ARGUMENT: {REFUSED}" in told, f"{name}: {told}"
    times = lambda *factors: [[factor * k for k in range(8)] for factor in factors]
    others = {"a scalar": times(1.0), "each leaf's scalar": times(2.0, 3.0)}
    assert whole == dict.fromkeys(whole, times(2.0)) | others
