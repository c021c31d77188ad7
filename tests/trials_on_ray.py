"""What the tests of Ray run on its nodes, in processes of their own."""

import os
import time

from local_calls import tell, wait_at

EPOCHS = 5
RATES = [5e-3, 2e-3, 1e-3]


def fails(trial):
    raise ZeroDivisionError(f"no data for {trial.number}")


def rate(trial):
    return trial.params["learning_rate"]


def train(trial, told=None, gate=None):
    """Train on digits; the first attempt of the first trials halts in the middle of an epoch.

    Args:
        trial: The trial.
        told: Where it says so.
        gate: Where it then waits to be let on; ``None`` where it waits to be ended.
    """
    import torch
    from digits import DigitNet, digit_loaders, weights_hash
    from lightning.pytorch import Callback, Trainer, seed_everything
    from torchdata.stateful_dataloader import StatefulDataLoader

    class Halts(Callback):
        def on_train_batch_start(self, trainer, module, batch, batch_idx):
            if trainer.current_epoch == 2 and batch_idx == 1:
                tell(told, "halts", trial.number, os.getpid())
                if gate is not None:
                    wait_at(gate)
                while gate is None and not trainer.received_sigterm:
                    time.sleep(0.01)

    torch.set_num_threads(1)
    seed_everything(trial.number)
    burr = trial.callback()
    halts = [Halts()] if told is not None and trial.number < 2 and trial.attempt == 1 else []
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=EPOCHS, callbacks=[burr, *halts], accelerator="cpu", **quiet)
    module = DigitNet(trial.params["learning_rate"])
    train, validate = digit_loaders(256)
    trainer.fit(module, StatefulDataLoader(train.dataset, batch_size=64, shuffle=True), validate)
    (burr.root / f"{trial.run_id}.weights").write_text(weights_hash(module))
