import pytest

from tests.reproduction.finished import facts_of, finished_run


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory):
    """A finished run, not to be written into."""
    return finished_run(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def facts(run_dir):
    """What is known of it."""
    return facts_of(run_dir)
