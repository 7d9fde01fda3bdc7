"""Trains, evaluates and reports: `python main.py --config=configs/quickstart.py --workdir=RUN`."""

from __future__ import annotations

from absl import flags
from ml_collections import config_flags

from data_builders import command
from data_builders.errors import UserError

_CONFIG = config_flags.DEFINE_config_file('config', None, 'Recipe, as configs/NAME.py.')
_WORKDIR = flags.DEFINE_string('workdir', None, 'Directory of the run; may be a gs:// path.')
_MODE = flags.DEFINE_enum(
  'mode',
  'train',
  ['train', 'evaluate', 'masks', 'sweep', 'compare'],
  'train also evaluates and reports; evaluate only that; masks writes lesion masks of a data set;'
  ' sweep trains all runs of a recipe; compare tells what differs between those in a directory.',
)
_EVAL_DATA = flags.DEFINE_string(
  'eval_data', '', 'With --mode=evaluate or masks: a prepared data set, NAME or NAME/CONFIG.'
)
_EVAL_SPLIT = flags.DEFINE_string(
  'eval_split', '', 'With --eval_data: its split, such as official_test; default: the test split.'
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir', '', 'With --mode=evaluate: where prepared data lie, if not where the run found them.'
)
_OUT = flags.DEFINE_string('out', '', 'With --mode=masks: the folder that the masks go to.')
_CROSS_FIT = flags.DEFINE_integer(
  'cross_fit', 0, 'With --mode=masks: parts of the training images, each masked by a segmenter'
  ' that was trained on the others.',
)  # fmt: skip
_SWEEP_INDEX = flags.DEFINE_integer('sweep_index', None, 'With --mode=sweep: one run, from 0.')
_REFERENCE = flags.DEFINE_string('reference', '', 'With --mode=compare: the run to compare with.')
_DRY_RUN = flags.DEFINE_bool('dry_run', False, 'Print shapes, memory and steps; train nothing.')
_PROFILE = flags.DEFINE_bool('profile', False, 'Write a trace of a few steps to WORKDIR/profile.')
_DISTRIBUTED = flags.DEFINE_bool('distributed', False, 'One of several processes of the run.')


def main(argv: list[str]) -> None:
  if len(argv) > 1:
    raise UserError(f'{argv[1]!r} is not a flag: write --flag=value.')
  from lesionjax import experiment  # after the flags, so that a misspelt one is told at once

  experiment.run(
    _MODE.value,
    _CONFIG.value,
    _WORKDIR.value,
    eval_data=_EVAL_DATA.value,
    eval_split=_EVAL_SPLIT.value,
    data_dir=_DATA_DIR.value,
    out=_OUT.value,
    cross_fit=_CROSS_FIT.value,
    recipe=flags.FLAGS['config'],
    sweep_index=_SWEEP_INDEX.value,
    reference=_REFERENCE.value,
    dry_run=_DRY_RUN.value,
    profile=_PROFILE.value,
    distributed=_DISTRIBUTED.value,
  )


if __name__ == '__main__':
  command.run(main)
