"""Optimizers, one file per family that shares state."""
