"""Runs whose states version 0.1.0 wrote, named as it did: `python -m tests.state.written` made the file there."""

import gzip
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import gradtx

FILE = Path(__file__).parent / "written_by_0_1_0.json.gz"
PARAMS: dict[str, Any] = {"body": {"b": jnp.ones(2), "w": jnp.full((2, 3), 0.5)}, "head": jnp.ones(3)}
STEPS = 3


def falling() -> Any:
    """A learning rate that follows a schedule."""
    return gradtx.linear_schedule(0.1, 0.0, 10)


def bases() -> Any:
    """Two optimizers, each for its own parameters."""
    return gradtx.partition({"a": gradtx.adam(0.1), "b": gradtx.adam(falling())}, {"body/*": "a", "**": "b"})


CASES: dict[str, Any] = {
    "adam": lambda: gradtx.adam(0.1),
    "scheduled adam": lambda: gradtx.adam(falling()),
    "two schedules": lambda: gradtx.chain(gradtx.clip_by_global_norm(falling()), gradtx.adamw(falling())),
    "sgd": lambda: gradtx.sgd(falling(), 0.9),
    "two adams": lambda: gradtx.chain(gradtx.adam(0.1), gradtx.chain(gradtx.clip(1.0), gradtx.adam(0.1))),
    "three adams": lambda: gradtx.chain(
        gradtx.chain(gradtx.scale_by_adam(), gradtx.scale_by_adam()), gradtx.adam(falling())
    ),
    "adafactor": lambda: gradtx.adafactor(0.1, min_dim_size_to_factor=1, momentum=0.9),
    "partition": bases,
    "muon": lambda: gradtx.muon(falling()),
    "masked": lambda: gradtx.masked(gradtx.adam(0.1), "body/*"),
    "named": lambda: gradtx.named_chain(clip=gradtx.clip(1.0), adam=gradtx.adam(falling()), again=gradtx.ema(0.9)),
    "monitor": lambda: gradtx.monitor(gradtx.adam(falling())),
    "accumulate": lambda: gradtx.accumulate(gradtx.adam(falling()), 2),
    "finite": lambda: gradtx.apply_if_finite(gradtx.adam(0.1), 3),
    "inject": lambda: gradtx.inject_hyperparams(gradtx.adam)(falling()),
    "lookahead": lambda: gradtx.lookahead(gradtx.sgd(0.1, 0.9), 2, 0.5),
    "ema": lambda: gradtx.ema_params(gradtx.adam(0.1)),
    "schedule_free": lambda: gradtx.schedule_free_adamw(0.1),
    "mechanize": lambda: gradtx.mechanize(gradtx.adam(0.1)),
    "graft": lambda: gradtx.graft(gradtx.adam(0.1), gradtx.sgd(0.1, 0.9)),
    "deep": lambda: gradtx.monitor(gradtx.accumulate(gradtx.ema_params(bases()), 2)),
}


def trained(tx: Any) -> Any:
    """The state after some steps with gradients that grow."""
    params, state = PARAMS, tx.init(PARAMS)
    for i in range(STEPS):
        grads = jax.tree.map(lambda p, i=i: (i + 1) * 0.25 * p, PARAMS)
        params, state = gradtx.step(tx, params, state, grads)
    return state


def read(case: str) -> dict[str, np.ndarray]:
    """The state dictionary of a case, as it was written."""
    found = json.loads(gzip.decompress(FILE.read_bytes()))[case]
    return {name: np.asarray(numbers, dtype) for name, (dtype, numbers) in found.items()}


if __name__ == "__main__":
    plain = lambda x: (str(x.dtype), np.asarray(x).tolist())
    saved = {case: jax.tree.map(plain, gradtx.state_dict(trained(make()))) for case, make in CASES.items()}
    FILE.write_bytes(gzip.compress(json.dumps(saved).encode(), mtime=0))
