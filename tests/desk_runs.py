"""Stored runs for the tests of the web page: really trained, then changed where a test says so."""

import json
import sqlite3

import pytest
from lightning.pytorch import Trainer

from burr_lightning import BurrCallback
from burr_lightning.conditions import plateau
from burr_lightning.testing import ScriptedModule, scripted_loader

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
EVIL = {
    "image": "<img src=x onerror=fetch('/evil')>",
    "script": "</script><script>window.evil=1</script>",
    "link": '"><a href="javascript:window.evil=1">x</a>',
    "template": "{{7*7}}${7*7}",
    "formula": "$x$<b>bold</b><br>",
}
"""What somebody might call a metric, or write in a comment."""


class Fails(ScriptedModule):
    def training_step(self, batch, batch_idx):
        if self.trainer.current_epoch == 1:
            raise RuntimeError(f"a shape of {EVIL['image']}")
        return super().training_step(batch, batch_idx)


def train(run_id, epochs, root, module=None, project="digits", **options):
    """Train a run; the callback."""
    burr = BurrCallback(run_id, project, root_dir=root, monitor="val_loss", **options)
    module = module or ScriptedModule(val_loss=[0.9, 0.25, 0.5])
    Trainer(max_epochs=epochs, callbacks=[burr], **QUIET).fit(module, scripted_loader(), scripted_loader())
    return burr


def train_until_it_asks(root, run_id="asks", **options):
    """A run that waits for an answer after its fourth epoch."""
    module = ScriptedModule(val_loss=[0.9, 0.5, 0.6, 0.7, 0.4, 0.3, 0.2], train_loss=[1.0, 0.5, 0.2, 0.1])
    module.save_hyperparameters({"width": 64, "name": EVIL["script"]})
    return train(run_id, 8, root, module, review_when=plateau("val_loss", patience=2), **options)


def make_store(where):
    """A finished, a paused and a failed run below ``where/runs``, tracked in ``where/home``."""
    root = where / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(where / "home"))
        train("finished", 3, root)
        train_until_it_asks(root)
        with pytest.raises(RuntimeError, match="a shape of"):
            train("failed", 3, root, Fails(val_loss=[0.7]))
    return root


def change_json(path, **changes):
    """Change what a JSON file says."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def newest_step(root, run_id):
    """The step of the newest row of a run."""
    with sqlite3.connect(root / "state.sqlite") as connection:
        query = "SELECT max(sequence_id) FROM burr_state WHERE app_id = ?"
        newest = connection.execute(query, (run_id,)).fetchone()[0]
    connection.close()
    return newest
