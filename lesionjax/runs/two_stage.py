"""A segmenter first, in the classifier's own run directory: segment, crop, classify as one run."""

from __future__ import annotations

from etils import epath
from ml_collections import ConfigDict

from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax.data import masks as masks_lib
from lesionjax.data.lesion import uses_masks
from lesionjax.masking import mask_writing

STAGE = 'stage'
"""Value of config.data.lesion_masks: the masks of the run's own first stage."""
SEGMENTER, MASKS = 'segmenter', 'masks'


def check(config: ConfigDict) -> None:
  """Refuses a first stage that nothing uses, or that is none.

  Raises:
    UserError: naming the keys.
  """
  uses = uses_masks(config.data) and config.data.lesion_masks == STAGE
  if uses != (config.segmenter is not None):
    raise UserError(
      f'config.data.lesion={config.data.lesion!r} with config.data.lesion_masks='
      f'{config.data.lesion_masks!r} and config.segmenter'
      f' {"given" if config.segmenter is not None else "not given"} do not go together: a run with'
      " config.segmenter looks at its masks by a lesion or background other than 'none' and"
      f' lesion_masks={STAGE!r}, any other run does not.'
    )
  if config.segmenter is None:
    return
  if config.segmenter.task != 'segment' or config.segmenter.get('segmenter') is not None:
    raise UserError(
      "config.segmenter must be a configuration with task='segment' and no first stage of its own."
    )
  names = config.data.name
  if not isinstance(names, str) or ',' in names:
    raise UserError(f'config.data.name={names!r}: a run with config.segmenter takes one data set.')
  config_lib.validate(config.segmenter)


def resolve(config: ConfigDict, run_dir: epath.Path) -> ConfigDict:
  """Returns the configuration with the place of the first stage's masks filled in."""
  if config.segmenter is None:
    return config
  changed = config.copy_and_resolve_references()
  changed.data.lesion_masks = str(run_dir / MASKS)
  return changed


def segmenter_config(config: ConfigDict) -> ConfigDict:
  """Returns the first stage's configuration; where data and devices are, the run says."""
  first = config.segmenter.copy_and_resolve_references()
  places, mine = dict(config_lib.flatten(config)), dict(config_lib.flatten(first))
  for key in config_lib.PLACE_KEYS:
    if key in mine and key in places and not key.startswith('checkpoint'):
      first.update_from_flattened_dict({key: places[key]})
  return first


def has_masks(run_dir: epath.Path) -> bool:
  """Whether the first stage is done."""
  return (run_dir / MASKS / masks_lib.ABOUT).exists()


def write_masks(config: ConfigDict, run_dir: epath.Path) -> None:
  """Writes the masks of the run's data by its trained segmenter, unless they are there."""
  if has_masks(run_dir):
    return
  folder = run_dir / MASKS
  mask_writing.write(str(folder), config.data.name, config.data.data_dir, str(run_dir / SEGMENTER))
