"""Transformations that know no learning rate, one theme per file."""
