"""A training that stops learning asks a human whether to go on, and with which learning rate.

What to look at: the first run of this script ends with a question and the command that answers it. Answer it
(the command, ``burr-lightning ui``, or ``Run.open(...).answer(...)``) and run the script again: it goes on
from there. Run it again without an answer, and it says so. The figure ``human_in_the_loop.png`` has the run
until then, with the answers in the rows ``review`` and ``set_learning_rate``.

The network and its data are those of ``quickstart.py``.
"""

from __future__ import annotations

from lightning.pytorch import Trainer, seed_everything
from quickstart import DigitClassifier, digit_loaders

from burr_lightning import BurrCallback
from burr_lightning.conditions import plateau


def main() -> None:
    """Train until it asks, or until it ends."""
    seed_everything(1, verbose=False)
    burr = BurrCallback(
        run_id="looked-at",
        project="digits",
        monitor="val_loss",
        review_when=plateau("val_loss", patience=2, min_delta=0.01),
    )
    trainer = Trainer(
        max_epochs=25,
        callbacks=[burr],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    # Too high a rate: it learns at first, and then it jumps about.
    trainer.fit(DigitClassifier(learning_rate=2e-2), *digit_loaders())

    print(f"Path: {burr.run.path}")
    burr.run.plot("human_in_the_loop.png")
    print("Figure: human_in_the_loop.png")
    if burr.paused:
        print(f"Asked after epoch {burr.state['epoch']}, at {burr.state['best']['value']:.3f} at best.")
        return
    for asked in burr.run.reviews:
        assert asked.answer is not None
        print(f"After epoch {asked.question.epoch}: {asked.answer.values}, by {asked.answer.by}.")
    print(f"Best epoch: {burr.state['best']['epoch']}, val_loss {burr.state['best']['value']:.3f}.")


if __name__ == "__main__":
    main()
