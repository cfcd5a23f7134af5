"""The examples of the gallery: their parts, and one line for what is wrong."""

import sys

import numpy as np
import pytest

for needed in ("matplotlib", "sklearn", "tqdm", "flax", "equinox", "orbax.checkpoint"):
    pytest.importorskip(needed)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

import gradtx  # noqa: E402

SCRIPTS = [
    "batch_norm",
    "checkpoint_resume",
    "custom_optimizer",
    "equinox_training",
    "flax_training",
    "full_batch_lbfgs",
    "initialisation",
    "learning_rate_decay",
    "regularisation",
]


WRONG = [("--steps", 0), ("--seed", -1), ("--out", "picture.txt"), ("--data-dir", "nowhere"), ("--images", 5000)]


@pytest.mark.parametrize("name", SCRIPTS)
def test_wrong_argument_is_one_line_and_exit_code_2(call, tmp_path, name):
    own = {"full_batch_lbfgs": [("--passes", 0), *WRONG[1:4]], "regularisation": WRONG}
    for option, value in own.get(name, WRONG[:4]):
        done = call(name, option, value)
        problem = "nowhere" if option == "--data-dir" else f"argument {option}"
        assert done.returncode == 2 and done.stdout == "", done
        assert done.stderr.startswith(f"{name}.py: {problem}") and done.stderr.count("\n") == 1, done
    assert list(tmp_path.iterdir()) == []


def test_a_claim_that_does_not_hold_is_one_line_and_exit_code_1(load, monkeypatch, capsys):
    script = load("checkpoint_resume")
    monkeypatch.setattr(sys, "argv", ["examples/checkpoint_resume.py"])
    plan = script.Plan(seed=0, steps=4, every=2, change=1, kill=3)
    story = script.Story({0: 1.0, 1: 0.5}, {0: 1.0, 1: 0.5}, {1: 0.25}, -9, True, gradtx.sgd(0.1))
    with pytest.raises(SystemExit) as caught:
        script.check_claims(plan, story)
    printed = capsys.readouterr()
    assert caught.value.code == 1
    assert printed.out.count("Checked: ") == 2
    assert printed.err.startswith("checkpoint_resume.py: this does not hold: all 2 losses equal")
    assert printed.err.count("\n") == 1


# Training in a scan, under a bar.


def test_steps_of_a_run(load):
    training = load("_training")
    keys = jax.random.split(jax.random.key(0), 6)
    loss = lambda x, key: jnp.sum((x - jax.random.normal(key, x.shape)) ** 2)
    begin = training.start(gradtx.sgd(0.1, momentum=0.9), jnp.zeros(3))
    run, losses = training.take_steps(gradtx.sgd(0.1, momentum=0.9), loss, begin, keys)
    x, trace = np.zeros(3), np.zeros(3)
    for key, value in zip(keys, losses, strict=True):
        noise = np.asarray(jax.random.normal(key, (3,)))
        np.testing.assert_allclose(value, np.sum((x - noise) ** 2), rtol=1e-5)
        trace = 2 * (x - noise) + 0.9 * trace
        x = x - 0.1 * trace
    np.testing.assert_allclose(run.params, x, rtol=1e-5)
    advance = jax.jit(lambda run, keys: training.take_steps(gradtx.sgd(0.1, momentum=0.9), loss, run, keys))
    for moves in (1, 3, 4):  # four do not divide six, so that is one
        same, pieces = training.with_bar(advance, begin, keys, moves)
        np.testing.assert_allclose(pieces, losses, rtol=1e-6)
        np.testing.assert_allclose(same.params, run.params, rtol=1e-6)


def test_loss_and_accuracy(load):
    training = load("_training")
    logits = jnp.log(jnp.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])) + 3
    labels = jnp.array([1, 2])
    np.testing.assert_allclose(training.cross_entropy(logits, labels), -np.log(0.25 * 0.8) / 2, rtol=1e-6)
    assert training.accuracy(logits, labels) == 0.5


# What single scripts compute.


def test_padam_by_hand(load):
    g, params = np.array([3.0, -1.0, 0.0], np.float32), jnp.ones(3)
    tx = load("custom_optimizer").padam(0.5, power=0.25)
    state = tx.init(params)
    updates, state = tx.update(jnp.asarray(g), state, params)
    np.testing.assert_allclose(updates, -0.5 * g / np.where(g, np.abs(g), 1) ** 0.5, rtol=1e-5)
    updates, _ = tx.update(jnp.asarray(2 * g), state, params)
    m, v = (0.09 + 0.2) * g / 0.19, (0.999 * 0.001 + 0.004) * g**2 / (1 - 0.999**2)
    np.testing.assert_allclose(updates, -0.5 * m / np.where(v, v, 1) ** 0.25, rtol=1e-4)


def test_slopes_of_padam_are_finite_where_no_gradient_came(load):
    padam = load("custom_optimizer").padam
    step = lambda tx: jnp.sum(tx.update(jnp.zeros(2), tx.init(jnp.ones(2)), jnp.ones(2))[0])
    assert all(np.isfinite(x) for x in jax.tree.leaves(jax.grad(step)(padam(0.1, 0.25))))


@pytest.mark.parametrize("steps", [40, 2000])
def test_every_schedule_is_drawn_between_0_and_1(load, steps):
    script = load("learning_rate_decay")
    schedules = script.every_schedule(steps)
    assert set(schedules) == script.public_schedules()
    for name, schedule in schedules.items():
        values = np.array([float(schedule(step)) for step in (0, steps // 3, steps)])
        assert np.all((values >= 0) & (values <= 1.0001)), name


def test_ensemble_of_two(load):
    script = load("regularisation")
    chances = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.3, 0.7], [0.6, 0.4]]], np.float32)  # (seeds, images, classes)
    curve = script.judge(np.log(chances)[..., None], np.array([0, 1]))
    np.testing.assert_allclose(curve.loss, -np.log(0.9 * 0.8 * 0.3 * 0.4) / 4, rtol=1e-5)
    np.testing.assert_allclose(curve.ensemble_loss, -np.log(0.6 * 0.6) / 2, rtol=1e-5)
    assert (curve.accuracy, curve.ensemble_accuracy) == (0.5, 1.0)


def test_same_bits(load):
    same = load("checkpoint_resume").same_bits
    tree = {"x": jnp.array([0.0, 1.0]), "key": jax.random.key(3)}
    assert same(tree, jax.tree.map(jnp.copy, tree))
    assert not same(tree, tree | {"x": jnp.array([-0.0, 1.0])})
    assert not same(tree, tree | {"x": tree["x"].astype(jnp.float16)})
    assert not same(tree, tree | {"key": jax.random.key(4)})
