"""Training programs as users of Flax and Equinox write them: each takes Optax's module, or what stands in for it."""

import equinox as eqx
import jax
import jax.numpy as jnp
from flax import linen, nnx
from flax.training.train_state import TrainState

from tests.parity.programs import STEPS, X, Y


class LinenMLP(linen.Module):
    """Two layers."""

    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Dense(8)(x))
        return linen.Dense(3)(x)


def linen_train_state(optax):
    """Flax linen: AdamW in a `TrainState`, with warm-up, clipping, and weight decay of the matrices only."""
    schedule = optax.warmup_cosine_decay_schedule(0.0, 2e-2, warmup_steps=10, decay_steps=STEPS)
    decayed = lambda params: jax.tree.map(lambda p: p.ndim > 1, params)
    model = LinenMLP()
    state = TrainState.create(
        apply_fn=model.apply,
        params=model.init(jax.random.key(0), X)["params"],
        tx=optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=1e-2, mask=decayed)),
    )

    @jax.jit
    def train_step(state):
        def loss_fn(params):
            logits = state.apply_fn({"params": params}, X)
            return optax.softmax_cross_entropy_with_integer_labels(logits, Y).mean()

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads=grads), loss

    losses = []
    for _ in range(STEPS):
        state, loss = train_step(state)
        losses.append(loss)
    return {"losses": jnp.stack(losses), "params": state.params}


class NnxMLP(nnx.Module):
    """Two layers with batch normalization between."""

    def __init__(self, rngs):
        self.hidden = nnx.Linear(4, 8, use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.out = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        return self.out(nnx.relu(self.norm(self.hidden(x))))


def nnx_optimizer(optax):
    """Flax nnx: RMSProp with momentum in an `nnx.Optimizer`."""
    model = NnxMLP(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.rmsprop(5e-3, decay=0.95, momentum=0.9), wrt=nnx.Param)

    @nnx.jit
    def train_step(model, optimizer):
        def loss_fn(model):
            return optax.softmax_cross_entropy_with_integer_labels(model(X), Y).mean()

        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    losses = [train_step(model, optimizer) for _ in range(STEPS)]
    return {"losses": jnp.stack(losses), "params": nnx.to_pure_dict(nnx.state(model))}


def equinox_model(optax):
    """Equinox: LAMB on the arrays of a model."""
    model = eqx.nn.MLP(4, 3, 8, 1, key=jax.random.key(0))
    optim = optax.lamb(optax.exponential_decay(2e-2, 50, 0.5), weight_decay=1e-2)
    opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_jit
    def make_step(model, opt_state):
        def loss_fn(model):
            return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(model)(X), Y).mean()

        loss, grads = eqx.filter_value_and_grad(loss_fn)(model)
        updates, opt_state = optim.update(grads, opt_state, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), opt_state, loss

    losses = []
    for _ in range(STEPS):
        model, opt_state, loss = make_step(model, opt_state)
        losses.append(loss)
    return {"losses": jnp.stack(losses), "params": eqx.filter(model, eqx.is_inexact_array)}
