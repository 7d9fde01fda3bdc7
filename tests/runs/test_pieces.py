"""What is checked before a run's directory is made."""

from __future__ import annotations

import csv
import json

import pytest

from data_builders.errors import UserError
from lesionjax import experiment
from lesionjax.data import masks
from lesionjax.data.datasets import open_split
from lesionjax.runs.pieces import Pieces


def _folder_without(test_split, tmp_path, tiny_config):
  """A folder that knows the images of all splits but one, in none of which it found a lesion."""
  masks.open_folder.cache_clear()
  folder = tmp_path / 'masks'
  folder.mkdir()
  with (folder / masks.INDEX).open('w', newline='') as file:
    writer = csv.DictWriter(file, masks.COLUMNS)
    writer.writeheader()
    for name in {'train', 'validation', 'test'} - {test_split}:
      for image_id in open_split(tiny_config.data.name, name, tiny_config.data.data_dir).image_ids:
        writer.writerow({'image_id': image_id, 'reject': 'empty'})
  (folder / masks.ABOUT).write_text(json.dumps({'method': 'hand'}))
  (folder / 'seen.json').write_text('{"groups": [], "images": []}')
  return str(folder)


@pytest.mark.parametrize('lacking', ['train', 'validation', 'test', ''])
def test_masks_of_all_splits_are_looked_for_first(lacking, tiny_config, tmp_path):
  tiny_config.data.lesion = 'crop'
  tiny_config.data.lesion_masks = _folder_without(lacking, tmp_path, tiny_config)
  if not lacking:
    Pieces.of(tiny_config)
    return
  with pytest.raises(
    UserError, match=rf'lists no mask of \d+ of the \d+ images of .*\({lacking}\)'
  ):
    experiment.train(tiny_config, str(tmp_path / 'run'))
  assert not (tmp_path / 'run').exists()


def test_attention_needs_the_masks_of_the_training_alone(tiny_config, tmp_path):
  tiny_config.data.lesion = 'attention'
  tiny_config.data.lesion_masks = _folder_without('test', tmp_path, tiny_config)
  Pieces.of(tiny_config)


def test_a_segmenter_has_no_head_to_draw_anew(segmenter_config, tmp_path):
  segmenter_config.init_from, segmenter_config.init_head = str(tmp_path), 'reinit'
  with pytest.raises(
    UserError, match=r"init_head='reinit' is for classifiers: .* set it to 'keep'"
  ):
    Pieces.of(segmenter_config)


@pytest.mark.parametrize(
  ('changes', 'sentence'),
  [
    (
      {'data.leave_out_folds': ('a',)},
      r"leave_out_folds=\('a',\) must be a tuple of folds, .* 0 to 9",
    ),
    ({'data.leave_out_folds': (99,)}, r'leave_out_folds=\(99,\) must be a tuple of folds'),
    ({'data.leave_out_folds': (True,)}, r'leave_out_folds=\(True,\) must be a tuple of folds'),
    ({'data.height_px': 1}, r'height_px=1 is below 8, .*: set it higher, or to 0 for a square'),
    ({'data.height_px': 7}, r'height_px=7 is below 8'),
    ({'data.lesion_margin': -1.0}, r'config.data.lesion_margin=-1.0 .*: set 0 for none'),
    ({'data.lesion_margin': float('nan')}, r'lesion_margin=nan must be from 0 to 2'),
  ],
)
def test_what_images_cannot_have_is_told_first(changes, sentence, segmenter_config):
  segmenter_config.update_from_flattened_dict(changes)
  with pytest.raises(UserError, match=sentence):
    Pieces.of(segmenter_config)


def test_folds_that_training_does_not_have_are_told(segmenter_config):
  config = segmenter_config
  folds = set(open_split(config.data.name, 'train', config.data.data_dir).folds.tolist())
  other = min(set(range(10)) - folds)
  config.data.leave_out_folds = (min(folds), other)
  with pytest.raises(UserError, match=f'has no fold {other}, its folds are .*; name some of these'):
    Pieces.of(config)
  config.data.leave_out_folds = (min(folds),)
  config.data.height_px = 8
  assert min(folds) not in Pieces.of(config).train.folds
