import pytest


@pytest.fixture
def logged_out(monkeypatch, tmp_path):
    """Nobody is logged in to W&B, whatever this machine knows; gives the path of the netrc file."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_SWEEP_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return tmp_path / "netrc"
