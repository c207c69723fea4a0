"""Run the phases of one training in order, from the first feature extraction or from a checkpoint.

Importing this module imports Keras.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import cast

import keras
import numpy as np
import tensorflow as tf

from transfer_core.backbones.backbone import Backbone
from transfer_core.config import Head, TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import InsufficientResourcesError, TrainingError
from transfer_core.events import (
    EpochEnded,
    HeadChosen,
    ImagesSeen,
    Outcome,
    PhaseStarted,
    Precision,
    PrecisionChosen,
    PrecisionReason,
    RunResumed,
    RunStarted,
    StepsDone,
    TrainingEvent,
)
from transfer_core.language import _, significant
from transfer_core.training.all_photos import AllPhotos, set_weights, trains_on_all, weights_of_training
from transfer_core.training.batches import LabelledFeatures, scored_images
from transfer_core.training.checkpoint import (
    Arrays,
    Checkpoint,
    Progress,
    delete_checkpoints,
    load_checkpoint,
    outcome_of_stop,
    save_checkpoint,
    training_key,
)
from transfer_core.training.class_balance import class_weights
from transfer_core.training.classifier import build_classifier, set_linear_head, tail_behind
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.training.features.frozen_network import body_for
from transfer_core.training.head_choice import (
    HeadChoice,
    choose_head,
    chosen_event,
    needs_linear_head,
    with_head,
)
from transfer_core.training.heads import LINEAR_HEADS, LinearHead, LinearHeadKind
from transfer_core.training.out_of_fold import OutOfFold, folds_of
from transfer_core.training.phase_data import FeatureExtractor
from transfer_core.training.phase_trainer import PhaseTrainer, predict
from transfer_core.training.precision import (
    Float16OverflowError,
    reason_against_mixed_precision,
    use_float32,
    use_mixed_precision,
)
from transfer_core.training.resources import check_memory
from transfer_core.training.schedule import PlannedPhase, planned_phases
from transfer_core.training.soft_targets import TeacherOutputs
from transfer_core.training.stages import planned_stages
from transfer_core.types import Array, ShouldStop

_SHORTAGES = (MemoryError, InsufficientResourcesError, tf.errors.ResourceExhaustedError)


class Trainer:
    """Trains one model, from the first feature extraction to the weights that are kept.

    Args:
        dataset: Labelled images with their split.
        config: Every choice of the run.
        backbone: The backbone that the config names.
        output_dir: Where checkpoints go, and where one may be.
        cache_dir: Where features are kept for later runs.
        emit: Called with each event as it happens.
        should_stop: Called after each batch.
        clock: Returns the time in seconds since 1970.
        teacher_outputs: Returns the teacher's probabilities for each training image; None without a teacher.
        reported: The epochs that were reported before an interruption.

    Attributes:
        model: The classifier, once it is built.
        epochs: Every epoch that counts, also those of a checkpoint.
        head: The head that cross-validation chose or tuned; None if the config names a head without that.
        out_of_fold: Predictions of models that had not learned from the image, where the model has learned from all.
    """

    model: keras.Model

    def __init__(
        self,
        dataset: ImageDataset,
        config: TrainingConfig,
        backbone: Backbone,
        output_dir: Path,
        cache_dir: Path,
        emit: Callable[[TrainingEvent], None],
        should_stop: ShouldStop,
        clock: Callable[[], float],
        teacher_outputs: TeacherOutputs | None = None,
        reported: Sequence[EpochEnded] = (),
    ) -> None:
        self.epochs: tuple[EpochEnded, ...] = ()
        self.head: HeadChosen | None = None
        self.out_of_fold: OutOfFold | None = None
        self._dataset = dataset
        self._given = config
        self._config = config
        self._backbone = backbone
        self._output_dir = output_dir
        self._emit = emit
        self._should_stop = should_stop
        self._clock = clock
        self._key = training_key(dataset, config)
        self._extractor = FeatureExtractor(dataset, config, cache_dir, self._emit_images_seen, should_stop)
        self._teacher_outputs = teacher_outputs
        self._reported = reported
        self._has_checkpoint = False
        self._phases: list[PlannedPhase] = []
        # Kept while a training on all photos may use their compiled graphs again.
        self._phase_trainers: dict[int, PhaseTrainer] = {}
        self._last: PhaseTrainer | None = None
        self._start: Arrays = []
        self._choice: HeadChoice | None = None
        self._pooled: Array | None = None
        self._goal: LinearHead | None = None
        # Images done in the current features phase; None before it begins.
        self._num_images_seen: int | None = None

    def run(self) -> tuple[Outcome, str]:
        """Train every phase and set the weights that are kept, unless it was interrupted.

        With mixed precision, a number too large for float16 begins it again in float32, from its last checkpoint.

        Returns:
            Outcome, and a sentence on screen; empty if there is nothing to say.

        Raises:
            InsufficientResourcesError: If memory or disk space is too small.
            TrainingError: If the loss became NaN before the first epoch ended.
        """
        reason: PrecisionReason = ""
        if self._given.mixed_precision:
            reason = reason_against_mixed_precision()
        try:
            return self._run(reason)
        except Float16OverflowError:
            self._phase_trainers = {}
            self._num_images_seen = None
            return self._run("overflow")

    def _run(self, reason: PrecisionReason) -> tuple[Outcome, str]:
        self._config = self._given.with_changes(mixed_precision=self._given.mixed_precision and not reason)
        self._extractor = replace(self._extractor, config=self._config)
        checkpoint = load_checkpoint(self._output_dir, self._key)
        self._has_checkpoint = checkpoint is not None
        checkpoint = checkpoint or Checkpoint(Progress())
        self.head = checkpoint.head
        if self.head and self._config.head == "auto":
            self._config = with_head(self._config, cast(Head, self.head.head))
        phases = planned_phases(self._config, self._backbone)
        if self._config.head == "auto" and (phases[0].name != "head" or needs_linear_head(self._config)):
            # Trained at once with the unfrozen layers, a head on unit-length features would need far larger steps.
            self._config = with_head(self._config, "linear")
            phases = planned_phases(self._config, self._backbone)
        self._emit_start(phases, checkpoint.progress)
        if self._given.mixed_precision:
            precision: Precision = "float32" if reason else "mixed_float16"
            self._emit(PrecisionChosen(self._clock(), precision, reason))
        check_memory(phases[-1].plan, self._config, self._dataset)
        reached, is_in_bounds = Progress(), True
        with suppress(FeaturesStoppedError):
            self._compute_teacher_outputs()
            phases = self._phases = self._build(phases)
            if trains_on_all(self._config):
                phases[-1].plan.apply(self.model)
                self._start = weights_of_training(self.model)
                if checkpoint.progress.phase == len(phases):
                    self._phase_trainer(len(phases) - 1)
                    set_weights(self.model, checkpoint.best_weights)
                    reached = checkpoint.progress
            while checkpoint.progress.phase < len(phases) and not self._should_stop():
                position = checkpoint.progress.phase
                self._num_images_seen = None
                reached, is_in_bounds = self._phase_trainer(position).run(checkpoint)
                if reached.phase == position:
                    break
                checkpoint = Checkpoint(reached)
        self.epochs = reached.epochs
        if not is_in_bounds:
            return self._out_of_bounds(phases[reached.phase], reached)
        if reached.phase == len(phases):
            return self._learn_from_all(reached) if trains_on_all(self._config) else ("finished", "")
        return outcome_of_stop(reached, self._reported, has_checkpoint=self._has_checkpoint)

    def validation_outputs(self) -> Array:
        """Return the softmax outputs of the trained model for the validation images, from their features."""
        assert self._last is not None
        return self._last.predict(self._last.data.validation)

    def outputs_in_float32(self, outputs: Array) -> Array:
        """Switch the trained model back to float32, and return its softmax outputs for the validation images.

        Args:
            outputs: What `validation_outputs` returned, which is the result where the training was in float32.
        """
        if not self._config.mixed_precision:
            return outputs
        assert self._last is not None
        use_float32(self.model)
        plan = self._last.plan
        extractor = FeatureExtractor(
            self._dataset,
            self._config.with_changes(mixed_precision=False),
            self._extractor.cache_dir,
            lambda num_done, num_all: None,
            lambda: False,
        )
        features, labels = extractor.features_of(plan, self._dataset.images_in("validation"))
        rows = LabelledFeatures(features, np.arange(len(labels)), labels)
        return predict(tail_behind(self.model, plan.boundary_layer), rows, plan)

    def _compute_teacher_outputs(self) -> None:
        if self._teacher_outputs is None:
            return
        num_images = len(self._dataset.images_in("train"))
        self._emit(PhaseStarted(self._clock(), "teacher", num_images))
        outputs = self._teacher_outputs(
            self._dataset, lambda num_done: self._emit(ImagesSeen(self._clock(), num_done))
        )
        self._extractor = replace(self._extractor, teacher_outputs=outputs)

    def _build(self, phases: list[PlannedPhase]) -> list[PlannedPhase]:
        """Build the model, after choosing a head if the config leaves it open; return the phases with that head."""
        if self._config.head == "auto" or self._config.head in LINEAR_HEADS:
            self._choose_head(phases)
        phases = planned_phases(self._config, self._backbone)
        self._extractor = replace(self._extractor, also=[phase.plan for phase in phases])
        plan = phases[-1].plan
        body = body_for(plan)
        self.model = build_classifier(plan, len(self._dataset.class_names), self._config, body)
        if self._config.mixed_precision and not plan.is_all_frozen:
            use_mixed_precision(body)
        if self._goal:
            # Only the mean: the weights begin at zero.
            set_linear_head(self.model, self._goal, share=0.0)
        return phases

    def _choose_head(self, phases: list[PlannedPhase]) -> None:
        """Choose or tune a head by cross-validation on the pooled features of training and validation images."""
        plan = phases[0].plan
        if plan.is_from_scratch:
            return
        self._extractor = replace(self._extractor, also=[phase.plan for phase in phases])
        train = self._dataset.images_in("train")
        pooled, labels = self._extractor.features_of(
            replace(plan.with_unfrozen(0), head="average"), [*train, *self._dataset.images_in("validation")]
        )
        folds = folds_of(self._dataset, self._config.seed)
        self._emit(PhaseStarted(self._clock(), "head_choice", int(folds.max()) + 1))
        is_open = self._config.head == "auto"
        self._choice = choose_head(
            pooled,
            labels,
            folds if folds.max() > 0 else None,
            kinds=LINEAR_HEADS if is_open else (cast(LinearHeadKind, self._config.head),),
            class_weights=self._class_weights(),
            on_progress=lambda num_done, _all: self._fold_compared(num_done),
        )
        recipe = self._choice.recipe
        if self.head is None:
            self.head = chosen_event(self._clock(), self._choice)
            self._emit(self.head)
        if is_open:
            self._config = with_head(self._config, recipe.kind)
        self._pooled = pooled
        self._goal = recipe.fit(pooled[: len(train)], labels[: len(train)], self._class_weights())

    def _fold_compared(self, num_done: int) -> None:
        self._emit(StepsDone(self._clock(), num_done))
        if self._should_stop():
            raise FeaturesStoppedError

    def _class_weights(self) -> list[float] | None:
        weights = class_weights(self._dataset, self._config)
        return [weights[name] for name in self._dataset.class_names] if weights else None

    def _out_of_bounds(self, phase: PlannedPhase, reached: Progress) -> tuple[Outcome, str]:
        if not math.isfinite(reached.best_loss):
            # Resuming from it would diverge again.
            delete_checkpoints(self._output_dir)
            raise TrainingError(
                _(
                    "The training failed: its loss is no longer a number. A smaller learning rate helps; try a "
                    "tenth of {rate}."
                ).format(rate=significant(phase.learning_rate))
            )
        return "stopped", _(
            "In epoch {epoch} the loss was no longer a number. The best model before that was kept. A smaller "
            "learning rate helps; try a tenth of {rate}."
        ).format(epoch=len(reached.epochs), rate=significant(phase.learning_rate))

    def _phase_trainer(self, position: int) -> PhaseTrainer:
        phase = self._phases[position]
        if position in self._phase_trainers:
            # Keras may trace its step again, with the layers that are trainable then.
            phase.plan.apply(self.model)
            self._last = self._phase_trainers[position]
            return self._last
        self._last = None
        trainer = self._last = PhaseTrainer(
            phase,
            self._extractor.prepare(self.model, phase.plan),
            self._config,
            self.model,
            self._class_weights(),
            self._emit,
            self._should_stop,
            self._clock,
            self._save_checkpoint,
            self._goal if phase.name == "head" else None,
        )
        if trains_on_all(self._config):
            self._phase_trainers[position] = trainer
        return trainer

    def _learn_from_all(self, reached: Progress) -> tuple[Outcome, str]:
        """Measure by folds and train on all photos; keep the model of the training split where that fails."""
        plan = self._phases[-1].plan
        plan.apply(self.model)
        kept = weights_of_training(self.model)
        if self._has_checkpoint:
            self._save_checkpoint(Checkpoint(reached, best_weights=kept))
        final = AllPhotos(
            self._dataset,
            self._config,
            reached,
            self.model,
            self._phase_trainer,
            self._extractor,
            self._output_dir,
            self._key,
            self._emit,
            self._should_stop,
            self._clock,
            self._start,
            plan,
            self._choice if self._phases[0].name == "head" else None,
            self._pooled,
        )
        outcome: Outcome = "finished"
        message = _(
            "Training on all photos needed too much memory. The model of the training photos was kept."
        )
        try:
            out_of_fold = final.out_of_fold()
            if final.train():
                self.out_of_fold = out_of_fold
                return outcome, ""
            message = _(
                "Training on all photos failed: its loss is no longer a number. The model of the training "
                "photos was kept."
            )
        except FeaturesStoppedError:
            outcome = "stopped"
            message = _("Stopped on request. The model of the training photos was kept.")
        except _SHORTAGES:
            pass
        plan.apply(self.model)
        set_weights(self.model, kept)
        # An earlier phase has features in front of layers that were fine-tuned.
        self._last = self._phase_trainers[len(self._phases) - 1]
        return outcome, message

    def _save_checkpoint(self, checkpoint: Checkpoint) -> None:
        save_checkpoint(self._output_dir, self._key, replace(checkpoint, head=self.head))
        self._has_checkpoint = True

    def _emit_start(self, phases: list[PlannedPhase], progress: Progress) -> None:
        num_train, num_validation = (len(self._dataset.images_in(split)) for split in ("train", "validation"))
        stages = planned_stages(
            phases[progress.phase :],
            self._config,
            self._dataset,
            self._extractor.num_extracted,
            num_train + num_validation if self._config.head in ("auto", *LINEAR_HEADS) else 0,
            self._extractor.cache_dir,
            is_trained_on_all=trains_on_all(self._config),
        )
        if progress == Progress():
            num_epochs = self._config.num_epochs_in_all
            scored = tuple(image.id for image in scored_images(self._dataset))
            self._emit(
                RunStarted(
                    self._clock(), num_train, num_validation, num_epochs, stages=stages, scored_ids=scored
                )
            )
        else:
            self._emit(RunResumed(self._clock(), len(progress.epochs), stages=stages))

    def _emit_images_seen(self, num_done: int, num_images: int) -> None:
        is_new_phase = self._num_images_seen is None or num_done < self._num_images_seen
        self._num_images_seen = num_done
        if is_new_phase:
            self._emit(PhaseStarted(self._clock(), "features", num_images, first_step=num_done))
            if not num_done:
                return
        self._emit(ImagesSeen(self._clock(), num_done))
