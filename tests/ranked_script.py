"""A user's script that trains on two processes: python ranked_script.py STRATEGY."""

import json
import os
import signal
import sys

from digits import DigitNet, digit_loaders, weights_hash
from lightning.pytorch import Callback, Trainer, seed_everything

from burr_lightning import BurrCallback
from burr_lightning.conditions import plateau

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}


class DiesOnce(Callback):
    """The second process dies in epoch 2, the first time that it comes there."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        first = os.environ.get("TORCHELASTIC_RESTART_COUNT") == "0"
        if first and (trainer.global_rank, trainer.current_epoch, batch_idx) == (1, 2, 1):
            os.kill(os.getpid(), signal.SIGKILL)


def main():
    seed_everything(5, verbose=False)
    module = DigitNet()
    burr = BurrCallback("script", monitor="val_loss", stop_when=plateau("val_loss", 50))
    trainer = Trainer(
        max_epochs=4,
        accelerator="cpu",
        devices=2,
        strategy=sys.argv[1],
        callbacks=[burr, DiesOnce()],
        **QUIET,
    )
    trainer.fit(module, *digit_loaders(512))
    if trainer.global_rank == 0:
        print(
            json.dumps(
                {
                    "weights": weights_hash(module),
                    "losses": [float(value) for value in burr.history["val_loss"]],
                    "stop_reason": burr.state["stop_reason"],
                    "best": os.path.basename(trainer.checkpoint_callback.best_model_path),
                }
            )
        )


if __name__ == "__main__":
    main()
