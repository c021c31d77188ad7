"""A module that brings its own machine."""

import copy
from functools import partial
from typing import ClassVar

import pytest
import torch
from burr.core.graph import GraphBuilder
from digits import digit_loaders, weights_hash
from exactness import Forked
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything

from burr_lightning import BurrCallback, Run, list_runs
from burr_lightning.actions import (
    BestModel,
    Freeze,
    Review,
    SetLearningRate,
    TrainEpoch,
    Unfreeze,
    Validate,
)
from burr_lightning.conditions import max_epochs, plateau
from burr_lightning.errors import ArgumentError, MachineError, ResumeError, TrainerError
from burr_lightning.machines import (
    FINISHED,
    VALIDATION_DUE,
    Stage,
    default_machine,
    since_review,
    staged_machine,
)
from burr_lightning.mixins import BurrMixin, stage
from burr_lightning.testing import ScriptedModule, scripted_loader


class Net(LightningModule):
    """Two parts, dropout, Adam."""

    def __init__(self, lr=2e-3):
        super().__init__()
        self.save_hyperparameters()
        self.backbone = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Dropout(0.3))
        self.head = torch.nn.Linear(32, 10)

    def loss(self, batch):
        return torch.nn.functional.cross_entropy(self.head(self.backbone(batch[0])), batch[1])

    def training_step(self, batch, batch_idx):
        return self.loss(batch)

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.loss(batch))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)


class Staged(BurrMixin, Net):
    monitor = "val_loss"

    @stage(until=max_epochs(2))
    def first(self):
        self.freeze("backbone")

    @stage(until=max_epochs(2))
    def everything(self):
        self.unfreeze("backbone")
        self.set_learning_rate(1e-3)


def graph():
    everything = {"unfreeze": Unfreeze("backbone"), "slower": SetLearningRate(1e-3)}
    first = Stage("first", max_epochs(2), {"freeze": Freeze("backbone")})
    return staged_machine([first, Stage("everything", max_epochs(2), everything)])


class WithMachine(BurrMixin, Net):
    monitor = "val_loss"

    def configure_machine(self):
        return graph()


def train(module, *callbacks):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=6, callbacks=list(callbacks), accelerator="cpu", **quiet)
    trainer.fit(module, *digit_loaders())
    return module


def test_a_training_written_in_three_ways_comes_to_the_same():
    def ended(write, *callbacks):
        seed_everything(1, verbose=False)
        module = train(write(), *callbacks)
        [run] = [module.burr.run] if not callbacks else [callbacks[0].run]
        return weights_hash(module), list(run.history["val_loss"]), run.stop_reason

    with_callback = ended(Net, BurrCallback(machine=graph, monitor="val_loss"))
    assert ended(WithMachine) == with_callback
    assert ended(Staged) == with_callback


def test_a_class_without_any_definition_has_the_default_machine():
    class Plain(BurrMixin, Net):
        pass

    module = train(Plain())
    assert [action.name for action in module.burr.callback.machine.actions] == [
        action.name for action in default_machine().actions
    ]


def test_conditions_are_attributes_of_the_class(make_trainer):
    class Stops(BurrMixin, ScriptedModule):
        run_id = "stops"
        monitor = "val_loss"
        stop_when = plateau("val_loss", 1)
        burr_options: ClassVar = {"project": "mine"}

    make_trainer(max_epochs=9).fit(Stops(val_loss=[0.5, 0.6]), scripted_loader(), scripted_loader())
    run = Run.open("stops", "mine")
    assert run.epoch == 1
    assert "plateau" in run.stop_reason


def test_it_steps_back_where_the_trainer_has_a_callback():
    burr = BurrCallback(run_id="given", machine=graph, monitor="val_loss")
    module = train(Staged(), burr)
    assert module.burr.callback is burr
    assert [c for c in module.trainer.callbacks if isinstance(c, BurrCallback)] == [burr]
    assert "freeze" in [step.action for step in burr.run.path]


