"""Every error of this library: one base, and each error carries its facts as attributes."""

from .base import BurrLightningError
from .fork import EpochNotForkableError, ForkError, RunExistsError, UnknownHparamError
from .given import (
    ArgumentError,
    ExpressionError,
    ListenError,
    MissingExtraError,
    NotDrawnError,
    RunIdError,
    TrainerError,
)
from .replay import EpochNotReplayableError, ReplayError
from .review import AnswerError, NotAskedError
from .storage import (
    ExistsError,
    ExportError,
    HalfDeletedError,
    NotDeletedError,
    NoWeightsError,
    RowsNotDeletedError,
    StorageError,
)
from .stored import (
    CommitError,
    DataChangedError,
    IsAStudyError,
    LostRowsError,
    NoCheckpointError,
    OlderCheckpointError,
    PersisterError,
    ResumeError,
    RunLockedError,
    RunNotFoundError,
    StudyNotFoundError,
    UnreadableRowError,
    UnreadableRunError,
)
from .training import ConditionError, HistoryError, MachineError, MetricsError, UnknownMetricError
from .tuning import (
    NameTakenError,
    NestedStudyError,
    NotPickledError,
    NoTrialFinishedError,
    ProcessDiedError,
    ProcessLostError,
    ProcessNotStartedError,
    RemoteError,
    ResultNotPickledError,
)

__all__ = [
    "AnswerError",
    "ArgumentError",
    "BurrLightningError",
    "CommitError",
    "ConditionError",
    "DataChangedError",
    "EpochNotForkableError",
    "EpochNotReplayableError",
    "ExistsError",
    "ExportError",
    "ExpressionError",
    "ForkError",
    "HalfDeletedError",
    "HistoryError",
    "IsAStudyError",
    "ListenError",
    "LostRowsError",
    "MachineError",
    "MetricsError",
    "MissingExtraError",
    "NameTakenError",
    "NestedStudyError",
    "NoCheckpointError",
    "NoTrialFinishedError",
    "NoWeightsError",
    "NotAskedError",
    "NotDeletedError",
    "NotDrawnError",
    "NotPickledError",
    "OlderCheckpointError",
    "PersisterError",
    "ProcessDiedError",
    "ProcessLostError",
    "ProcessNotStartedError",
    "RemoteError",
    "ReplayError",
    "ResultNotPickledError",
    "ResumeError",
    "RowsNotDeletedError",
    "RunExistsError",
    "RunIdError",
    "RunLockedError",
    "RunNotFoundError",
    "StorageError",
    "StudyNotFoundError",
    "TrainerError",
    "UnknownHparamError",
    "UnknownMetricError",
    "UnreadableRowError",
    "UnreadableRunError",
]

for _name in __all__:
    globals()[_name].__module__ = __name__  # a traceback names what a user imports
