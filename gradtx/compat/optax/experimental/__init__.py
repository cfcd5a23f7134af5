"""What Optax calls experimental."""

from gradtx.compat.optax.experimental import aggregating as aggregating
