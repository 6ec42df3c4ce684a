"""Runs scripts in Monty, a Python subset; used inside sandboxes and by the host."""

CAPACITY = 8
"""Runs of a team's sandbox at the same time; the host sends no more."""
