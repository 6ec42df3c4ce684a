"""Typed builders of the rows that tests start from."""
