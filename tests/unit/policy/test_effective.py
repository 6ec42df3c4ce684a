"""What holds where several layers ask for something, and who set it."""

from policy.effective import Line, effective
from policy.sandbox import LIMITS, Rule

PROD = Rule(
    level="run",
    limits={"calls": 50, "memory_mb": 128},
    languages=("python",),
    models=("gpt-5*",),
    of="environment prod",
)
SALES = Rule(
    level="team",
    limits={"calls": 80, "memory_mb": 128},
    languages=("python", "typescript"),
    models=("gpt-*", "qwen3-*"),
    require_model=True,
    of="team sales",
)
KEY = Rule(modes=("direct",), require_gvisor=True, of="key bot")


def lines(*rules: Rule) -> dict[str, Line]:
    return {line.what: line for line in effective(rules)}


def test_each_setting_names_the_layers_that_made_it_so() -> None:
    held = lines(PROD, SALES, KEY)
    assert held["Level"] == Line("Level", "run", ("environment prod",))
    assert held["gVisor"] == Line("gVisor", "required", ("key bot",))
    both = ("environment prod", "team sales")
    assert held["Languages"] == Line("Languages", "Python", both)
    assert held["Ways of calling"].value == "Direct calls"
    assert held["Models"] == Line("Models", "gpt-5* and of these gpt-*, qwen3-*", both)
    assert held["Naming the model"].set_by == ("team sales",)
    assert held["Tool calls"] == Line("Tool calls", "50", ("environment prod",))
    assert held["Memory"] == Line("Memory", "128 MiB", both)
    assert held["Result"].value == "1,048,576 bytes"
    assert held["CPU time"] == Line("CPU time", "10 s")


def test_without_any_layer_the_defaults_hold() -> None:
    held = effective([])
    assert all(not line.set_by for line in held)
    assert {bound.label for bound in LIMITS.values()} < {line.what for line in held}
    assert lines()["Languages"].value == "Python, TypeScript"
    assert lines()["Models"].value == "any"


def test_nothing_left_is_said_to_be_none() -> None:
    other = Rule(languages=("typescript",), of="team x")
    assert lines(PROD, other)["Languages"].value == "none"
