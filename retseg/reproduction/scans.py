"""A look at a run's own scans: samples as they were read, predictions beside truths, and the time that one takes."""

import time
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from retseg.build import build_data
from retseg.data.dataset import BScanDataset, with_mask
from retseg.data.transforms import normalise
from retseg.figures.describe import Sample
from retseg.figures.scans import ScanPicture
from retseg.reproduction.run_facts import ScanFacts

if TYPE_CHECKING:
    from omegaconf import DictConfig

NUM_SAMPLES, NUM_PREDICTED = 2, 3
"""The paper's Figure 1 shows two scans, its Figure 4 three."""


def look_at_scans(config: "DictConfig", net: nn.Module) -> ScanFacts:
    """Open the data set of a configuration again. InputError where it cannot be read."""
    data = build_data(config, downloads=False)
    dataset = data.val_dataset
    samples = [_sample(dataset, index) for index in _spread(len(dataset), NUM_SAMPLES)]
    predicted, seconds = [], []
    for index in _spread(len(dataset), NUM_PREDICTED):
        picture, taken = _predict(dataset, index, net)
        predicted.append(picture)
        seconds.append(taken)
    keys = data.source.keys
    return ScanFacts(
        num_images=len(keys),
        num_bscans=len({key.scan_name for key in keys}),
        num_subjects=len({key.subject for key in keys}),
        shape=(samples[0].image.shape[0], samples[0].image.shape[1]),
        dtype=str(data.source.read(dataset.keys[0]).image.dtype),
        labels=tuple(
            int(label) for label in np.unique(np.concatenate([s.mask.ravel() for s in samples])) if label >= 0
        ),
        samples=tuple(samples),
        predicted=tuple(predicted),
        seconds_per_scan=median(seconds),
    )


def _spread(total: int, wanted: int) -> list[int]:
    """The middles of `wanted` equal parts of 0..total-1, fewer if there are fewer."""
    num = min(total, wanted)
    return [(2 * part + 1) * total // (2 * num) for part in range(num)]


def _sample(dataset: BScanDataset, index: int) -> Sample:
    """A scan at its own resolution, in the run's window."""
    scan = dataset.source.read(dataset.keys[index])
    scan = with_mask(scan if dataset.crop is None else dataset.crop(scan))
    assert scan.mask is not None
    return Sample(scan.key.name, scan.image, scan.mask)


def _predict(dataset: BScanDataset, index: int, net: nn.Module) -> tuple[ScanPicture, float]:
    """A scan on the network's grid with what the network says of it, and the seconds from pixels to classes."""
    scan = dataset.scan(index)
    assert scan.mask is not None
    image = torch.from_numpy(normalise(scan.image))[None, None]
    with torch.inference_mode():
        net(image)  # the first pass also sets up its buffers
        start = time.perf_counter()
        classes = net(image).argmax(dim=1)[0]
        seconds = time.perf_counter() - start
    return ScanPicture(scan.key.name, scan.image, scan.mask, classes.numpy().astype(np.int8)), seconds
