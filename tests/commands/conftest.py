import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.trained import WITH_FLUID, train_in


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with nothing evaluated; tests leave it as it is."""
    return train_in(tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture
def own_run(trained_run: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(trained_run, tmp_path / "run"))


@pytest.fixture(scope="session")
def fluid_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with fluid, nothing evaluated; tests leave it as it is."""
    return train_in(tmp_path_factory.mktemp("fluid") / "run", base=WITH_FLUID)


@pytest.fixture
def own_fluid_run(fluid_run: Path, tmp_path: Path) -> Path:
    """A copy of the run with fluid that a test may change."""
    return Path(shutil.copytree(fluid_run, tmp_path / "fluid_run"))


@pytest.fixture
def retseg(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs `retseg ARGUMENTS` in this process; gives exit code, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        from retseg.__main__ import main

        monkeypatch.setattr("sys.argv", ["retseg", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as leave:
            code = int(leave.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run
