"""SIGKILL at random instants of a run, again and again, and whether the run ends as if nothing had happened.

Half of the instants are random times within a random phase. The others are points between two steps, which
a time would seldom hit: a file was opened, renamed or removed, a row was written, a phase began.

As a script: `python tests/kill_campaign.py --kills 1000 --seed 3`, with `--asynchronous` for asynchronous
saving, `--model-checkpoint` for plain Lightning, `--all` for the three side by side. `--temporary /dev/shm`
moves the system's temporary folder to another file system, where a rename is a copy.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from forks import Child
from killed import Plan, temporary_folder, train

STEPS = 4
"""Optimizer steps in an epoch."""
_MOST_KILLS = 12
"""Of one run; after that it is left in peace."""
_IN_AN_EPOCH = ["training", "validation", "checkpoint"]
"""Phases that are aimed at more often."""
_MEANT_TO_STAY = "undone.jsonl"
"""Steps that were under way at a kill are kept apart, beside Burr's log."""


@dataclass
class Result:
    """What a campaign found. What is lost, unloadable, left over or differs must be nothing."""

    saving: str
    kills: int = 0
    runs: int = 0
    landed: Counter = field(default_factory=Counter)
    """Kills by the phase that they landed in."""
    epochs_lost: float = 0.0
    """Beyond the epoch in flight, summed over all kills."""
    kills_that_lost: int = 0
    trained_again: int = 0
    """Epochs that had been trained to their end, and were not committed."""
    unloadable: list = field(default_factory=list)
    """Last commits that were damaged or could not be loaded after a kill."""
    not_resumed: list = field(default_factory=list)
    """Processes that failed, with the end of what they printed."""
    left_over: list = field(default_factory=list)
    """Files that the uninterrupted run does not leave."""
    differing: Counter = field(default_factory=Counter)
    """Runs whose weights, optimizer, history, ... are not the uninterrupted run's."""
    differing_runs: list = field(default_factory=list)
    seconds: float = 0.0


def campaign(kills, seed, home, *, saving="synchronous", every_n_steps=None, temporary=None):
    """Kill runs until so many kills were made, and let each of them end.

    Args:
        kills: How many, 1 or more.
        seed: Of the instants and of the variants of training.
        home: An empty folder for everything.
        saving: ``"synchronous"``, ``"asynchronous"`` or ``"ModelCheckpoint"``.
        every_n_steps: Commits inside the epochs as well; ``None`` for none.
        temporary: The system's temporary folder, as on another file system; ``None`` for one beside each run.
    """
    chance, result, started = random.Random(seed), Result(saving), time.monotonic()
    references = {}
    while result.kills < kills:
        schedule = chance.choice(["StepLR", "ReduceLROnPlateau"])
        if schedule not in references:
            plan = Plan(f"whole-{schedule}", schedule, saving, every_n_steps, temporary)
            references[schedule] = _Reference(plan, home)
        run_id = f"run-{result.runs:04d}"
        plan = Plan(run_id, schedule, saving, every_n_steps, temporary)
        _KilledRun(plan, home, chance, references[schedule], result).until_it_ends(kills)
        result.runs += 1
    result.seconds = time.monotonic() - started
    return result


def _child(plan, home, dies_at=None):
    """A process for a run whose folders, the system's temporary one included, are its own."""
    folder = Path(home) / plan.run_id
    folder.mkdir(parents=True, exist_ok=True)
    return Child(train, plan, str(folder), dies_at, log=folder / "printed.log")


def _files(plan, home):
    """What a run has left, but for its own name."""
    home = Path(home) / plan.run_id
    folders = {home, temporary_folder(plan, home)}
    paths = {str(path) for folder in folders for path in folder.rglob("*") if path.is_file()}
    paths = {path for path in paths if not path.endswith(_MEANT_TO_STAY)}
    return {path.replace(plan.run_id, "RUN") for path in paths}


class _Reference:
    """The uninterrupted run: how it ends, and how long its phases take."""

    def __init__(self, plan, home):
        child = _child(plan, home)
        self.ending, self.losses, self.seconds = None, {}, {}
        phase, since = None, time.monotonic()
        try:
            while True:
                kind, *facts = child.hears()
                if kind == "phase":
                    if phase is not None:
                        self.seconds.setdefault(phase, []).append(time.monotonic() - since)
                    phase, since = facts[0], time.monotonic()
                elif kind == "trained":
                    self.losses[facts[0]] = facts[1]
                elif kind == "points":
                    self.points = facts[0]
                elif kind == "ending":
                    self.ending = facts[0]
        except EOFError:
            status = child.ended()
        assert status == 0, f"the uninterrupted run failed:\n{child.printed[-3000:]}"
        self.files = _files(plan, home)

    def instant(self, chance):
        """A phase, which time that it comes, and how many seconds into it."""
        phase = chance.choice(sorted(self.seconds) + 2 * _IN_AN_EPOCH)
        return phase, chance.choice([0, 0, 1]), chance.random() * statistics.median(self.seconds[phase])


