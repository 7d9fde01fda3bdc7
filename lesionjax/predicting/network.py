"""One run or several as one classifier: prepared images in, probabilities out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data_builders.errors import UserError
from lesionjax.data.decode import Size
from lesionjax.data.lesion import Lesion
from lesionjax.predicting.reading import Photograph
from lesionjax.runs import assembly, inference, run_directory, tta
from lesionjax.runs.predictor import Classifier

Views = tuple[np.ndarray, ...]
"""What every member sees of an image: uint8 [h, w, 3] of its size."""


class Member:
  """A run, and the views of an image that it is asked about."""

  def __init__(self, run_dir: str, views: str):
    """Loads the best weights of a run.

    Raises:
      UserError: it is no run, none of a classifier, or has not been evaluated.
    """
    where = run_directory.locate(run_dir)
    task = run_directory.read_config(where).task
    if task != 'classify':
      raise UserError(f'{run_dir} is a run of task {task!r}: give the --workdir of a classifier.')
    if not (where / 'metrics.json').exists():
      raise UserError(
        f'{run_dir} has not been evaluated, so that nothing says what it is worth: run --mode='
        f'evaluate --workdir={run_dir} first.'
      )
    self.classifier = classifier = Classifier(where)
    classifier.check_background()
    data = classifier.config.data
    self.looks = Lesion(data.lesion, data.lesion_masks, data.lesion_margin).looks
    tta.check_size(views, *classifier.size)
    step = assembly.make_eval_step(classifier.config, classifier.model)
    shown = tta.views(views)

    @jax.jit
    def logits(weights: Any, image: jax.Array) -> jax.Array:
      return jnp.stack([step(weights, {'image': view(image)})['logits'] for view in shown])

    self._logits = logits

  @property
  def wants_mask(self) -> bool:
    """Whether somebody must tell it where the lesion is."""
    return self.looks and self.classifier.segmenter is None

  @property
  def fit_px(self) -> Size | None:
    """The size that an image is needed at; None in full, for what happens before it is resized."""
    return None if self.looks or self.classifier.preprocessing.steps else self.classifier.size

  def see(self, photograph: Photograph, mask: np.ndarray | None) -> np.ndarray:
    """What the network sees of an image; mask bool [H, W], None where it is seen whole."""
    return self.classifier.seen(
      photograph.pixels(self.fit_px), mask=mask if self.wants_mask else None
    )

  def start(self, images: np.ndarray) -> jax.Array:
    """Begins the logits [V, B, K] of images uint8 [B, h, w, 3], without waiting for them."""
    return self._logits(self.classifier.weights, images)


class Ensemble:
  """Runs of the same classes whose probabilities are averaged."""

  def __init__(self, run_dirs: Sequence[str], temperatures: Sequence[float], views: str = 'none'):
    """Loads all runs.

    Args:
      run_dirs: their directories.
      temperatures: what the logits of each are divided by.
      views: name of the views of an image that are averaged, see `lesionjax.runs.tta`.

    Raises:
      UserError: one is no evaluated classifier, or tells other classes apart.
    """
    self.members = [Member(run_dir, views) for run_dir in run_dirs]
    self.temperatures = tuple(temperatures)
    self.class_names = self.members[0].classifier.class_names
    for run_dir, member in zip(run_dirs, self.members, strict=True):
      if member.classifier.class_names != self.class_names:
        raise UserError(
          f'{run_dir} tells {", ".join(member.classifier.class_names)} apart and {run_dirs[0]}'
          f' {", ".join(self.class_names)}: give runs of the same classes.'
        )

  def see(self, photograph: Photograph, mask: np.ndarray | None) -> Views:
    """What every member sees of an image."""
    return tuple(member.see(photograph, mask) for member in self.members)

  def start(self, rows: Sequence[Views], batch_size: int) -> list[jax.Array]:
    """Begins a batch, filled up to one shape, and does not wait for it; see `finish`."""
    started = []
    for place, member in enumerate(self.members):
      images = [row[place] for row in rows]
      filling = [np.zeros_like(images[0])] * (batch_size - len(images))
      started.append(member.start(np.stack(images + filling)))
    return started

  def finish(self, started: Sequence[jax.Array], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Waits for a batch.

    Args:
      started: from `start`.
      count: its images.

    Returns:
      Probabilities float32 [count, K] as the networks give them, and with the temperatures: both
      means over the views, then over the members.
    """
    logits = [np.asarray(each)[:, :count] for each in started]
    return average(logits, [1.0] * len(logits)), average(logits, self.temperatures)


def average(logits: Sequence[np.ndarray], temperatures: Sequence[float]) -> np.ndarray:
  """Mean probabilities float32 [N, K] of members' logits [V, N, K]."""
  parts = [
    inference.softmax(each / np.float32(t)).mean(0)
    for each, t in zip(logits, temperatures, strict=True)
  ]
  return np.stack(parts).mean(0, dtype=np.float32)
