"""What opening and making data takes: ten converted subjects, 110 synthetic scans.

Run `python -m benchmarks.sources`.
"""

import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from retseg.data.sources.hdf5 import Hdf5Source
from retseg.data.sources.hdf5_convert import convert
from retseg.data.sources.phantom import PhantomSource


def measure(rounds: int = 7) -> dict[str, float]:
    """Median seconds: see the keys."""
    phantom = PhantomSource()
    start = perf_counter()
    for key in phantom.keys:
        phantom.read(key)
    made = perf_counter() - start
    opened = []
    with tempfile.TemporaryDirectory() as folder:
        convert(phantom, Path(folder))
        for _ in range(rounds):
            start = perf_counter()
            assert len(Hdf5Source(folder).keys) == 110
            opened.append(perf_counter() - start)
    return {"seconds to make 110 phantom scans": made, "seconds to open 10 converted subjects": median(opened)}


def main() -> None:
    for name, value in measure().items():
        print(f"{name:<40}{value:>9.4f}")


if __name__ == "__main__":
    main()
