"""How the tests run the scripts of examples/ as a user does, and what they read off them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
COMPARED = ["SGD", "Momentum", "Nesterov", "AdaGrad", "RMSProp", "Adam", "AdamW"]
WALKED = ["SGD", "Momentum", "AdaGrad", "RMSProp", "Adam"]


def run(script, *arguments, folder):
    """Run a script in `folder`, in a process of its own, with all warnings as errors."""
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    strict = {"JAX_NUMPY_DTYPE_PROMOTION": "strict", "JAX_NUMPY_RANK_PROMOTION": "raise"}
    strict |= {"PYTHONPATH": paths, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    # On one device, as users have; but what is compiled is so as quickly as in the tests.
    strict["XLA_FLAGS"] = re.sub(r"\S*device_count\S*", "", os.environ["XLA_FLAGS"])
    command = [sys.executable, "-W", "error", str(ROOT / "examples" / script), *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=os.environ | strict, capture_output=True, text=True, check=False, timeout=1200
    )


def check_picture(path):
    """It is a PNG, large enough to read, and not of one colour."""
    from matplotlib.image import imread

    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    pixels = imread(path)
    assert pixels.shape[0] > 500 and pixels.shape[1] > 1000
    colours = np.rint(255 * pixels).astype(np.uint32) @ (256 ** np.arange(pixels.shape[2], dtype=np.uint32))
    assert len(np.unique(colours)) > 100


def rows(output, names):
    """The lines of a printed table that begin with a name, in the order of the table."""
    lines = [line.split() for line in output.splitlines()]
    return [line for line in lines if line and line[0] in names]
