"""What tells that two calls had the same argument value."""

from audit.digests import digest_of, digests_of


def test_a_value_has_one_digest_wherever_it_stands() -> None:
    first = digests_of({"to": "ann@example.com", "lines": [{"sku": "A-1", "count": 3}]})
    assert [path for path, _ in first] == ["to", "lines[].sku", "lines[].count"]
    assert first[0] == ["to", digest_of("ann@example.com")]
    (other,) = digests_of({"mail": "ann@example.com"})
    assert other == ["mail", first[0][1]]
    assert digest_of(3) != digest_of("3")


def test_what_could_be_guessed_at_once_and_what_is_too_much_is_left_out() -> None:
    assert digests_of({"sure": True, "none": None, "empty": "", "also": []}) == []
    assert len(digests_of({str(number): number for number in range(80)})) == 50


def test_the_digest_depends_on_a_key_outside_the_database(settings: object) -> None:
    before = digest_of("ann@example.com")
    settings.SECRET_KEY = "another key of this installation"  # type: ignore[attr-defined]
    assert digest_of("ann@example.com") != before
    assert "ann" not in before
