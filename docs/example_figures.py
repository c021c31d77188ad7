"""Makes the figures of the examples in ``docs/images`` again, by running the examples.

Run it as ``python docs/example_figures.py``. They run in a temporary home folder. Look at the figures before
you commit them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).resolve().parent
EXAMPLES = DOCS.parent / "examples"
DRAWN_BY = (
    "quickstart",
    "staged_finetuning",
    "rollback_on_divergence",
    "warm_restarts",
    "curriculum",
    "training_pipeline",
)


def main() -> None:
    """Run each example, and keep its figure; with few colors it takes a third of the room."""
    for name in DRAWN_BY:
        with tempfile.TemporaryDirectory() as home:
            kept = {key: value for key, value in os.environ.items() if not key.startswith("BURR_")}
            command = [sys.executable, str(EXAMPLES / f"{name}.py")]
            subprocess.run(command, cwd=home, env={**kept, "HOME": home}, check=True)
            picture = DOCS / "images" / f"{name}.png"
            with Image.open(Path(home) / f"{name}.png") as drawn:
                drawn.convert("RGB").quantize(96).save(picture, optimize=True)
            print(f"{picture}: {picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
