"""What a run and its helpers must not have seen, checked before it begins: validation and test."""

from __future__ import annotations

from ml_collections import ConfigDict

from data_builders.errors import UserError
from lesionjax.data import masks as masks_lib
from lesionjax.data import synthetic
from lesionjax.data.datasets import preprocessing_of
from lesionjax.data.lesion import uses_masks
from lesionjax.data.records import Split
from lesionjax.generation import judging
from lesionjax.masking.segmenting import MOVING
from lesionjax.runs import run_data, run_directory, two_stage
from lesionjax.runs.pieces import Pieces


def check(pieces: Pieces) -> None:
  """Refuses validation and test splits that are not there, or that training would see."""
  config = pieces.config
  for split in (pieces.validation, run_data.open_data(config, config.data.test_split)):
    run_directory.refuse_leak(pieces.train, split, config.protocol)
    synthetic.refuse(split, 'Validation and test')
    if config.data.synthetic:
      purpose = f'config.data.synthetic={config.data.synthetic}'
      published = config.protocol == 'published'
      run_directory.refuse_seen(config.data.synthetic, split, purpose, images_only=published)
    if config.init_from:
      purpose = f'config.init_from={config.init_from}'
      published = config.protocol == 'published'
      run_directory.refuse_seen(config.init_from, split, purpose, images_only=published)
    if config.segmenter is not None:
      _check_first_stage(config, split)
  if config.task == 'generate' and config.gan.judge:
    test = run_data.open_data(config, config.data.test_split)
    judging.check(config, pieces.train.class_names, [pieces.validation, test])
  if config.segmenter is None:
    check_masks(pieces)


def _check_first_stage(config: ConfigDict, split: Split) -> None:
  """Refuses, before it trains, a segmenter that would see lesions the classifier is judged on."""
  first = run_data.open_training_data(two_stage.segmenter_config(config))
  try:
    run_directory.refuse_leak(first, split, config.protocol)
  except UserError as error:
    raise UserError(f'config.segmenter: {error}') from error


def check_geometry(config: ConfigDict) -> None:
  """Refuses masks of a folder where preprocessing moves pixels: they would lie wrong."""
  if not uses_masks(config.data) or config.data.lesion_masks == 'true':
    return
  steps = preprocessing_of(config.data.name, config.data.preprocess).steps
  moving = [step for step in steps if step.startswith(MOVING)]
  if moving:
    raise UserError(
      f'config.data.lesion_masks={config.data.lesion_masks!r} lie on the images as stored, but'
      f' {moving[0]!r} of config.data.name or config.data.preprocess moves pixels: take data'
      " without that step, or the data set's own masks (config.data.lesion_masks='true')."
    )


def check_masks(pieces: Pieces) -> None:
  """Refuses masks by a segmenter that has seen lesions the classifier is judged on."""
  config, folder = pieces.config, pieces.config.data.lesion_masks
  if not uses_masks(config.data) or folder == 'true':
    return
  masks_lib.open_folder(folder)
  for split in (pieces.validation, run_data.open_data(config, config.data.test_split)):
    published = config.protocol == 'published'
    run_directory.refuse_seen(
      folder, split, f'config.data.lesion_masks={folder}', images_only=published
    )
