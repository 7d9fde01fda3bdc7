"""A classifier that trained on real images only, as the judge of generated ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from data_builders.cleaning import geometry
from data_builders.errors import UserError
from data_builders.generated import ID_PREFIX
from lesionjax.data.datasets import preprocessing_of
from lesionjax.data.records import Split
from lesionjax.evaluation.generation import fid, kid
from lesionjax.runs import run_directory
from lesionjax.runs.predictor import Classifier


class Seen(NamedTuple):
  """What a judge makes of images.

  Attributes:
    features: float32 [N, D], before its last layer.
    predicted: int [N], the most probable class.
    labels: int [N], the true or the intended class.
  """

  features: np.ndarray
  predicted: np.ndarray
  labels: np.ndarray

  def recall(self) -> np.ndarray:
    """Share of the images of every class that are taken for it, [K]; NaN without any."""
    classes = int(max(self.labels.max(), self.predicted.max())) + 1
    hit = self.predicted == self.labels
    with np.errstate(invalid='ignore'):
      counts = np.bincount(self.labels, minlength=classes)
      return np.bincount(self.labels[hit], minlength=classes) / counts


def check(config: ConfigDict, class_names: Sequence[str], held_out: Sequence[Split]) -> None:
  """Refuses a judge whose opinion would mean nothing.

  Args:
    config: of the generator's run.
    class_names: of the generator, K.
    held_out: splits that it will be measured on, which the judge must not have seen.

  Raises:
    UserError: the run is no classifier, has other classes, other preprocessing or a look at
      lesions, or has trained on what it would judge by.
  """
  run, key = config.gan.judge, f'config.gan.judge={config.gan.judge}'
  theirs = run_directory.read_config(run)
  if theirs.task != 'classify' or theirs.data.lesion != 'none':
    raise UserError(f'{key} must be the run of a classifier that sees whole images.')
  # Of its ancestors, too: weights that were fitted to generated images are handed on.
  made = [name for name in run_directory.seen_images(run) if name.startswith(ID_PREFIX)]
  if theirs.data.synthetic or made:
    raise UserError(
      f'{key} or a run that it started from has trained on generated images'
      f' ({theirs.data.synthetic or made[0]}), and would take to such images: name a classifier'
      ' that has seen real ones only.'
    )
  found = run_directory.class_names(run)
  if tuple(found) != tuple(class_names):
    raise UserError(
      f'{key} tells the classes {", ".join(found)} apart, but the generator makes'
      f' {", ".join(class_names)}: train a judge on the same classes.'
    )
  ours, other = (preprocessing_of(c.data.name, c.data.preprocess) for c in (config, theirs))
  if ours != other:
    raise UserError(
      f'{key} was trained on images preprocessed as {other.name!r}, the generator on'
      f' {ours.name!r}: train a judge on the same.'
    )
  for split in held_out:
    published = config.protocol == 'published'
    run_directory.refuse_seen(run, split, key, images_only=published)


class Judge:
  """The classifier that `config.gan.judge` names; `check` says whether it may be one."""

  def __init__(self, run: str):
    """Opens the run."""
    self._classifier = Classifier(run)

  def look(self, images: np.ndarray, labels: np.ndarray) -> Seen:
    """Looks at images uint8 [N, S, S, 3] of any size, preprocessed already, real or generated."""
    height, width = self._classifier.size
    pixels = (geometry.resize(image, width, height) for image in images)
    found = self._classifier.look(pixels, len(images))
    labels = np.asarray(labels, np.int64)
    return Seen(found['pre_logits'], found['logits'].argmax(-1), labels)

  def compare(self, real: Seen, generated: Seen) -> dict[str, float]:
    """The figures of an epoch, see `gan_config.JUDGED`; either side has the same labels."""
    recall = generated.recall()[np.unique(real.labels)]
    return {
      'fid': fid(real.features, generated.features),
      'kid': kid(real.features, generated.features),
      'judge_recall': float(recall.mean()),
    }
