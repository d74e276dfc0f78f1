"""A training of seconds on three made-up scans, for tests of callbacks."""

import random

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

from retseg.models.segnet import SegNet

NAMES = ["s01_b00", "s02_b05", "s03_b10"]


def generators():
    """States of the global random generators of torch, NumPy and Python."""
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002


class Scans(Dataset):
    """Three scans of 32x64 whose mask lacks class 7; the validation set draws from all random generators."""

    def __len__(self):
        return len(NAMES)

    def __getitem__(self, index):
        torch.rand(1), np.random.rand(), random.random()  # noqa: NPY002 (the generators that Lightning seeds)
        generator = torch.Generator().manual_seed(index)
        mask = (torch.arange(32) // 5).clamp(max=6)[:, None].expand(32, 64).clone()
        image, spacing_um = torch.rand(1, 32, 64, generator=generator), torch.tensor([4.0, 12.0])
        name = NAMES[index]
        return {"image": image, "mask": mask, "spacing_um": spacing_um, "subject": name[:3], "name": name}


class Data(L.LightningDataModule):
    def setup(self, stage):
        self.val_dataset = Scans()

    def train_dataloader(self):
        return DataLoader(Scans(), batch_size=2, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.val_dataset, batch_size=2)


class Module(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = SegNet(width=4, norm="batch")
        self.dropout = nn.Dropout(0.5)

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self.dropout(self.net(batch["image"])), batch["mask"])

    def validation_step(self, batch, batch_idx):
        self.net(batch["image"])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-2)


def module():
    L.seed_everything(0, verbose=False)
    return Module()


QUIET = {
    "max_epochs": 1,
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 1,
}
