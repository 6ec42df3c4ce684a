"""The options of `make soak`."""

import secrets

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--seconds`` of faults, and the ``--seed`` that draws them."""
    parser.addoption("--seconds", type=float, default=240.0)
    parser.addoption("--seed", type=int, default=secrets.randbelow(1_000_000))
