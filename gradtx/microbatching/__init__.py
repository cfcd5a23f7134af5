"""Micro-batches: functions of a large batch, evaluated on some of its rows at a time."""

from gradtx.microbatching.accumulators import AccumulationType as AccumulationType
from gradtx.microbatching.accumulators import Accumulator as Accumulator
from gradtx.microbatching.loop import microbatch as microbatch
from gradtx.microbatching.loop import reshape_batch_axis as reshape_batch_axis
from gradtx.microbatching.rows import Aux as Aux
from gradtx.microbatching.rows import micro_grad as micro_grad
from gradtx.microbatching.rows import micro_vmap as micro_vmap
