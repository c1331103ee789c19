"""Training goes on exactly where it stopped, in one process or two, and loses nothing when something breaks."""

from __future__ import annotations

import csv
import errno
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.training.conftest import Drawn, short_run
from training import checkpoint, tensorboard_log
from training.average import Average
from training.checkpoint import CheckpointError, load_model, read_checkpoint
from training.config import ConfigError
from training.journal import Journal
from training.losses import Scores
from training.normalisation import GlobalBatchNorm2d, synchronised
from training.optimization import rate
from training.trainer import Trainer, TrainingError, resumed


class StopsAt(Drawn):
    """A dataset that ends the process politely, as a user or a batch system does, at one of its samples."""

    def __init__(self, sample: int, number: int) -> None:
        super().__init__()
        self.sample, self.number = sample, number

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        if index == self.sample:
            os.kill(os.getpid(), self.number)
        return super().__getitem__(index)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder of a run of two steps."""
    folder = tmp_path_factory.mktemp("stopped")
    Trainer(short_run(2), folder, dataset=Drawn()).fit()
    return folder


def test_twenty_steps_equal_ten_then_killed_then_ten_bit_for_bit(tmp_path, drawn):
    Trainer(short_run(20), tmp_path / "straight", dataset=drawn).fit()
    broken = Trainer(short_run(20), tmp_path / "broken", dataset=StopsAt(9 * 4, signal.SIGTERM))
    with pytest.raises(KeyboardInterrupt):
        broken.fit()
    assert broken.progress.step == 10
    again = resumed(tmp_path / "broken", None)
    Trainer(again.config, tmp_path / "broken", dataset=drawn, resume=again).fit()

    for name in ("last.safetensors", "resume.safetensors"):
        straight, pieced = (load_file(tmp_path / run / name) for run in ("straight", "broken"))
        assert straight.keys() == pieced.keys()
        assert all(torch.equal(straight[key], pieced[key]) for key in straight)


def test_worker_processes_draw_the_same_samples_as_none(tmp_path, drawn):
    for workers in (0, 2):
        config = short_run(4, training={"workers": workers})
        Trainer(config, tmp_path / str(workers), dataset=drawn).fit()
    none, two = (load_file(tmp_path / run / "last.safetensors") for run in ("0", "2"))
    assert all(torch.equal(none[key], two[key]) for key in none)


def test_a_worker_process_that_was_killed_is_told_in_one_line(tmp_path):
    config = short_run(40, training={"workers": 1})
    with pytest.raises(TrainingError, match=r"a process that prepares pictures was killed.*fewer training\.workers"):
        Trainer(config, tmp_path, dataset=StopsAt(100, signal.SIGKILL)).fit()


def test_a_run_goes_on_only_with_the_configuration_it_had(tmp_path, drawn):
    Trainer(short_run(2), tmp_path, dataset=drawn).fit()
    with pytest.raises(TrainingError, match=r"another training\.batch"):
        resumed(tmp_path, short_run(2, training={"batch": 8}))
    assert resumed(tmp_path, short_run(2, training={"workers": 3})).config.training.workers == 3


def test_a_run_goes_on_only_with_its_sources_in_the_order_they_had(tmp_path, drawn):
    sources = {name: {"kind": "pairs", "folder": name} for name in ("a", "b")}
    Trainer(short_run(1, sources=sources), tmp_path, dataset=drawn).fit()
    assert resumed(tmp_path, short_run(1, sources=sources))
    with pytest.raises(TrainingError, match="another order of sources"):
        resumed(tmp_path, short_run(1, sources=dict(reversed(sources.items()))))


def test_a_run_goes_on_only_with_as_many_processes_as_it_had(tmp_path, drawn):
    Trainer(short_run(1), tmp_path, dataset=drawn).fit()
    held = resumed(tmp_path, None)
    assert held.progress.processes == 1
    for processes, right in ((0, True), (1, True), (2, False)):  # 0: a file from before this was kept
        was = replace(held, progress=replace(held.progress, processes=processes))
        if right:
            Trainer(held.config, tmp_path, dataset=drawn, resume=was)
        else:
            with pytest.raises(TrainingError, match="trained by 2 processes and is resumed by 1"):
                Trainer(held.config, tmp_path, dataset=drawn, resume=was)


def test_a_run_goes_on_only_with_the_command_that_made_its_objective(tmp_path, drawn):
    Trainer(short_run(2), tmp_path, dataset=drawn, command="quantization.distill").fit()
    with pytest.raises(TrainingError, match=r"python -m quantization\.distill"):
        resumed(tmp_path, None)
    assert resumed(tmp_path, None, "quantization.distill").progress.step == 2


def test_a_run_that_does_not_say_its_command_goes_on_as_before(tmp_path, drawn):
    Trainer(short_run(2), tmp_path, dataset=drawn).fit()
    path = tmp_path / "resume.safetensors"
    tensors, metadata = checkpoint.read_tensors(path)
    del metadata["command"]
    path.write_bytes(checkpoint.tensors_to_bytes(tensors, metadata))
    assert resumed(tmp_path, None).progress.step == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda tensors, metadata: tensors.pop("model.cell.weight"),
        lambda tensors, metadata: tensors.update({"average.cell.weight": torch.zeros(3, 3)}),
        lambda tensors, metadata: tensors.pop("optimizer.0.step"),
        lambda tensors, metadata: tensors.update({"optimizer.0.exp_avg": torch.zeros(3, 3)}),
        lambda tensors, metadata: tensors.update({"stray.x": torch.zeros(3)}),
        lambda tensors, metadata: metadata.update(progress="{}x"),
        lambda tensors, metadata: metadata.update(progress='{"later": 1}'),
        lambda tensors, metadata: metadata.update(progress='{"step": "two"}'),
        lambda tensors, metadata: metadata.update(progress='{"step": 1.5}'),
        lambda tensors, metadata: metadata.update(progress='{"step": NaN}'),
        lambda tensors, metadata: metadata.update(progress='{"step": -5}'),
        lambda tensors, metadata: metadata.update(progress='{"step": 1, "unreported": {"steps": 1}}'),
        lambda tensors, metadata: metadata.update(config="null"),
        lambda tensors, metadata: metadata.pop("config"),
    ],
)
def test_a_damaged_state_is_told(tmp_path, drawn, stopped, damage):
    tensors, metadata = checkpoint.read_tensors(stopped / "resume.safetensors")
    damage(tensors, metadata)
    (tmp_path / "resume.safetensors").write_bytes(checkpoint.tensors_to_bytes(tensors, metadata))
    with pytest.raises(CheckpointError) as raised:
        resume = resumed(tmp_path, None)
        Trainer(resume.config, tmp_path, dataset=drawn, resume=resume)
    assert "\n" not in str(raised.value)


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_good_weights(tmp_path):
    class Broken(Drawn):
        def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            hazy, *rest = super().__getitem__(index)
            return hazy * (float("nan") if index == 22 else 1), *rest

    config = short_run(20, training={"save_every": 3})
    with pytest.raises(
        TrainingError, match=r"loss is nan at step 6, on samples 20 to 23 of seed 0.*step 3: start a new run from"
    ):
        Trainer(config, tmp_path, dataset=Broken()).fit()
    saved = read_checkpoint(tmp_path / "last.safetensors")
    assert saved.provenance["step"] == 3
    assert all(torch.isfinite(weight).all() for weight in saved.weights.values())


def test_a_full_disk_is_told_and_the_checkpoint_before_is_whole(tmp_path, drawn, monkeypatch):
    config = short_run(6, training={"save_every": 2})
    room = [3]

    def write(handle: int) -> None:
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", write)
    with pytest.raises(CheckpointError, match=r"cannot write .*: No space left on device.*before is untouched"):
        Trainer(config, tmp_path, dataset=drawn).fit()
    load_model(tmp_path / "last.safetensors")
    assert resumed(tmp_path, None).progress.step in (2, 4)
    assert not list(tmp_path.glob(".*"))


def told(folder, name: str) -> dict[int, str]:
    """A column of a run's log, by step."""
    with open(folder / "log.csv", newline="") as file:
        return {int(row["step"]): row[name] for row in csv.DictReader(file)}


