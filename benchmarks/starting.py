"""What starting costs: a resumed run until its first batch, an import, and the command line.

Run it as ``python benchmarks/bench.py starting``. Each is a Python process of its own, and they take turns.
An import and the command line are measured in the processor's seconds; the import within a process that has
imported what it needs, for the noise of that is ten times what is looked for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from measured import Measured, in_turn, medians, scratch

HERE = Path(__file__).parent

TRAIN = """
import sys, time
sys.path.insert(0, {here!r})
from commit_wait import HIDDEN
from digits_model import Digits, loaders, trainer
from lightning.pytorch import Callback, seed_everything
from measured import quiet
{imports}

class Stops(Callback):
    def on_train_batch_start(self, trainer, *_):
        if trainer.current_epoch == {until}:
            print(time.time(), flush=True)
            import os
            os._exit(0)

quiet()
seed_everything(1, verbose=False)
fit = trainer(
    max_epochs=3, limit_train_batches=2, limit_val_batches=1, enable_checkpointing=True,
    callbacks=[{callback}, Stops()],
)
fit.fit(Digits(HIDDEN, depth=2), *loaders(16){more})
"""

OURS = {
    "imports": "from burr_lightning import BurrCallback",
    "callback": "BurrCallback('resume', root_dir={folder!r})",
    "more": "",
}
LIGHTNINGS = {
    "imports": "from lightning.pytorch.callbacks import ModelCheckpoint",
    "callback": "ModelCheckpoint({folder!r}, save_last=True, save_top_k=1)",
    "more": ", ckpt_path='last'",
}


def first_batch(parts: dict[str, str], folder: Path, until: int = 1) -> float:
    """The seconds from the start of a process until the first batch of an epoch."""
    filled = {name: part.format(folder=str(folder)) for name, part in parts.items()}
    script = TRAIN.format(here=str(HERE), until=until, **filled)
    began = time.time()
    home = {**os.environ, "HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True, env=home
    )
    return float(done.stdout.split()[-1]) - began


def import_seconds(ours: str, peers: str) -> float:
    """The processor's seconds of an import, where others have come before it."""
    script = f"import time, {peers}\nbegan = time.process_time()\n{ours}\nprint(time.process_time() - began)"
    done = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.split()[-1])


def seconds_of(*command: str) -> float:
    """The processor's seconds of a process, from its start to its end."""
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def measure(*, full: bool) -> list[Measured]:
    """Three rows."""
    repeats = 11 if full else 3
    python, command = sys.executable, Path(sys.executable).with_name("burr-lightning")
    ours = "from burr_lightning import BurrCallback"
    peers = "lightning.pytorch, burr.core, burr.tracking"
    with scratch() as folder:
        for name, parts in (("ours", OURS), ("theirs", LIGHTNINGS)):
            # The first fit leaves a commit of its first epoch; those that are timed go on from there.
            first_batch(parts, folder / name)
        found = in_turn(
            repeats,
            {
                "BurrCallback": lambda: first_batch(OURS, folder / "ours"),
                "ckpt_path='last'": lambda: first_batch(LIGHTNINGS, folder / "theirs"),
                "import burr_lightning": lambda: import_seconds(ours, peers),
                "burr-lightning --help": lambda: seconds_of(str(command), "--help"),
                "python -c pass": lambda: seconds_of(python, "-c", "pass"),
            },
        )
    sides = medians(found, "s")
    own = [dict(list(sides.items())[first:end]) for first, end in ((0, 2), (2, 3), (3, 5))]
    resumed, last, imported, helped, nothing = found.values()
    more = tuple(a - b for a, b in zip(helped, nothing, strict=True))
    ratios = tuple(a / b for a, b in zip(resumed, last, strict=True))
    return [
        Measured(
            "resume: process start to first batch, 200 MB",
            "ckpt_path='last'",
            ratios,
            "times",
            1.05,
            sides=own[0],
        ),
        Measured(f"import: {ours}", f"import {peers}", tuple(imported), "s", 0.1, sides=own[1]),
        Measured("burr-lightning --help", "python -c pass", more, "s", 0.3, sides=own[2]),
    ]
