"""Scripts as agents write them: joins, pages, filters, mistakes and their mending."""

from deploy.demo.scripts.growth import GROWTH
from deploy.demo.scripts.platform import PLATFORM
from deploy.demo.scripts.script import DemoScript
from deploy.demo.scripts.support import SUPPORT

SCRIPTS: tuple[DemoScript, ...] = (*PLATFORM, *GROWTH, *SUPPORT)

__all__ = ["SCRIPTS", "DemoScript"]
