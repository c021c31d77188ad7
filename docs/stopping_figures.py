"""Makes ``docs/images/stops.png`` and ``docs/images/tradeoff.png`` again, from the recorded learning curves.

Run it as ``PYTHONPATH=examples python docs/stopping_figures.py``.
"""

from __future__ import annotations

from pathlib import Path

from learning_curves import learning_curves

from burr_lightning import compare_stopping
from burr_lightning.conditions import (
    consecutive_increases,
    generalization_loss,
    overfitting,
    plateau,
    progress_quotient,
    slope_below,
)

IMAGES = Path(__file__).resolve().parent / "images"
CONDITIONS = {
    "plateau, patience 3": plateau("val_loss", 3),
    "plateau, patience 10": plateau("val_loss", 10),
    "GL, 5 %": generalization_loss("val_loss", 5),
    "PQ, 1": progress_quotient("train_loss", "val_loss", 1),
    "UP, 2 strips": consecutive_increases("val_loss", 2),
    "slope below 0.001": slope_below("val_loss", 1e-3),
    "overfitting, patience 5": overfitting("train_loss", "val_loss", 5),
}

if __name__ == "__main__":
    compare_stopping(learning_curves("digits")[3:9], CONDITIONS, "val_loss", "min").plot(IMAGES / "stops.png")
    curves = learning_curves("diabetes")
    compare_stopping(curves, CONDITIONS, "val_loss", "min").plot_tradeoff(IMAGES / "tradeoff.png")
