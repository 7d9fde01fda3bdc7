"""What is checked before a run's directory is made."""

from __future__ import annotations

import csv
import json

import pytest

from data_builders.errors import UserError
from lesionjax import experiment
from lesionjax.data import masks
from lesionjax.data.datasets import open_split
from lesionjax.pieces import Pieces


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
