"""Run with a fresh environment's Python: does the installed wheel train, without any extra?"""

import tempfile
from importlib.metadata import distribution
from pathlib import Path

from lightning.pytorch import Trainer

import burr_lightning
from burr_lightning import BurrCallback
from burr_lightning.testing import ScriptedModule, scripted_loader

package = Path(burr_lightning.__file__).parent
assert "site-packages" in package.parts, f"not the installed package: {package}"
assert (package / "py.typed").exists(), "the types are not shipped"
for part in ("templates/run.html", "templates/parts/question.html", "static/desk.css", "static/live.js"):
    assert (package / "desk" / part).exists(), f"of the web page is not shipped: {part}"
shipped = {file.name: file for file in distribution("burr-lightning").files or ()}
assert shipped["quickstart.py"].locate().exists(), "what `burr-lightning demo` runs is not shipped"
with tempfile.TemporaryDirectory() as home:
    burr = BurrCallback(monitor="val_loss", root_dir=home, tracker=False)
    trainer = Trainer(max_epochs=2, callbacks=[burr], accelerator="cpu", logger=False)
    trainer.fit(ScriptedModule(val_loss=[0.5, 0.4]), scripted_loader(), scripted_loader())
    assert burr.run.status == "finished", burr.run
print(f"burr-lightning {burr_lightning.__version__} trains from its wheel")
