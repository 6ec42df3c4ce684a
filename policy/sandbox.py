"""How scripts are kept apart and what they may use: the strictest that is set wins."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from core.errors import Invalid

RUN = "run"
TEAM = "team"
LEVELS = (RUN, TEAM)
PYTHON = "python"
TYPESCRIPT = "typescript"
LANGUAGES = {PYTHON: "Python", TYPESCRIPT: "TypeScript"}
SCRIPT = "script"
DIRECT = "direct"
MODES = {SCRIPT: "Scripts", DIRECT: "Direct calls"}
_MOST_MODELS = 50
# Of the wildcards only the star: a name may hold all the rest.
_MODEL = re.compile(r"[A-Za-z0-9*][A-Za-z0-9*._:/@+-]{0,99}")


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit that may be set: its name on pages, its unit, and its range."""

    label: str
    unit: str
    default: float
    least: float
    most: float
    whole: bool = True


LIMITS: dict[str, Bound] = {
    "wall_seconds": Bound("Wall time", "s", 60, 0.1, 900, whole=False),
    "cpu_seconds": Bound("CPU time", "s", 10, 0.1, 600, whole=False),
    "memory_mb": Bound("Memory", "MiB", 256, 32, 2_048),
    "tmp_mb": Bound("Files in /tmp", "MiB", 16, 1, 256),
    "processes": Bound("Threads", "", 32, 1, 256),
    "stdout_bytes": Bound("Output kept", "bytes", 65_536, 0, 1_048_576),
    "result_bytes": Bound("Result", "bytes", 1_048_576, 1_024, 8_388_608),
    "message_bytes": Bound("One message", "bytes", 8_388_608, 4_096, 33_554_432),
    "calls": Bound("Tool calls", "", 1_000, 0, 100_000),
    "calls_in_flight": Bound("Calls in flight", "", 16, 1, 64),
}


def number(value: float) -> str:
    """A limit as pages show it."""
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


@dataclass(frozen=True, slots=True)
class Rule:
    """What one environment, team or key asks for; empty where it asks for nothing.

    ``languages``, ``modes`` and ``models`` list what is allowed, models as names or
    globs such as ``qwen3-*``. ``of`` says whose rule it is.
    """

    level: str = ""
    require_gvisor: bool = False
    limits: Mapping[str, float] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    require_model: bool = False
    of: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Sandboxing:
    """What holds for a run."""

    level: str
    require_gvisor: bool
    limits: Mapping[str, float]
    """Those that somebody set; the defaults hold for the others."""
    gvisor_tools: tuple[str, ...] = ()
    """Patterns of full tool names that only a script in gVisor may call."""
    rules: tuple[Rule, ...] = ()
    """All that was asked for."""

    def needs_gvisor(self, tool: str) -> bool:
        """Whether this tool is only for scripts in gVisor."""
        return any(fnmatchcase(tool, pattern) for pattern in self.gvisor_tools)


def merge(rules: Iterable[Rule], gvisor_tools: Iterable[str] = ()) -> Sandboxing:
    """Join what environment, team and key ask for.

    Of each limit the lowest wins. Level `team` holds if somebody asks for it and
    nobody for `run`; gVisor is required if anybody requires it.
    """
    asked = list(rules)
    limits: dict[str, float] = {}
    for rule in asked:
        for name, value in rule.limits.items():
            limits[name] = min(value, limits.get(name, value))
    levels = {rule.level for rule in asked}
    return Sandboxing(
        level=TEAM if TEAM in levels and RUN not in levels else RUN,
        require_gvisor=any(rule.require_gvisor for rule in asked),
        limits=limits,
        gvisor_tools=tuple(sorted(set(gvisor_tools))),
        rules=tuple(asked),
    )


def checked(limits: Mapping[str, object]) -> dict[str, float]:
    """The limits as they are stored. Raises Invalid, which names what is wrong."""
    values: dict[str, float] = {}
    for name, value in limits.items():
        bound = LIMITS.get(name)
        if bound is None:
            raise Invalid(f"There is no limit {name!r}: use {', '.join(LIMITS)}.")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Invalid(f"{bound.label}: send a number.")
        if not bound.least <= value <= bound.most:
            raise Invalid(
                f"{bound.label}: choose a number from {number(bound.least)} to "
                f"{number(bound.most)} {bound.unit}".rstrip()
                + "."
            )
        if bound.whole and value != int(value):
            raise Invalid(f"{bound.label}: choose a whole number.")
        values[name] = int(value) if bound.whole else float(value)
    return values


def checked_names(
    given: Iterable[str], known: Mapping[str, str], what: str
) -> tuple[str, ...]:
    """Languages or modes in their own order. Raises Invalid for others."""
    wanted = set(given)
    if unknown := sorted(wanted - set(known)):
        raise Invalid(f"There is no {what} {unknown[0]!r}: use {' or '.join(known)}.")
    return tuple(name for name in known if name in wanted)


def checked_models(given: Sequence[str]) -> tuple[str, ...]:
    """Names and globs of models as they are stored. Raises Invalid."""
    wanted = tuple(dict.fromkeys(name.strip() for name in given if name.strip()))
    for name in wanted:
        if not _MODEL.fullmatch(name):
            raise Invalid(
                f"{name[:60]!r} is no model: write up to 100 letters, digits and "
                "._:/@+-, with * for any text, such as qwen3-*."
            )
    if len(wanted) > _MOST_MODELS:
        raise Invalid(f"Name at most {_MOST_MODELS} models; a * stands for any text.")
    return wanted


def explain(rule: Rule) -> str:
    """The rule in one line."""
    parts = [f"level {rule.level}"] if rule.level else []
    parts += ["gVisor required"] if rule.require_gvisor else []
    parts += [" and ".join(LANGUAGES[name] for name in rule.languages)]
    parts += [" and ".join(MODES[name].lower() for name in rule.modes)]
    parts += [f"models {', '.join(rule.models)}" if rule.models else ""]
    parts += ["model to be named" if rule.require_model else ""]
    parts += [f"{name} {value:.10g}" for name, value in sorted(rule.limits.items())]
    return ", ".join(filter(None, parts)) or "the defaults"
