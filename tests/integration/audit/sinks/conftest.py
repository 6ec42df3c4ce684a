"""Receivers, and a perimeter that has loopback in it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.integration.audit.sinks.certificates import Authority, Pair, make_authority
from tests.integration.audit.sinks.receivers import RSYSLOGD, Rsyslog


@pytest.fixture(autouse=True)
def perimeter(settings: Settings, tmp_path: Path) -> None:
    settings.WEBHOOK_PRIVATE_HOSTS = ["127.0.0.1", "localhost"]
    settings.AUDIT_SINK_DIR = str(tmp_path / "sinks")
    settings.SINK_SECONDS = 2


@pytest.fixture(scope="session")
def authority() -> Authority:
    return make_authority()


@pytest.fixture
def client_pair(authority: Authority) -> Pair:
    return authority.issue("tollgate-client")


@pytest.fixture
def rsyslog(tmp_path: Path, authority: Authority) -> Iterator[Rsyslog]:
    if not os.access(RSYSLOGD, os.X_OK) or not _has_openssl():
        pytest.skip("rsyslog is missing: apt-get install rsyslog rsyslog-openssl")
    folder = tmp_path / "rsyslog"
    folder.mkdir()
    made = Rsyslog(folder, authority)
    made.start()
    yield made
    made.stop()


def _has_openssl() -> bool:
    return any(Path("/usr/lib").rglob("lmnsd_ossl.so"))
