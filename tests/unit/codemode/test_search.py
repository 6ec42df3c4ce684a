import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.codemode.definitions import ToolDef
from gateway.codemode.search import Index
from gateway.codemode.terms import terms, words
from tests.unit.codemode.makers import SHARED, github_tools, make_tool, needs_shared


def make_tools() -> list[ToolDef]:
    return [
        make_tool("crm.list_orders", description="List orders.", tags=("sales",)),
        make_tool("crm.getCustomer", description="One customer by id."),
        make_tool("billing.list_invoices", description="Invoices.", tags=("Money",)),
        make_tool("billing.send", {"invoiceNumber": {"description": "which one"}}),
        make_tool("secret.launch_rocket", description="Fire the orders rocket."),
    ]


VISIBLE = frozenset(
    {"crm.list_orders", "crm.getCustomer", "billing.list_invoices", "billing.send"}
)


def names(index: Index, query: str, **options: Any) -> list[str]:
    found = index.search(query, **{"allowed": None, **options})
    return [tool.full_name for tool in found.tools]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("getHTTPServer2Id", ["get", "http", "server", "2", "id"]),
        ("list_pull-requests", ["list", "pull", "requests"]),
        ("création", ["creation"]),
        ("查找工具", ["查找", "找工", "工具"]),
        ("", []),
    ],
)
def test_identifiers_are_split(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_words_are_stemmed() -> None:
    assert terms("invoices") == terms("invoice")


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("orders", "crm.list_orders"),
        ("get a customer", "crm.getCustomer"),
        ("invoice number", "billing.send"),
        ("money", "billing.list_invoices"),
    ],
)
def test_names_parameters_and_tags_are_found(query: str, first: str) -> None:
    assert names(Index(make_tools()), query, allowed=VISIBLE)[0] == first


def test_what_is_not_allowed_is_neither_found_nor_counted_nor_suggested() -> None:
    index = Index(make_tools())
    found = index.search("launch rocket", allowed=VISIBLE)
    assert found.tools == ()
    assert found.total_visible == 4
    text = " ".join(found.suggestions)
    assert "rocket" not in text
    assert "secret" not in text
    assert "billing, crm" in text


def test_a_tool_of_another_name_changes_no_hidden_count() -> None:
    hits = Index(make_tools()).search("orders", allowed=VISIBLE | {"nobody.knows"})
    assert hits.total_visible == 4


def test_close_words_are_suggested() -> None:
    found = Index(make_tools()).search("custmer", allowed=VISIBLE)
    assert found.suggestions[0] == "Close words: customer"


def test_words_that_say_nothing_find_nothing_beside_words_that_do() -> None:
    index = Index([make_tool("a.b", description="All of the orders"), *make_tools()])
    assert names(index, "which of the zebras") == []
    assert names(index, "all of the") == ["a.b", "secret.launch_rocket"]


def test_server_and_tags_narrow_the_search() -> None:
    index = Index(make_tools())
    assert names(index, "list", server="billing") == ["billing.list_invoices"]
    assert names(index, "list", tags=["MONEY"]) == ["billing.list_invoices"]
    assert names(index, "list", tags=["money", "sales"]) == []
    hint = index.search("list", allowed=None, tags=["nope"]).suggestions
    assert hint[0] == "Tools match without the server and tags: leave them out."
    assert "Tags: Money, sales" in hint


def test_an_empty_query_lists_by_server() -> None:
    index = Index(make_tools())
    assert names(index, " ", allowed=VISIBLE) == sorted(VISIBLE)
    assert names(index, "", server="crm") == ["crm.getCustomer", "crm.list_orders"]


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (0, 1), (3, 3), (500, 5)])
def test_the_limit_holds(limit: int, count: int) -> None:
    assert len(names(Index(make_tools()), "", limit=limit)) == count


def test_equal_scores_come_in_the_order_of_names() -> None:
    tools = [make_tool(f"s.same_{n}", description="orders") for n in "dbca"]
    expected = ["s.same_a", "s.same_b", "s.same_c", "s.same_d"]
    assert names(Index(tools), "orders") == expected
    assert names(Index(tools[::-1]), "orders") == expected


def test_an_empty_catalog_and_no_grants_say_what_to_do() -> None:
    hits = Index([]).search("orders", allowed=None)
    assert (hits.total_visible, hits.tools) == (0, ())
    assert hits.suggestions == ("No tool is granted to this key: ask for a grant.",)
    assert Index(make_tools()).search("orders", allowed=frozenset()).tools == ()


def test_tools_without_any_words_can_be_indexed() -> None:
    assert names(Index([make_tool("१.१")]), "x") == []


def test_close_names_are_of_visible_tools() -> None:
    index = Index(make_tools())
    assert index.close_names("crm.list_order", VISIBLE)[0] == "crm.list_orders"
    assert index.close_names("billing.getCustomer", VISIBLE)[0] == "crm.getCustomer"
    assert index.close_names("secret.launch_rocke", VISIBLE) == ()


def test_indexing_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    Index(make_tools()).search("orders", allowed=None)
    assert capfd.readouterr() == ("", "")


def make_generated(count: int) -> list[ToolDef]:
    verbs = ["list", "get", "create", "update", "delete", "search", "export"]
    nouns = ["order", "invoice", "customer", "ticket", "shipment", "contract"]
    return [
        make_tool(
            f"s{n % 40}.{verbs[n % 7]}_{nouns[n % 6]}_{n}",
            {"id": {"type": "string", "description": f"{nouns[n % 6]} to use"}},
            description=f"{verbs[n % 7]} one {nouns[n % 6]} of area {n % 97}",
        )
        for n in range(count)
    ]


def test_a_search_among_2500_tools_takes_less_than_ten_milliseconds() -> None:
    tools = make_generated(2500)
    index = Index(tools)
    allowed = frozenset(tool.full_name for tool in tools[::2])
    spent: list[float] = []
    for n in range(200):
        started = time.thread_time()
        hits = index.search(f"list the orders of area {n % 97}", allowed=allowed)
        spent.append(time.thread_time() - started)
        assert hits.total_visible == 1250
    assert sorted(spent)[189] < 0.010


@needs_shared
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("create an issue", "github.issue_write"),
        ("list pull requests", "github.list_pull_requests"),
        ("search code", "github.search_code"),
        ("my own user profile", "github.get_me"),
    ],
)
def test_plain_questions_find_the_tool_of_a_real_server(
    query: str, expected: str
) -> None:
    assert expected in names(Index(github_tools()), query, limit=10)


@needs_shared
def test_recall_on_a_public_set_stays_where_it_is() -> None:
    folder = SHARED / "workloads" / "mcpproxy_golden"
    corpus = json.loads((folder / "corpus_v1.tools.json").read_text())["tools"]
    queries = json.loads((folder / "retrieval_golden_v1.json").read_text())["queries"]
    ids: Mapping[str, str] = {
        tool["tool_id"]: f"{tool['server'].replace('-', '_')}.{tool['tool']}"
        for tool in corpus
    }
    index = Index(
        [make_tool(ids[t["tool_id"]], description=t["description"]) for t in corpus]
    )
    found = wanted = 0
    for query in queries:
        gold = {ids[label["tool_id"]] for label in query["labels"]}
        found += len(gold & set(names(index, query["query"], limit=5)))
        wanted += len(gold)
    assert found / wanted > 0.6
