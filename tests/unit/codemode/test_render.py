import ast
import json
from typing import Any

import pytest

from core.errors import Invalid, NotFound
from gateway.codemode import tokens
from gateway.codemode.render import prune, render_schema, render_search
from gateway.codemode.search import Hits, Index
from tests.unit.codemode.makers import (
    github_tools,
    make_list_orders,
    make_tool,
    needs_shared,
)

FIELDS = {
    f"f{n}": {"type": "object", "properties": {"x": {"type": "string"}}}
    for n in range(400)
}


def make_huge() -> Any:
    line = {"type": "object", "properties": {"sku": {"type": "string"}}}
    return make_tool(
        "erp.post",
        schema={
            "type": "object",
            "properties": {"body": {"$ref": "#/$defs/Body"}},
            "required": ["body"],
            "$defs": {
                "Body": {
                    "type": "object",
                    "properties": {
                        "items": {
                            "type": "array",
                            "items": {"$ref": "#/$defs/Line"},
                            "description": "The lines.",
                        },
                        **FIELDS,
                    },
                    "required": ["items"],
                },
                "Line": line,
            },
        },
        returns={"type": "object", "properties": {"receipt": line}},
        description="Post a document. It is large.",
    )


def cost(answer: Any) -> int:
    return tokens.count(json.dumps(answer))


def test_brief_is_a_line_for_each_tool() -> None:
    hits = Hits(40, (make_list_orders(), make_tool("crm.bare")), ())
    assert render_search(hits, "brief", 1000) == {
        "summary": "2 of 40 tools",
        "tools": ["crm.list_orders: List orders since a date.", "crm.bare"],
        "suggestions": [],
    }


def test_detailed_is_python_with_its_import() -> None:
    answer = render_search(Hits(1, (make_list_orders(),), ()), "detailed", 1000)
    (text,) = answer["tools"]
    assert text.startswith("# from tools import crm; crm.list_orders\nclass Order(")
    ast.parse(text)


def test_full_is_the_json_schema() -> None:
    tool = make_list_orders()
    (row,) = render_search(Hits(1, (tool,), ()), "full", 2000)["tools"]
    assert row["name"] == "crm.list_orders"
    assert row["inputSchema"] == tool.input_schema
    assert row["outputSchema"] == tool.output_schema


def test_large_catalogs_are_counted_with_commas_and_suggestions_pass_through() -> None:
    answer = render_search(Hits(2594, (), ("Servers: crm",)), "brief", 100)
    assert answer["summary"] == "0 of 2,594 tools"
    assert answer["suggestions"] == ["Servers: crm"]


def test_what_does_not_fit_is_named() -> None:
    tools = tuple(
        make_tool(f"crm.tool_{n}", description="word " * 100) for n in range(10)
    )
    answer = render_search(Hits(10, tools, ()), "detailed", 400)
    shown = len(answer["tools"])
    assert 0 < shown < 10
    assert answer["summary"] == f"{shown} of 10 tools"
    assert f"crm.tool_{shown}" in answer["suggestions"][-1]
    assert cost(answer["tools"]) < 450


def test_typescript_is_a_declaration_with_its_call() -> None:
    answer = render_search(Hits(1, (make_list_orders(),), ()), "typescript", 1000)
    (text,) = answer["tools"]
    assert text.startswith("// await tools.crm.listOrders(…)\nnamespace crm {")
    assert "function listOrders(args: {since: string; " in text


def test_an_unknown_detail_is_refused() -> None:
    with pytest.raises(Invalid, match="brief, detailed, typescript, full"):
        render_search(Hits(1, (make_list_orders(),), ()), "verbose", 1000)


def test_unknown_names_are_answered_with_suggestions() -> None:
    answer = render_schema(
        [make_list_orders()],
        {"crm.list_order": ("crm.list_orders",)},
        "brief",
        1000,
        None,
    )
    assert answer["summary"] == "1 of 2 tools asked for"
    assert answer["unknown"] == [
        {"name": "crm.list_order", "did_you_mean": ["crm.list_orders"]}
    ]


@pytest.mark.parametrize("detail", ["brief", "detailed", "typescript", "full"])
@pytest.mark.parametrize("budget", [300, 1000, 5000])
def test_a_huge_schema_stays_within_the_budget(detail: str, budget: int) -> None:
    answer = render_schema([make_huge()], {}, detail, budget, None)
    assert cost(answer) <= budget * 1.1 + 60
    assert "erp.post" in json.dumps(answer["tools"])


def test_tools_left_out_are_named() -> None:
    tools = [make_tool(f"crm.t{n}", description="word " * 200) for n in range(5)]
    answer = render_schema(tools, {}, "full", 600, None)
    shown = len(answer["tools"])
    assert 0 < shown < 5
    assert answer["left_out"] == [f"crm.t{n}" for n in range(shown, 5)]
    assert answer["summary"] == f"{shown} of 5 tools asked for"


def test_a_path_leads_into_a_big_schema() -> None:
    answer = render_schema([make_huge()], {}, "detailed", 1000, "$.body.items")
    assert answer["type"] == "list[Line]"
    assert answer["definitions"] == ["class Line(TypedDict): sku: NotRequired[str]"]
    assert answer["fields"] == ["$.body.items[]: the items"]
    answer = render_schema([make_huge()], {}, "full", 1000, "$.body.items[0]")
    assert answer["schema"] == {
        "type": "object",
        "properties": {"sku": {"type": "string"}},
    }


def test_a_path_may_lead_into_the_result() -> None:
    answer = render_schema([make_huge()], {}, "full", 1000, "$.return.receipt.sku")
    assert answer["schema"] == {"type": "string"}


def test_a_path_to_many_fields_is_cut() -> None:
    answer = render_schema([make_huge()], {}, "detailed", 600, "$.body")
    assert answer["fields"][0] == "$.body.items (required): The lines."
    assert answer["fields"][-1].startswith("and ")
    assert cost(answer) < 1500


@pytest.mark.parametrize(
    ("path", "error", "text"),
    [
        ("$.bdy", NotFound, r"nothing at \$.bdy. At \$: body"),
        ("$.body.items[].nope", NotFound, "sku"),
        ("$.[", Invalid, "is not like"),
    ],
)
def test_a_wrong_path_says_what_is_there(
    path: str, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        render_schema([make_huge()], {}, "detailed", 1000, path)


def test_a_path_goes_with_one_tool() -> None:
    with pytest.raises(Invalid, match="exactly one tool"):
        render_schema([make_huge(), make_list_orders()], {}, "full", 1000, "$.body")


def test_pruning_follows_references_and_ends_at_cycles() -> None:
    schema = {
        "properties": {"next": {"$ref": "#"}, "n": {"type": "integer"}},
        "type": "object",
    }
    pruned = prune(schema, 2)
    assert pruned["properties"]["next"]["properties"]["next"] == {
        "type": "object",
        "$comment": "deeper parts left out",
    }
    wide: dict[str, Any] = {"$defs": {"A": {"properties": {}}}}
    wide["$defs"]["A"]["properties"] = {
        f"p{n}": {"$ref": "#/$defs/A"} for n in range(50)
    }
    assert len(json.dumps(prune({"$ref": "#/$defs/A"}, 6, wide))) < 1_000_000


@needs_shared
def test_ten_real_tools_cost_little() -> None:
    index = Index(github_tools())
    hits = index.search("list pull requests", allowed=None, limit=10)
    assert cost(render_search(hits, "brief", 6000)) < 600
    assert cost(render_search(hits, "detailed", 6000)) < 4000
