"""Downloads of lists, under the name that this app's views use."""

from audit.events import LIST_EXPORTED
from audit.services.exports import FORMS, MOST_ROWS, export

__all__ = ["FORMS", "LIST_EXPORTED", "MOST_ROWS", "export"]
