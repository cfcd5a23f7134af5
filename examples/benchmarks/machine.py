"""What this runs on: the machine, and the versions of the libraries."""

import hashlib
import os
import platform
import subprocess
from pathlib import Path

from examples.benchmarks.libraries import page_mode
from examples.benchmarks.process import ROOT

HERE = ("gradtx", "jax", "jaxlib", "optax", "numpy")
VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2", "asimd": "NEON"}
ABSENT = "absent"


def machine(python: str, torch_python: str) -> dict[str, str]:
    """The machine and the versions, by what they are of; the same on every run as long as nothing changes.

    Args:
        python: the interpreter of all libraries but PyTorch.
        torch_python: that of PyTorch.
    """
    flags = cpuinfo("flags", "Features").split()
    return {
        "processor": cpuinfo("model name") or platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "vectors": next((name for flag, name in VECTORS.items() if flag in flags), "unknown"),
        "memory": memory(),
        "huge pages": page_mode(),
        "system": platform.system(),
        "python": platform.python_version(),
        "sources": sources(ROOT / "gradtx"),
        **versions(python, *HERE),
        **versions(torch_python, "torch"),
    }


def cpuinfo(*keys: str) -> str:
    """The first value under one of some keys of Linux's description of the processor."""
    path = Path("/proc/cpuinfo")
    pairs = [line.partition(":") for line in (path.read_text().splitlines() if path.exists() else [])]
    return next((value.strip() for key, _, value in pairs if key.strip() in keys), "")


def memory() -> str:
    """How much memory there is."""
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (OSError, ValueError):
        return "unknown"


def versions(python: str, *names: str) -> dict[str, str]:
    """The versions of some distributions that an interpreter has."""
    program = (
        "import sys\nfrom importlib.metadata import PackageNotFoundError, version\n"
        "for name in sys.argv[1:]:\n try: print(version(name))\n"
        f" except PackageNotFoundError: print({ABSENT!r})"
    )
    try:
        done = subprocess.run([python, "-c", program, *names], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return dict.fromkeys(names, ABSENT)
    return dict(zip(names, done.stdout.split(), strict=True))


def sources(package: Path) -> str:
    """A short digest of a package's sources, as a version stays the same while they are worked on."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.suffix in (".py", ".cc", ".h"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def differences(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """What is not the same, in words."""
    keys = dict.fromkeys([*before, *now])
    return [f"{k}: {before.get(k)} there, {now.get(k)} here" for k in keys if before.get(k) != now.get(k)]
