"""Schedules: numbers that change with the step, one family per file."""
