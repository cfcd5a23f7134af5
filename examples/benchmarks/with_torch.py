"""PyTorch's optimizers, fused into one kernel or over lists of tensors."""

from typing import Any

import torch  # pyright: ignore[reportMissingImports]

from examples.benchmarks.cases import Absent, Case
from examples.benchmarks.timing import Times, turn

LR = 1e-3


class Eager:
    """A PyTorch optimizer with its parameters and gradients."""

    def __init__(self, library: str, case: Case) -> None:
        how: dict[str, Any] = {library.split()[1]: True}
        makers: dict[str, Any] = {
            "momentum": lambda p: torch.optim.SGD(p, LR, 0.9, **how),
            "adam": lambda p: torch.optim.Adam(p, LR, **how),
            "adamw": lambda p: torch.optim.AdamW(p, LR, **how),
            "adamw + clip": lambda p: torch.optim.AdamW(p, LR, **how),
        }
        if "foreach" in how:
            makers["adafactor"] = lambda p: torch.optim.Adafactor(p, LR, **how)
        if case.optimizer not in makers:
            raise Absent(f"PyTorch has no {next(iter(how))} {case.optimizer}")
        torch.manual_seed(0)
        dtype = getattr(torch, case.dtype)
        self.params = [torch.nn.Parameter(0.01 * torch.randn(shape).to(dtype)) for shape in case.shapes]
        for p in self.params:
            p.grad = p.detach().clone()
        self.clip = case.optimizer.endswith("clip")
        self.optimizer = makers[case.optimizer](self.params)
        self.step()  # makes the state
        state = sum(x.nbytes for s in self.optimizer.state.values() for x in s.values() if x.ndim)
        params = sum(p.nbytes for p in self.params)
        self.facts: dict[str, Any] = {"state bytes": state, "stream bytes": case.traffic(params, state)}

    def run(self, steps: int, seconds: float) -> Times:
        return turn(self.step, None, steps, seconds)

    def step(self) -> None:
        if self.clip:
            torch.nn.utils.clip_grad_norm_(self.params, 1.0, foreach=True)
        self.optimizer.step()


def prepare(library: str, case: Case) -> Eager:
    """Build a case. The state of bfloat16 parameters is bfloat16, as PyTorch makes it."""
    return Eager(library, case)
