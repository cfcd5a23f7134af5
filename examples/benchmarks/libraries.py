"""The libraries: where each is run, in which environment, and what it is measured against."""

import os
import platform
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from examples.benchmarks.cases import LARGE, Case

PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
GLIBC = (2, 35)  # the first that has this setting


def page_mode() -> str:
    """When Linux gives huge pages: always, madvise or never."""
    found = re.search(r"\[(\w+)\]", PAGES.read_text()) if PAGES.exists() else None
    return found[1] if found else "never"


def on_huge_pages() -> bool:
    """Whether this process gets huge pages for its large arrays."""
    asked = HUGE_PAGES.items() <= os.environ.items() and no_huge_pages() is None
    return page_mode() == "always" or asked


def no_huge_pages() -> str | None:
    """Why a process that asks for huge pages would not get them, or None."""
    name, version = platform.libc_ver()
    if name != "glibc" or tuple(map(int, version.split("."))) < GLIBC:
        return f"the C library is {f'{name} {version}'.strip() or 'unknown'}, not glibc 2.35 or newer"
    return f"huge pages are off: {PAGES} says never" if page_mode() == "never" else None


class Library(NamedTuple):
    """A library, or a way to run it."""

    module: str
    """The module beside this one that runs it."""
    color: str
    environment: Mapping[str, str] = MappingProxyType({})
    """What its process has besides the environment of the parent."""
    limit: str = "gradtx"
    """The library in whose process the loop without maths runs that it is held against."""
    takes: Callable[[Case], bool] = lambda case: True
    """The cases where it differs from the other ways to run the same library."""
    why_not: Callable[[], str | None] = lambda: None
    """Why it cannot run on this machine, or None."""
    usual: bool = True
    """Whether it is measured unless more is asked for."""


def is_large(case: Case) -> bool:
    return case.workload in LARGE


def is_many(case: Case) -> bool:
    return case.workload != "one leaf"


def is_narrow(case: Case) -> bool:
    return case.dtype == "bfloat16"


LIBRARIES = {
    "gradtx": Library("with_jax", "#0072B2"),
    "gradtx packed": Library("with_jax", "#56B4E9", takes=is_many),
    "gradtx huge pages": Library("with_jax", "#004166", HUGE_PAGES, "gradtx huge pages", is_large, no_huge_pages),
    "optax": Library("with_jax", "#E69F00"),
    "optax float32 state": Library("with_jax", "#F0E442", takes=is_narrow),
    "torch fused": Library("with_torch", "#D55E00"),
    "torch fused huge pages": Library(
        "with_torch", "#7F3800", HUGE_PAGES, "gradtx huge pages", is_large, no_huge_pages
    ),
    "gradtx XLA": Library("with_jax", "#009E73", {"GRADTX_NATIVE": "0"}, usual=False),
    "torch foreach": Library("with_torch", "#CC79A7", usual=False),
    "numpy": Library("with_numpy", "#8A8A8A", usual=False),
}
USUAL = [name for name, library in LIBRARIES.items() if library.usual]
