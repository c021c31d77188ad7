"""`burr-lightning study`: hyperparameter searches, looked at from outside, and deleted."""

from .group import study

__all__ = ["study"]
