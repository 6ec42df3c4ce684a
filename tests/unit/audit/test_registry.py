"""Kinds of events have one name and one sentence each."""

import pytest

from audit import events, registry


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        registry.kind(events.EXPORTED.name, "again")


def test_a_missing_word_does_not_lose_the_event() -> None:
    kind = registry.EventKind("x", "{actor} did {thing}")
    assert kind.summary({"actor": "Ann"}) == "Ann did ?"


def test_words_of_a_payload_are_not_templates() -> None:
    kind = registry.EventKind("x", "{actor} did it")
    assert kind.summary({"actor": "{0.__class__}"}) == "{0.__class__} did it"


def test_a_payload_has_the_keys_of_its_sentence_and_those_it_names() -> None:
    kind = registry.kind("test.kind", "{actor} did {thing} to {target}", "more")
    assert kind.unknown(["thing", "more"]) == []
    assert kind.unknown(["more", "actor", "other"]) == ["actor", "other"]
    del registry._KINDS["test.kind"]
