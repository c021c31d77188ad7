"""Makes the figures of the examples in ``docs/images`` again, by running the examples.

Run it as ``python docs/example_figures.py``, or with the names of some examples behind it. They run in a
temporary home folder. Each figure is called as its example; those that ``measured_stages.py`` draws into its
run's folder are ``measured_stages_*.png``. Look at the figures before you commit them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from burr_lightning import Run

DOCS = Path(__file__).resolve().parent
EXAMPLES = DOCS.parent / "examples"
DRAWN_BY = (
    "quickstart",
    "staged_finetuning",
    "rollback_on_divergence",
    "warm_restarts",
    "curriculum",
    "training_pipeline",
    "measured_stages",
    "human_in_the_loop",
    "hyperparameter_search",
    "population_based_training",
    "learning_curves",
)


def main() -> None:
    """Run each example, and keep its figure, and those that it has drawn into a run's folder."""
    for name in sys.argv[1:] or DRAWN_BY:
        with tempfile.TemporaryDirectory() as home:
            run(name, home)
            if name == "human_in_the_loop":
                Run.open("looked-at", "digits", root_dir=Path(home) / "burr_runs").answer("go", lr=1e-3)
                run(name, home)
            keep(Path(home) / f"{name}.png", f"{name}.png")
            for drawn in sorted(Path(home).rglob("figures/*.png")):
                keep(drawn, f"{name}_{drawn.name}")


def run(name: str, home: str) -> None:
    """Run an example, in a folder and home of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("BURR_")}
    command = [sys.executable, str(EXAMPLES / f"{name}.py")]
    subprocess.run(command, cwd=home, env={**kept, "HOME": home}, check=True)


def keep(drawn: Path, name: str) -> None:
    """Put a figure among the images; with few colors it takes a third of the room."""
    picture = DOCS / "images" / name
    with Image.open(drawn) as image:
        image.convert("RGB").quantize(96).save(picture, optimize=True)
    print(f"{picture}: {picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
