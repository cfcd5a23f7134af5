"""Native is a backend: without its folder gradtx steps as where the library was not built."""

import pytest

from tests.copies import copied
from tests.native.support import run

STEPS = """
    import importlib, pathlib, pkgutil, sys
    import jax, jax.numpy as jnp, gradtx

    assert pathlib.Path(gradtx.__file__).is_relative_to(sys.argv[1])
    for module in pkgutil.walk_packages(gradtx.__path__, "gradtx."):
        importlib.import_module(module.name)
    params = {"w": jnp.arange(12.0).reshape(3, 4), "b": jnp.ones(4)}
    tx = gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adamw(0.1))
    state = tx.init(params)
    eager, _ = tx.update(params, state, params)
    step = jax.jit(gradtx.step)
    print(sorted(name for name in dir(gradtx) if not name.startswith("_")))
    print(step.lower(tx, params, state, params).as_text())
    print([x.tolist() for x in jax.tree.leaves((eager, step(tx, params, state, params)))])
"""


@pytest.mark.slow
def test_gradtx_is_whole_without_its_folder(tmp_path):
    """All modules import, and programs and numbers are those of the plain step."""
    with_it, without = tmp_path / "with", tmp_path / "without"
    there, gone = (copied(to, "gradtx", without=[x]) for to, x in ((with_it, "*.so"), (without, "native")))
    names, *plain = run(STEPS, with_it, cwd=with_it, **there).splitlines()
    rest, *found = run(STEPS, without, cwd=without, **gone).splitlines()
    assert found == plain
    assert {*eval(names)} - {*eval(rest)} == {"native"}
