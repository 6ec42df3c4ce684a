"""A real PostgreSQL and Redis under the data directory, for demo and tests."""

from config.embedded.engines import Engines, Urls
from config.embedded.processes import EnginesError

__all__ = ["Engines", "EnginesError", "Urls"]
