"""A tiny run explained from end to end, masks of every origin, and the section made of it."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from etils import epath

from data_builders.cleaning.otsu import otsu_mask
from lesionjax.data.lesion import Lesion
from lesionjax.evaluation.relevance import inside
from lesionjax.explain import maps
from lesionjax.explain.explained import ExplainedRun
from lesionjax.report import explanations
from lesionjax.report.run_files import read_run
from lesionjax.runs import run_data
from lesionjax.trust import explaining
from lesionjax.trust.evaluated import Evaluated
from lesionjax.trust.lesions_of_split import OTSU, lesions_of
from lesionjax.trust.looked_at import look


def evaluated(config, run, out):
  """What an evaluation of the run would hand over, from its files."""
  splits = {name: run_data.open_data(config, name, '') for name in ('validation', 'test')}
  outputs = {}
  for name in splits:
    with np.load(run / f'predictions_{name}.npz') as arrays:
      outputs[name] = {key: arrays[key] for key in ('logits', 'pre_logits')}
      names = tuple(arrays['class_names'].tolist())
  return Evaluated(config, epath.Path(run), epath.Path(out), names, splits, outputs)


def refuse(name):
  raise AssertionError(f'{name} in JSON')


def test_a_run_is_explained_from_end_to_end(config, run, tmp_path, monkeypatch):
  monkeypatch.setattr(explaining, '_SAMPLE', 12)
  monkeypatch.setattr(explaining, '_COSTLY', 8)
  config.evaluate.explain = 6
  explaining.write(evaluated(config, run, tmp_path))
  found = json.loads((tmp_path / explaining.FILE).read_text(), parse_constant=refuse)
  assert found['images'] | {'with_lesion': 0, 'of': 0} == {
    'shown': 6, 'measured': 12, 'costly': 8, 'with_lesion': 0, 'of': 0,
  }  # fmt: skip
  assert found['masks'] == 'the data set'
  assert set(found['methods']) == set(maps.METHODS)
  for entry in found['methods'].values():
    if entry['inside']['value'] is not None:
      assert 0 <= entry['inside']['value'] <= 1
    assert 0 < entry['area']['value'] < 1
  assert found['seconds'].keys() >= {'images', 'maps'}
  with np.load(tmp_path / 'explanations_test.npz') as arrays:
    assert arrays['maps'].shape == (6, 4, 16, 16)
    assert arrays['image'].shape == (6, 160, 160, 3)
    assert arrays['alarm'].shape == (6, 4, 3)
    assert arrays['lesion'].any((1, 2)).all()
  for name in ('config.json', 'predictions_test.npz'):
    (tmp_path / name).write_bytes((run / name).read_bytes())
  (tmp_path / 'metrics.json').write_text('{"test": {}}')
  context = explanations.context(read_run(tmp_path))
  assert context is not None
  assert sum(len(group['first']) + len(group['rest']) for group in context['groups']) == 6


def test_nothing_is_explained_where_nothing_is_asked(config, run, tmp_path):
  config.evaluate.explain = 0
  explaining.write(evaluated(config, run, tmp_path))
  assert not list(tmp_path.iterdir())


def test_a_network_with_random_weights_is_another(run):
  trained = ExplainedRun(run)
  pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
  before = trained.logits(pixels)
  drawn = maps.draw_weights(trained)
  for part in ('head', 'all'):
    other = maps.randomised(trained, drawn, part)
    assert not np.allclose(other.logits(pixels), before)
    same = np.allclose(other.activations(pixels), trained.activations(pixels))
    assert same == (part == 'head')
  np.testing.assert_array_equal(trained.logits(pixels), before)


def test_grad_cam_is_taken_where_it_has_cells_enough():
  pyramid = {'stride4': (16, 16, 8), 'stride8': (8, 8, 8), 'stride16': (4, 4, 8)}
  assert maps.cam_layer({**pyramid, 'last_map': (2, 2, 8)}) == 'stride8'
  assert maps.cam_layer({**pyramid, 'last_map': (7, 7, 8)}) == 'last_map'
  assert maps.cam_layer({'stride2': (5, 6, 8), 'last_map': (3, 3, 8)}) == 'stride2'
  assert maps.cam_layer({'last_map': (3, 3, 8)}) == 'last_map'


@pytest.mark.parametrize('method', maps.METHODS)
def test_every_method_gives_a_map_from_0_to_1(run, method):
  pixels = np.random.default_rng(1).integers(0, 256, (3, 16, 16, 3), np.uint8)
  found = maps.relevance(ExplainedRun(run), pixels, np.array([0, 1, 2]), method)
  assert found.shape == (3, 16, 16)
  assert found.min() >= 0
  assert np.isin(found.max((1, 2)).round(5), (0, 1)).all()


def test_masks_are_seen_as_the_image_is(config):
  split = run_data.open_data(config, 'test', '')
  read, told = lesions_of(split)
  image, mask = read(0, (64, 64))
  assert told == 'the data set'
  np.testing.assert_array_equal(image, split.decode(0, (64, 64)))
  cropped = dataclasses.replace(split, lesion=Lesion('crop', 'true', 0.1))
  seen, lesion = lesions_of(cropped)[0](0, (64, 64))
  np.testing.assert_array_equal(seen, cropped.decode(0, (64, 64)))
  assert lesion.mean() > 1.5 * mask.mean()  # the crop ends at the lesion


def test_a_data_set_without_masks_has_otsus(config):
  split = run_data.open_data(config, 'test', '')
  bare = tuple(dataclasses.replace(source, mask_features=None) for source in split.sources)
  split = dataclasses.replace(split, sources=bare)
  read, told = lesions_of(split)
  image, mask = read(1, (64, 64))
  assert told == OTSU
  np.testing.assert_array_equal(mask, otsu_mask(image))


def test_coverage_at_the_size_of_the_network_keeps_the_areas(config):
  split = run_data.open_data(config, 'test', '')
  read, _ = lesions_of(split)
  looked = look(read, split, np.array([3, 5]), (16, 16))
  fine = np.stack([read(row, (256, 256))[1] for row in (3, 5)])
  np.testing.assert_allclose(inside.area(looked.lesion), fine.mean((1, 2)), rtol=1e-5)
  np.testing.assert_array_equal(looked.pixels[1], split.decode(5, (16, 16)))
  assert looked.take(np.array([1])).rows.tolist() == [5]
