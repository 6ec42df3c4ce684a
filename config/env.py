"""Reads configuration from environment variables and their ``*_FILE`` variants."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str = "") -> str:
    """Value of ``name``, or the content of the file that ``name_FILE`` names."""
    file_name = os.environ.get(f"{name}_FILE")
    if file_name:
        try:
            return Path(file_name).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(
                f"{name}_FILE names {file_name}, which cannot be read: "
                f"{error.strerror}. Mend the path or its permissions."
            ) from error
    return os.environ.get(name, default)


def flag(name: str, *, default: bool) -> bool:
    """Whether ``name`` is set to a true word; refuses words it does not know."""
    word = text(name, "1" if default else "0").strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off", ""}:
        return False
    raise ImproperlyConfigured(f"{name} is {word!r}: use 1 or 0.")


def number(name: str, default: int) -> int:
    """Whole number in ``name``."""
    raw = text(name, str(default))
    try:
        return int(raw)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is {raw!r}: use a whole number.") from error


def words(name: str, default: str = "") -> list[str]:
    """Words of ``name``, separated by commas or line ends."""
    listed = text(name, default).replace("\n", ",")
    return [word.strip() for word in listed.split(",") if word.strip()]


def without_scheme(url: str) -> str:
    """An address as a name: ``https://a.example/x`` is ``a.example/x``."""
    return url.partition("://")[2] or url


def engines(data_dir: Path) -> Mapping[str, str]:
    """URLs of the embedded PostgreSQL and Redis that run under ``data_dir``."""
    try:
        found: dict[str, str] = json.loads((data_dir / "engines.json").read_text())
    except FileNotFoundError:
        return {}
    return found


def role(url: str) -> str:
    """The user that a ``postgresql://`` URL names."""
    return unquote(urlsplit(url).username or "")


def as_role(url: str, name: str) -> str:
    """The URL with another user, who needs no password."""
    parts = urlsplit(url)
    _, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{quote(name)}@{host}").geturl()


def database(url: str) -> dict[str, object]:
    """Django's database settings for a ``postgresql://`` URL."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(
            "DATABASE_URL must start with postgresql://; other engines are not "
            "supported."
        )
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "postgres",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", "") or parts.hostname or "",
        "PORT": str(parts.port or query.pop("port", "")),
        "OPTIONS": query,
    }
