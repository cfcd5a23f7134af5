"""Around any optimizer."""
