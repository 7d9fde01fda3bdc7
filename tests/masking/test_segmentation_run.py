"""Segmenters end to end on tiny data: train, evaluate, resume, masks of a data set, two stages."""

from __future__ import annotations

import csv
import json
import shutil

import cv2
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax import experiment
from lesionjax.data import masks as masks_lib
from lesionjax.evaluation.segmentation.postprocess import Postprocess
from lesionjax.masking import mask_scoring, mask_writing
from lesionjax.runs import run_data, run_directory
from tests import programs

TINY = 'synthetic_dermoscopy/tiny'


def test_a_run_leaves_what_the_page_needs(segmenter):
  metrics = json.loads((segmenter / 'metrics.json').read_text())
  assert set(metrics) == {
    f'{s}{k}' for s in ('validation', 'test') for k in ('', '_plain', '_otsu', '_gain')
  }
  assert set(metrics['test']) >= {'dice', 'threshold_jaccard', 'hd95_percent', 'failure'}
  assert (
    metrics['test']['dice']['low']
    <= metrics['test']['dice']['value']
    <= metrics['test']['dice']['high']
  )
  page = (segmenter / 'report.html').read_text()
  for words in ('Outlines', "Otsu's threshold", 'Dice of every image', 'Dice by size'):
    assert words in page
  kinds = {record['kind'] for record in programs.records(segmenter)}
  assert kinds == {'step', 'train', 'validation'}


def test_the_metrics_are_those_of_the_stored_predictions(segmenter, segmenter_config):

  with np.load(segmenter / 'predictions_test.npz') as arrays:
    found = {key: arrays[key] for key in arrays.files}
  post = mask_scoring.read_postprocess(run_directory.locate(segmenter))
  split = run_data.open_data(segmenter_config, 'test')
  dices = []
  for row in range(len(split)):
    truth = split.decode(row, 16)[..., 3] > 0
    mask = post(found['probability'][row] / np.float32(255))
    both, sizes = (truth & mask).sum(), truth.sum() + mask.sum()
    dices.append(2 * both / sizes if sizes else 1.0)
  at = found['metric_names'].tolist().index('dice')
  np.testing.assert_allclose(found['network'][:, at], dices)
  metrics = json.loads((segmenter / 'metrics.json').read_text())
  assert metrics['test']['dice']['value'] == pytest.approx(np.mean(dices))


def test_evaluating_again_gives_the_same_numbers(segmenter, tmp_path):
  copy = tmp_path / 'copy'
  shutil.copytree(segmenter, copy)
  before = json.loads((copy / 'metrics.json').read_text())
  (copy / 'metrics.json').unlink()
  experiment.evaluate(str(copy))
  assert json.loads((copy / 'metrics.json').read_text()) == before


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(segmenter_config, segmenter, tmp_path):
  workdir = tmp_path / 'killed'
  programs.finish(programs.start(segmenter_config, workdir, 'step', 6), -9)
  programs.finish(programs.start(segmenter_config, workdir))
  programs.assert_identical(programs.saved(workdir, 8), programs.saved(segmenter, 8))


