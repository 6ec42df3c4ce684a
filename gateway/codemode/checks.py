"""The check before the run, for each language of scripts."""

from collections.abc import Mapping

from gateway.codemode import preflight, tscheck
from gateway.codemode.definitions import ToolDef
from gateway.codemode.preflight import Preflight
from policy.sandbox import LANGUAGES as LANGUAGES
from policy.sandbox import TYPESCRIPT


def check(code: str, language: str, catalog: Mapping[str, ToolDef]) -> Preflight:
    """What is certainly wrong with a script; never raises, and runs nothing of it."""
    if language == TYPESCRIPT:
        return tscheck.check(code, catalog)
    return preflight.check(code, catalog)
