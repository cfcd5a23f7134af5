"""`optax.contrib`: matrices, privacy, Sophia, and what programs read of the states."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx.compat.optax as compat
from gradtx.compat.optax import contrib

pytestmark = pytest.mark.slow

optax = pytest.importorskip("optax")
theirs = optax.contrib

OPTIMIZERS = {
    "acprop": (1e-3,),
    "ademamix": (1e-3,),
    "simplified_ademamix": (1e-3,),
    "adopt": (1e-2,),
    "cocob": (),
    "dadapt_adamw": (0.1,),
    "dog": (1.0,),
    "dowg": (1.0,),
    "madgrad": (1e-2,),
    "momo": (0.1,),
    "momo_adam": (0.1,),
    "muon": (1e-2,),
    "prodigy": (0.1,),
    "sophia": (1e-2,),
    "galore": (1e-2, 8),
}


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def updates_of(tx, gradients, params, **extra):
    """All updates of a run on given gradients, and the last state."""
    step = jax.jit(lambda g, state: tx.update(g, state, params, **extra))
    state, updates = tx.init(params), []
    for g in gradients:
        u, state = step(g, state)
        updates.append(u)
    return updates, state


def assert_same_updates(ours, others, gradients, params, rtol=1e-5, **extra):
    got, _ = updates_of(ours, gradients, params, **extra)
    with jax.numpy_dtype_promotion("standard"):
        wanted, _ = updates_of(others, gradients, params, **extra)
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol * float(jnp.abs(y).max(initial=0)))


def test_parts_of_states_by_position():
    params = {"w": jnp.ones((3, 2)), "b": jnp.ones(2)}
    state = contrib.muon(0.1).init(params)
    mu = state[0]["muon"][0][0][1]
    assert mu["w"].shape == (3, 2)
    assert type(mu["b"]).__name__ == "MaskedNode"
    assert isinstance(contrib.galore(0.1).init(params)[0], contrib.GaLoreState)


@pytest.mark.parametrize("given", ["tree", "prefix", "callable"])
def test_muon_takes_dimension_numbers(given):
    """An entry None gives a leaf, or a subtree, to Adam."""
    params = {
        "layer": {"q": normal(0, 3, 2, 4), "k": normal(1, 4, 3)},
        "head": {"w": normal(2, 4, 2), "b": normal(3, 2)},
    }
    gradients = [jax.tree.map(lambda p, i=i: jnp.cos(p + i), params) for i in range(2)]

    def numbers(library):
        matrix = library.MuonDimensionNumbers
        if given == "tree":
            return {"layer": {"q": matrix(0, (1, 2)), "k": matrix(-1, 0)}, "head": {"w": None, "b": None}}
        if given == "prefix":
            return {"layer": {"q": matrix(1, 2), "k": matrix()}, "head": None}
        return lambda tree: jax.tree.map(lambda p: matrix(0, (1, 2)) if p.ndim == 3 else None, tree)

    build = lambda library: library.muon(0.1, muon_weight_dimension_numbers=numbers(library))
    assert_same_updates(build(contrib), build(theirs), gradients, params)
    layout = lambda library: str(jax.tree.structure(jax.eval_shape(build(library).init, params)))
    assert layout(contrib) == layout(theirs)


@pytest.mark.parametrize(
    ("make", "numbers"),
    [
        (lambda n: contrib.scale_by_muon(weight_dimension_numbers=n), contrib.MuonDimensionNumbers((0, 2), (1, 3))),
        (
            lambda n: contrib.scale_by_galore(2, weight_dimension_numbers={"w": n} if n else None),
            contrib.GaLoreDimensionNumbers((0, 2), (1, 3)),
        ),
    ],
    ids=["muon", "galore"],
)
def test_weights_of_four_axes_are_the_matrices_they_stand_for(make, numbers):
    g = normal(0, 2, 3, 2, 4)
    flat = lambda x: x.transpose(0, 2, 1, 3).reshape(4, 12)
    tensor, matrix = make(numbers), make(None)
    whole, _ = tensor.update({"w": g}, tensor.init({"w": g}))
    wanted, _ = matrix.update({"w": flat(g)}, matrix.init({"w": flat(g)}))
    np.testing.assert_allclose(flat(whole["w"]), wanted["w"], rtol=2e-5, atol=1e-6)


def test_muon_uses_the_coefficients_of_its_state_and_the_last_of_too_many():
    params = {"w": normal(0, 3, 2)}
    tx = contrib.scale_by_muon(((9.0, 9.0, 9.0), (1.5, -0.5, 0.0), (2.0, -1.5, 0.5)), ns_steps=2)
    state = tx.init(params)
    assert state.ns_coeffs.shape == (2, 3)
    plain, _ = tx.update(params, state)
    doubled, _ = tx.update(params, state._replace(ns_coeffs=state.ns_coeffs * jnp.array([[1], [2.0]])))
    np.testing.assert_allclose(doubled["w"], 2 * plain["w"], rtol=1e-6)
    with pytest.raises(ValueError, match="4 steps need as many triples, got 1"):
        contrib.scale_by_muon([(1.0, 2.0, 3.0)], ns_steps=4).init(params)
    with pytest.raises(ValueError, match="must be of shape"):
        contrib.scale_by_muon((1.0, 2.0)).init(params)
    with pytest.raises(ValueError, match="one of standard, dion"):
        contrib.muon(0.1, "fast")


@pytest.mark.parametrize("nesterov", [False, True])
def test_muon_of_complex_weights(nesterov):
    w = jax.lax.complex(normal(0, 3, 2), normal(1, 3, 2))
    build = lambda library: library.muon(0.1, nesterov=nesterov, preconditioning="aol")
    assert_same_updates(build(contrib), build(theirs), [w, jnp.conj(w) + 1], w)


def test_galore_projects_the_longer_side_with_a_rank_that_fits():
    state = contrib.scale_by_galore(8).init({"tall": jnp.ones((5, 3)), "wide": jnp.ones((2, 6)), "b": jnp.ones(4)})
    assert jax.tree.map(jnp.shape, state.projector) == {"tall": (5, 3), "wide": (6, 2), "b": (0, 0)}
    assert state.base_optimizer_state.mu["wide"].shape == (2, 2)
    assert state.base_optimizer_state.mu["b"].shape == (4,)


def test_galore_renews_its_subspace_as_optax_does():
    params = {"w": normal(0, 5, 3), "v": normal(1, 2, 4), "b": normal(2, 3)}
    gradients = [jax.tree.map(lambda p, i=i: jnp.sin(3 * p + i), params) for i in range(5)]
    build = lambda library: library.galore(0.1, rank=2, update_proj_gap=2, scale=0.5, weight_decay=0.1)
    assert_same_updates(build(contrib), build(theirs), gradients, params, rtol=1e-4)


def test_galore_of_one_specification_for_all_and_of_another_base():
    params = {"w": normal(0, 3, 4), "b": normal(1, 3)}
    numbers = contrib.GaLoreDimensionNumbers(1, 0)
    base = compat.scale_by_adam(mu_dtype=jnp.bfloat16)
    state = contrib.scale_by_galore(2, base_optimizer=base, weight_dimension_numbers=numbers).init(params)
    assert state.projector["w"].shape == (4, 2)
    assert state.base_optimizer_state.mu["w"].dtype == jnp.bfloat16


def test_galore_refuses_what_it_cannot_project():
    with pytest.raises(TypeError, match="rank must be an int"):
        contrib.galore(0.1, rank=2.0)
    with pytest.raises(ValueError, match="rank must be at least 1"):
        contrib.galore(0.1, rank=0)
    numbers = {"w": contrib.GaLoreDimensionNumbers(0, 1)}
    with pytest.raises(ValueError, match="must name every axis"):
        contrib.scale_by_galore(weight_dimension_numbers=numbers).init({"w": jnp.ones((2, 3, 4))})


def test_private_gradients():
    params = {"w": normal(0, 3), "b": normal(1)}
    gradients = [{"w": normal(2, 5, 3), "b": normal(3, 5)}, {"w": normal(4, 5, 3), "b": normal(5, 5)}]
    build = lambda library: library.differentially_private_aggregate(0.5, 0.1, 7)
    assert_same_updates(build(contrib), build(theirs), gradients, params)
    with pytest.raises(ValueError, match="has shape"):
        build(contrib).update(params, build(contrib).init(params))


@pytest.mark.filterwarnings("ignore:.*seed.*:DeprecationWarning")
def test_dpsgd_and_its_old_argument():
    params = normal(0, 3)
    build = lambda library: library.dpsgd(0.1, 0.5, 0.1, 7, momentum=0.9, nesterov=True)
    assert_same_updates(build(contrib), build(theirs), [normal(1, 4, 3), normal(2, 4, 3)], params)
    with pytest.warns(UserWarning, match="no key"):
        contrib.differentially_private_aggregate(1.0, 1.0)
    with pytest.warns(DeprecationWarning), pytest.raises(ValueError, match="not both"):
        contrib.differentially_private_aggregate(1.0, 1.0, 3, seed=3)


def test_sophia_has_optaxs_signs_and_order():
    params = {"w": normal(0, 3, 2), "b": normal(1, 2)}
    gradients = [jax.tree.map(lambda p, i=i: jnp.cos(p + i), params) for i in range(5)]
    loss = lambda p: jnp.sum(jnp.sin(p["w"]) @ p["b"] ** 2)
    build = lambda library: library.sophia(0.1, gamma=0.5, eps=1e-2, update_interval=2, clip_threshold=10.0)
    assert_same_updates(build(contrib), build(theirs), gradients, params, obj_fn=loss)


def test_hutchinson_keeps_the_kind_of_its_key_and_says_what_it_needs():
    params = jnp.ones(3)
    for key in (None, jax.random.key(1), jax.random.PRNGKey(2)):
        ours, others = (x.hutchinson_estimator_diag_hessian(key) for x in (contrib, theirs))
        assert ours.init(params).key.dtype == others.init(params).key.dtype
        assert_same_updates(ours, others, [params] * 2, params, obj_fn=lambda p: jnp.sum(jnp.prod(p) ** 2))
    with pytest.raises(ValueError, match="needs obj_fn"):
        ours.update(params, ours.init(params), params)
    with pytest.raises(ValueError, match="needs params"):
        ours.update(params, ours.init(params), obj_fn=jnp.sum)


def test_sophia_prints_its_win_rate(capsys):
    params = jnp.array([1.0, 2.0])
    tx = contrib.sophia(0.1, update_interval=1, gamma=1.0, verbose=True, print_win_rate_every_n_steps=2)
    loss = lambda p: p[0] ** 2 + jnp.float32(1e-3) * p[1] ** 2
    updates_of(tx, [jnp.array([1e-3, 2.0])] * 3, params, obj_fn=loss)
    jax.effects_barrier()
    assert capsys.readouterr().out == "Sophia optimizer win rate: 0.5\n"


def test_the_schedules_of_ademamix_have_a_count_of_their_own():
    tx = contrib.scale_by_ademamix(b3=0.5, alpha=lambda step: jnp.where(step < 10, 0.0, 1.0))
    state = tx.init(jnp.zeros(1))
    early, after = tx.update(jnp.ones(1), state)
    late, _ = tx.update(jnp.ones(1), state._replace(count_m2=jnp.int32(10)))
    np.testing.assert_allclose(late - early, [0.5], rtol=1e-5)  # alpha m2, over a root-mean-square of 1
    assert after.count_m2 == after.count == 1


def test_momo_needs_the_loss():
    for tx in (contrib.momo(), contrib.momo_adam()):
        state = tx.init(jnp.ones(2))
        with pytest.raises(TypeError, match="value"):
            tx.update(jnp.ones(2), state, jnp.ones(2))
        with pytest.raises(ValueError, match="value"):
            tx.update(jnp.ones(2), state, jnp.ones(2), value=None)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_unknown_arguments_are_ignored_also_without_params_in_the_chain(name):
    tx = compat.chain(getattr(contrib, name)(*OPTIMIZERS[name]))
    params = {"w": jnp.ones((2, 2)), "b": jnp.ones(2)}
    given = dict(value=jnp.float32(1.0), obj_fn=lambda p: jnp.sum(p["w"] ** 2) + jnp.sum(p["b"] ** 2), unheard_of=1)
    step = lambda g, s, p: tx.update(g, s, p, **given)
    state = jax.eval_shape(tx.init, params)
    updates, new = jax.eval_shape(step, params, state, params)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), (updates, new)) == jax.tree.map(
        lambda x: (x.shape, x.dtype), (params, state)
    )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_map_params_reaches_what_it_does_in_optax(name):
    """And so `init` does not look into the parameters, of which there are none then."""
    params = {"w": jnp.ones((3, 2)), "b": jnp.ones(2)}

    def counted(library):
        tx = getattr(library.contrib, name)(*OPTIMIZERS[name])
        state = jax.eval_shape(tx.init, params)
        return jax.tree.leaves(library.tree.map_params(tx, lambda x: 1, state, transform_non_params=lambda x: 0))

    assert counted(compat) == counted(optax)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_convergence(name):
    """30,000 steps on Rosenbrock's function and on a parabola of a vector and a matrix, as Optax tests them."""
    goal = {"v": jnp.array([1.0, -1.0, 2.0]), "w": jnp.array([[1.0, 0.0], [-1.0, 1.0]]), "r": jnp.ones(2)}

    def loss(p):
        parabola = jnp.sum((p["v"] - goal["v"]) ** 2) + jnp.sum((p["w"] - goal["w"]) ** 2)
        return parabola + (1 - p["r"][0]) ** 2 + 100 * (p["r"][1] - p["r"][0] ** 2) ** 2

    tx = getattr(contrib, name)(*OPTIMIZERS[name])

    def step(carry, _):
        params, state = carry
        value, gradients = jax.value_and_grad(loss)(params)
        updates, state = tx.update(gradients, state, params, value=value, obj_fn=loss)
        return (jax.tree.map(jnp.add, params, updates), state), None

    start = jax.tree.map(jnp.zeros_like, goal)
    (params, _), _ = jax.lax.scan(step, (start, tx.init(start)), length=30_000)
    for key, wanted in goal.items():
        np.testing.assert_allclose(params[key], wanted, rtol=3e-2, atol=3e-2)
