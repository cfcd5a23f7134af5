"""How a turn of steps is timed, the same for every library."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

Times = dict[str, list[float]]


def turn(step: Callable[[], Any], wait: Callable[[], Any] | None, steps: int, seconds: float) -> Times:
    """Time at least one step and at most `steps`, beginning none after `seconds`; then as many in a row.

    Args:
        step: starts a step, or does all of it.
        wait: waits for the steps that were started; None where `step` does all of it.
        steps: the largest number of steps.
        seconds: when to stop.

    Returns:
        Seconds of each step; until each call returned ("dispatch", where there is something to wait for); and for each
        of the steps in a row that are waited for once, at their end ("pipelined"), as a training loop has them.
    """
    wait_for = wait or (lambda: None)
    times: Times = {"seconds": [], "pipelined": []}
    dispatch: list[float] = []
    begin = perf_counter()
    while not dispatch or (len(dispatch) < steps and perf_counter() - begin < seconds):
        start = perf_counter()
        step()
        dispatch.append(perf_counter() - start)
        wait_for()
        times["seconds"].append(perf_counter() - start)
    start = perf_counter()
    for _ in dispatch:
        step()
    wait_for()
    times["pipelined"].append((perf_counter() - start) / len(dispatch))
    return times | ({"dispatch": dispatch} if wait else {})
