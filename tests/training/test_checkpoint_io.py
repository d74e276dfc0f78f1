import pytest
import torch

from retseg.evaluation.atomic import FullDiskError
from retseg.training.checkpoint_file import save_atomically


class Unpicklable:
    def __reduce__(self):
        raise OSError(28, "No space left on device")


def test_a_failed_save_leaves_the_older_file_whole_and_nothing_else(tmp_path):
    path = tmp_path / "last.ckpt"
    save_atomically({"step": 1}, path)
    with pytest.raises(FullDiskError, match="No space left"):
        save_atomically({"weights": torch.zeros(1000), "step": Unpicklable()}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
