"""Copies of the project, in which other processes import gradtx from the copy."""

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
# An editable installation finds its package by a finder of its own, ahead of every folder on the path.
SITE = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in type(finder).__module__]
"""


def copied(to, *folders, without=()):
    """Copy folders of the project; the environment in which a process imports them from there."""
    for folder in folders:
        shutil.copytree(ROOT / folder, to / folder, ignore=shutil.ignore_patterns("__pycache__", *without))
    (to / "sitecustomize.py").write_text(SITE)
    return os.environ | {"PYTHONPATH": str(to)}
