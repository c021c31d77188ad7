"""What the fork server imports before it forks, so that a trial does not wait for it.

It must not touch a GPU, nor start a thread: a process that is forked from one that has started CUDA cannot
use CUDA, and of threads only the one that forks goes on. So it imports, and calls nothing.
"""

import lightning.pytorch  # noqa: F401
import torchmetrics  # noqa: F401

from .. import callback, mixins  # noqa: F401
from . import in_process, local, population, study, trial_callback, worker  # noqa: F401