def test_a_row_of_the_log_is_the_mean_since_the_row_before_whatever_is_saved_or_resumed_in_between(tmp_path, drawn):
    def run(folder: str, **settings: int) -> dict[int, str]:
        Trainer(short_run(12, training=settings), tmp_path / folder, dataset=drawn).fit()
        return told(tmp_path / folder, "loss")

    single = run("every step", report_every=1, save_every=5)
    expected = {n: np.mean([float(single[step]) for step in range(n - 3, n + 1)]) for n in (4, 8, 12)}
    rows = run("every fourth", report_every=4, save_every=3)
    assert {n: float(loss) for n, loss in rows.items()} == pytest.approx(expected, rel=1e-4)

    stopped = Trainer(short_run(12, training={"report_every": 4}), tmp_path / "b", dataset=StopsAt(5 * 4, 15))
    with pytest.raises(KeyboardInterrupt):
        stopped.fit()
    again = resumed(tmp_path / "b", None)
    Trainer(again.config, tmp_path / "b", dataset=drawn, resume=again).fit()
    assert told(tmp_path / "b", "loss") == rows


def test_a_term_that_some_steps_do_not_have_is_blank_there_and_not_counted_elsewhere(tmp_path, drawn):
    """As where a batch of a distillation holds no picture with a clear one."""
    steps = iter(range(1, 7))

    def objective(model, hazy, clear, haze):
        step, dehazed = next(steps), model(hazy)
        if step in (1, 2, 3, 6):
            clear.fill_(torch.nan)
        terms = {} if step in (1, 2, 3, 6) else {"l1": torch.tensor(float(step))}
        return Scores((dehazed - 0.5).square().mean(), terms, dehazed)

    config = short_run(6, training={"report_every": 2, "channels_last": False})
    Trainer(config, tmp_path, dataset=drawn, objective=objective).fit()
    assert told(tmp_path, "l1") == {2: "", 4: "4", 6: "5"}
    psnr_db = told(tmp_path, "psnr_db")
    assert psnr_db[2] == "" and 0 < float(psnr_db[4]) < 60 and 0 < float(psnr_db[6]) < 60
    assert len({line.count(",") for line in (tmp_path / "log.csv").read_text().splitlines()}) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's file that is always full")
