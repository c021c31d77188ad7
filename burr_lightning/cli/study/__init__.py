"""`burr-lightning study`: hyperparameter searches, looked at from outside."""

from .group import study

__all__ = ["study"]
