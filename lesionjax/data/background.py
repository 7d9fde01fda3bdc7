"""The skin around every lesion in one of 18 tones, drawn by lot: a data set of balanced tones.

An image's tone is a hash of its id: the same in every run, split, epoch and data set, and alike
often for all classes. Validation and test images are recoloured too, as the text has it that
balanced tones come from; their tones are then equal by construction, so that a result by tone says
nothing of patients (`python -m lesionjax.trust.toning` asks a fixed model instead).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from data_builders import identity
from data_builders.cleaning.pipeline import Pipeline
from data_builders.errors import UserError
from lesionjax.evaluation.skin import ita, recolour, tones

if TYPE_CHECKING:  # the wheel alone has no ml_collections
  from ml_collections import ConfigDict


def tone_for(image_id: str) -> str:
  """Returns the letter of the tone that is drawn for an image."""
  digest = hashlib.blake2b(b'tone ' + identity.canonical_id(image_id).encode()).digest()
  return tones.LETTERS[int.from_bytes(digest[:8], 'big') % len(tones.LETTERS)]


def recoloured(image: np.ndarray, mask: np.ndarray | None, image_id: str) -> np.ndarray:
  """Gives the skin of an image its tone.

  Args:
    image: uint8 [H, W, 3] RGB, as stored.
    mask: uint8 [H, W], above 0 inside the lesion; None where none was found.
    image_id: as the data set names it.

  Returns:
    uint8 [H, W, 3]; as it was where no lesion or too little skin is known.
  """
  return recolour.recolour(image, mask, tones.colour_at(tones.angle_of(tone_for(image_id))))


def check(config: ConfigDict, preprocessing: Pipeline) -> None:
  """Refuses configurations in which recoloured skin is not what is seen.

  Args:
    config: of the run.
    preprocessing: all that happens to its images, `datasets.preprocessing_of`.

  Raises:
    UserError: naming the keys.
  """
  data = config.data
  if data.background == 'none':
    return
  told = f'config.data.background={data.background!r}'
  if config.task != 'classify':
    raise UserError(
      f"{told} is for classifiers: with config.task={config.task!r} set it to 'none'."
    )
  if data.synthetic:
    raise UserError(
      f'{told} needs a lesion mask of every image, which those of config.data.synthetic='
      f'{data.synthetic!r} have not: leave one of them out.'
    )
  if step := ita.normalised_by(preprocessing.steps):
    raise UserError(
      f'{told} does not go with the step {step!r} of config.data.name or config.data.preprocess,'
      ' which normalises colour and would undo the tone: take data without that step.'
    )
