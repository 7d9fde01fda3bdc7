"""Masks of a data set: whose they are, whom they may serve, and what they replace."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest

from configs import base
from data_builders.errors import UserError
from lesionjax import experiment
from lesionjax.data import masks as masks_lib
from lesionjax.masking import cross_fitting, mask_writing
from lesionjax.masking.mask_scoring import examples
from lesionjax.masking.segmenting import SplitSegmenter
from lesionjax.runs import run_directory

TINY = 'synthetic_dermoscopy/tiny'


@pytest.fixture(scope='module')
def otsu(tmp_path_factory, tiny_data_dir):
  out = tmp_path_factory.mktemp('otsu') / 'masks'
  experiment.masks('', TINY, str(out), str(tiny_data_dir))
  return out


def change(path, **values):
  content = json.loads(path.read_text())
  for key, value in values.items():
    section, _, name = key.rpartition('__')
    (content[section] if section else content)[name] = value
  path.write_text(json.dumps(content))


def test_masks_of_a_segmenter_that_saw_the_images_serve_no_evaluation(
  run, otsu, tmp_path, tiny_data_dir
):
  leaky = shutil.copytree(otsu, tmp_path / 'leaky')
  split = mask_writing.open_split(TINY, 'test', str(tiny_data_dir))
  change(leaky / 'seen.json', groups=[str(split.group_ids[0])])
  before = set(run.rglob('*'))
  with pytest.raises(UserError, match=r'Evaluation with the lesion masks .* was trained on \d+ of'):
    experiment.evaluate(str(run), lesion='crop', lesion_masks=str(leaky))
  assert set(run.rglob('*')) == before


def test_masks_that_nobody_looks_at_are_told(run, otsu):
  with pytest.raises(UserError, match=r'--lesion_masks=.* has no effect on a classifier that sees'):
    experiment.evaluate(str(run), lesion_masks=str(otsu))


def test_folds_that_are_left_out_stay_out():
  config = base.get_config()
  config.data.leave_out_folds = (0,)
  assert cross_fitting.fold_config(config, (4, 2)).data.leave_out_folds == (0, 2, 4)
  assert cross_fitting.parts_of([1, 2, 3, 4, 5], 2) == [(1, 3, 5), (2, 4)]


def test_files_of_others_are_not_overwritten(otsu, tmp_path, tiny_data_dir):
  foreign = tmp_path / 'foreign'
  foreign.mkdir()
  (foreign / 'seen.json').write_text('mine')
  with pytest.raises(UserError, match=r'holds other files, such as seen\.json: give a new folder'):
    experiment.masks('', TINY, str(foreign), str(tiny_data_dir))
  assert (foreign / 'seen.json').read_text() == 'mine'
  out_of_fold = shutil.copytree(otsu, tmp_path / 'out_of_fold')
  change(out_of_fold / masks_lib.ABOUT, folds=[['part', [1]]])
  with pytest.raises(UserError, match=r'holds out-of-fold masks of .*, which others would replace'):
    experiment.masks('', TINY, str(out_of_fold), str(tiny_data_dir))
  (out_of_fold / masks_lib.ABOUT).write_text('[]')
  with pytest.raises(UserError, match='holds masks of None by None: give another'):
    experiment.masks('', TINY, str(out_of_fold), str(tiny_data_dir))


def test_a_folder_half_written_is_finished(otsu, tmp_path, tiny_data_dir):
  half = shutil.copytree(otsu, tmp_path / 'half')
  (half / masks_lib.ABOUT).rename(half / 'masks.started.json')
  next(half.glob('*.png')).unlink()
  experiment.masks('', TINY, str(half), str(tiny_data_dir))
  assert {path.name for path in half.iterdir()} == {path.name for path in otsu.iterdir()}
  one, other = (json.loads((folder / masks_lib.ABOUT).read_text()) for folder in (half, otsu))
  assert one['sha256'] == other['sha256']


def test_the_network_sees_what_it_has_learned_from(segmenter, tmp_path):
  """Its preprocessing is applied, and data that were cleaned otherwise are refused."""
  grey = shutil.copytree(segmenter, tmp_path / 'grey')
  change(grey / 'config.json', data__preprocess='grey')
  for run, out in ((segmenter, 'plain'), (grey, 'cleaned')):
    experiment.masks(str(run), TINY, str(tmp_path / out))
  one, other = (
    [
      row['confidence']
      for row in csv.DictReader((tmp_path / out / masks_lib.INDEX).read_text().splitlines())
    ]
    for out in ('plain', 'cleaned')
  )
  assert one != other
  with pytest.raises(
    UserError, match=r"grouped-hair is prepared with 'hair', the segmenter .* from"
  ):
    SplitSegmenter(segmenter).check_preprocessing('ham10000/grouped-hair')
  SplitSegmenter(segmenter).check_preprocessing('ham10000/grouped-stretch256')
  change(grey / 'config.json', data__preprocess='crop32')
  with pytest.raises(UserError, match=r"was trained on images after 'crop32', so that its masks"):
    experiment.masks(str(grey), TINY, str(tmp_path / 'cropped'))


def test_nothing_is_trained_before_the_mistake_is_told(run, segmenter, tmp_path, tiny_data_dir):
  out = str(tmp_path / 'out')
  with pytest.raises(UserError, match='give the --workdir of a segmenter'):
    experiment.masks(str(run), TINY, out, cross_fit=2)
  with pytest.raises(UserError, match=r'is unknown to TFDS|no config'):
    experiment.masks(str(segmenter), 'synthetic_dermoscopy/nothing', out, cross_fit=2)
  assert not (run / 'cross_fit_2').exists()
  assert not (segmenter / 'cross_fit_2').exists()


def test_a_first_stage_that_sees_the_test_split_is_refused_before_it_trains(
  segmenter_config, tmp_path
):
  config = segmenter_config.copy_and_resolve_references()
  config.task = 'classify'
  config.model.name = 'cnn'
  config.train.loss, config.select.metric = 'cross_entropy', 'balanced_accuracy'
  with config.unlocked():
    config.model.arguments = {'widths': (8, 8), 'dense_features': 16}
  config.data.lesion, config.data.lesion_masks = 'crop', 'stage'
  config.segmenter = segmenter_config
  config.segmenter.data.train_split = 'test'
  with pytest.raises(
    UserError, match=r'config\.segmenter: \d+ of the \d+ images of the split .test'
  ):
    experiment.train(config, str(tmp_path / 'run'))
  assert not (tmp_path / 'run').exists()


def test_masks_do_not_follow_pixels_that_move(tiny_config, otsu, tmp_path):
  tiny_config.data.lesion, tiny_config.data.lesion_masks = 'crop', str(otsu)
  tiny_config.data.preprocess = 'grey-crop32'
  with pytest.raises(
    UserError, match=r"but 'crop32' of config.data.name or config.data.preprocess"
  ):
    experiment.train(tiny_config, str(tmp_path / 'run'))


def test_exchanged_masks_are_noticed(tmp_path):
  data = {'name': 'a', 'config': 'b', 'version': '1', 'fingerprint': 'f', 'masks': {'sha256': '12'}}
  (tmp_path / 'data.json').write_text(json.dumps(data))
  run_directory.refuse_other_data(tmp_path, data)
  with pytest.raises(UserError, match=r'made with other lesion masks .*sha256 12; now sha256 34'):
    run_directory.refuse_other_data(tmp_path, {**data, 'masks': {'sha256': '34'}})


def test_the_very_worst_image_is_shown():
  dice = np.array([0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.02, 0.9])
  chosen = examples(dice, 6, np.array(list('abcdefaa')))
  assert len(chosen) == 6
  assert chosen[-1] == 6
  assert len({'abcdefaa'[row] for row in chosen}) == 6
  assert (np.diff(dice[chosen]) <= 0).all()