class _KilledRun:
    """One run, killed and started again until it ends."""

    def __init__(self, plan, home, chance, reference, result):
        self._plan, self._home, self._chance = plan, home, chance
        self._reference, self._result = reference, result
        self._committed = 0
        self._phase = None
        self._ending, self._losses = None, {}

    def until_it_ends(self, kills):
        for attempt in range(_MOST_KILLS + 1):
            last = attempt == _MOST_KILLS or self._result.kills >= kills
            if last:
                again = self._one_process()
            elif self._chance.random() < 0.5:
                again = self._one_process(self._reference.instant(self._chance))
            else:
                again = self._one_process(dies_at=self._chance.randint(1, self._reference.points))
            if not again:
                break
        self._compare()

    def _one_process(self, instant=None, dies_at=None):
        """Run a process to its end or its death, by us or by itself; whether another one is needed."""
        child = _child(self._plan, self._home, dies_at)
        self._phase, coming = "setup", instant[1] if instant else None
        deadline = None
        try:
            while True:
                message = child.hears(None if deadline is None else deadline - time.monotonic())
                if message is None:
                    break
                self._heard(message)
                if instant and deadline is None and message == ("phase", instant[0]):
                    if coming == 0:
                        deadline = time.monotonic() + instant[2]
                    coming -= 1
            child.kill()
            for message in child.rest():
                self._heard(message)
        except EOFError:
            pass
        status = child.ended()
        if status == -9:
            self._result.kills += 1
            self._result.landed[self._phase] += 1
        elif status != 0:
            self._result.not_resumed.append(f"{self._plan}: {child.printed[-1500:]}")
        return status == -9

    def _heard(self, message):
        kind, *facts = message
        if kind == "phase":
            self._phase = facts[0]
        elif kind == "committed":
            self._committed = max(self._committed, facts[0])
        elif kind == "resumed" and facts[0] < self._committed:
            self._result.epochs_lost += (self._committed - facts[0]) / STEPS
            self._result.kills_that_lost += 1
            self._committed = facts[0]
        elif kind == "trained":
            self._result.trained_again += facts[0] in self._losses
            self._losses[facts[0]] = facts[1]
        elif kind == "unloadable":
            self._result.unloadable.append(f"{self._plan.run_id}: {facts[0]}")
        elif kind == "ending":
            self._ending = facts[0]

    def _compare(self):
        result, run_id = self._result, self._plan.run_id
        if self._ending is None:
            result.differing["no ending"] += 1
            return
        expected = self._reference.ending
        found = [name for name in expected if expected[name] != self._ending[name]]
        found += ["losses"] if self._losses != self._reference.losses else []
        result.differing.update(found)
        if found:
            result.differing_runs.append(f"{run_id} ({self._plan.schedule}): {', '.join(found)}")
        left = sorted(_files(self._plan, self._home) - self._reference.files)
        result.left_over += [f"{run_id}: {path}" for path in left]


def table(results):
    """The results side by side."""
    phases = sorted({phase for result in results for phase in result.landed})
    rows = [("", [result.saving for result in results])]
    rows += [("kills", [result.kills for result in results])]
    rows += [(f"  in {phase}", [result.landed[phase] for result in results]) for phase in phases]
    rows += [("runs", [result.runs for result in results])]
    rows += [("epochs lost beyond the one in flight", [round(result.epochs_lost, 2) for result in results])]
    rows += [("kills that lost them", [result.kills_that_lost for result in results])]
    rows += [("trained epochs that were trained again", [result.trained_again for result in results])]
    rows += [("unloadable last commits", [len(result.unloadable) for result in results])]
    rows += [("processes that failed", [len(result.not_resumed) for result in results])]
    rows += [("files left over", [len(result.left_over) for result in results])]
    rows += [("runs that ended differently", [len(result.differing_runs) for result in results])]
    names = sorted({name for result in results for name in result.differing})
    rows += [(f"  in {name}", [result.differing[name] for result in results]) for name in names]
    rows += [("seconds", [round(result.seconds) for result in results])]
    lines = ["".join([f"{name:40}", *[f"{cell!s:>17}" for cell in cells]]) for name, cells in rows]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--every-n-steps", type=int, default=None)
    parser.add_argument("--asynchronous", action="store_const", dest="saving", const=["asynchronous"])
    parser.add_argument("--model-checkpoint", action="store_const", dest="saving", const=["ModelCheckpoint"])
    parser.add_argument("--temporary", help="a folder of another file system, for the system's temporary one")
    everything = ["synchronous", "asynchronous", "ModelCheckpoint"]
    parser.add_argument("--all", action="store_const", dest="saving", const=everything)
    given = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory(dir=given.temporary) as temporary:
        for saving in given.saving or ["synchronous"]:
            options = {"saving": saving, "every_n_steps": given.every_n_steps}
            if given.temporary:
                options["temporary"] = os.path.join(temporary, saving)
            results.append(campaign(given.kills, given.seed, os.path.join(home, saving), **options))
    print(table(results))
    print(json.dumps([vars(result) for result in results], indent=1))
    return int(any(found(result) for result in results))


def found(result):
    """What is wrong, ``False`` for a campaign that a run survived."""
    wrong = (result.epochs_lost, result.unloadable, result.not_resumed, result.left_over)
    return any(wrong) or bool(result.differing)


if __name__ == "__main__":
    sys.exit(main())
