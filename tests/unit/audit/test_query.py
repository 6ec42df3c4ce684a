"""The query language: what is understood, what is refused and where, and back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.query import (
    QUALIFIERS,
    QueryError,
    Term,
    Value,
    moment,
    parse,
    term,
    text_of,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ()),
        ("  \t ", ()),
        ("refund", (Term("", (Value("refund"),)),)),
        ("-refund", (Term("", (Value("refund"),), negated=True),)),
        ('"big refund"', (Term("", (Value("big refund"),)),)),
        ('"big ref"*', (Term("", (Value("big ref", prefix=True),)),)),
        ("ref*", (Term("", (Value("ref", prefix=True),)),)),
        ("a,b", (Term("", (Value("a,b"),)),)),
        ('"team:x"', (Term("", (Value("team:x"),)),)),
        ("team:sales", (term("team", "sales"),)),
        ("TEAM:Sales", (term("team", "Sales"),)),
        ("environment:dev", (term("env", "dev"),)),
        ("event:a.b", (term("name", "a.b"),)),
        ("actor:user:ann", (term("actor", "user:ann"),)),
        ("-env:dev", (term("env", "dev", negated=True),)),
        ('run:""', (term("run", ""),)),
        (
            'tool:crm.*,"a, b",x',
            (Term("tool", (Value("crm.", True), Value("a, b"), Value("x"))),),
        ),
        (r'"say \"no\" \\"', (Term("", (Value('say "no" \\'),)),)),
        ("team:a team:a", (term("team", "a"),)),
        (
            "after:2h before:2026-11-20",
            (term("after", "2h"), term("before", "2026-11-20")),
        ),
    ],
)
def test_what_is_written_is_understood(text: str, terms: tuple[Term, ...]) -> None:
    assert parse(text) == terms


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("ok tema:sales", 3, "Did you mean team:?"),
        ("zzz:1", 0, "Known are actor"),
        ("zzz:1", 0, '"zzz:1"'),
        ("team:", 4, "Say what to look for"),
        ("team:a,", 6, "Say what to look for"),
        ("team:, b", 5, "Say what to look for"),
        ('actor:"ann', 6, "Close the quotes"),
        ('"ann', 0, "Close the quotes"),
        ('"ann"bob', 5, "Put a space"),
        ('team:a"b"', 6, "Put a space"),
        ("-", 0, "Say what"),
        ("- a", 1, "Say what"),
        ("*", 0, "letters or digits"),
        ("decision:maybe", 9, "decision:allow or decision:deny"),
        ("decision:den*", 9, "without a *"),
        ("policy:new", 7, "policy:7"),
        ("policy:99999999999", 7, "policy:7"),
        ("before:noon", 7, "how long ago"),
        ("before:0001-01-01", 7, "how long ago"),
        ("after:1h,2h", 0, "one time"),
        ("team:*", 5, "before the *"),
        ("a\x00b", 1, "NUL"),
        ("a" * 2_000, 1_000, "Shorten"),
        (" ".join(f"w{number}" for number in range(31)), 110, "at most 30"),
    ],
)
def test_what_is_refused_says_what_to_do_and_where(
    text: str, position: int, words: str
) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert words in caught.value.message
    assert caught.value.position == position


@given(st.text(alphabet=st.sampled_from('ab1:,-"*\\ .\ttealmrun\x00é'), max_size=40))
def test_no_text_breaks_it_and_terms_survive_the_way_back(text: str) -> None:
    try:
        terms = parse(text)
    except QueryError as error:
        caught = error
    else:
        assert parse(text_of(terms)) == terms
        return
    assert 0 <= caught.position <= len(text)
    assert caught.message.endswith(".")


@given(st.text(max_size=60))
def test_no_text_of_any_alphabet_breaks_it(text: str) -> None:
    try:
        terms = parse(text)
    except QueryError:
        return
    assert parse(text_of(terms)) == terms


_FREE = [one.name for one in QUALIFIERS if one.prefixes]
_VALUES = st.builds(
    Value, st.text(st.characters(exclude_characters="\x00"), min_size=1), st.booleans()
)


@given(
    st.builds(
        Term,
        st.sampled_from(_FREE),
        st.lists(_VALUES, min_size=1, max_size=3, unique=True).map(tuple),
        st.booleans(),
    )
)
def test_any_value_can_be_asked_for(asked: Term) -> None:
    assert parse(str(asked)) == (asked,)


@given(_VALUES.filter(lambda value: any(map(str.isalnum, value.text))), st.booleans())
def test_any_words_can_be_looked_for(value: Value, negated: bool) -> None:
    asked = Term("", (value,), negated)
    assert parse(str(asked)) == (asked,)


def test_moments_are_days_times_and_spans() -> None:
    assert moment("2h", at=NOW) == NOW - timedelta(hours=2)
    assert moment("4w", at=NOW) == NOW - timedelta(weeks=4)
    assert moment("2026-11-01", at=NOW) == datetime(2026, 11, 1)  # noqa: DTZ001
    assert moment("2026-11-01T18:00+02:00", at=NOW) == datetime(
        2026, 11, 1, 16, tzinfo=UTC
    )
    assert moment("noon", at=NOW) is None


@pytest.mark.parametrize("text", ["digest:ann", "digest:0123", "digest:" + "A" * 32])
def test_only_digests_are_compared_with_digests(text: str) -> None:
    with pytest.raises(QueryError, match="as an event's page shows it"):
        parse(text)
