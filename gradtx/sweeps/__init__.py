"""Sweeps: many optimizers that differ in their hyperparameters, sampled and trained as one."""
