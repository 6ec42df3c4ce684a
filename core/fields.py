"""A model field for JSON that must come back exactly as it went in."""

import json
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    _Text = models.TextField[Any, Any]
else:
    _Text = models.TextField


class JsonTextField(_Text):
    """JSON kept as ASCII text.

    ``jsonb`` refuses NUL and lone surrogates and reorders keys; what tools return may
    hold all of that, and a replay has to see it unchanged. None is SQL NULL.
    """

    def from_db_value(self, value: str | None, *_: Any) -> Any:
        return None if value is None else json.loads(value)

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else json.dumps(value, separators=(",", ":"))

    def to_python(self, value: Any) -> Any:
        return value

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj)) or ""
