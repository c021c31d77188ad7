"""Values that figures are drawn from in tests."""

from datetime import datetime, timedelta

from burr_lightning import MetricHistory
from burr_lightning.steps import Step

BEGAN = datetime(2026, 1, 1)
LONG = "20260101-120000-a-name-with-many-words-in-it"


def history(epochs, *names):
    values = [{name: 1 / (epoch + at + 1) for at, name in enumerate(names)} for epoch in range(epochs)]
    found = MetricHistory()
    for epoch, metrics in enumerate(values):
        found = found.append(epoch, metrics)
    return found


def steps(epochs, stages=0, away=()):
    """A run's steps; after some epochs no process trains it for hours."""
    found, at, clock = [], BEGAN, 0.0

    def add(action, seconds, epoch=None, phase=None, stage=None):
        nonlocal at, clock
        clock += seconds + 0.1
        trained = clock if epoch is not None else None
        ended = at + timedelta(seconds=seconds)
        found.append(Step(len(found), action, at, ended, False, epoch, None, phase, stage, trained))
        at = ended + timedelta(seconds=0.1)

    add("process_data", 0.1)
    for epoch in range(epochs):
        if stages and epoch % (epochs // stages) == 0:
            add(f"begin_{epoch}", 0.0, stage=f"stage-{epoch}")
        add("train_epoch", 3.0, epoch, "train")
        add("validate", 1.0, epoch, "validate")
        if epoch in away:
            at += timedelta(hours=3)
    add("best_model", 0.2)
    return found
