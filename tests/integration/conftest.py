"""People of every role, for whoever asks for them."""

import pytest

from tests.builders.identity import Cast, make_cast


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()
