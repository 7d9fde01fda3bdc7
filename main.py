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
  ['train', 'evaluate', 'predict', 'export', 'masks', 'generate', 'sweep', 'compare'],
  'train also evaluates and reports; evaluate only that, of several runs their average; predict'
  ' classifies photographs; export writes a program that needs no lesionjax; masks writes lesion'
  ' masks of a data set;'
  ' generate writes a data set of images that a generator draws;'
  ' sweep trains all runs of a recipe; compare tells what differs between those in a directory.',
)
for _name, _help in {
  'eval_data': 'With --mode=evaluate or masks: a prepared data set, NAME or NAME/CONFIG.',
  'eval_split': 'With --eval_data: its split, such as official_test; default: the test split.',
  'data_dir': 'With --mode=evaluate or masks: where prepared data lie, if not where they were.',
  'lesion': "With --mode=evaluate: see images otherwise than in training, as 'none' or 'crop'.",
  'lesion_masks': 'With --mode=evaluate: the folder of masks of what is evaluated.',
  'out': 'The folder that predictions, an artefact, an average, masks or images go to.',
  'per_class': "With --mode=generate: images of every class, 'fill', a number, or CLASS=NUMBER,...",
  'images': 'With --mode=predict: a folder, a pattern or a file.',
  'segmenter': "With --mode=predict: a segmenter's run that finds the lesion.",
  'reference': 'With --mode=compare: the run that the others are compared with.',
}.items():
  flags.DEFINE_string(_name, '', _help)
flags.DEFINE_integer(
  'cross_fit', 0, 'With --mode=masks: parts of the training images, each masked by a segmenter that'
  ' was trained on the others.',
)  # fmt: skip
flags.DEFINE_integer('latent_seed', 0, 'With --mode=generate: of the latent vectors.')
flags.DEFINE_integer('sweep_index', None, 'With --mode=sweep: one of its runs, from 0.')
flags.DEFINE_enum(
  'tta', 'none', ['none', 'flips', 'quarter_turns'],
  'With --mode=predict or evaluate: views of an image whose probabilities are averaged.',
)  # fmt: skip
flags.DEFINE_bool('overlays', True, 'With --mode=predict: a picture of every image.')
flags.DEFINE_bool('dry_run', False, 'Print shapes, memory and steps; train nothing.')
flags.DEFINE_bool('profile', False, 'Write a trace of a few steps to WORKDIR/profile.')
flags.DEFINE_bool('distributed', False, 'One of several processes of the run.')


def main(argv: list[str]) -> None:
  if len(argv) > 1:
    raise UserError(f'{argv[1]!r} is not a flag: write --flag=value.')
  from lesionjax import modes, options  # after the flags, so that a misspelt one is told at once

  given = {name: flags.FLAGS[name].value for name in options.FLAGS}
  modes.run(_MODE.value, _CONFIG.value, _WORKDIR.value, recipe=flags.FLAGS['config'], **given)


if __name__ == '__main__':
  command.run(main)
