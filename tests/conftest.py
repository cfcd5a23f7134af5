"""Settings of the whole suite: eight CPU devices, quick compilation, strict promotion."""

import atexit
import ctypes
import gc
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

os.environ["JAX_PLATFORMS"] = os.environ.get("JAX_PLATFORMS", "cpu")
# Nearly all the time of the tests is compilation, and nearly none of it the run of what was compiled.
QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
QUICK += " --xla_cpu_parallel_codegen_split_count=1"
# More than half of it is the lowering of fusions by way of MLIR; XLA makes them by its older emitter too. Releases of
# jaxlib after 0.10 compile quickly without the flag, and the latest refuse it.
if tuple(map(int, version("jaxlib").split(".")[:2])) < (0, 11):
    QUICK += " --xla_cpu_use_fusion_emitters=false"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8 {QUICK}"
# The processes of one run of the tests compile each program once among them: the first to load this file, which starts
# the others, makes a folder for what is compiled. Tracing and lowering are never saved.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="gradtx-tests-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

import jax  # noqa: E402
import pytest  # noqa: E402

# After so many bytes, or mappings of memory (of which systems allow 65,530), a process lets its programs go.
MOST_MEMORY, MOST_MAPS = 6 * 2**30, 30_000
# Files and folders whose numbers depend on the release of JAX the most: marked, for `.ci/run` to run them everywhere.
RELEASE = ("test_convergence.py", "examples", "test_training.py")
# So are, but for what is slow, those of the parts that know the most of JAX: how it traces, cuts arrays and lowers.
NEAR_JAX = ("core", "laws", "native")
# Of these, what gradtx alone decides: names, and the ranges of arguments.
OURS = ("test_construction.py", "test_odd_arguments.py")
# These take long: they begin first, or one process would be at one of them when all others are done.
LONG = (*RELEASE, "test_resume.py", "docs")

jax.config.update("jax_numpy_dtype_promotion", "strict")


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run what is marked exhaustive, which takes minutes more")


@pytest.hookimpl(tryfirst=True)  # before `-m` reads the marks
def pytest_collection_modifyitems(config, items):
    for item in items:
        if lies_in(RELEASE, item.path) or (near_jax(item.path) and not item.get_closest_marker("slow")):
            item.add_marker("release")
    items.sort(key=lambda item: not lies_in(LONG, item.path))
    if config.getoption("--slow"):
        return
    left_out = [item for item in items if item.get_closest_marker("exhaustive")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not item.get_closest_marker("exhaustive")]


def pytest_ignore_collect(collection_path, config):
    """With `-m release`, do not even read the files that have no such mark."""
    unmarked = collection_path.name.startswith("test_") and not (
        lies_in(RELEASE, collection_path) or near_jax(collection_path)
    )
    return True if unmarked and collection_path.is_file() and config.getoption("markexpr") == "release" else None


def lies_in(names, path):
    return not {path.name, path.parent.name}.isdisjoint(names)


def near_jax(path):
    return lies_in(NEAR_JAX, path) and not lies_in(OURS, path)


def pytest_collection_finish():
    """Collect garbage less often, and never among what lives as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_runtest_teardown(item, nextitem):
    """Between files, let go of compiled programs once they have taken much memory: thousands are kept otherwise."""
    if nextitem is not None and nextitem.path != item.path and (memory() > MOST_MEMORY or maps() > MOST_MAPS):
        jax.clear_caches()
        gc.collect()
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):  # glibc keeps what was freed
            libc.malloc_trim(0)


def memory():
    """The bytes of this process; 0 where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


def maps():
    """How many mappings of memory this process has, several for each program; 0 where the system does not say."""
    found = Path("/proc/self/maps")
    return found.read_bytes().count(b"\n") if found.exists() else 0
