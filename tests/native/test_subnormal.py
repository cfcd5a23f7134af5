"""Numbers too small for their type's full precision count as zero: by the processor's flag, and by hand."""

import shutil
import subprocess
from ctypes import CDLL
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import gradtx
from gradtx.core.one_pass import in_one_pass
from gradtx.native import calls, load, operations
from tests.native.support import needs_native

pytestmark = needs_native

UNARY = {
    "sqrt": (lax.sqrt, np.sqrt), "rsqrt": (lax.rsqrt, lambda x: 1 / np.sqrt(x)), "cbrt": (lax.cbrt, np.cbrt),
    "exp": (lax.exp, np.exp), "expm1": (lax.expm1, np.expm1), "log": (lax.log, np.log),
    "log1p": (lax.log1p, np.log1p), "tanh": (lax.tanh, np.tanh), "atan": (lax.atan, np.arctan),
    "sign": (lax.sign, np.sign), "abs": (lax.abs, np.abs), "neg": (lax.neg, np.negative),
    "inverse": (lambda x: 1 / x, lambda x: 1 / x), "half": (lambda x: x * in_type(0.5, x), lambda x: x * 0.5),
    "root": (lambda x: x ** in_type(0.5, x), lambda x: np.where(x == -np.inf, np.inf, np.sqrt(x) + 0.0)),
    "square": (lambda x: x * x, np.square), "positive": (lambda x: (x > 0).astype(x.dtype), lambda x: x > 0),
    "true": (lambda x: x.astype(bool).astype(x.dtype), lambda x: x != 0),
    "shift": (lambda x: x + in_type(1e-30, x), lambda x: x + 1e-30),
}  # fmt: skip
BINARY = {
    "add": (lax.add, np.add), "sub": (lax.sub, np.subtract), "mul": (lax.mul, np.multiply), "div": (lax.div, np.divide),
    "max": (lax.max, np.maximum), "min": (lax.min, np.minimum), "pow": (lax.pow, np.power),
    "atan2": (lax.atan2, np.arctan2),
    "blend": (lambda x, y: in_type(0.5, x) * x + in_type(0.25, x) * y, lambda x, y: 0.5 * x + 0.25 * y),
}  # fmt: skip
COMPARISONS = {
    "eq": (lax.eq, np.equal), "ne": (lax.ne, np.not_equal), "lt": (lax.lt, np.less), "le": (lax.le, np.less_equal),
    "gt": (lax.gt, np.greater), "ge": (lax.ge, np.greater_equal),
}  # fmt: skip
BINARY |= {
    name: (lambda x, y, ours=ours: ours(x, y).astype(x.dtype), theirs) for name, (ours, theirs) in COMPARISONS.items()
}
FUNCTIONS = UNARY | BINARY
"""As JAX has it, and NumPy."""

# What XLA computes by functions of the C library that look at a number's bits: they see it as it is, or are confused.
OTHERWISE_IN_XLA = {"pow", "atan2", "cbrt"}
if jax.__version_info__ < (0, 11):
    OTHERWISE_IN_XLA |= {"root"}
    OTHERWISE_OF_16_BITS = {"positive", "true", "max", "min", *COMPARISONS}  # which XLA compares as they are
else:
    OTHERWISE_OF_16_BITS = {"max", "min"}  # where 0 and -0 are equal
RTOL = {"float32": 1e-5, "bfloat16": 2e-2, "float64": 1e-12}


def in_type(number, x):
    return jnp.asarray(number, x.dtype)


def least(dtype):
    """The least number of full precision."""
    return float(jnp.finfo(dtype).tiny)


def flushed(x, dtype):
    """What numbers count as."""
    x = np.asarray(x).astype(np.float64)
    return np.where(np.abs(x) < least(dtype), np.copysign(0.0, x), x)


def pairs(dtype):
    """Numbers around the least, special ones and others, each with each."""
    tiny = least(dtype)
    some = np.array([0.0, tiny, 2 * tiny, tiny / 2, tiny / 100, 1.0, 2.5, 0.3, np.inf, float(jnp.finfo(dtype).max)])
    some = np.concatenate([some, -some, [np.nan]]).astype(jnp.dtype(dtype))
    return [jnp.asarray(x.ravel()) for x in np.meshgrid(some, some)]


