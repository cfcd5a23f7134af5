"""Micro-batches: gradtx's own under Optax's path."""

from gradtx.microbatching import AccumulationType as AccumulationType
from gradtx.microbatching import Accumulator as Accumulator
from gradtx.microbatching import micro_grad as micro_grad
from gradtx.microbatching import micro_vmap as micro_vmap
from gradtx.microbatching import microbatch as microbatch
from gradtx.microbatching import reshape_batch_axis as reshape_batch_axis
