"""Rules as a YAML document, as it is kept in git."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import yaml

from core.errors import Invalid
from policy.rule_diff import Document

_LONGEST = 2_000_000


class _Loader(yaml.SafeLoader):
    """YAML with the scalars of JSON alone: `no` and `17:00` stay texts.

    Aliases are refused: a short document could stand for a very long one.
    """

    yaml_implicit_resolvers = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not taken")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        names = Counter(
            key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)
        )
        if twice := [name for name, number in names.items() if number > 1]:
            raise yaml.YAMLError(f"{twice[0]} stands twice in one place")
        return super().construct_mapping(node, deep=deep)


for _name, _form, _first in (
    ("null", r"(?:null|~|)\Z", ["n", "~", ""]),
    ("bool", r"(?:true|false)\Z", ["t", "f"]),
    ("int", r"-?(?:0|[1-9][0-9]*)\Z", list("-0123456789")),
    ("float", r"-?(?:0|[1-9]\d*)\.\d+\Z", list("-0123456789")),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}", re.compile(_form), _first
    )


class _Dumper(yaml.SafeDumper):
    pass


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if "\x85" in text:
        # A line break to YAML, which would be read as another one.
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def write(rules: Sequence[Document], *, version: int) -> str:
    """The rules as YAML; ``read`` gives them again."""
    body = yaml.dump(
        {"rules": [dict(rule) for rule in rules]},
        Dumper=_Dumper,
        allow_unicode=True,
        sort_keys=False,
        width=88,
    )
    return f"# Rules of Tollgate, version {version}\n{body}"


def read(text: str) -> Any:
    """The value under ``rules`` in a YAML or JSON document. Raises Invalid."""
    if len(text) > _LONGEST:
        raise Invalid(f"The document has more than {_LONGEST:,} characters.")
    try:
        # The loader is a SafeLoader with less in it.
        document = yaml.load(text, Loader=_Loader)  # noqa: S506
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        problem = getattr(error, "problem", None) or str(error)[:200]
        raise Invalid(f"This is no YAML{line}: {problem}.") from None
    if not isinstance(document, dict) or set(document) != {"rules"}:
        raise Invalid('A document of rules has one field, "rules", with a list.')
    return document["rules"] or []
