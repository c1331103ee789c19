"""The trainer: one run, from its configuration to its checkpoints, on one processor, one GPU or many."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from edge.command import say
from edge.errors import EdgeError
from edge.exporting.models import SHIPPED
from edge.files import write_whole
from training import models, sources
from training.average import Average
from training.batches import Batches, Share
from training.checkpoint import fill, parameter_count, read_checkpoint, save_checkpoint, versions
from training.config import ConfigError, RunConfig
from training.dehazing import dehaze
from training.journal import Journal
from training.losses import Objective, Scores, WeightedLoss
from training.models.grid import InvertedResidual
from training.normalisation import synchronised
from training.optimization import adamw, rate
from training.places import kept_pairs
from training.precision import keep_dilated_depthwise_in_float32
from training.processes import joined, usable
from training.state import DAMAGED, Progress, Resume, read_resume, restore_optimizer, save_resume, seed_step
from training.validation import validate, whole_pairs
from training.window import Window

SIGNAL_S = 2.0  # until a killed process is told of, once its connection has broken
COMMAND = "training.train"  # minimises a configuration's losses and nothing else
BEST, LAST, RESUME = "best.safetensors", "last.safetensors", "resume.safetensors"
BYTES_OF_A_PIXEL = 40  # float32: of the hazy and the clear picture, and of the haze between them
FREE_TO_CHANGE = ("workers", "report_every", "save_every", "stored")  # of [training]: they do not change the weights
ADVICE = "resume it without --config, or start a new run with another --out"


class TrainingError(EdgeError):
    """A run that cannot go on."""


class Trainer:
    """Trains one model as a configuration says.

    Args:
        config: of the run.
        folder: where checkpoints, log and state go.
        data: what relative folders of the configuration are relative to.
        dataset: training pictures; None builds the configuration's sources.
        objective: what to minimise; None takes the configuration's losses. A module is moved to the device.
        command: that makes the objective; only it may go on with the run (see `resumed`).
        resume: the state to go on from (see `read_resume`).
    """

    def __init__(
        self,
        config: RunConfig,
        folder: Path,
        data: Path = Path(),
        *,
        dataset: Dataset | None = None,
        objective: Objective | None = None,
        command: str = COMMAND,
        resume: Resume | None = None,
    ) -> None:
        self.config, self.folder, self.data, self.command = config, folder, data, command
        training = config.training
        self.precision = usable(training.precision)
        self.fabric = joined(self.precision)
        self.progress = resume.progress if resume else Progress()
        if objective is None and dataset is None:
            _refuse_unlabelled(config)
        _refuse_more_than_memory(config)
        if self.progress.processes not in (0, self.fabric.world_size):
            raise TrainingError(
                f"the run in {folder} was trained by {self.progress.processes} processes and is resumed by "
                f"{self.fabric.world_size}, which would draw other samples; start as many (torchrun --nproc-per-node)"
            )
        self.progress = replace(self.progress, processes=self.fabric.world_size)
        torch.manual_seed(config.seed)
        network = models.build(config.model.name, config.model.configuration)
        if config.model.initial and resume is None:
            self._take_initial(network)
        if resume:
            self._fill(network, resume.parts["model"])
        if training.batch * self.fabric.world_size == 1 and isinstance(network, models.GridModel):
            raise TrainingError("training.batch is 1; a grid model is normalised over 2 pictures a step or more")
        if training.channels_last:
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for block in network.modules():
            if isinstance(block, InvertedResidual):
                block.skipped = training.stochastic_depth
        network = network.to(self.fabric.device).train()
        for name in config.model.frozen:
            self._part(network, name).requires_grad_(False).eval()
        if not any(parameter.requires_grad for parameter in network.parameters()):
            raise TrainingError("model.frozen holds all of the model; leave out what is to be trained")
        if self.precision == "bf16" and self.fabric.device.type == "cpu":
            network = keep_dilated_depthwise_in_float32(network)
        if self.fabric.world_size > 1:
            network = synchronised(network, self.fabric.device)
        if config.model.frozen_statistics:
            for layer in network.modules():
                if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                    layer.eval()
        optimizer = adamw(network, training.learning_rate, training.weight_decay)
        self.average = Average(network, training.ema)
        self.model, self.optimizer = self.fabric.setup(network, optimizer)
        if resume:
            self._fill(self.average.module, resume.parts["average"])
            restore_optimizer(optimizer, resume.parts["optimizer"])
            if resume.scaler:
                self._scaler().load_state_dict(resume.scaler)
        self.objective = objective if objective is not None else WeightedLoss(config.losses)
        if isinstance(self.objective, nn.Module):
            self.objective.to(self.fabric.device)
        self._folders = self._validation_folders()
        self._dataset = (
            dataset if dataset is not None else sources.build(config.sources, training.size, config.seed, data)
        )
        self._stocks: dict[str, sources.Stock] = getattr(self._dataset, "stocks", {})
        if resume and self.fabric.is_global_zero:
            _tell_of_other_pictures(resume.stocks, self._stocks)
        self._stop = False

    def describe(self) -> str:
        """What is trained, in a few words."""
        training, count = self.config.training, parameter_count(self.average.module)
        width, height = training.size
        return (
            f"{self.config.model.name}, {count:,} parameters, {training.steps - self.progress.step} steps of "
            f"{training.batch * self.fabric.world_size} pictures of {width}x{height}, {self.precision} on "
            f"{self.fabric.world_size} x {self.fabric.device.type}"
        )

    def fit(self) -> Path:
        """Train to the last step.

        Returns:
            The best checkpoint where pictures were validated, else the last.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM; all is saved, and the run can be resumed.
            TrainingError: the loss is not a number any more, or a process that prepares pictures was killed.
            CheckpointError: a checkpoint cannot be written.
        """
        progress = self.progress
        journal = Journal(self.folder, progress.step, progress.validated) if self.fabric.is_global_zero else None
        try:
            with self._signals():
                self._steps(journal)
        except (RuntimeError, ConnectionError, EOFError) as error:
            if not _tells_of_a_killed_worker(error):
                raise
            raise TrainingError(
                "a process that prepares pictures was killed, perhaps for want of memory; go on with --resume from the "
                "last save, with fewer training.workers"
            ) from None
        finally:
            if journal:
                journal.close()
        if self._stop:
            raise KeyboardInterrupt
        best = self.folder / BEST
        return best if self.progress.best_step and best.is_file() else self.folder / LAST  # it may be an older run's

    # the loop ---------------------------------------------------------------------------------------------------------

    def _steps(self, journal: Journal | None) -> None:
        training, fabric = self.config.training, self.fabric
        share = Share(training.batch, fabric.global_rank, fabric.world_size)
        first = self.progress.step
        pin = fabric.device.type == "cuda"
        batches = Batches(self._dataset, share, range(first, training.steps), workers=training.workers, pin=pin)
        window = Window(training.batch * fabric.world_size, self.progress.unreported)
        if self._validation_due():
            self._validate(journal)
            window.resume()
        for step in range(first, training.steps):
            hazy, clear, haze = next(batches)
            scores, norm = self.step(step, hazy, clear, haze)
            window.add(scores, clear, batches.waited_s)
            self.progress = replace(self.progress, step=step + 1, seconds=self.progress.seconds + window.last_step_s)
            last = step + 1 == training.steps
            told = window.text(step + 1, training.steps)
            if journal:
                journal.line(told)
            if (step + 1) % training.report_every == 0 or last:
                if journal:
                    rate = self.optimizer.param_groups[0]["lr"]
                    journal.training(step + 1, {**window.figures(), "learning_rate": rate, "gradient_norm": norm})
                window.reset()
            if self._stop or (step + 1) % training.save_every == 0 or last:
                self.progress = replace(self.progress, unreported=window.held())
                self._save()
                if journal:
                    journal.event(told)
                window.resume()
            if self._stop:
                return
            if self._validation_due():
                self._validate(journal)
                if self._stop:
                    return
                window.resume()

    def step(self, step: int, hazy: Tensor, clear: Tensor, haze: Tensor) -> tuple[Scores, float]:
        """One update of the weights and their average; the gradient stays in the parameters until the next.

        Args:
            step: its number, from 0; decides the learning rate and what is drawn.
            hazy, clear: this process's batch, float32 (N, 3, H, W) in [0, 1].
            haze: what is known of its haze, float32 (N, 4, H, W); see `training.sources.HazeDataset`.

        Returns:
            The scores of the batch before the update, and the norm of the gradient before clipping.
        """
        training = self.config.training
        seed_step(self.config.seed, step, self.fabric.global_rank)
        for group in self.optimizer.param_groups:
            group["lr"] = rate(step, training.steps, training.warmup, training.learning_rate, training.final_rate)
        layout = torch.channels_last if training.channels_last else torch.contiguous_format
        hazy, clear, haze = (
            planes.to(self.fabric.device, non_blocking=True, memory_format=layout) for planes in (hazy, clear, haze)
        )
        self.optimizer.zero_grad()
        scores = self.objective(self.model, hazy, clear, haze)
        agreed = self.fabric.all_reduce(
            torch.stack([scores.loss.detach().float(), scores.loss.new_tensor(float(self._stop)).float()])
        )
        self._stop = bool(agreed[1] > 0)
        self._finite(float(agreed[0]), "loss", step)
        self.fabric.backward(scores.loss)
        norm: Any = self.fabric.clip_gradients(
            self.model, self.optimizer, max_norm=training.clip or math.inf, error_if_nonfinite=False
        )
        if training.precision != "fp16":  # there the scaler skips such a step and goes on with a smaller scale
            self._finite(float(norm), "gradient", step)
        self.optimizer.step()
        self.average.update(step + 1)
        return scores, float(norm)

    def _finite(self, value: float, what: str, step: int) -> None:
        if math.isfinite(value):
            return
        indices = Share(self.config.training.batch * self.fabric.world_size).indices(step, len(self._dataset))  # type: ignore[arg-type]
        kept = self.folder / LAST
        raise TrainingError(
            f"the {what} is {value} at step {step + 1}, on samples {indices[0]} to {indices[-1]} of seed "
            f"{self.config.seed}; "
            + (
                f"{kept} keeps the weights of step {self._saved_step()}: start a new run from them (model.initial)"
                if kept.is_file()
                else "nothing was saved yet: start a new run"
            )
            + " with a lower training.learning_rate or training.clip, or in fp32; --resume would come here again"
        )

    # saving and validating --------------------------------------------------------------------------------------------

    def _save(self) -> None:
        if self.fabric.is_global_zero:
            self._save_checkpoint(LAST)
            scaler = self._scaler()
            save_resume(
                self.folder / RESUME,
                self.config,
                self.progress,
                self.command,
                model=self.network,
                average=self.average.module,
                optimizer=self.optimizer.optimizer,
                scaler=scaler.state_dict() if scaler is not None else {},
                stocks=self._stocks,
            )
        self.fabric.barrier()

    def _save_checkpoint(self, name: str, scores: dict[str, Any] | None = None) -> None:
        config = self.config
        provenance = {
            "run": asdict(config),
            "step": self.progress.step,
            "seconds": round(self.progress.seconds),
            "processes": self.fabric.world_size,
            "parameters": parameter_count(self.average.module),
            "versions": versions(),
        }
        if scores:
            provenance["validation"] = scores
        dtype = torch.float16 if config.training.stored == "fp16" else None
        save_checkpoint(
            self.folder / name, self.average.module, config.model.name, config.model.configuration, provenance, dtype
        )

    def _saved_step(self) -> int:
        return int(read_checkpoint(self.folder / LAST).provenance["step"])

    def _validation_due(self) -> bool:
        step, config = self.progress.step, self.config
        due = step and (step % config.validation.every == 0 or step == config.training.steps)
        return bool(due and self._folders and self.progress.validated < step)

    def _validate(self, journal: Journal | None) -> None:
        """Score the averaged model; keep it if it is the best. Stopped in between, it is done again on resume."""
        if journal:
            scores = {}
            for name, pairs in self._folders.items():
                journal.line(f"validating {name}")
                chosen = self.config.validation.pairs[name]
                result = validate(
                    lambda picture: dehaze(self.average.module, picture), pairs, chosen.longest, lambda: self._stop
                )
                if result is None:
                    break
                scores[name] = {"psnr_db": round(result.psnr_db, 3), "ssim": round(result.ssim, 4)}
                journal.validation(self.progress.step, name, scores[name], result.strip)
                strip = cv2.imencode(".png", cv2.cvtColor(result.strip, cv2.COLOR_RGB2BGR))[1].tobytes()
                write_whole(self.folder / "validation" / f"{name}.png", strip)
            else:
                self._choose(scores, journal)
        stop = self.fabric.all_reduce(torch.tensor(float(self._stop), device=self.fabric.device))
        self._stop = bool(stop > 0)

    def _choose(self, scores: dict[str, dict[str, float]], journal: Journal) -> None:
        pairs = self.config.validation.pairs
        deciding = [scores[name]["psnr_db"] for name in scores if pairs[name].chooses] or [
            score["psnr_db"] for score in scores.values()
        ]
        mean, best = sum(deciding) / len(deciding), self.progress.best_psnr_db
        better = best is None or mean > best
        told = ", ".join(f"{name} {score['psnr_db']:.2f} dB / {score['ssim']:.3f}" for name, score in scores.items())
        journal.event(f"step {self.progress.step}: {told}{' (best so far)' if better else ''}")
        if better:
            self.progress = replace(self.progress, best_psnr_db=mean, best_step=self.progress.step)
            self._save_checkpoint(BEST, scores)
        self.progress = replace(self.progress, validated=self.progress.step)

    def _validation_folders(self) -> dict[str, list[tuple[Path, Path]]]:
        """Pairs by name; found and read once at the start, not at the first validation only."""
        if not self.fabric.is_global_zero:
            return {name: [(Path(), Path())] for name in self.config.validation.pairs}
        return {
            name: whole_pairs(kept_pairs(self.data / pairs.folder, pairs.fold, pairs.only, pairs.limit))
            for name, pairs in self.config.validation.pairs.items()
        }

    # small matters ----------------------------------------------------------------------------------------------------

    @property
    def network(self) -> nn.Module:
        """The module that is trained, out of its wrappers."""
        module = self.model.module
        return module.module if isinstance(module, nn.parallel.DistributedDataParallel) else module

    def _scaler(self) -> Any:
        return getattr(self.fabric._strategy.precision, "scaler", None)

    def _part(self, network: nn.Module, name: str) -> nn.Module:
        try:
            return network.get_submodule(name)
        except AttributeError:
            parts = [name for name, _ in network.named_children()]
            raise TrainingError(f"{self.config.model.name} has no part {name!r}{models.nearest(name, parts)}") from None

    def _fill(self, module: nn.Module, weights: dict[str, Tensor]) -> None:
        fill(module, weights, f"{self.folder / RESUME}: {DAMAGED}: its weights do not fit the model")

    def _take_initial(self, network: nn.Module) -> None:
        model = self.config.model
        shipped = SHIPPED.get(model.initial)
        path = shipped.with_suffix(".safetensors") if shipped else Path(model.initial)
        if not path.exists():
            raise TrainingError(
                f"model.initial: {model.initial} does not exist; the head of the configuration's file may say which "
                "command makes it, and without model.initial a run starts from nothing"
            )
        checkpoint = read_checkpoint(path)
        part = self._part(network, model.initial_part)
        try:
            fresh = {
                key: value
                for key, value in part.state_dict().items()
                if any(key.startswith(f"{lacking}.") for lacking in model.initial_lacks)
            }
            part.load_state_dict({**fresh, **checkpoint.weights})
        except RuntimeError:
            raise TrainingError(
                f"model.initial: {model.initial} holds {checkpoint.model!r} with configuration "
                f"{dict(checkpoint.configuration)}, whose weights do not fit "
                f"{model.initial_part or 'this run'!r}'s model"
            ) from None

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM ask for a stop after this step; a second Ctrl-C stops at once."""

        def ask(number: int, _frame: object) -> None:
            if self._stop and number == signal.SIGINT:
                raise KeyboardInterrupt
            self._stop = True

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _refuse_unlabelled(config: RunConfig) -> None:
    for name, table in config.sources.items():
        if table.get("kind") == "unlabelled" and table.get("weight", 1):
            raise ConfigError(
                f"sources.{name} has no clear pictures, from which training.train learns; take it out, or give it to "
                "quantization.distill"
            )


