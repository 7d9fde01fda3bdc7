"""What the masks of a scored split say of its lesions."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.data.lesion import Lesion
from lesionjax.evaluation.intervals import wilson
from lesionjax.masking import mask_scoring
from lesionjax.report.page import write_report
from lesionjax.runs import run_data, run_directory, scoring


@pytest.fixture
def split(segmenter_config):
  """The test images with their masks, every third of which is moved to the border."""
  found = run_data.open_data(segmenter_config, 'test')
  moved = {int(row) for row in np.arange(0, len(found), 3)}

  class Moved(type(found)):
    def _decoded_mask(self, index, png, shape):
      mask = np.zeros(shape, np.uint8)
      top = 0 if index in moved else 5
      mask[top : top + 20, 10:30] = 0 if index == 1 else 255
      return mask

  fields = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
  return Moved(**fields), len(moved)


def test_lesions_at_the_border_are_counted_among_those_that_are_there(split):
  split, moved = split
  found = scoring.lesion_shares(split)
  images = len(split)
  assert found['lesion_missing']['value'] == pytest.approx(1 / images)
  entry = found['lesion_at_border']
  assert entry['n'] == images - 1
  assert entry['value'] == pytest.approx(moved / (images - 1))
  groups = len(set(np.delete(split.group_ids, 1).tolist()))
  assert (entry['low'], entry['high']) == wilson(entry['value'], groups)


@pytest.mark.parametrize(
  ('mode', 'expected'),
  [
    ('none', set()),
    ('mask', {'lesion_missing'}),
    ('crop', {'lesion_missing', 'lesion_at_border'}),
    ('mask_crop', {'lesion_missing', 'lesion_at_border'}),
  ],
)
def test_a_classifier_that_crops_tells_where_crops_end(
  mode, expected, split, tiny_config, tmp_path
):
  seen = dataclasses.replace(split[0], lesion=Lesion(mode), with_masks=False)
  names = ('a', 'b')
  seen = dataclasses.replace(seen, class_names=names, labels=np.arange(len(seen)) % 2)
  rng = np.random.default_rng(0)
  outputs = {'logits': rng.normal(size=(len(seen), 2)), 'pre_logits': np.zeros((len(seen), 1))}
  found = scoring.score_split(
    tiny_config, run_directory.locate(tmp_path), seen, 'test', outputs, names
  )
  assert {name for name in found['test'] if name.startswith('lesion_')} == expected


def test_a_segmenter_tells_how_many_true_lesions_reach_the_border(
  split, segmenter_config, tmp_path
):
  split, moved = split
  masks = np.stack([split.decode(row, 16)[..., 3] for row in range(len(split))])
  outputs = {'test': {'mask': masks, 'probability': masks * np.uint8(200)}}
  found = mask_scoring.score(
    segmenter_config, run_directory.locate(tmp_path), {'test': split}, outputs
  )
  assert found['test']['lesion_at_border']['n'] == len(split) - 1
  assert 'lesion_missing' not in found['test']
  assert not any('lesion_at_border' in found[f'test_{kind}'] for kind in ('plain', 'otsu', 'gain'))
  (tmp_path / 'metrics.json').write_text(json.dumps(found))
  (tmp_path / 'config.json').write_text(json.dumps({'task': 'segment'}))
  page = write_report(tmp_path).read_text()
  assert f'In {moved} of {len(split) - 1} images with a lesion its mask reaches the border' in page


@pytest.mark.parametrize('content', ['null', '[]', '1', '{"threshold": "a"}'])
def test_damaged_post_processing_is_named(content, tmp_path):
  (tmp_path / 'postprocess.json').write_text(content)
  with pytest.raises(
    UserError, match=r'postprocess.json is damaged \(Post-.*evaluate the run again'
  ):
    mask_scoring.read_postprocess(run_directory.locate(tmp_path))
