"""Imports point one way: a module knows only its own layer and those before it."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "burr_lightning"

LAYERS = [
    {
        "amounts",
        "errors",
        "metric",
        "history",
        "history_forms",
        "improvements",
        "json_types",
        "logged",
        "long_values",
        "metric_log",
        "pickling",
        "recording",
        "thinning",
    },
    {"conditions"},
    {
        *(
            "state",
            "actions",
            "graphs",
            "graph_checks",
            "machines",
            "diagram",
            "burr_access",
            "tracked",
            "steps",
        ),
        *("layout", "locks", "rows", "persisters", "stored_rows", "plots", "shadow"),
        *(
            "known_runs",
            "launch",
            "optimizer_names",
            "live_tracker",
            "step_log",
            "commit_times",
            "annotated",
            "questions",
            "reviews",
            "waiting",
            "pausing",
        ),
    },
    {"commits"},
    {"answering", "figures", "runs", "scheduling", "stopping", "storage"},
    {
        *(
            "settings",
            "lightning_access",
            "lightning_data",
            "lightning_hooks",
            "lightning_ddp",
            "lightning_limits",
            "lightning_sharding",
            "lightning_loops",
            "lightning_order",
            "lightning_signals",
            "lightning_slurm",
            "lightning_testing",
        ),
        *("ranks", "rank_buffers", "following", "running_metrics"),
        *("parameter_groups", "training_state", "acting", "fingerprint", "going_on", "committing", "reports"),
        *(
            "asking",
            "prompting",
            "leaving",
            "lightning_leaving",
            "ordinary",
            "walking",
            "ending",
            "driver",
            "hooks",
        ),
        *("hparams", "mixins", "module_hooks", "module_metrics", "standing", "messages", "opening"),
        *("reading", "sending", "phase_hooks", "restoring", "callback"),
        "replay",
    },
    {"tuning"},
    {"cli", "desk"},
    {"testing"},
]
LIGHTNING = {"lightning", "pytorch_lightning", "lightning_fabric"}
FORBIDDEN = [
    {*LIGHTNING, "torch", "burr"},
    {*LIGHTNING, "torch"},
    {*LIGHTNING, "torch"},
    LIGHTNING,
    {*LIGHTNING, "torch"},
    {"pytorch_lightning"},
    {"pytorch_lightning"},
    {*LIGHTNING, "torch"},
    {"pytorch_lightning"},
]
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def layer_of(path: Path) -> int:
    name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return next(index for index, layer in enumerate(LAYERS) if name in layer)


def imports_of(path: Path) -> tuple[set[Path], set[str]]:
    """The modules of this package, and the distributions, that a module imports, lazily or not."""
    ours, others = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            others |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            others.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            folder = path.parents[node.level - 1]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            ours |= {folder / name.replace(".", "/") for name in names}
    return ours, others


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_its_own_layer_and_those_before_it(path):
    layer = layer_of(path)
    ours, others = imports_of(path)
    later = {str(other.relative_to(PACKAGE)) for other in ours if layer_of(other) > layer}
    assert later == set()
    assert others & FORBIDDEN[layer] == set()
    assert "burr_lightning" not in others


def test_every_module_has_a_layer_and_stays_short():
    for path in MODULES:
        assert layer_of(path) >= 0
        assert len(path.read_text().splitlines()) <= 330, path
