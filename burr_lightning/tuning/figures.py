"""Figures of studies: what is drawn of them, and with what."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

from ..errors import ArgumentError, NotDrawnError
from ..plots import (
    Bar,
    Objective,
    Parameter,
    Tried,
    parameters_of,
    plot_importance,
    plot_parallel,
    plot_progress,
    plot_slices,
    plot_workers,
)
from ..plots.style import DOTS, new_figure
from ..stopping.pictures import check_place
from . import optuna_access as access

if TYPE_CHECKING:
    from .reading import StudyReader
    from .trial_record import TrialRecord

__all__ = ["history_figure", "importance_figure", "parallel_figure", "slices_figure", "workers_figure"]

_LONGEST = 180
"""Characters of a title."""
_NOTE = (
    "PED-ANOVA, from {count} finished trials: how much a parameter decides whether a trial is among the best "
    "tenth{of}.{few}"
)
_FEW = 50
"""Trials: of fewer, the best tenth is less than five."""


def history_figure(study: StudyReader) -> Any:
    """The value of each trial, and the best one so far; see ``burr_lightning.plots.plot_progress``.

    Args:
        study: The study.

    Returns:
        A matplotlib figure.

    Raises:
        MissingExtraError: Without matplotlib, which the extra ``plot`` brings.

    Example:
        >>> from optuna.distributions import FloatDistribution
        >>> from burr_lightning.tuning import InProcess, Study
        >>> space = {"x": FloatDistribution(0, 1)}
        >>> study = Study(lambda trial: trial.params["x"], space, n_trials=3, executor=InProcess()).run()
        >>> history_figure(study).savefig("search.png")
    """
    return plot_progress(_title(study), _tried(study), _objectives(study))


def parallel_figure(study: StudyReader) -> Any:
    """Each trial as a line through its parameters; see ``burr_lightning.plots.plot_parallel``.

    Args:
        study: The study.

    Returns:
        A matplotlib figure.

    Raises:
        NotDrawnError: If no trial came to a value yet.
        MissingExtraError: Without matplotlib, which the extra ``plot`` brings.

    Example:
        >>> from optuna.distributions import FloatDistribution
        >>> from burr_lightning.tuning import InProcess, Study
        >>> space = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
        >>> options = dict(n_trials=3, executor=InProcess())
        >>> study = Study(lambda trial: trial.params["x"], space, **options).run()
        >>> parallel_figure(study).savefig("search.png")
    """
    tried = _valued(study, "parallel")
    best = [trial.number for trial in study.best_trials]
    return plot_parallel(_title(study), tried, _objectives(study), _parameters(study, "parallel"), best)


def slices_figure(study: StudyReader) -> Any:
    """What each parameter does to the value; see ``burr_lightning.plots.plot_slices``.

    Args:
        study: The study.

    Returns:
        A matplotlib figure.

    Raises:
        NotDrawnError: If no trial came to a value yet.
        MissingExtraError: Without matplotlib, which the extra ``plot`` brings.

    Example:
        >>> from optuna.distributions import FloatDistribution
        >>> from burr_lightning.tuning import InProcess, Study
        >>> space = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
        >>> options = dict(n_trials=3, executor=InProcess())
        >>> study = Study(lambda trial: trial.params["x"], space, **options).run()
        >>> slices_figure(study).savefig("search.png")
    """
    tried = _valued(study, "slices")
    return plot_slices(_title(study), tried, _objectives(study), _parameters(study, "slices"))


def importance_figure(study: StudyReader) -> Any:
    """How much each parameter matters, as `importance_of` computes it.

    Args:
        study: The study.

    Returns:
        A matplotlib figure.

    Raises:
        NotDrawnError: If fewer than two trials have finished, or the distributions are not known.
        MissingExtraError: Without matplotlib, which the extra ``plot`` brings.

    Example:
        >>> from optuna.distributions import FloatDistribution
        >>> from burr_lightning.tuning import InProcess, Study
        >>> space = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
        >>> options = dict(n_trials=12, executor=InProcess())
        >>> study = Study(lambda trial: trial.params["x"], space, **options).run()
        >>> importance_figure(study).savefig("search.png")
    """
    shares = importance_of(study)
    count = sum(trial.status == "finished" for trial in study.trials)
    several = len(study.ledger.directions) > 1
    note = _NOTE.format(
        count=count,
        of=" of all directions together" if several else "",
        few=f" With fewer than {_FEW} it says little." if count < _FEW else "",
    )
    return plot_importance(_title(study), shares, note)


def workers_figure(study: StudyReader) -> Any:
    """Where the time of each worker went; see ``burr_lightning.plots.plot_workers``.

    Args:
        study: The study; what runs is drawn until now, and where no process runs the study any more, until
            what was told of it last.

    Returns:
        A matplotlib figure.

    Raises:
        MissingExtraError: Without matplotlib, which the extra ``plot`` brings.

    Example:
        >>> from optuna.distributions import FloatDistribution
        >>> from burr_lightning.tuning import InProcess, Study
        >>> space = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
        >>> options = dict(n_trials=3, executor=InProcess())
        >>> study = Study(lambda trial: trial.params["x"], space, **options).run()
        >>> workers_figure(study).savefig("search.png")
    """
    attempts = study.attempts
    last = max((each.ended or each.began for each in attempts), default=0.0)
    now = time.time() if study.is_run else last
    bars = [
        Bar(
            each.trial,
            each.worker,
            each.began,
            now if each.ended is None else each.ended,
            "lost" if each.ended is None and not study.is_run else each.status,
        )
        for each in attempts
    ]
    return plot_workers(_title(study), bars)


def importance_of(study: StudyReader) -> Mapping[str, float]:
    """How much each parameter decides whether a trial is among the best tenth; all together 1.

    It is what PED-ANOVA gives (https://arxiv.org/abs/2304.10255), which Optuna takes by default from version
    5 on. The older fANOVA needs scikit-learn, and draws random numbers.

    Args:
        study: The study.

    Raises:
        NotDrawnError: If fewer than two trials have finished, or the distributions are not known.
    """
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    finished = sum(trial.status == "finished" for trial in study.trials)
    if finished < 2:
        raise _nothing(
            study,
            "importance",
            f"it compares trials that have finished, and needs two of them: {finished} of "
            f"{len(study.trials)} {'has' if finished == 1 else 'have'}",
        )
    if not study.space:
        missing = "it needs the distribution of each parameter, and Study(space=...) was not given"
        raise NotDrawnError(_call(study, "importance"), missing, "Draw the history or slices instead.")
    with warnings.catch_warnings(), access.quiet():
        warnings.simplefilter("ignore")  # few trials make few differences: the figure says so
        return get_param_importances(study.to_optuna(), evaluator=PedAnovaImportanceEvaluator())


KINDS: Mapping[str, Callable[[StudyReader], Any]] = {
    "history": history_figure,
    "parallel": parallel_figure,
    "slices": slices_figure,
    "importance": importance_figure,
    "workers": workers_figure,
}
"""The figures by their names."""


def written_figure(study: StudyReader, kind: str, path: str | os.PathLike[str] | None) -> Any:
    """What `StudyReader.plot` does."""
    if kind not in KINDS:
        raise ArgumentError(f"Study.plot({kind!r}): there is no such figure; there are {', '.join(KINDS)}.")
    if path is None:
        new_figure(_call(study, kind), 1.0)  # what is missing is named as the user called it
        return KINDS[kind](study)
    check_place(path, f"Study.plot({kind!r}, {os.fspath(path)!r})")
    figure = KINDS[kind](study)
    figure.savefig(os.fspath(path), dpi=DOTS)
    return figure


def _tried(study: StudyReader) -> list[Tried]:
    return [Tried(trial.number, trial.status, trial.params, _drawable(trial)) for trial in study.trials]


def _drawable(trial: TrialRecord) -> tuple[float, ...] | None:
    """Its values; one that was NaN lies nowhere on an axis, and is drawn as one without a value."""
    return None if trial.comparable is None else trial.values


def _valued(study: StudyReader, kind: str) -> list[Tried]:
    tried = _tried(study)
    if all(trial.values is None for trial in tried):
        raise _nothing(study, kind, "none of its trials came to a value")
    return tried


def _nothing(study: StudyReader, kind: str, missing: str) -> NotDrawnError:
    advice = "Wait until more trials have finished; history and workers can be drawn at any time."
    return NotDrawnError(_call(study, kind), missing, advice)


def _call(study: StudyReader, kind: str) -> str:
    return f"Study({study.run_id!r}).plot({kind!r})"


def _objectives(study: StudyReader) -> list[Objective]:
    modes = study.ledger.directions
    name = study.monitor or "value"
    if len(modes) == 1:
        return [Objective(name, modes[0])]
    return [Objective(f"value {number}", mode) for number, mode in enumerate(modes)]


def _parameters(study: StudyReader, kind: str) -> Sequence[Parameter]:
    known = [_parameter(name, distribution) for name, distribution in study.space.items()]
    found = parameters_of(_tried(study), known)
    if not found:
        raise _nothing(study, kind, "its trials have no parameters")
    return found


def _parameter(name: str, distribution: BaseDistribution) -> Parameter:
    if isinstance(distribution, CategoricalDistribution):
        return Parameter(name, choices=tuple(map(str, distribution.choices)))
    return Parameter(name, bool(getattr(distribution, "log", False)))


def _title(study: StudyReader) -> str:
    """The study, and why it ended."""
    counts = f"{len(study.trials)} trials" if len(study.trials) != 1 else "1 trial"
    title = " ".join(f"{study.run_id}: {study.stop_reason or counts}".split())
    return title if len(title) <= _LONGEST else f"{title[: _LONGEST - 1]}…"