def test_a_module_sees_its_stage_its_state_and_its_history_in_any_hook():
    seen = []

    class Looks(Staged):
        def on_train_epoch_start(self):
            seen.append((self.burr.stage, self.burr.state["epoch"], len(self.burr.history)))

        def on_action_start(self, action, state):
            seen.append(f"> {action}")

        def on_action_end(self, action, state):
            seen.append(f"< {action}: epoch {state['epoch']}")

    train(Looks())
    assert [each for each in seen if isinstance(each, tuple)] == [
        ("first", -1, 0),
        ("first", 0, 1),
        ("everything", 1, 2),
        ("everything", 2, 3),
    ]
    assert seen[:6] == ["> process_data", "< process_data: epoch -1", "> begin_first", *seen[3:6]]
    assert seen[-1] == "< best_model: epoch 3"
    assert len([each for each in seen if str(each).startswith(">")]) == len(
        [each for each in seen if str(each).startswith("<")]
    )


class Fails(Staged):
    """Fails once in each of its epochs; another module goes on."""

    fails_in = None

    def on_train_batch_start(self, batch, batch_idx):
        if self.current_epoch == self.fails_in and batch_idx == 2:
            raise RuntimeError("out of memory")


@pytest.mark.parametrize("epoch", range(4))
def test_a_resume_lands_in_the_right_stage(epoch):
    def whole(fails_in, run_id):
        seed_everything(1, verbose=False)
        Fails.run_id, Fails.fails_in = run_id, fails_in
        if fails_in is not None:
            with pytest.raises(RuntimeError, match="out of memory"):
                train(Fails())
            seed_everything(1 if fails_in == 0 else 2, verbose=False)
        Fails.fails_in = None
        module = train(Fails())
        groups = [len(group["params"]) for group in module.optimizers().param_groups]
        return weights_hash(module), groups, [step.action for step in module.burr.run.path]

    assert Forked(partial(whole, epoch, "failed")).result() == Forked(partial(whole, None, "whole")).result()


def test_the_same_module_is_fitted_again_in_the_same_run(make_trainer):
    class Named(BurrMixin, ScriptedModule):
        run_id = "named"

    module, trainer = Named(val_loss=[0.5]), make_trainer(max_epochs=1)
    trainer.fit(module, scripted_loader(), scripted_loader())
    trainer.fit_loop.max_epochs = 2
    trainer.fit(module, scripted_loader(), scripted_loader())
    assert len([c for c in trainer.callbacks if isinstance(c, BurrCallback)]) == 1


# What is refused


def test_a_wrong_order_of_bases_is_refused():
    with pytest.raises(TypeError, match=r"class Wrong\(BurrMixin, LightningModule\)"):

        class Wrong(LightningModule, BurrMixin):
            pass


def test_the_right_order_is_told_with_all_bases():
    other = type("Other", (), {})
    with pytest.raises(TypeError, match=r"class Wrong\(BurrMixin, Other, Net\)"):
        type("Wrong", (Net, BurrMixin, other), {})


@pytest.mark.parametrize("returned", [[], [Callback()], Callback()])
def test_a_module_that_leaves_the_mixin_s_callback_out_is_refused(make_trainer, returned):
    class Alone(BurrMixin, ScriptedModule):
        def configure_callbacks(self):
            return returned

    with pytest.raises(TypeError, match=r"Alone.configure_callbacks leaves out the callbacks of BurrMixin"):
        make_trainer(max_epochs=1).fit(Alone(val_loss=[1.0]), scripted_loader(), scripted_loader())
    assert not list_runs()


@pytest.mark.parametrize(
    "members",
    [
        {"monitor": "val_loss"},
        {"configure_machine": graph},
        {"on_hparams_change": lambda self, old, new: None},
    ],
)
def test_what_the_mixin_would_hide_of_a_base_is_refused(members):
    plain = type("Plain", (LightningModule,), members)
    [name] = members
    with pytest.raises(TypeError, match=rf"Plain.{name} would not be used, for BurrMixin comes before it"):
        type("Mixed", (BurrMixin, plain), {})
    type("Meant", (BurrMixin, plain), {name: members[name]})
    type("MixedInBefore", (type("Mixed", (BurrMixin, LightningModule), members),), {})


