"""PyTorch's optimizers, fused into one kernel or over lists of tensors."""

import time
from typing import Any

import torch  # pyright: ignore[reportMissingImports]

from examples.benchmarks.cases import Case

LR = 1e-3


class Eager:
    """A PyTorch optimizer with its parameters and gradients."""

    def __init__(self, library: str, case: Case) -> None:
        how: dict[str, Any] = {library.split()[1]: True}
        makers: dict[str, Any] = {
            "momentum": lambda p: torch.optim.SGD(p, LR, 0.9, **how),
            "adam": lambda p: torch.optim.Adam(p, LR, **how),
            "adamw + clip": lambda p: torch.optim.AdamW(p, LR, **how),
            "adafactor": lambda p: torch.optim.Adafactor(p, LR, foreach=how["foreach"]),
        }
        maker = makers[case.optimizer]
        torch.manual_seed(0)
        dtype = getattr(torch, case.dtype)
        self.params = [torch.nn.Parameter(0.01 * torch.randn(shape).to(dtype)) for shape in case.shapes]
        for p in self.params:
            p.grad = p.detach().clone()
        self.clip = case.optimizer.endswith("clip")
        self.optimizer = maker(self.params)
        self.run(1)  # makes the state
        state = sum(x.nbytes for s in self.optimizer.state.values() for x in s.values() if x.ndim)
        params = sum(p.nbytes for p in self.params)
        self.facts = {"version": torch.__version__, "state bytes": state, "stream bytes": 3 * params + 2 * state}

    def run(self, steps: int) -> dict[str, list[float]]:
        """Seconds of each step."""
        seconds: list[float] = []
        for _ in range(steps):
            start = time.perf_counter()
            if self.clip:
                torch.nn.utils.clip_grad_norm_(self.params, 1.0, foreach=True)
            self.optimizer.step()
            seconds.append(time.perf_counter() - start)
        return {"seconds": seconds}


def prepare(library: str, case: Case) -> Eager:
    """Build a case; PyTorch has no Lion, and its fused and foreach forms are not there for all others."""
    return Eager(library, case)
