"""Which failures of a persister may pass, and which will not."""

from __future__ import annotations

import sqlite3
from enum import Enum, auto

from ..errors import BurrLightningError


class Failure(Enum):
    """What may be done about an error of a persister."""

    PASSING = auto()
    """It may work the next time."""
    LASTING = auto()
    """It will not work until somebody changes something at the store."""
    DAMAGE = auto()
    """The database's file is damaged."""
    OF_THE_CALLER = auto()
    """The error is not the store's."""


_OF_THE_CALLER = (
    BurrLightningError, TypeError, ValueError, LookupError, AttributeError, NameError, AssertionError,
    ArithmeticError, ImportError, NotImplementedError, RecursionError, MemoryError, SyntaxError,
)  # fmt: skip

_MAY_BE_WRITTEN = (
    *("IntegrityError", "DuplicateKeyError"),  # the step has a row: it may be this one
    *("WriteConcernError", "ExecutionTimeout"),  # pymongo
)
_LASTING = (
    *("ProgrammingError", "DataError", "NotSupportedError"),  # of Python's database interface, PEP 249
    *("AuthenticationError", "AuthorizationError", "NoPermissionError"),  # redis
    *("ConfigurationError", "OperationFailure"),  # pymongo
)
_REFUSED = ("authentication", "no password supplied", "does not exist", "pg_hba.conf", "readonly database")
"""What servers say to who may not come in; in another language it takes `PATIENCE` to find that out."""


def kind_of(error: Exception) -> Failure:
    """What may be done about an error of any persister; its driver need not be installed.

    Args:
        error: What the persister raised. What is not known may pass: a try costs little.

    Example:
        >>> kind_of(sqlite3.OperationalError("database is locked"))
        <Failure.PASSING: 1>
        >>> kind_of(TypeError("Object of type Tensor is not JSON serializable"))
        <Failure.OF_THE_CALLER: 4>
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    text = str(error)
    if names.intersection(_MAY_BE_WRITTEN) or (isinstance(error, ValueError) and "already exists" in text):
        return Failure.PASSING
    if isinstance(error, _OF_THE_CALLER):
        return Failure.OF_THE_CALLER
    if type(error) is sqlite3.DatabaseError:
        return Failure.DAMAGE
    lasting = names.intersection(_LASTING) or "Uninitialized persister" in text
    return Failure.LASTING if lasting or any(words in text for words in _REFUSED) else Failure.PASSING
