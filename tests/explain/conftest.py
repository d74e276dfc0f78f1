import pytest


@pytest.fixture(autouse=True, scope="module")
def in_one_thread(one_thread):
    """All tests here."""