def outputs(dtype):
    """All functions at all pairs, in one step in which each has arrays of its own; and how many calls that makes."""
    x, y = pairs(dtype)
    one = lambda name, x, y: FUNCTIONS[name][0](x) if name in UNARY else FUNCTIONS[name][0](x, y)
    step = lambda p, s, g: ({name: one(name, p[name], g[name]) for name in FUNCTIONS}, s)
    arguments = (dict.fromkeys(FUNCTIONS, x), x, dict.fromkeys(FUNCTIONS, y))
    jitted = jax.jit(lambda *xs: in_one_pass(step, *xs))
    text = jitted.lower(*arguments).as_text()
    return {name: np.asarray(z) for name, z in jitted(*arguments)[0].items()}, text.count(f"@{calls.TARGET}")


def wanted(name, dtype):
    """By NumPy, from what the numbers count as."""
    x, y = (flushed(z, dtype).astype(np.longdouble) for z in pairs(dtype))
    with np.errstate(all="ignore"):
        result = np.asarray(FUNCTIONS[name][1](x) if name in UNARY else FUNCTIONS[name][1](x, y))
        return flushed(result.astype(jnp.dtype(dtype)), dtype)


def assert_same(ours, theirs, dtype, name, signs):
    ours = flushed(ours, dtype)
    x, y = pairs(dtype)
    with np.errstate(invalid="ignore"):
        same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
        doubt = np.where(
            (theirs != 0) | (name == "blend"), least(dtype), 0.0
        )  # a product in a sum may be rounded apart
        same |= np.abs(ours - theirs) <= RTOL[dtype] * np.abs(theirs) + doubt
    if signs and name != "blend":
        same &= (np.signbit(ours) == np.signbit(theirs)) | np.isnan(ours)
    assert same.all(), [(name, float(x[k]), float(y[k]), ours[k], theirs[k]) for k in np.flatnonzero(~same)[:5]]


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory):
    """The library for processors without a flag: it clears this one's while it runs."""
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    folder = tmp_path_factory.mktemp("by_hand")
    library = folder / load.LIBRARY
    (folder / "operations.h").write_text(operations.header())
    sources = sorted(map(str, Path(gradtx.native.__file__).parent.glob("*.cc")))
    options = ["-std=c++17", "-O1", "-shared", "-fPIC", "-pthread", "-DGRADTX_FLUSH_BY_HAND", "-DGRADTX_WIDTH=baseline"]
    options.append(f"-I{folder}")
    subprocess.run([compiler, *options, *sources, "-o", str(library)], check=True)
    jax.ffi.register_ffi_target("by_hand", jax.ffi.pycapsule(CDLL(str(library)).gradtx_step), platform="cpu")
    return "by_hand"


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("mode", ["by the flag", "by hand"])
def test_they_count_as_zero(monkeypatch, request, mode, dtype):
    if mode == "by hand":
        monkeypatch.setattr(calls, "TARGET", request.getfixturevalue("by_hand"))
    with jax.enable_x64(True):
        ours, found = outputs(dtype)
        assert found > 0
        with gradtx.native.off():
            plain, found = outputs(dtype)
        assert found == 0
        for name in FUNCTIONS:
            assert_same(ours[name], wanted(name, dtype), dtype, name, signs=False)
            in_xla = name not in OTHERWISE_IN_XLA and not (dtype == "bfloat16" and name in OTHERWISE_OF_16_BITS)
            if in_xla:
                assert_same(ours[name], flushed(plain[name], dtype), dtype, name, signs=True)


def test_logarithms_and_powers_of_the_smallest():
    """As in the guide."""
    g = jnp.array([1e-40, -1e-45], jnp.float32)
    tx = gradtx.stateless_leafwise(lambda g: jnp.where(g > 1, g, 0 * g + jnp.log(g)))
    new, _ = jax.jit(lambda p, g: gradtx.step(tx, p, tx.init(p), g))(jnp.zeros(2), g)
    np.testing.assert_array_equal(new, -np.inf)
    tx = gradtx.stateless_leafwise(lambda g: jnp.abs(g) ** 0.5)
    new, _ = jax.jit(lambda p, g: gradtx.step(tx, p, tx.init(p), g))(jnp.zeros(2), g)
    np.testing.assert_array_equal(new, 0)