def _tell_of_other_pictures(before: Mapping[str, sources.Stock], now: Mapping[str, sources.Stock]) -> None:
    """Say where a run goes on with other pictures than it had: what a number that was drawn means is another then."""
    for name in (name for name in now if name in before):
        had, has = before[name], now[name]
        if had != has:
            what = (
                f"{has.pictures} pictures, {had.pictures} before"
                if had.pictures != has.pictures
                else "other pictures than before"
            )
            say(
                f"sources.{name} has {what}: the run goes on with them, but not as it would have; to go on exactly, "
                "stop it and bring the files of then back"
            )


def _refuse_more_than_memory(config: RunConfig) -> None:
    """Where the pictures of one step alone do not fit, no step can be done: the system would end the process at it."""
    width, height = config.training.size
    needed, there = config.training.batch * width * height * BYTES_OF_A_PIXEL, _memory_bytes()
    if needed > there:
        raise ConfigError(
            f"training.batch is {config.training.batch} and training.size {width}x{height}: the pictures of a step "
            f"take {needed / 2**30:,.0f} GiB and this machine has {there / 2**30:,.0f}; take fewer or smaller ones"
        )


def _memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def resumed(folder: Path, config: RunConfig | None, command: str = COMMAND, advice: str = ADVICE) -> Resume:
    """The state of the run in a folder.

    Args:
        config: given anew; it may differ only in what does not change the weights.
        command: that is to go on with it.
        advice: how the message about a configuration that differs ends.

    Raises:
        TrainingError: the configuration differs in more, or the run minimises what another command makes; the message
            names what, or which.
    """
    resume = read_resume(folder / RESUME)
    if resume.command and resume.command != command:
        raise TrainingError(
            f"the run in {folder} is one of {resume.command}, and {command} would go on with another objective; resume "
            f"it with python -m {resume.command}"
        )
    if config is None:
        return resume
    stored, given = _flat(asdict(resume.config)), _flat(asdict(config))
    free = {f"training.{key}" for key in FREE_TO_CHANGE}
    differing = [
        key
        for key in sorted(set(stored) | set(given))
        if stored.get(key) != given.get(key) and key not in free and not key.startswith("validation.")
    ]
    if not differing and list(resume.config.sources) != list(config.sources):
        differing = ["order of sources"]  # which decides what a number that was drawn means
    if differing:
        raise TrainingError(f"the run in {folder} was started with another {', '.join(differing)}; {advice}")
    return replace(resume, config=config)


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _tells_of_a_killed_worker(error: Exception) -> bool:
    """Whether a process that prepares pictures was killed.

    Torch tells of it by an error that a signal raises wherever the run is at that moment. Where the connection to the
    process is seen to break before, that signal is waited for.
    """
    if not isinstance(error, RuntimeError):
        try:
            time.sleep(SIGNAL_S)
        except RuntimeError as told:
            error = told
    return "DataLoader worker" in str(error)
