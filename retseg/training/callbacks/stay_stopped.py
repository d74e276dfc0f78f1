"""A training that early stopping has ended stays ended when its run is resumed."""

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping


class StayStopped(Callback):
    """Resumed from a checkpoint in which early stopping had ended the run, trains no further step.

    Lightning keeps that it stopped but not that it is over, and would train one epoch more. A run that early stopping
    no longer holds back (another patience, none at all) goes on.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop before the first step."""
        for callback in trainer.early_stopping_callbacks:
            if isinstance(callback, EarlyStopping) and 0 < callback.patience <= callback.wait_count:
                trainer.should_stop = True
