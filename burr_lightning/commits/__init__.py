"""The durable side of a run: checkpoints, the state of the random number generators, and commits."""

from .checkpoints import Checkpoints
from .committer import Committer
from .stored import ResumePoint, StoredCommits

__all__ = ["Checkpoints", "Committer", "ResumePoint", "StoredCommits"]
