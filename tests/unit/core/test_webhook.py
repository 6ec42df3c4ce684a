"""Where a webhook may go, and how it is signed."""

import pytest

from core.errors import Invalid
from core.outgoing import NotDelivered, check_url
from core.webhook import send, signature


def test_a_signature_is_that_of_the_specification() -> None:
    # The example of standardwebhooks.com.
    made = signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        uid="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://example.org/", "starts with https"),
        ("https://", "starts with https"),
        ("example.org", "starts with https"),
        ("https://me:pw@example.org/", "without a user"),
        ("https://example.org/#x", "without a user"),
        ("https://example.org/a b", "no blanks"),
        ("https://example.org/\r\nhost: evil", "no blanks"),
        ("https://example.org:99999/", "no address"),
        ("http://example.org/", "Use https"),
        ("https://127.0.0.1/", "private network"),
        ("https://10.1.2.3/", "private network"),
        ("https://169.254.169.254/latest/meta-data", "private network"),
        ("https://100.64.0.1/", "private network"),
        ("https://0.0.0.0/", "private network"),
        ("https://224.0.0.1/", "private network"),
        ("https://[::1]/", "private network"),
        ("https://[fe80::1]/", "private network"),
        ("https://[fd00::1]/", "private network"),
        ("https://[::ffff:10.0.0.1]/", "private network"),
        ("https://[64:ff9b::a00:1]/", "private network"),
        ("https://[2002:a00:1::]/", "private network"),
    ],
)
def test_what_may_not_be_called_says_why(url: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        check_url(url, private=["chat.internal", "192.168.7.0/24"])


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a?b=c",
        "https://93.184.215.14/",
        "https://192.168.7.9/",
        "http://192.168.7.9:8080/",
        "http://chat.internal/",
        "https://[2606:4700::1]/",
    ],
)
def test_what_may_be_called_may(url: str) -> None:
    check_url(url, private=["chat.internal", "192.168.7.0/24"])


def test_a_name_that_leads_inside_is_refused_when_it_is_called() -> None:
    url = "https://localhost:1/"
    check_url(url, private=[])
    with pytest.raises(NotDelivered, match="private network"):
        send(
            url, uid="m", timestamp=1, body=b"{}", secret="whsec_AAAA", private=[],
            seconds=5,
        )  # fmt: skip