def test_a_full_disk_costs_tensorboard_its_file_and_not_the_message(tmp_path, drawn, monkeypatch, capfd):
    """Its own writer would print the traceback of a thread and raise over what is said about the checkpoint."""
    opened = open
    monkeypatch.setattr(tensorboard_log, "open", lambda path, mode: opened("/dev/full", mode), raising=False)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"cannot write .*: No space left on device"):
        Trainer(short_run(2, training={"report_every": 1}), tmp_path, dataset=drawn).fit()
    told = capfd.readouterr().err
    assert "Traceback" not in told
    assert told.count("TensorBoard's file") == 1 and "No space left on device" in told


def test_rows_that_a_full_disk_left_half_written_are_dropped(tmp_path):
    table = tmp_path / "log.csv"
    table.write_text("step,loss\n50,0.5\n100,0.")
    Journal(tmp_path, 100).training(100, {"loss": 0.25})
    assert table.read_text() == "step,loss\n50,0.5\n100,0.25\n"
    table.write_text("step,lo")
    Journal(tmp_path, 0).training(50, {"loss": 0.5})
    assert table.read_text() == "step,loss\n50,0.5\n"


def test_tensorboard_reads_what_a_run_wrote(tmp_path):
    journal = Journal(tmp_path, 0)
    journal.training(50, {"loss": 0.5})
    journal.validation(50, "mine", {"psnr_db": 20.0}, np.full((4, 6, 3), 99, np.uint8))
    journal.close()
    shown = EventAccumulator(str(tmp_path / "tensorboard"))
    shown.Reload()
    assert [(e.step, e.value) for e in shown.Scalars("training/loss")] == [(50, 0.5)]
    assert [e.value for e in shown.Scalars("validation/mine/psnr_db")] == [20.0]
    (picture,) = shown.Images("validation/mine")
    assert (picture.height, picture.width) == (4, 6)