@pytest.mark.parametrize("redefined", [lambda self: None, property(lambda self: 1), 3])
def test_a_stage_that_is_defined_anew_without_the_mark_is_refused(redefined):
    mine = type("Mine", (Staged,), {"everything": redefined})
    with pytest.raises(MachineError, match=r"Mine.everything is defined anew without @stage\(until=...\)"):
        mine().configure_machine()


def test_a_stage_is_dropped_or_changed_where_it_says_so():
    class Shorter(Staged):
        first = None

    class Changed(Staged):
        @stage(until=max_epochs(5))
        def first(self):
            self.freeze("head")

    assert [action.name for action in Shorter().configure_machine().actions][1:3] == [
        "begin_everything",
        "everything",
    ]
    assert [action.name for action in Changed().configure_machine().actions] == [
        action.name for action in Staged().configure_machine().actions
    ]


def test_attributes_that_a_stage_sets_are_told_of_for_a_resume_has_them_not(make_trainer, caplog):
    class Sets(BurrMixin, ScriptedModule):
        @stage(until=max_epochs(1))
        def first(self):
            self.temperature = 2.0
            self._seen = [1]

        @stage()
        def second(self):
            self.eval()
            self.freeze("layer")
            self.unfreeze("layer")
            self.set_learning_rate(0.5)

    make_trainer(max_epochs=2).fit(Sets(val_loss=[1.0]), scripted_loader(), scripted_loader())
    [told] = [record.message for record in caplog.records if "has set" in record.message]
    assert told.startswith("Sets.first has set self.temperature, self._seen: a process that goes on")


def test_a_finished_run_whose_stage_has_another_name_now_is_refused(make_trainer):
    def of(name):
        @stage(until=max_epochs(1))
        def body(self):
            pass

        members = {"run_id": "renamed", name: body}
        return type("Renames", (BurrMixin, ScriptedModule), members)(val_loss=[1.0])

    make_trainer(max_epochs=2).fit(of("old"), scripted_loader(), scripted_loader())
    with pytest.raises(ResumeError, match=r"after the action 'validate_old', and the machine has none"):
        make_trainer(max_epochs=3).fit(of("new"), scripted_loader(), scripted_loader())


def test_what_a_callback_of_the_trainer_leaves_unused_is_told(caplog):
    train(Staged(), BurrCallback(run_id="given", monitor="val_loss", stop_when=max_epochs(1)))
    assert "Staged: the trainer has a BurrCallback" in caplog.text
    assert "is not used: monitor, the stage first, the stage everything." in caplog.text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"machine": default_machine()}, "has 'machine', which configure_machine is for"),
        ({"run_id": "other"}, "has 'run_id', which the attribute run_id is for"),
        ({"traker": False}, "has 'traker', which BurrCallback does not take. It takes project, mode, "),
    ],
)
def test_options_that_the_callback_does_not_take_are_refused(make_trainer, options, said):
    class Mine(BurrMixin, ScriptedModule):
        burr_options = options

    with pytest.raises(ArgumentError, match=f"Mine.burr_options {said}"):
        make_trainer(max_epochs=1).fit(Mine(val_loss=[1.0]), scripted_loader(), scripted_loader())


def test_two_definitions_of_the_machine_are_refused(make_trainer):
    class Both(Staged):
        stop_when = plateau("val_loss", 2)

    with pytest.raises(MachineError, match="Both defines stop_when beside its own machine"):
        train(Both())


def test_a_stage_before_the_last_needs_an_end():
    class Endless(BurrMixin, Net):
        @stage()
        def one(self): ...

        @stage()
        def two(self): ...

    with pytest.raises(MachineError, match="'one' has until=None"):
        train(Endless())
    with pytest.raises(MachineError, match="Write @stage\\(\\)"):

        class Bare(BurrMixin, Net):
            @stage
            def one(self): ...


def test_what_a_stage_does_is_refused_elsewhere():
    module = Staged()
    with pytest.raises(MachineError, match=r"self.freeze\('backbone'\): this works in the body"):
        module.freeze("backbone")
    assert not any(parameter.requires_grad for parameter in module.freeze().parameters())


def test_there_is_no_run_to_look_at_before_fit(make_trainer):
    module = Staged()
    make_trainer(enable_checkpointing=False).validate(module, digit_loaders()[1])
    for read in ("state", "history", "stage", "run", "paused"):
        with pytest.raises(TrainerError, match=r"before trainer.fit has begun"):
            getattr(module.burr, read)


