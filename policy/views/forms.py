"""How a page tries a form, for the pages of this app."""

from core.forms import attempt as attempt
from core.forms import posted as posted
