"""Training programs as users of Optax write them: each takes the module, and gives its losses and what it made."""

import jax
import jax.numpy as jnp
import numpy as np

STEPS = 100
RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.standard_normal((16, 4)), jnp.float32)
Y = jnp.asarray(RNG.integers(0, 3, 16))


def init_mlp(key, sizes=(4, 8, 3)):
    """Layers of a small network, by name."""
    layers = zip(sizes[:-1], sizes[1:], jax.random.split(key, len(sizes) - 1), strict=True)
    return {
        f"layer_{i}": {"w": jax.random.normal(k, (m, n)) / jnp.sqrt(m), "b": jnp.zeros(n)}
        for i, (m, n, k) in enumerate(layers)
    }


def start_mlp():
    """The network that most programs train."""
    return init_mlp(jax.random.key(0))


def mlp(params, x):
    """The network's output."""
    hidden = jnp.tanh(x @ params["layer_0"]["w"] + params["layer_0"]["b"])
    return hidden @ params["layer_1"]["w"] + params["layer_1"]["b"]


def gradient_accumulation(optax):
    """Four micro-batches to a step of AdamW."""
    optimizer = optax.MultiSteps(optax.adamw(optax.linear_schedule(1e-2, 1e-3, 25)), every_k_schedule=4)
    params = start_mlp()
    opt_state = optimizer.init(params)

    def loss_fn(params, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(mlp(params, x), y).mean()

    @jax.jit
    def train_step(carry, batch):
        params, opt_state = carry
        loss, grads = jax.value_and_grad(loss_fn)(params, *batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        return (params, opt_state), (loss, optimizer.has_updated(opt_state))

    micro_batches = jnp.tile(X.reshape(4, 4, 4), (STEPS // 4, 1, 1)), jnp.tile(Y.reshape(4, 4), (STEPS // 4, 1))
    (params, _), (losses, stepped) = jax.lax.scan(train_step, (params, opt_state), micro_batches)
    return {"losses": losses, "stepped": stepped, "params": params}


def frozen_layers(optax):
    """The first layer kept, the second trained, and its bias without weight decay."""

    def label_fn(params):
        def label(path, _):
            if path[0].key == "layer_0":
                return "frozen"
            return "bias" if path[-1].key == "b" else "kernel"

        return jax.tree_util.tree_map_with_path(label, params)

    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.partition(
            {
                "kernel": optax.adamw(1e-2, weight_decay=1e-2),
                "bias": optax.sgd(1e-1, momentum=0.9),
                "frozen": optax.set_to_zero(),
            },
            label_fn,
        ),
    )
    return fit(optax, optimizer)


def meta_learning(optax):
    """MAML: the start from which three steps of Adam fit a sine, its gradient taken through those steps."""
    # The slope of a step of Adam grows as eps_root^(-1/2) where gradients vanish: a smaller one makes training chaotic.
    inner = optax.adam(3e-2, eps_root=1e-3)
    outer = optax.adam(3e-3)
    params = init_mlp(jax.random.key(0), (1, 8, 1))

    def loss_fn(params, x, y):
        return optax.squared_error(mlp(params, x), y).mean()

    def adapt(params, x, y):
        opt_state = inner.init(params)
        for _ in range(3):
            grads = jax.grad(loss_fn)(params, x, y)
            updates, opt_state = inner.update(grads, opt_state, params)
            params = optax.apply_updates(params, updates)
        return params

    def meta_loss(params, phases):
        x = jnp.linspace(-2, 2, 8)[:, None]

        def task_loss(phase):
            y = jnp.sin(x + phase)
            return loss_fn(adapt(params, x[::2], y[::2]), x[1::2], y[1::2])

        return jax.vmap(task_loss)(phases).mean()

    def meta_step(carry, phases):
        params, opt_state = carry
        loss, grads = jax.value_and_grad(meta_loss)(params, phases)
        updates, opt_state = outer.update(grads, opt_state)
        return (optax.apply_updates(params, updates), opt_state), loss

    tasks = jax.random.uniform(jax.random.key(1), (STEPS, 4), maxval=jnp.pi)
    (params, _), losses = jax.lax.scan(meta_step, (params, outer.init(params)), tasks)
    return {"losses": losses, "params": params}


def lbfgs_until_converged(optax):
    """L-BFGS with its zoom line search, until the gradient is small."""

    def fun(w):
        logits = X @ w
        return optax.softmax_cross_entropy_with_integer_labels(logits, Y).mean() + 0.01 * optax.tree.norm(
            w, squared=True
        )

    optimizer = optax.lbfgs()
    value_and_grad_fun = optax.value_and_grad_from_state(fun)

    @jax.jit
    def step(params, state):
        value, grad = value_and_grad_fun(params, state=state)
        updates, state = optimizer.update(grad, state, params, value=value, grad=grad, value_fn=fun)
        return optax.apply_updates(params, updates), state

    params = jnp.zeros((4, 3))
    state = optimizer.init(params)
    losses, learning_rates = [], []
    for _ in range(STEPS):
        params, state = step(params, state)
        losses.append(optax.tree.get(state, "value"))
        learning_rates.append(optax.tree.get(state, "learning_rate"))
        if optax.tree.norm(optax.tree.get(state, "grad")) < 1e-3:
            break
    return {"losses": jnp.stack(losses), "learning_rates": jnp.stack(learning_rates), "params": params}


def sharpness_aware(optax):
    """SAM in turns: a step of the adversary, then one of SGD."""
    adversary = optax.chain(optax.contrib.normalize(), optax.sgd(0.05))
    return fit(optax, optax.contrib.sam(optax.sgd(0.1, momentum=0.9), adversary, sync_period=2))


def sharpness_aware_opaque(optax):
    """SAM whose step takes the adversary's gradients itself."""
    params = start_mlp()
    adversary = optax.chain(optax.contrib.normalize(), optax.sgd(0.05))
    optimizer = optax.contrib.sam(optax.adam(1e-2), adversary, sync_period=2, opaque_mode=True)

    def loss_fn(params):
        return optax.softmax_cross_entropy_with_integer_labels(mlp(params, X), Y).mean()

    def train_step(carry, _):
        params, opt_state = carry
        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(
            grads, opt_state, params, grad_fn=lambda params, _: jax.grad(loss_fn)(params)
        )
        return (optax.apply_updates(params, updates), opt_state), loss

    (params, _), losses = jax.lax.scan(train_step, (params, optimizer.init(params)), length=STEPS)
    return {"losses": losses, "params": params}


def schedule_free(optax):
    """Schedule-free AdamW, evaluated at the averaged parameters."""
    optimizer = optax.contrib.schedule_free_adamw(1e-2, warmup_steps=10, weight_decay=1e-2)
    params = start_mlp()

    def loss_fn(params):
        return optax.softmax_cross_entropy_with_integer_labels(mlp(params, X), Y).mean()

    def train_step(carry, _):
        params, opt_state = carry
        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        evaluated = loss_fn(optax.contrib.schedule_free_eval_params(opt_state, params))
        return (params, opt_state), (loss, evaluated)

    (params, _), (losses, evaluated) = jax.lax.scan(train_step, (params, optimizer.init(params)), length=STEPS)
    return {"losses": losses, "evaluated": evaluated, "params": params}


def muon(optax):
    """Muon for the matrices, its own Adam for the biases."""
    return fit(optax, optax.contrib.muon(optax.cosine_decay_schedule(2e-2, STEPS), weight_decay=1e-2))


def private(optax):
    """DP-SGD: gradients by example, clipped and with noise."""
    optimizer = optax.chain(
        optax.contrib.differentially_private_aggregate(l2_norm_clip=1.0, noise_multiplier=0.5, key=42),
        optax.sgd(0.1, momentum=0.9),
    )
    params = start_mlp()

    def loss_fn(params, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(mlp(params, x), y)

    def train_step(carry, _):
        params, opt_state = carry
        losses, grads = jax.vmap(jax.value_and_grad(loss_fn), in_axes=(None, 0, 0))(params, X, Y)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), losses.mean()

    (params, _), losses = jax.lax.scan(train_step, (params, optimizer.init(params)), length=STEPS)
    return {"losses": losses, "params": params}


def reduce_on_plateau(optax):
    """Adam, its step halved where the loss stays."""
    optimizer = optax.chain(
        optax.adam(0.05),
        optax.contrib.reduce_on_plateau(factor=0.5, patience=3, rtol=1e-2, cooldown=2, accumulation_size=5),
    )
    params = start_mlp()

    def loss_fn(params):
        error = optax.sigmoid_binary_cross_entropy(mlp(params, X), jax.nn.one_hot(Y, 3)).mean()
        return error + 1e-2 * optax.tree.norm(params, squared=True)

    def train_step(carry, _):
        params, opt_state = carry
        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(grads, opt_state, params=params, value=loss)
        return (optax.apply_updates(params, updates), opt_state), (loss, optax.tree.get(opt_state, "scale"))

    (params, _), (losses, scales) = jax.lax.scan(train_step, (params, optimizer.init(params)), length=STEPS)
    return {"losses": losses, "scales": scales, "params": params}


def edited_hyperparams(optax):
    """AdamW whose learning rate and decay the loop changes, beside a schedule of b1."""
    optimizer = optax.inject_hyperparams(optax.adamw)(
        learning_rate=1e-2, b1=optax.linear_schedule(0.5, 0.9, STEPS), weight_decay=1e-2
    )
    params = start_mlp()
    opt_state = optimizer.init(params)

    def loss_fn(params):
        return optax.softmax_cross_entropy_with_integer_labels(mlp(params, X), Y).mean()

    @jax.jit
    def train_step(params, opt_state):
        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    losses = []
    for step in range(STEPS):
        if step % 25 == 24:
            opt_state.hyperparams["learning_rate"] *= 0.5
            opt_state.hyperparams["weight_decay"] = jnp.asarray(0.1)
        params, opt_state, loss = train_step(params, opt_state)
        losses.append(loss)
    return {"losses": jnp.stack(losses), "hyperparams": opt_state.hyperparams, "params": params}


def fit(optax, optimizer):
    """The loop that needs nothing else."""
    params = start_mlp()

    def loss_fn(params):
        return optax.softmax_cross_entropy_with_integer_labels(mlp(params, X), Y).mean()

    def train_step(carry, _):
        params, opt_state = carry
        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), loss

    (params, _), losses = jax.lax.scan(train_step, (params, optimizer.init(params)), length=STEPS)
    return {"losses": losses, "params": params}
