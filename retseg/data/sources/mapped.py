"""NumPy's .npy files of strangers: mapped, never loaded whole, never unpickled."""

from pathlib import Path

import numpy as np

from retseg.bscan import Array
from retseg.errors import InputError, typed_line


def mapped_npy(path: Path, advice: str = "save it again") -> Array:
    """An array on disk, no values read. InputError, which ends with the advice, for anything but a whole .npy."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header leads numpy to whatever
        raise InputError(f"{path}: not a whole .npy array of numbers ({typed_line(error)}); {advice}") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise InputError(f"{path}: an archive named .npy; name it .npz")
    return array