def test_each_module_of_a_trainer_sees_its_own_run(make_trainer):
    class Named(BurrMixin, ScriptedModule):
        def __init__(self, run_id):
            super().__init__(val_loss=[1.0])
            self.run_id = run_id

        def configure_callbacks(self):
            return [*super().configure_callbacks(), Callback()]

    first, second, trainer = Named("first"), Named("second"), make_trainer(max_epochs=1)
    trainer.fit(first, scripted_loader(), scripted_loader())
    trainer.fit(second, scripted_loader(), scripted_loader())
    assert [each.burr.run.run_id for each in (first, second)] == ["first", "second"]
    assert first.burr.state["epoch"] == 0
    with pytest.raises(TrainerError, match=r"before trainer.fit has begun"):
        copy.deepcopy(first).burr.state  # noqa: B018


def test_a_callback_of_the_trainer_shows_its_run_to_the_module_that_it_trains(make_trainer):
    class Mine(BurrMixin, ScriptedModule):
        pass

    first, second = Mine(val_loss=[1.0]), Mine(val_loss=[1.0])
    trainer = make_trainer(BurrCallback(), max_epochs=1)
    trainer.fit(first, scripted_loader(), scripted_loader())
    assert first.burr.state["epoch"] == 0
    trainer.fit_loop.epoch_progress.reset()
    trainer.fit(second, scripted_loader(), scripted_loader())
    assert second.burr.state["epoch"] == 0
    with pytest.raises(TrainerError, match=r"before trainer.fit has begun with this module"):
        first.burr.state  # noqa: B018


def test_a_run_that_waits_does_not_hold_up_the_next_module_of_its_trainer(make_trainer):
    first, trainer = Answered(), make_trainer(max_epochs=3)
    trainer.fit(first, scripted_loader(), scripted_loader())
    assert first.burr.paused
    module = Net()
    trainer.fit_loop.epoch_progress.reset()
    trainer.fit(module, *digit_loaders(samples=128))
    assert trainer.callback_metrics["val_loss"] > 0
    assert not [callback for callback in trainer.callbacks if isinstance(callback, BurrCallback)]


def test_two_callbacks_of_one_trainer_are_refused(make_trainer):
    trainer = make_trainer(BurrCallback(run_id="one"), BurrCallback(run_id="two"), max_epochs=1)
    with pytest.raises(TrainerError, match=r"run_id='one'\), BurrCallback\(run_id='two'\), and"):
        trainer.fit(ScriptedModule(val_loss=[1.0]), scripted_loader(), scripted_loader())
    assert not list_runs()


# Hyperparameters


class Answered(BurrMixin, LightningModule):
    run_id = "answered"
    monitor = "val_loss"
    review_when = max_epochs(1)

    def __init__(self, lr=0.1, weight_decay=0.0, width=4):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(2, 1)
        self.told = []

    def training_step(self, batch, batch_idx):
        return self.layer(batch[0]).pow(2).mean()

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.layer(batch[0]).pow(2).mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr, weight_decay=self.hparams.weight_decay)

    def on_hparams_change(self, old, new):
        super().on_hparams_change(old, new)
        self.told.append((old, new))


def asks_for_hparams():
    review = Review(fields={"lr": float, "weight_decay": float, "width": int, "other": int})
    phases = ["train_epoch", "validate"]
    return (
        GraphBuilder()
        .with_actions(train_epoch=TrainEpoch(), validate=Validate(), ask=review, best_model=BestModel())
        .with_transitions(
            ("train_epoch", "validate", VALIDATION_DUE),
            (phases, "best_model", FINISHED),
            (phases, "ask", since_review(max_epochs(1))),
            ("ask", "train_epoch"),
            (phases, "train_epoch"),
        )
        .build()
    )


def fitted(make_trainer, epochs=3):
    class Asks(Answered):
        review_when = None

        def configure_machine(self):
            return asks_for_hparams()

    module = Asks()
    make_trainer(max_epochs=epochs).fit(module, scripted_loader(), scripted_loader())
    [group] = module.optimizers().param_groups
    return module, {name: group[name] for name in ("lr", "weight_decay")}