def test_the_best_checkpoint_is_that_of_the_best_validation(tmp_path, drawn, pairs_folder):
    validation = {"every": 3, "pairs": {"mine": {"folder": "pairs"}}}
    best = Trainer(short_run(9, validation=validation), tmp_path / "run", data=tmp_path, dataset=drawn).fit()
    header, *rows = (tmp_path / "run" / "validation.csv").read_text().splitlines()
    assert header == "step,folder,psnr_db,ssim"
    psnr_db = {int(row.split(",")[0]): float(row.split(",")[2]) for row in rows}
    assert sorted(psnr_db) == [3, 6, 9]
    assert best.name == "best.safetensors"
    provenance = read_checkpoint(best).provenance
    assert provenance["step"] == max(psnr_db, key=psnr_db.__getitem__)
    assert provenance["validation"]["mine"]["psnr_db"] == pytest.approx(max(psnr_db.values()), abs=1e-3)
    assert (tmp_path / "run" / "validation" / "mine.png").is_file()
    assert list((tmp_path / "run" / "tensorboard").iterdir())


def test_the_best_checkpoint_of_an_older_run_is_not_taken_for_this_ones(tmp_path, drawn):
    older = Trainer(short_run(1), tmp_path / "older", dataset=drawn).fit()
    (tmp_path / "run").mkdir()
    older.rename(tmp_path / "run" / "best.safetensors")
    assert Trainer(short_run(2), tmp_path / "run", dataset=drawn).fit().name == "last.safetensors"


def test_a_validation_that_is_done_again_has_one_row(tmp_path, drawn, pairs_folder):
    """A save lies before the validation of its step, so a run that goes on from there validates once more."""
    config = short_run(4, validation={"every": 2, "pairs": {"mine": {"folder": "pairs"}}})
    Trainer(config, tmp_path / "run", data=tmp_path, dataset=drawn).fit()
    table = (tmp_path / "run" / "validation.csv").read_text()
    assert [line.split(",")[0] for line in table.splitlines()] == ["step", "2", "4"]
    finished = resumed(tmp_path / "run", None)
    Trainer(config, tmp_path / "run", data=tmp_path, dataset=drawn, resume=finished).fit()
    assert (tmp_path / "run" / "validation.csv").read_text() == table


def test_training_lowers_the_loss(tmp_path, drawn):
    config = short_run(60, training={"learning_rate": 5e-3, "report_every": 10, "channels_last": False})
    Trainer(config, tmp_path, dataset=drawn).fit()
    rows = (tmp_path / "log.csv").read_text().splitlines()
    column = rows[0].split(",").index("psnr_db")
    first, last = (float(row.split(",")[column]) for row in (rows[1], rows[-1]))
    assert last > first + 1


