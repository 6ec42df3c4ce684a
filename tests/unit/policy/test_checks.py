"""Built-in checks: what they find, what they leave alone, and what they mask."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from policy.checks import Check, CheckError, findings, mask
from policy.rules import parse

AT = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)  # a Friday


def check(**options: Any) -> Check:
    rule = parse({"id": "r", "effect": "deny", "check": options})
    assert rule.check is not None
    return rule.check


def found(value: Any, /, at: datetime = AT, **options: Any) -> tuple[str, ...]:
    return findings(check(**options), value, at=at)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("write to jane.doe+x@example.co.uk", "email"),
        ("call +49 (30) 901820-44 now", "phone"),
        ("4111 1111 1111 1111", "card"),
        (5500005555555559, "card"),
        ("pay DE89 3704 0044 0532 0130 00", "iban"),
        ("ssn 219-09-9999", "ssn"),
    ],
)
def test_personal_data_is_found_and_masked(text: str | int, name: str) -> None:
    value = {"a": {"notes": ["x", text]}}
    assert found(value, kind="pii") == (f"{name} at a.notes[]",)
    masked = mask(check(kind="pii"), value)["a"]["notes"][1]
    assert f"[redacted: {name}]" in masked
    assert found({"a": masked}, kind="pii") == ()


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",
        "order 1234567890123",
        "DE89 3704 0044 0532 0130 02",
        "000-12-3456",
        "2026-11-20T10:00:00",
        "version 1.2.3",
        "@bob",
        12,
        None,
        True,
    ],
)
def test_what_is_no_personal_data_is_left_alone(text: object) -> None:
    assert found({"a": text}, kind="pii") == ()
    assert mask(check(kind="pii"), {"a": text}) == {"a": text}


def test_only_what_is_named_is_looked_for_and_where() -> None:
    value = {"to": "a@b.example", "body": "4111111111111111"}
    assert found(value, kind="pii", find=["card"]) == ("card at body",)
    assert found(value, kind="pii", paths=["to"]) == ("email at to",)
    assert mask(check(kind="pii", paths=["to"]), value)["body"] == value["body"]


def test_names_of_fields_are_looked_at_as_well() -> None:
    assert found({"a@b.example": 1}, kind="pii") == ("email at a name in it",)
    assert mask(check(kind="pii"), {"a@b.example": 1}) == {"[redacted: email]": 1}


def test_secrets_are_found_by_look_and_by_name() -> None:
    value = {"text": "ghp_" + "a" * 30, "headers": {"Authorization": "x"}}
    assert set(found(value, kind="secrets")) == {
        "secret at text",
        "secret at headers.Authorization",
    }
    masked = mask(check(kind="secrets"), value)
    assert masked == {
        "text": "[redacted: secret]",
        "headers": {"Authorization": "[redacted: secret]"},
    }


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x",
        "https://acme.com@evil.example/",
        "https://evil.example\\@acme.com/",
        "https://acme.com.evil.example/",
        "https://xacme.com/",
        "see HTTPS://EVIL.example",
        "ht\ntps://evil.example/",
        "file:///etc/passwd",
        "https://\uff45vil.example/",
        "https://[::1]/",
    ],
)
def test_a_url_of_another_domain_is_found(url: str) -> None:
    options: dict[str, Any] = {
        "kind": "url_domains",
        "allow": ["acme.com", "*.acme.com"],
    }
    assert found({"u": url}, **options) == ("a URL of another domain at u",)


@pytest.mark.parametrize(
    "url",
    ["https://acme.com/x", "https://API.acme.com.:8443/", "no address", "", "a/b"],
)
def test_a_url_of_an_allowed_domain_is_not(url: str) -> None:
    options: dict[str, Any] = {
        "kind": "url_domains",
        "allow": ["acme.com", "*.acme.com"],
    }
    assert found({"u": url}, **options) == ()


def test_at_a_named_place_anything_but_an_allowed_url_is_found() -> None:
    options: dict[str, Any] = {
        "kind": "url_domains",
        "allow": ["acme.com"],
        "paths": ["hook"],
    }
    assert found({"hook": "https://acme.com/x"}, **options) == ()
    for other in ("evil.example/x", "//evil.example", "javascript:alert(1)"):
        assert found({"hook": other}, **options)


@pytest.mark.parametrize(
    "address",
    [
        "a@evil.example",
        "a@acme.com, b@evil.example",
        "A <a@EVIL.example>",
        '"a b"@evil.example',
        "a@evil.example(acme.com)",
        "a\uff20evil.example",
        "a@acme.com.evil.example",
    ],
)
def test_an_address_of_another_domain_is_found(address: str) -> None:
    options: dict[str, Any] = {"kind": "email_domains", "allow": ["acme.com"]}
    assert found({"to": [address]}, **options)
    assert found({"to": [address]}, paths=["to[]"], **options)
    assert not found({"to": ["A <a@Acme.com>", "b@acme.com."]}, **options)


def test_at_a_named_place_what_is_no_address_is_found() -> None:
    options: dict[str, Any] = {
        "kind": "email_domains",
        "allow": ["acme.com"],
        "paths": ["to"],
    }
    assert found({"to": "everyone"}, **options)
    assert found({"to": "a@localhost"}, **options)
    assert not found({"to": ""}, **options)


@pytest.mark.parametrize(
    ("amount", "beyond"),
    [
        (500, False),
        (500.01, True),
        ("500.01", True),
        ("500.00", False),
        (-501, True),
        (None, False),
        (10**40, True),
        ("-1e999999999", True),
    ],
)
def test_an_amount_beyond_the_most_is_found(amount: object, beyond: bool) -> None:
    options: dict[str, Any] = {
        "kind": "max_amount",
        "path": "lines[].amount",
        "max": 500,
    }
    value = {"lines": [{"amount": 1}, {"amount": amount}]}
    assert bool(found(value, **options)) is beyond


@pytest.mark.parametrize("amount", ["many", "NaN", "Infinity", True, [], "0" * 99])
def test_what_is_no_amount_is_an_error(amount: object) -> None:
    with pytest.raises(CheckError, match="a is no amount"):
        found({"a": amount}, kind="max_amount", path="a", max=1)


@pytest.mark.parametrize(
    ("at", "says"),
    [
        ("2026-11-20T08:00", ""),  # 09:00 in Berlin
        ("2026-11-20T07:59", "outside working hours"),
        ("2026-11-20T16:00", "outside working hours"),
        ("2026-07-20T07:00", ""),  # summer time
        ("2026-11-21T10:00", "sat is no working day"),
        ("2026-12-25T10:00", "a holiday"),
    ],
)
def test_working_hours_are_those_of_the_place(at: str, says: str) -> None:
    answer = found(
        {},
        at=datetime.fromisoformat(at).replace(tzinfo=UTC),
        kind="working_hours",
        zone="Europe/Berlin",
        **{"from": "09:00", "to": "17:00"},
        holidays=["2026-12-25"],
    )
    assert [word for word in answer if says in word] == list(answer)
    assert bool(answer) is bool(says)


def test_hostile_text_is_looked_at_in_linear_time_and_bounded() -> None:
    texts = ["a" * 10**6, "a@" * 500_000, "1 " * 500_000, "+1" * 500_000]
    texts += ["AB12" * 250_000, "http:" * 200_000, "@a." * 300_000]
    started = time.process_time()
    for text in texts:
        found({"t": text}, kind="pii")
        mask(check(kind="pii"), {"t": text})
        found({"t": text}, kind="url_domains", allow=["acme.com"])
        found({"t": text}, kind="email_domains", allow=["acme.com"])
    assert time.process_time() - started < 20
    with pytest.raises(CheckError, match="too much text"):
        found({"t": ["a" * 10**6] * 5}, kind="pii")