def test_an_answer_changes_the_hyperparameters_that_it_names(make_trainer):
    module, rates = fitted(make_trainer)
    assert rates == {"lr": 0.1, "weight_decay": 0.0}
    module.burr.run.answer("go", lr=0.01, weight_decay=0.5, width=4, other=7)
    module, rates = fitted(make_trainer)
    changed = {"lr": 0.01, "weight_decay": 0.5}
    assert module.told == [({"lr": 0.1, "weight_decay": 0.0}, changed)]
    assert rates == changed
    assert dict(module.hparams) == {**changed, "width": 4}
    assert module.burr.state["hparams"] == {**changed, "width": 4}
    module.burr.run.answer("go")
    module, rates = fitted(make_trainer)
    assert module.told == []
    assert rates == changed
    assert dict(module.hparams) == {**changed, "width": 4}
    assert module.burr.state["hparams"]["lr"] == 0.01
    assert Run.open("answered").status == "finished"


def test_the_default_review_changes_the_rate_of_a_module_that_has_it(make_trainer):
    module = Answered()
    make_trainer(max_epochs=2).fit(module, scripted_loader(), scripted_loader())
    module.burr.run.answer("go", lr=0.025)
    module = Answered()
    make_trainer(max_epochs=2).fit(module, scripted_loader(), scripted_loader())
    assert module.hparams.lr == 0.025
    assert module.told == [({"lr": 0.1}, {"lr": 0.025})]
    assert module.burr.state["learning_rates"] == [0.025]


def staged(**members):
    return type("Mine", (BurrMixin, ScriptedModule), members)(val_loss=[1.0])


@pytest.mark.parametrize("name", ["eval", "train", "setup", "on_train_epoch_start"])
def test_a_stage_does_not_hide_a_method_of_lightning(name, make_trainer):
    @stage(until=max_epochs(1))
    def body(self):
        pass

    with pytest.raises(MachineError, match=f"the stage hides LightningModule.{name}"):
        make_trainer(max_epochs=1).fit(staged(**{name: body}), scripted_loader(), scripted_loader())


def test_a_stage_does_not_hide_a_layer_of_the_module(make_trainer):
    class Mine(BurrMixin, ScriptedModule):
        def __init__(self):
            super().__init__(val_loss=[1.0])
            self.head = torch.nn.Linear(1, 1)

        @stage(until=max_epochs(1))
        def head(self):
            pass

    with pytest.raises(MachineError, match=r"Mine\.head: the stage hides the module's own self\.head"):
        make_trainer(max_epochs=1).fit(Mine(), scripted_loader(), scripted_loader())


def test_stages_and_a_machine_of_its_own_are_too_much(make_trainer):
    class Mine(BurrMixin, ScriptedModule):
        @stage(until=max_epochs(1))
        def first(self):
            pass

        def configure_machine(self):
            return default_machine()

    with pytest.raises(MachineError, match="whose machine leaves out the stages first"):
        make_trainer(max_epochs=1).fit(Mine(val_loss=[1.0]), scripted_loader(), scripted_loader())


def test_a_body_that_would_not_run_is_refused_where_it_is_marked():
    async def later(self):
        pass

    def bit_by_bit(self):
        yield

    def with_more(self, lr):
        pass

    for body, why in ((later, "async"), (bit_by_bit, "generator"), (with_more, "self alone")):
        with pytest.raises(MachineError, match=why):
            stage(until=max_epochs(1))(body)


def test_the_next_module_of_a_trainer_brings_its_own_machine_and_run():
    class First(BurrMixin, Net):
        run_id = "first"
        stop_when = max_epochs(1)

    class Second(BurrMixin, Net):
        run_id = "second"
        stop_when = max_epochs(2)

    trainer = Trainer(max_epochs=3, logger=False, enable_progress_bar=False, enable_model_summary=False)
    trainer.fit(First(), *digit_loaders(samples=128))
    trainer.fit_loop.epoch_progress.reset()
    trainer.fit(Second(), *digit_loaders(samples=128))
    assert Run.open("first").epoch == 0
    assert Run.open("second").stop_reason == "max_epochs(2): 2 epochs are over"
