"""Tools for the states of optimizers: look into them, save and restore them, fit them to changed parameters."""
