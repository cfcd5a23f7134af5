"""What programs with Optax or Flax find in our types, in either order of imports; neither is imported for it."""

import importlib
import importlib.util
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core import peers


def run(program):
    """Run a program in a process of its own, which ends with an error if an assertion fails."""
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_nothing_is_imported():
    run("""
import sys
import gradtx, gradtx.compat.optax, gradtx.compat.convert
assert not {"optax", "flax", "equinox"} & set(sys.modules)
tx = gradtx.adam(1e-3)
assert tx.__class__ is type(tx)
waiting = [finder.name for finder in sys.meta_path if hasattr(finder, "then")]
assert sorted(waiting) == ["flax.serialization", "optax"]  # each once, though asked for twice
""")


CHECK = """
for made in (tx, gradtx.adam(1e-3), optax.adam(1e-3), gradtx.compat.optax.adam(1e-3), compat):
    assert isinstance(made, optax.GradientTransformation)
    assert isinstance(made, optax.GradientTransformationExtraArgs)
plain = gradtx.compat.optax.GradientTransformation(tx.init, tx.update)
assert isinstance(plain, optax.GradientTransformation)
assert not isinstance(plain, optax.GradientTransformationExtraArgs)
assert isinstance(state[0], optax.ScaleByAdamState) and isinstance(state[1], optax.EmptyState)
assert type(state[0]).__module__ == "gradtx.optimizers.adam"
assert gradtx.adam(0.1).init(jnp.ones(2))[0].mu.shape == (2,)
"""
STATE = "tx, compat = gradtx.adam(1e-3), gradtx.compat.optax.sgd(1.0)\nstate = tx.init(jnp.ones(2))\n"


@pytest.mark.parametrize("first", ["optax", "gradtx"])
def test_either_order(first):
    pytest.importorskip("optax")
    ours = "import gradtx, gradtx.compat.optax, jax.numpy as jnp\n" + STATE
    run("".join([ours, "import optax\n"] if first == "gradtx" else ["import optax\n", ours]) + CHECK)


def test_ours_stay_what_they_are():
    pytest.importorskip("optax")
    import optax  # noqa: F401

    tx = gradtx.adam(1e-3)
    assert type(tx) is gradtx.GradientTransformation
    assert isinstance(tx, gradtx.GradientTransformation)
    assert not isinstance(tx, tuple)
    assert jax.tree.leaves(tx) == [1e-3, 0.9, 0.999, 1e-8, 0.0]
    assert repr(tx).startswith("adam(")


def test_modules_that_share_a_loader(tmp_path, monkeypatch):
    """The loader of an archive loads all that is in it; one module is waited for, and may be run more than once."""
    with zipfile.ZipFile(tmp_path / "peers.zip", "w") as archive:
        archive.writestr("a_zipped_peer/__init__.py", "from a_zipped_peer import part\nimport a_neighbour\n")
        archive.writestr("a_zipped_peer/part.py", "")
        archive.writestr("a_neighbour.py", "")
        archive.writestr("a_late_neighbour.py", "")
    monkeypatch.syspath_prepend(tmp_path / "peers.zip")
    seen, finders = [], list(sys.meta_path)
    peers.when_imported("a_zipped_peer", seen.append)
    again = importlib.util.find_spec("a_zipped_peer")
    importlib.import_module("a_late_neighbour")
    assert not seen
    module = importlib.import_module("a_zipped_peer")
    assert seen == [module] and sys.meta_path == finders
    assert again is not None and again.loader is not None
    again.loader.exec_module(module)
    for name in ("a_zipped_peer", "a_zipped_peer.part", "a_neighbour", "a_late_neighbour"):
        monkeypatch.delitem(sys.modules, name)


def test_a_module_that_is_imported_later(tmp_path, monkeypatch):
    (tmp_path / "a_peer.py").write_text("value = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    seen, finders = [], list(sys.meta_path)
    peers.when_imported("a_peer", lambda module: seen.append(module.value))
    assert importlib.util.find_spec("a_peer") is not None
    assert seen == []
    importlib.import_module("a_peer")
    assert seen == [3]
    assert sys.meta_path == finders
    peers.when_imported("a_peer", lambda module: seen.append(module.value + 1))
    assert seen == [3, 4]
    monkeypatch.delitem(sys.modules, "a_peer")


def test_a_module_that_is_not_there():
    peers.when_imported("no_such_peer", lambda module: pytest.fail("it was imported"))
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_peer")
    sys.meta_path.pop(0)


def test_state_dictionaries():
    """What Flax is given: leaves by name, keys as numbers; another value's are refused."""
    registered = {}
    peers.register_with_flax(
        SimpleNamespace(
            is_serializable=lambda kind: kind in registered,
            register_serialization_state=lambda kind, to, back: registered.update({kind: (to, back)}),
        )
    )
    to_dict, from_dict = registered[gradtx.GradientTransformation]
    tx = gradtx.chain(gradtx.add_noise(0.1, 0.5, jax.random.key(3)), gradtx.sgd(gradtx.cosine_decay_schedule(0.1, 9)))
    state = to_dict(tx)
    assert state["links[0].eta"] == 0.1
    np.testing.assert_array_equal(state["links[0].key"], jax.random.key_data(jax.random.key(3)))
    assert from_dict(tx, state) == tx
    changed = from_dict(tx, state | {"links[0].eta": 0.2})
    assert gradtx.hyperparameters(changed)["links[0].eta"] == 0.2
    with pytest.raises(ValueError, match="wanted a state dictionary with learning_rate"):
        from_dict(gradtx.adam(0.1), state)
    assert to_dict(gradtx.adam(jnp.ones(2)))["learning_rate"].shape == (2,)