def test_bfloat16_trains_and_saves_float32(tmp_path, drawn):
    Trainer(short_run(3, training={"precision": "bf16"}), tmp_path, dataset=drawn).fit()
    weights = load_file(tmp_path / "last.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.float32, torch.int64}


def test_checkpoints_are_stored_in_the_precision_asked_for(tmp_path, drawn):
    trainer = Trainer(short_run(2, training={"stored": "fp16"}), tmp_path, dataset=drawn)
    trainer.fit()
    held = read_checkpoint(tmp_path / "last.safetensors")
    exact = trainer.average.module.state_dict()
    for name, tensor in held.weights.items():
        assert torch.equal(tensor, exact[name].half() if exact[name].is_floating_point() else exact[name])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device, which has bfloat16")
@pytest.mark.parametrize(("fast", "precision"), [(True, "bf16"), (False, "fp32")])
def test_a_processor_without_fast_bfloat16_trains_in_float32(tmp_path, drawn, monkeypatch, capsys, fast, precision):
    monkeypatch.setattr("training.processes._fast_bfloat16", lambda: fast)
    trainer = Trainer(short_run(3, training={"precision": "bf16"}), tmp_path, dataset=drawn)
    assert trainer.precision == precision and precision in trainer.describe()
    assert ("no fast bfloat16" in capsys.readouterr().err) is not fast


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device, on which fp16 works")
def test_float16_without_cuda_is_refused(tmp_path, drawn):
    with pytest.raises(ConfigError, match="needs a CUDA device"):
        Trainer(short_run(3, training={"precision": "fp16"}), tmp_path, dataset=drawn)


def test_photographs_without_a_clear_one_are_refused_where_nothing_can_be_learnt_from_them(tmp_path):
    sources = {"photographs": {"kind": "unlabelled", "folders": ["hazy"]}}
    with pytest.raises(ConfigError, match=r"sources\.photographs has no clear pictures.*quantization\.distill"):
        Trainer(short_run(1, sources=sources), tmp_path)


def test_one_picture_a_step_is_refused_where_it_cannot_be_normalised(tmp_path, drawn):
    with pytest.raises(TrainingError, match=r"training\.batch is 1"):
        Trainer(short_run(1, training={"batch": 1}), tmp_path, dataset=drawn)


def test_another_objective_takes_the_place_of_the_losses(tmp_path, drawn):
    """What distillation relies on."""
    seen = []

    def objective(model, hazy, clear, haze):
        seen.append(tuple(hazy.shape))
        dehazed = model(hazy)
        return Scores((dehazed - 0.5).square().mean(), {}, dehazed)

    Trainer(short_run(2), tmp_path, dataset=drawn, objective=objective).fit()
    assert seen == [(4, 3, 24, 32)] * 2


def test_blocks_that_training_leaves_out_at_random_are_there_in_use(tmp_path, drawn):
    settings = {"stochastic_depth": 0.5, "learning_rate": 1e-2}
    trainer = Trainer(short_run(30, training=settings), tmp_path, dataset=drawn)
    trainer.fit()
    pictures = torch.rand(3, 3, 40, 56)

    def varies(model):
        with torch.no_grad():
            answers = [model(pictures) for _ in range(6)]
        return not all(torch.equal(answers[0], other) for other in answers[1:])

    assert varies(trainer.network.train())
    assert not varies(trainer.network.eval())
    assert not varies(trainer.average.module)


def test_training_starts_from_a_checkpoints_weights(tmp_path, drawn):
    Trainer(short_run(2), tmp_path / "first", dataset=drawn).fit()
    weights = tmp_path / "first" / "last.safetensors"
    second = Trainer(short_run(2, model={"initial": str(weights)}), tmp_path / "second", dataset=drawn)
    first = load_file(weights)
    assert all(torch.equal(second.average.module.state_dict()[key], first[key]) for key in first)


def test_a_deeper_network_starts_as_the_shallower_one(tmp_path, drawn):
    Trainer(short_run(2), tmp_path / "first", dataset=drawn).fit()
    weights = tmp_path / "first" / "last.safetensors"
    configuration = {**short_run().model.configuration, "deep": 6}
    deeper = {"configuration": configuration, "initial": str(weights), "initial_lacks": ["at8.4", "at8.5"]}
    second = Trainer(short_run(1, model=deeper), tmp_path / "second", dataset=drawn).average.module
    hazy = drawn[0][0][None]
    with torch.inference_mode():
        np.testing.assert_allclose(second.eval()(hazy), load_model(weights)(hazy), atol=1e-5)
    with pytest.raises(TrainingError, match="do not fit"):
        Trainer(short_run(1, model={**deeper, "initial_lacks": ["at8.4"]}), tmp_path / "third", dataset=drawn)


def test_the_full_model_starts_from_an_edge_models_answer(tmp_path, drawn):
    """Its corrections are zero at first, so before training it gives what the edge model gives."""
    Trainer(short_run(5), tmp_path / "edge", dataset=drawn).fit()
    edge = tmp_path / "edge" / "last.safetensors"
    coarse = short_run().model.configuration
    model = {
        "name": "draco",
        "configuration": {"channels": 16, "narrow": 8, "height": 48, "columns": 64, "coarse": coarse},
        "initial": str(edge),
        "initial_part": "coarse",
    }
    full = Trainer(short_run(1, model=model), tmp_path / "full", dataset=drawn).average.module
    hazy = drawn[0][0][None]
    with torch.inference_mode():
        dehazed, first, *_ = full(hazy, parts=True)
    np.testing.assert_allclose(dehazed, first, atol=0.02)
    np.testing.assert_allclose(dehazed, load_model(edge)(hazy).detach(), atol=0.02)
    with pytest.raises(TrainingError, match="did you mean 'coarse'"):
        wrong = {**model, "initial_part": "course"}
        Trainer(short_run(1, model=wrong), tmp_path / "wrong", dataset=drawn)


def test_a_frozen_part_stays_as_it_is(tmp_path, drawn):
    Trainer(short_run(2), tmp_path / "edge", dataset=drawn).fit()
    edge = tmp_path / "edge" / "last.safetensors"
    configuration = {"coarse": short_run().model.configuration, "height": 48, "columns": 64}
    model = {"name": "draco", "configuration": configuration, "initial": str(edge), "initial_part": "coarse"}
    Trainer(short_run(3, model={**model, "frozen": ["coarse"]}), tmp_path / "full", dataset=drawn).fit()
    before, after = load_file(edge), load_file(tmp_path / "full" / "last.safetensors")
    assert all(torch.equal(after[f"coarse.{key}"], value) for key, value in before.items())
    assert after["cell.weight"].any()  # it was zero; what is not frozen learns
    with pytest.raises(TrainingError, match="did you mean 'coarse'"):
        Trainer(short_run(1, model={**model, "frozen": ["course"]}), tmp_path / "wrong", dataset=drawn)
    with pytest.raises(TrainingError, match=r"model\.frozen holds all of the model"):
        everything = ["coarse", "enter", "ddirb", "attdrn", "cell", "airlight"]
        Trainer(short_run(1, model={**model, "frozen": everything}), tmp_path / "wrong", dataset=drawn)


def test_statistics_of_the_normalisation_stay_as_they_are_where_asked_for(tmp_path, drawn):
    """The weights go on learning."""
    Trainer(short_run(2), tmp_path / "first", dataset=drawn).fit()
    weights = tmp_path / "first" / "last.safetensors"
    model = {"initial": str(weights), "frozen_statistics": True}
    Trainer(short_run(3, model=model), tmp_path / "second", dataset=drawn).fit()
    before, after = load_file(weights), load_file(tmp_path / "second" / "last.safetensors")
    statistics = {name for name in before if "running_" in name}
    assert statistics and all(torch.equal(before[name], after[name]) for name in statistics)
    assert not all(torch.equal(before[name], after[name]) for name in before.keys() - statistics)


def test_a_normalisation_that_is_not_trained_stays_so_among_several_processes():
    layers = torch.nn.Sequential(torch.nn.BatchNorm2d(2), torch.nn.BatchNorm2d(2))
    layers[0].eval()
    shared = synchronised(layers, torch.device("cpu"))
    assert [type(layer) for layer in shared] == [GlobalBatchNorm2d] * 2
    assert [layer.training for layer in shared] == [False, True]


def test_the_rate_rises_then_falls_along_a_cosine():
    rates = [rate(step, 100, 10, 1.0, 0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.1, abs=0.01)
    assert max(rates) == pytest.approx(1.0, abs=0.03)
    assert rates[50] == pytest.approx(0.55, abs=1e-9)
    assert rates[-1] == pytest.approx(0.1, abs=0.001)


def test_the_average_of_equal_weights_is_those_weights():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
    average = Average(model, 0.9)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    for step in range(1, 200):
        average.update(step)
    for mine, theirs in zip(average.module.parameters(), model.parameters(), strict=True):
        np.testing.assert_allclose(mine, theirs.detach(), atol=1e-5)


GRADIENTS = """
import sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from tests.training.conftest import Drawn, short_run
from training.trainer import Trainer

batch, out = int(sys.argv[1]), Path(sys.argv[2])
config = short_run(2, training={"batch": batch, "clip": 0.0, "learning_rate": 0.0})
trainer = Trainer(config, out, dataset=Drawn())
trainer.fit()
if trainer.fabric.is_global_zero:
    gradients = {name: value.grad.contiguous() for name, value in trainer.network.named_parameters()}
    buffers = {name: value for name, value in trainer.network.named_buffers()}
    save_file({**gradients, **buffers}, out / "gradients.safetensors")
"""


def test_two_processes_have_the_gradients_of_one_with_the_double_batch(tmp_path):
    script = tmp_path / "gradients.py"
    script.write_text(GRADIENTS)
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    one = [sys.executable, str(script), "8", str(tmp_path / "one")]
    two = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    two += [str(script), "4", str(tmp_path / "two")]
    for call in (one, two):
        subprocess.run(call, env=environment, check=True, capture_output=True, timeout=600)
    alone, together = (load_file(tmp_path / run / "gradients.safetensors") for run in ("one", "two"))
    assert alone.keys() == together.keys()
    for name in alone:
        np.testing.assert_allclose(alone[name].float(), together[name].float(), atol=1e-5, err_msg=name)
