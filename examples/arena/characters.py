"""The text of Python's own standard library, and a small transformer that says what character comes next."""

import sysconfig
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from examples.arena.task import Task, cross_entropy, dense

BLOCKS, WIDTH, HEADS, CONTEXT = 2, 64, 4, 64
BATCH = 8
VALIDATION = 128  # windows
PRINTABLE = range(32, 127)  # the codes of ASCII, from the space on
VOCABULARY = 1 + len(PRINTABLE)  # with the end of a line
ENDS = 10  # parts of a training: the loss is the mean over the last of them


def init(key: Array) -> Any:
    """Matrices at random; those at the ends of branches are smaller the more branches there are."""
    embedding, positions, head, *blocks = jax.random.split(key, 3 + BLOCKS)
    return {
        "embedding": WIDTH**-0.5 * jax.random.normal(embedding, (VOCABULARY, WIDTH)),
        "positions": WIDTH**-0.5 * jax.random.normal(positions, (CONTEXT, WIDTH)),
        "blocks": [_init_block(k) for k in blocks],
        "scale": jnp.ones(WIDTH),
        "head": dense(head, WIDTH, VOCABULARY),
    }


def _init_block(key: Array) -> Any:
    qkv, out, up, down = jax.random.split(key, 4)
    end = (2 * BLOCKS) ** -0.5
    return {
        "attention": {
            "scale": jnp.ones(WIDTH),
            "qkv": dense(qkv, WIDTH, 3 * WIDTH),
            "out": dense(out, WIDTH, WIDTH, end),
        },
        "mlp": {
            "scale": jnp.ones(WIDTH),
            "up": dense(up, WIDTH, 4 * WIDTH),
            "down": dense(down, 4 * WIDTH, WIDTH, end),
        },
    }


def logits(params: Any, text: Array) -> Array:
    """Those of the next character at each place of one window, (context,) -> (context, vocabulary)."""
    x = params["embedding"][text] + params["positions"]
    for block in params["blocks"]:
        x = x + attention(block["attention"], x)
        x = x + mlp(block["mlp"], x)
    return normal(x, params["scale"]) @ params["head"]


def attention(params: Any, x: Array) -> Array:
    """Each place looks at itself and those before it."""
    q, k, v = (normal(x, params["scale"]) @ params["qkv"]).reshape(CONTEXT, 3, HEADS, WIDTH // HEADS).swapaxes(0, 1)
    look = jnp.einsum("qhd,khd->hqk", q, k) * (WIDTH // HEADS) ** -0.5
    seen = jnp.tril(jnp.ones((1, CONTEXT, CONTEXT), bool))
    share = jax.nn.softmax(jnp.where(seen, look, -jnp.inf))
    return jnp.einsum("hqk,khd->qhd", share, v).reshape(CONTEXT, WIDTH) @ params["out"]


def mlp(params: Any, x: Array) -> Array:
    return jax.nn.gelu(normal(x, params["scale"]) @ params["up"]) @ params["down"]


def normal(x: Array, scale: Array) -> Array:
    """Rows of mean square 1, times the scale of each column."""
    return x * jax.lax.rsqrt(jnp.mean(x**2, axis=1, keepdims=True) + 1e-6) * scale[None]


def read() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The characters to train on and those of every tenth module, to validate with.

    All modules outside packages, in alphabetical order. Tabs, and what is not ASCII, count as spaces.
    """
    codes = np.full(256, 1, np.uint8)
    codes[ord("\n")] = 0
    codes[PRINTABLE] = np.arange(1, VOCABULARY)
    paths = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    texts = [codes[np.frombuffer(path.read_bytes(), np.uint8)] for path in paths]
    train = [text for k, text in enumerate(texts) if k % 10]
    return np.concatenate(train), np.concatenate(texts[::10])


def characters() -> Task:
    """Windows of 64 characters and the one after each, 8 at a step."""
    train, others = read()
    text = jnp.asarray(train)
    starts = np.linspace(0, len(others) - CONTEXT - 1, VALIDATION).astype(int)
    validation = jnp.asarray(np.stack([others[i : i + CONTEXT + 1] for i in starts]))

    def loss(params: Any, windows: Array) -> Array:
        windows = windows.astype(jnp.int32)
        return cross_entropy(jax.vmap(logits, (None, 0))(params, windows[:, :-1]), windows[:, 1:])

    def batch(key: Array) -> Array:
        starts = jax.random.randint(key, (BATCH,), 0, len(text) - CONTEXT)
        return jax.vmap(lambda i: jax.lax.dynamic_slice(text, (i,), (CONTEXT + 1,)))(starts)

    return Task(
        "characters", init, loss, batch, steps=300, rate=2e-3,
        final=lambda params, losses: jnp.mean(losses[-max(1, len(losses) // ENDS) :]),
        judged_by=f"training loss in nats a character, mean over the last {1 / ENDS:.0%} of the steps",
        score=lambda params: loss(params, validation),
        scored_by="validation loss",
    )  # fmt: skip
