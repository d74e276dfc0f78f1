"""The first epochs of a run, trained as its whole length would train them."""

from lightning import Callback, LightningModule, Trainer

from retseg.errors import InputError


class StopAfterEpochs(Callback):
    """Ends training after `epochs` epochs. trainer.max_epochs stays what it was: schedules are laid out over it."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        if epochs < 1:
            raise InputError(f"epochs: {epochs}, expected 1 or more")
        self.epochs = epochs

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop before the first step where a run is resumed that has come so far already."""
        if trainer.current_epoch >= self.epochs:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop."""
        if trainer.current_epoch + 1 >= self.epochs:
            trainer.should_stop = True
