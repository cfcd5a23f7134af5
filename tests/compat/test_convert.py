"""Runs that Optax began go on in gradtx, from live states, pickles and checkpoints."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
import gradtx.compat.optax as compat
from gradtx.compat.convert import convert_state

pytestmark = pytest.mark.slow

optax = pytest.importorskip("optax")
contrib = optax.contrib

PARAMS = {"w": jnp.linspace(-1, 1, 12).reshape(4, 3), "b": jnp.linspace(0.5, 1, 3)}
MASK = {"w": True, "b": False}


def fading(step):
    return 0.01 * jnp.exp(-jnp.asarray(step, jnp.float32) / 10)


def clipped(library, optimizer):
    return library.chain(library.clip_by_global_norm(1.0), optimizer)


RUNS = {
    "sgd": (optax.sgd(0.01), gradtx.sgd(0.01)),
    "momentum": (optax.sgd(fading, 0.9, nesterov=True), gradtx.sgd(fading, 0.9, nesterov=True)),
    "adam": (clipped(optax, optax.adam(0.01)), clipped(gradtx, gradtx.adam(0.01))),
    "adamw": (optax.adamw(fading, mask=MASK), gradtx.adamw(fading, weight_decay=gradtx.decoupled(1e-4, MASK))),
    "nadam": (optax.nadam(0.01), gradtx.nadam(0.01)),
    "rmsprop": (
        optax.rmsprop(0.01, centered=True, momentum=0.9),
        gradtx.rmsprop(0.01, centered=True, momentum=0.9),
    ),
    "adagrad": (optax.adagrad(0.1), gradtx.adagrad(0.1)),
    "lion": (optax.lion(0.01), gradtx.lion(0.01)),
    "lamb": (optax.lamb(0.01), gradtx.lamb(0.01)),
    "adafactor": (
        optax.adafactor(0.01, min_dim_size_to_factor=2),
        gradtx.adafactor(0.01, min_dim_size_to_factor=2),
    ),
    "muon": (contrib.muon(0.01), gradtx.muon(0.01)),
    "signum": (optax.signum(0.01), gradtx.signum(0.01)),
}
SAME_BITS = {"sgd", "momentum", "lion", "signum"}


def stepper(tx):
    """Ten steps of a least-squares problem, from step `first` on."""

    def loss(params, i):
        x = jnp.cos(jnp.arange(4.0) + i.astype(jnp.float32))
        return jnp.sum((x @ params["w"] + params["b"] - 1) ** 2)

    @jax.jit
    def ten(params, state, first):
        def step(carry, i):
            params, state = carry
            updates, state = tx.update(jax.grad(loss)(params, i), state, params)
            return (jax.tree.map(jnp.add, params, updates), state), None

        return jax.lax.scan(step, (params, state), first + jnp.arange(10))[0]

    return ten


def restored_by_orbax(state, folder):
    checkpoint = pytest.importorskip("orbax.checkpoint")
    with checkpoint.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder / "state", state)
    with checkpoint.StandardCheckpointer() as checkpointer:
        return checkpointer.restore(folder / "state")


@pytest.mark.filterwarnings("ignore::UserWarning")  # of orbax, which restores without a target
@pytest.mark.parametrize("name", RUNS)
def test_a_run_goes_on(name, tmp_path):
    theirs, ours = RUNS[name]
    with jax.numpy_dtype_promotion("standard"):
        ten = stepper(theirs)
        params, state = ten(PARAMS, theirs.init(PARAMS), 0)
        wanted, _ = ten(params, state, 10)
    converted = convert_state(ours, params, state)
    got, last = stepper(ours)(params, converted, 10)
    assert jax.tree.structure(last) == jax.tree.structure(ours.init(params))
    for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        if name in SAME_BITS:
            np.testing.assert_array_equal(x, y)
        np.testing.assert_allclose(x, y, rtol=2e-6, atol=2e-6)
    for source in (pickle.loads(pickle.dumps(state)), restored_by_orbax(state, tmp_path)):
        jax.tree.map(np.testing.assert_array_equal, convert_state(ours, params, source), converted)


def test_16_bit_states_are_widened():
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), PARAMS)
    state = optax.adam(0.1).init(params)
    assert state[0].mu["w"].dtype == jnp.bfloat16
    converted = convert_state(gradtx.adam(0.1), params, state)
    assert converted[0].mu["w"].dtype == jnp.float32
    np.testing.assert_array_equal(converted[0].mu["w"], state[0].mu["w"].astype(jnp.float32))
    kept = convert_state(compat.adam(0.1), params, state)
    assert kept[0].nu["w"].dtype == jnp.bfloat16


def test_the_result_shares_no_buffer_with_what_it_is_made_of():
    state = optax.sgd(0.1, 0.9).init(PARAMS)
    jax.tree.map(lambda x: x.delete(), convert_state(gradtx.sgd(0.1, 0.9), PARAMS, state))
    assert not state[0].trace["w"].is_deleted()


def by_position(x):
    """A state as nested lists: what is left of one without any names."""
    if isinstance(x, tuple):
        return [by_position(part) for part in x]
    return {key: by_position(part) for key, part in x.items()} if isinstance(x, dict) else np.asarray(x)


def by_numbers(x):
    """A state as nested dictionaries: fields by name, positions as text."""
    if isinstance(x, tuple):
        names = getattr(x, "_fields", map(str, range(len(x))))
        return {name: by_numbers(part) for name, part in zip(names, x, strict=True)}
    return {key: by_numbers(part) for key, part in x.items()} if isinstance(x, dict) else x


@pytest.mark.parametrize("nameless", [by_position, by_numbers])
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (optax.adamw(fading), gradtx.adamw(fading)),
        (optax.sgd(0.1, 0.9), gradtx.sgd(0.1, 0.9)),
        (contrib.muon(0.1), gradtx.muon(0.1)),
        (contrib.ademamix(0.1), gradtx.ademamix(0.1)),
        (optax.MultiSteps(optax.adan(0.1), 2), gradtx.accumulate(gradtx.adan(0.1), 2)),
    ],
    ids=["adamw", "sgd", "muon", "ademamix", "adan"],
)
def test_states_without_their_types(nameless, theirs, ours):
    state = theirs.init(PARAMS)
    count = iter(range(100))
    state = jax.tree.map(lambda x: jnp.full_like(x, next(count)), state)
    wanted = convert_state(ours, PARAMS, state)
    jax.tree.map(np.testing.assert_array_equal, convert_state(ours, PARAMS, nameless(state)), wanted)


def test_accumulated_gradients_and_what_optax_does_not_keep():
    theirs, ours = optax.MultiSteps(optax.adam(0.1), 3), gradtx.accumulate(gradtx.adam(0.1), 3)
    state = theirs.init(PARAMS)
    for _ in range(2):
        with jax.numpy_dtype_promotion("standard"):
            _, state = theirs.update(PARAMS, state, PARAMS)
    converted = convert_state(ours, PARAMS, state)
    assert converted.acc_weight == 2
    assert not converted.updated
    with jax.numpy_dtype_promotion("standard"):
        wanted, _ = theirs.update(PARAMS, state, PARAMS)
    got, last = ours.update(PARAMS, converted, PARAMS)
    assert last.updated
    np.testing.assert_allclose(got["w"], wanted["w"], rtol=2e-5)


def test_random_keys_of_either_kind():
    state = optax.noisy_sgd(0.1, key=jax.random.key(3)).init(PARAMS)
    converted = convert_state(gradtx.noisy_sgd(0.1), PARAMS, state)
    raw = state[0]._replace(rng_key=np.asarray(jax.random.key_data(state[0].rng_key)))
    again = convert_state(gradtx.noisy_sgd(0.1), PARAMS, (raw, None))
    for found in (converted, again):
        assert jnp.array_equal(jax.random.key_data(found[0].rng_key), jax.random.key_data(jax.random.key(3)))


@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        (
            optax.sgd(0.1),
            gradtx.adam(0.1),
            r"at \(root\): wanted a chain of ScaleByAdamState.*, found a chain that keeps",
        ),
        (
            optax.sgd(0.1, 0.9),
            gradtx.adam(0.1),
            r"at \[0\]: wanted ScaleByAdamState\(count, mu, nu\), found TraceState",
        ),
        (optax.adam(fading), gradtx.adam(0.1), r"found a chain of ScaleByAdamState\(.*\), ScaleByScheduleState"),
        (
            optax.sgd(0.1, 0.9),
            gradtx.sgd(0.1),
            r"wanted a chain that keeps nothing, found a chain of TraceState\(trace\)",
        ),
        (optax.amsgrad(0.1), gradtx.adam(0.1), r"found ScaleByAmsgradState\(count, mu, nu, nu_max\)"),
        (optax.adam(0.1), gradtx.amsgrad(0.1), r"wanted ScaleByAmsgradState"),
        (
            optax.masked(optax.adam(0.1), MASK),
            gradtx.masked(gradtx.adam(0.1), {"w": False, "b": True}),
            r"\.mu\[b\]: wanted float32",
        ),
    ],
)
def test_what_has_no_counterpart_is_named(theirs, ours, message):
    with pytest.raises(ValueError, match="convert_state: .*" + message):
        convert_state(ours, PARAMS, theirs.init(PARAMS))


def test_other_parameters_are_named():
    state = optax.adam(0.1).init(PARAMS)
    with pytest.raises(ValueError, match=r"at \[0\].mu\[w\]: wanted float32\(3, 4\), found float32\(4, 3\)"):
        convert_state(gradtx.adam(0.1), {"w": PARAMS["w"].T, "b": PARAMS["b"]}, state)
    with pytest.raises(ValueError, match=r"at \[0\].mu: wanted dict of \(w\), found dict of \(b, w\)"):
        convert_state(gradtx.adam(0.1), {"w": PARAMS["w"]}, state)
    with pytest.raises(ValueError, match=r"at \[0\].mu\[b\]: wanted float32\(3,\), found int32\(3,\)"):
        convert_state(gradtx.adam(0.1), PARAMS, jax.tree.map(lambda x: x.astype(jnp.int32), state))


ADAM = gradtx.adam(0.1)
AROUND = {
    "monitor": (gradtx.monitor(ADAM), "monitor/**"),
    "accumulate": (gradtx.accumulate(ADAM, 1), "multi_steps/**"),
    "finite": (gradtx.apply_if_finite(ADAM, 3), "apply_if_finite/**"),
    "lookahead": (gradtx.lookahead(ADAM, 2, 0.5), "lookahead/**"),
    "injected": (gradtx.inject_hyperparams(gradtx.adam)(0.1), "inject_hyperparams/**"),
    "averaged": (gradtx.ema_params(ADAM), "average/**"),
    "deep": (gradtx.monitor(gradtx.accumulate(gradtx.adam(fading), 1)), ("monitor/**", "multi_steps/**")),
    "scheduled": (gradtx.adam(fading), ()),
}


@pytest.mark.parametrize("around", AROUND)
def test_a_wrapper_comes_or_goes(around):
    wrapped, allowed = AROUND[around]
    state = jax.tree.map(lambda x: jnp.full_like(x, 3), optax.adam(0.1).init(PARAMS))
    converted = convert_state(wrapped, PARAMS, state, allow_missing=allowed)
    mu = gradtx.find_state(converted, "scale_by_adam/mu")
    jax.tree.map(np.testing.assert_array_equal, mu, state[0].mu)
    counts = gradtx.find_states(converted, "count")
    assert all(int(x) == 3 for name, x in counts.items() if "adam" in name or "schedule" in name)
    if allowed:
        with pytest.raises(
            ValueError, match=r"convert_state: .* (was|were) not saved; let it start anew with allow_missing"
        ):
            convert_state(wrapped, PARAMS, state)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tx: optax.MultiSteps(tx, 1),
        lambda tx: optax.apply_if_finite(tx, 3),
        lambda tx: optax.chain(optax.clip(1.0), optax.apply_if_finite(optax.MultiSteps(tx, 1), 3)),
        lambda tx: optax.inject_hyperparams(lambda learning_rate: tx)(0.1),
    ],
)
def test_what_is_in_a_wrapper_of_optax(wrap):
    state = wrap(optax.adam(fading)).init(PARAMS)
    state = jax.tree.map(lambda x: jnp.full_like(x, 3), state)
    converted = convert_state(gradtx.adam(fading), PARAMS, state)
    assert all(bool(jnp.all(x == 3)) for x in jax.tree.leaves(converted))
