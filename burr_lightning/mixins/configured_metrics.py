"""What ``configure_metrics`` returned: checked, and copied."""

from __future__ import annotations

from collections.abc import Mapping

from torchmetrics import MetricCollection

from ..errors import MetricsError

STAGES = ("train", "val", "test")


def by_stage(configured: object, asked: str) -> dict[str, MetricCollection]:
    """The collection of each stage that has one.

    Args:
        configured: What was returned.
        asked: The class, for errors.

    Raises:
        MetricsError: If it is no `MetricCollection`, nor one for each of some stages.
    """
    if isinstance(configured, MetricCollection):
        return dict.fromkeys(STAGES, configured)
    call = f"{asked}.configure_metrics()"
    if not isinstance(configured, Mapping) or not configured:
        raise MetricsError(
            f"{call} returned {_kind(configured)}: it must be a torchmetrics MetricCollection, or a mapping "
            f"from some of 'train', 'val' and 'test' to one."
        )
    for stage, collection in configured.items():
        if stage not in STAGES:
            raise MetricsError(f"{call}: {stage!r} is no stage; these are 'train', 'val' and 'test'.")
        if not isinstance(collection, MetricCollection):
            raise MetricsError(
                f"{call}[{stage!r}] is {_kind(collection)}: it must be a torchmetrics MetricCollection, as "
                f"MetricCollection({{'acc': MulticlassAccuracy(10)}}) is one."
            )
    return dict(configured)


def copied(given: MetricCollection) -> MetricCollection:
    """A copy of its own, in which metrics share a state only where the user says so.

    By itself torchmetrics lets those share one whose states happen to be equal after the first batch, also
    where they differ later: then some values are wrong, and others than these after a resume.
    """
    copy = given.clone()
    copy.reset()
    groups = [list(group) for group in copy.compute_groups.values()]
    return MetricCollection(
        dict(copy.items(keep_base=True, copy_state=False)),
        prefix=copy.prefix,
        postfix=copy.postfix,
        compute_groups=groups or False,
    )


def _kind(value: object) -> str:
    return "None" if value is None else f"{value!r}" if not value else f"a {type(value).__name__}"
