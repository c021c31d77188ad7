"""`BurrMixin`: a module that brings its own machine."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Self

from burr.core import Condition, State
from burr.core.graph import Graph
from lightning.pytorch import Callback, LightningModule

from ..actions import Training
from ..callback import BurrCallback
from ..errors import MachineError
from ..hparams import put_into_groups
from .bases import called, refuse_hidden_bases, refuse_wrong_order, see_that_it_is_called
from .options import callback_of, tell_of_unused
from .stages import machine_of_stages, refuse_hidden_names, refuse_left_out, warned_of_lost_attributes
from .view import Brought, RunOfModule

if TYPE_CHECKING:
    _Base = LightningModule
else:
    _Base = object  # a second LightningModule among the bases would be in the way of the user's own


_OF_USERS = (
    "run_id",
    "monitor",
    "stop_when",
    "review_when",
    "burr_options",
    "configure_machine",
    "configure_burr",
    "on_action_start",
    "on_action_end",
    "on_hparams_change",
)
"""What a class defines of its own accord."""


class BurrMixin(_Base):
    """Makes a `LightningModule` bring its own `BurrCallback`: no callback in the Trainer is needed.

    The machine is the default one with ``stop_when`` and ``review_when``, or what `configure_machine`
    returns, or the methods that are marked with `stage`, in order. Where the Trainer has a `BurrCallback`
    already, that one is used, and its machine.

    It goes before `LightningModule` among the bases.

    Attributes:
        run_id: The run's name, as in `BurrCallback`.
        monitor: The metric that says which epoch is the best.
        stop_when: When to stop.
        review_when: When to ask a human.
        burr_options: Any other arguments of `BurrCallback`, by name.

    Raises:
        TypeError: If the class is put together so that Lightning would not call the mixin.
        MachineError: In ``fit``, if the machine is defined in more than one way.
        ArgumentError: In ``fit``, if ``burr_options`` has what `BurrCallback` does not take.

    Example:
        >>> from burr_lightning.conditions import plateau, reached
        >>> from burr_lightning.mixins import stage
        >>> class Classifier(BurrMixin, LightningModule):
        ...     monitor = "val_loss"
        ...
        ...     @stage(until=plateau("val_loss", 2))
        ...     def head(self):
        ...         self.freeze("backbone")
        ...
        ...     @stage(until=plateau("val_loss", 5) | reached("val_acc", 0.98))
        ...     def everything(self):
        ...         self.unfreeze("backbone")
        ...         self.set_learning_rate(1e-4)
        >>> [action.name for action in Classifier().configure_machine().actions][:3]
        ['process_data', 'begin_head', 'head']
    """

    run_id: str | None = None
    monitor: str | None = None
    stop_when: Condition | None = None
    review_when: Condition | None = None
    burr_options: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        refuse_wrong_order(cls, BurrMixin)
        refuse_hidden_bases(cls, BurrMixin, _OF_USERS)
        see_that_it_is_called(cls, BurrMixin)

    # What a module says of its run

    def configure_machine(self) -> Graph | None:
        """The machine, as a Burr graph; ``None`` for the default one.

        Without another definition, the machine of the methods that are stages.
        """
        return machine_of_stages(type(self))

    def configure_burr(self) -> BurrCallback:
        """The callback that this module brings.

        Raises:
            MachineError: If the machine is defined in more than one way, or leaves out a stage.
            ArgumentError: If ``burr_options`` has what `BurrCallback` does not take, or what has an
                attribute of its own.
        """
        refuse_hidden_names(self)
        machine = self.configure_machine()
        refuse_left_out(type(self), machine)
        return callback_of(self, machine)

    def configure_callbacks(self) -> list[Callback]:
        """The module's other callbacks, and ours, unless the Trainer has one of the user's."""
        others = super().configure_callbacks()
        callbacks: list[Callback] = [others] if isinstance(others, Callback) else [*others]
        brought = self._brought_beside([*self.trainer.callbacks, *callbacks])  # type: ignore[attr-defined]
        called(self, BurrMixin, brought)
        return [*callbacks, *brought]

    def _brought_beside(self, callbacks: list[Callback]) -> list[BurrCallback]:
        """What this module brings to a training that has these already; its own of an earlier one goes on."""
        drive = [each for each in callbacks if isinstance(each, BurrCallback) and each.drives(self)]
        if drive:
            own = [each for each in drive if each.only_for is self]
            if not own:
                tell_of_unused(self)
            return own
        brought = self.configure_burr()
        brought.only_for = self
        self._brought().callback = brought
        return [brought]

    def _brought(self) -> Brought:
        kept: Brought = self.__dict__.setdefault("_burr_brought", Brought())
        return kept

    # What a module sees of its run

    @property
    def burr(self) -> RunOfModule:
        """The run that this module trains in."""
        return RunOfModule(self, self._brought())

    def on_action_start(self, action: str, state: State[Any]) -> None:
        """Called before every action.

        Args:
            action: Its name.
            state: The state before it.
        """

    def on_action_end(self, action: str, state: State[Any]) -> None:
        """Called after every action that did not fail.

        Args:
            action: Its name.
            state: The state after it.
        """

    # Hyperparameters

    def on_hparams_change(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        """Called when a human or a fork has changed hyperparameters, which ``self.hparams`` has already.

        An answer changes those whose names it gives values to; a fork calls it where it begins. Unless it
        is defined otherwise, they are put into the optimizers' groups: the learning rate (``lr`` or
        ``learning_rate``) into all of them, of a fork in proportion, with what schedulers compute it from;
        others, as ``weight_decay`` or ``betas``, into those groups that have the old value. The rest is for
        the module to use from ``self.hparams``.

        Args:
            old: What they were.
            new: What they are.
        """
        training = self._acting("on_hparams_change(...)")
        put_into_groups(self.trainer.optimizers, old, new, training, **self.__dict__["_burr_fork"])

    def burr_hparams_changed(
        self,
        old: dict[str, Any],
        new: dict[str, Any],
        training: Training,
        *,
        of_fork: bool = False,
        built: Collection[str] = (),
    ) -> None:
        """Tell `on_hparams_change`; whoever drives the machine calls it."""
        with self._training_is(training, of_fork=of_fork, built=built):
            self.on_hparams_change(old, new)

    # What a stage does

    def burr_enter_stage(self, name: str, training: Training) -> None:
        """Run the body of a stage; the machine calls it."""
        with self._training_is(training), warned_of_lost_attributes(self, name):
            getattr(self, name)()

    @contextmanager
    def _training_is(self, training: Training, **fork: Any) -> Iterator[None]:
        self.__dict__ |= {"_training": training, "_burr_fork": fork}
        try:
            yield
        finally:
            del self.__dict__["_training"], self.__dict__["_burr_fork"]

    def freeze(self, *patterns: str) -> Self:
        """Train these parameters no more; in a stage.

        Args:
            patterns: As in `Freeze`: names of parameters or of modules. None at all is Lightning's own
                ``freeze``, of everything, wherever it is called.
        """
        if patterns:
            self._acting(f"freeze({', '.join(map(repr, patterns))})").freeze(patterns)
            return self
        return super().freeze()

    def unfreeze(self, *patterns: str, lr: float | None = None) -> Self:
        """Train these parameters; in a stage.

        Args:
            patterns: As in `Unfreeze`. None at all is Lightning's own ``unfreeze``, of everything.
            lr: Their learning rate from here on, in a group of their own; ``None`` leaves them in theirs.
        """
        if patterns:
            self._acting(f"unfreeze({', '.join(map(repr, patterns))})").unfreeze(patterns, lr)
            return self
        return super().unfreeze()

    def set_learning_rate(self, lr: float) -> None:
        """Set the learning rate of all groups, and what schedulers compute it from; in a stage."""
        self._acting(f"set_learning_rate({lr!r})").set_learning_rates(lr)

    def _acting(self, call: str) -> Training:
        training: Training | None = self.__dict__.get("_training")
        if training is None:
            raise MachineError(
                f"self.{call}: this works in the body of a method marked with @stage, while Lightning waits "
                f"between two epochs. In an action of your own take the input 'training', or use the actions "
                f"Freeze, Unfreeze and SetLearningRate."
            )
        return training