def test_masks_of_a_whole_data_set(segmenter, tmp_path, tiny_data_dir):
  out = tmp_path / 'masks'
  index = experiment.masks(str(segmenter), TINY, str(out))
  with open(index) as file:
    rows = list(csv.DictReader(file))
  about = json.loads((out / masks_lib.ABOUT).read_text())
  assert about['images'] == len(rows) == len({row['image_id'] for row in rows})
  assert about['rejected'] == sum(bool(row['reject']) for row in rows)
  segmenter_ = mask_writing.SplitSegmenter(segmenter)
  split = mask_writing.open_split(TINY, 'test', str(tiny_data_dir))
  probability = next(segmenter_.probabilities(split))
  row = next(row for row in rows if row['image_id'] == split.image_ids[0])
  mask = segmenter_.postprocess(probability)
  if row['file']:
    png = cv2.imread(str(out / row['file']), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(png > 0, mask)
    assert float(row['confidence']) == pytest.approx(probability[mask].mean(), abs=1e-4)
  seen = json.loads((out / 'seen.json').read_text())
  assert seen == json.loads((segmenter / 'seen.json').read_text())


def test_otsu_needs_no_run_and_has_seen_nothing(tmp_path, tiny_data_dir):
  out = tmp_path / 'otsu'
  experiment.masks('', TINY, str(out), str(tiny_data_dir))
  assert json.loads((out / 'seen.json').read_text()) == {'groups': [], 'images': []}
  with pytest.raises(UserError, match=r'holds masks of .*tiny by otsu: give another folder'):
    experiment.masks('', 'synthetic_dermoscopy', str(out), str(tiny_data_dir))


def test_a_classifier_refuses_masks_of_a_segmenter_that_saw_its_test_lesions(
  segmenter, tiny_config, tmp_path, tiny_data_dir
):
  out = tmp_path / 'masks'
  experiment.masks('', TINY, str(out), str(tiny_data_dir))
  ours = json.loads((segmenter / 'seen.json').read_text())
  config = _classifier(tiny_config, str(out))
  split = mask_writing.open_split(TINY, 'test', str(tiny_data_dir))
  (out / 'seen.json').write_text(json.dumps({**ours, 'groups': [str(split.group_ids[0])]}))
  with pytest.raises(
    UserError, match=r'config.data.lesion_masks=.* trained on \d+ of the \d+ images'
  ):
    experiment.train(config, str(tmp_path / 'run'))
  assert not (tmp_path / 'run').exists()


def _classifier(config, masks):
  config.task = 'classify'
  config.model.name = 'cnn'
  with config.unlocked():
    config.model.arguments = {'widths': (8, 8), 'dense_features': 16}
  config.train.loss = 'cross_entropy'
  config.train.epochs = 1
  config.select.metric = 'balanced_accuracy'
  config.evaluate.colour_baseline = False
  config.data.lesion = 'crop'
  config.data.lesion_masks = masks
  return config


@pytest.mark.slow
def test_out_of_fold_masks_are_by_runs_that_did_not_see_the_image(
  segmenter_config, tmp_path, tiny_data_dir
):
  segmenter_config.train.epochs = 1
  run, out = tmp_path / 'run', tmp_path / 'masks'
  experiment.train(segmenter_config, str(run))
  experiment.masks(str(run), TINY, str(out), cross_fit=2)
  about = json.loads((out / masks_lib.ABOUT).read_text())
  train = mask_writing.open_split(TINY, 'train', str(tiny_data_dir))
  parts = [set(folds) for _, folds in about['folds']]
  assert parts[0] | parts[1] == set(train.folds.tolist())
  assert not parts[0] & parts[1]
  for place, folds in about['folds']:
    seen = json.loads((run_directory.locate(place) / 'seen.json').read_text())
    mine = np.isin(train.folds, folds)
    assert not set(train.group_ids[mine]) & set(seen['groups'])
    assert set(train.group_ids[~mine]) == set(seen['groups'])


def test_two_stages_are_one_run(segmenter_config, tmp_path):
  first = segmenter_config.copy_and_resolve_references()
  first.train.epochs = 1
  config = _classifier(segmenter_config, 'stage')
  config.segmenter = first
  run = tmp_path / 'run'
  experiment.train(config, str(run))
  page = (run / 'report.html').read_text()
  assert 'First stage: where the lesion is' in page
  assert (run / 'segmenter' / 'report.html').exists()
  stored = json.loads((run / 'config.json').read_text())
  assert stored['data']['lesion_masks'] == 'stage'  # not a path of this machine
  told = json.loads((run / 'data.json').read_text())['masks']
  assert told['images'] == 192
  assert told['ms_per_image'] > 0
  # The same command again, and evaluation alone, find everything in the run's directory.
  experiment.train(config, str(run))
  shutil.move(run, tmp_path / 'moved')
  experiment.evaluate(str(tmp_path / 'moved'))


def test_stages_that_do_not_go_together_are_told(segmenter_config, tmp_path):
  config = _classifier(segmenter_config, 'stage')
  with pytest.raises(UserError, match=r'config\.segmenter not given do not go together'):
    experiment.train(config, str(tmp_path / 'run'))
  config.segmenter = config.copy_and_resolve_references()
  with pytest.raises(UserError, match=r"must be a configuration with task='segment'"):
    experiment.train(config, str(tmp_path / 'run'))
  assert not (tmp_path / 'run').exists()


MISTAKES = {
  'loss': ({'train.loss': 'cross_entropy'}, r"loss='cross_entropy' is not one of '\w+', '\w+',"),
  'metric': ({'select.metric': 'macro_auc'}, r"select.metric='macro_auc' is not one of dice,"),
  'model': ({'model.name': 'unit'}, r"unknown segmenter 'unit': did you mean unet"),
  'lesion': ({'data.lesion': 'crop'}, r"data.lesion='crop' is for classifiers"),
  'head': ({'phases': ({'trainable': 'head'},)}, 'phases'),
  'cached': ({'phases': ({'trainable': ('.*',), 'cache_features': True},)}, 'cache_features'),
  'folds': ({'data.leave_out_folds': tuple(range(10))}, 'leave_out_folds'),
}


@pytest.mark.parametrize('case', MISTAKES)
def test_mistakes_are_told_before_a_directory_is_made(case, segmenter_config, tmp_path):
  changes, sentence = MISTAKES[case]
  segmenter_config.update_from_flattened_dict(changes)
  with pytest.raises(UserError, match=sentence) as caught:
    experiment.train(segmenter_config, str(tmp_path / 'run'))
  assert '\n' not in str(caught.value)
  assert not (tmp_path / 'run').exists()


def test_a_checkpoint_of_another_configuration_is_refused(segmenter, tmp_path):
  copy = tmp_path / 'copy'
  shutil.copytree(segmenter, copy)
  config = json.loads((copy / 'config.json').read_text())
  config['model']['arguments']['width'] = 6
  (copy / 'config.json').write_text(json.dumps(config))
  with pytest.raises(UserError, match='shape'):
    mask_writing.SplitSegmenter(copy)


def test_a_classifier_is_no_segmenter(run):
  with pytest.raises(UserError, match=r"run of task 'classify': give the --workdir of a segmenter"):
    mask_writing.SplitSegmenter(run)


def test_validation_metrics_by_hand():
  probability = np.array([[[0, 255], [128, 127]], [[0, 0], [0, 0]]], np.uint8)
  mask = np.array([[[0, 1], [0, 1]], [[0, 0], [0, 0]]], np.uint8)
  found = mask_scoring.validation_metrics({'probability': probability, 'mask': mask})
  assert found['dice'] == pytest.approx((0.5 + 1) / 2)
  assert found['jaccard'] == pytest.approx((1 / 3 + 1) / 2)
  assert found['threshold_jaccard'] == pytest.approx(0.5)
  assert found['pixel_accuracy'] == pytest.approx((0.5 + 1) / 2)
  end = -np.log(1 - 0.5 / 255)
  first = (2 * end - np.log(1 - 128 / 255) - np.log(127 / 255)) / 4
  assert found['loss'] == pytest.approx((first + end) / 2)


def test_examples_are_best_median_and_worst_of_different_lesions():
  dice = np.array([0.9, 0.1, 0.5, 0.95, 0.6, 0.3, 0.7, 0.2, 0.8])
  groups = np.array(list('abcdefgha'))  # rows 0 and 8 are one lesion
  chosen = mask_scoring.examples(dice, 6, groups)
  assert chosen.tolist() == [3, 0, 4, 2, 7, 1]


def test_post_processing_is_read_as_it_was_written(segmenter):
  path = run_directory.locate(segmenter)
  found = mask_scoring.read_postprocess(path)
  assert isinstance(found, Postprocess)
  assert json.loads((path / 'postprocess.json').read_text()) == found.to_dict()


def test_another_view_of_the_images_must_be_told(tiny_config, tmp_path, tiny_data_dir):
  ours, theirs = tmp_path / 'ours', tmp_path / 'theirs'
  for folder in (ours, theirs):
    experiment.masks('', TINY, str(folder), str(tiny_data_dir))
  run = tmp_path / 'run'
  experiment.train(_classifier(tiny_config, str(ours)), str(run))
  with pytest.raises(UserError, match=r'give --lesion_masks=FOLDER with masks of'):
    experiment.evaluate(str(run), TINY)
  experiment.evaluate(str(run), lesion='none')
  whole = run / 'external' / 'own_lesion_none'
  assert json.loads((whole / 'config.json').read_text())['data']['lesion'] == 'none'
  experiment.evaluate(str(run), lesion_masks=str(theirs))
  (again,) = (run / 'external').glob('own_lesion_theirs-*')  # folders of one name are told apart
  before = json.loads((run / 'metrics.json').read_text())
  assert json.loads((again / 'metrics.json').read_text()) == before  # the same masks
  assert json.loads((whole / 'metrics.json').read_text()) != before
  for name in ('lesion_missing', 'lesion_at_border'):
    assert before['test'][name]['n'] > 0
    assert name not in json.loads((whole / 'metrics.json').read_text())['test']
  assert 'its mask reaches the border' in (run / 'report.html').read_text()
  with pytest.raises(UserError, match=r"lesion='cut' is not one of none, mask"):
    experiment.evaluate(str(run), lesion='cut')
