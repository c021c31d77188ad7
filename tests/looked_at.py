"""A training of digits that asks a human, as a script: it waits as its first argument says.

    python looked_at.py exit|at-once WEIGHTS

The hash of its last weights is written to the file WEIGHTS when it has ended.
"""

import sys
from pathlib import Path

from digits import DigitNet, digit_loaders, weights_hash
from lightning.pytorch import Trainer, seed_everything

from burr_lightning import BurrCallback
from burr_lightning.conditions import max_epochs
from burr_lightning.pausing import Block


def main(how, weights):
    seed_everything(1, verbose=False)
    at_once = Block(timeout=0.001, default={"verdict": "go", "lr": 0.001})
    burr = BurrCallback(
        monitor="val_loss", review_when=max_epochs(2), wait=at_once if how == "at-once" else "exit"
    )
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=3, callbacks=[burr], accelerator="cpu", **quiet)
    module = DigitNet()
    trainer.fit(module, *digit_loaders())
    if not burr.paused:
        Path(weights).write_text(weights_hash(module))


if __name__ == "__main__":
    main(*sys.argv[1:])
