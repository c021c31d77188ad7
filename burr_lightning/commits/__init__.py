"""The durable side of a run: checkpoints, the state of the random number generators, and commits."""

from .checkpoints import Checkpoints
from .committer import Committer
from .following import FollowingCommitter
from .kept import KeptCheckpoints
from .stored import ResumePoint, StoredCommits

__all__ = [
    "Checkpoints",
    "Committer",
    "FollowingCommitter",
    "KeptCheckpoints",
    "ResumePoint",
    "StoredCommits",
]
