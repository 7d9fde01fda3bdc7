"""Generators end to end on tiny data: train, resume, draw, judge, report; mistakes told."""

from __future__ import annotations

import json
import shutil

import cv2
import jax.numpy as jnp
import numpy as np
import pytest

import lesionjax
from data_builders.errors import UserError
from lesionjax import experiment
from lesionjax.evaluation.generation import fid
from lesionjax.generation import generating
from lesionjax.generation.judging import Seen
from lesionjax.generation.sampling import Sampler, to_pixels
from lesionjax.runs import pieces, run_data
from lesionjax.training import adversarial
from tests import programs


def names_of(run):
  return json.loads((run / 'data.json').read_text())['class_names']


def test_a_run_leaves_samples_of_every_epoch_and_a_page(generator):
  steps = [r['step'] for r in programs.records(generator) if r['kind'] == 'validation']
  assert len(steps) == 2
  names = {path.name for path in (generator / 'samples').iterdir()}
  assert names == {'best.png', *(f'step_{step}.png' for step in steps)}
  grid = cv2.imread(str(generator / 'samples' / f'step_{steps[-1]}.png'))
  assert grid.shape[0] == 4 + 68 * len(names_of(generator))
  # The newest epoch is the best, so the last grid is that of the checkpoint that is kept.
  best = cv2.imread(str(generator / 'samples' / 'best.png'))
  np.testing.assert_allclose(best.astype(int), grid, atol=1)
  metrics = json.loads((generator / 'metrics.json').read_text())
  assert set(metrics) == {'validation', 'test'}
  assert set(metrics['test']) == {'loss', 'discriminator_loss', 'real_logit', 'fake_logit'}
  page = (generator / 'report.html').read_text()
  for words in ('Not measured', 'After epoch 1', 'Logits of the discriminator', 'nobody'):
    assert words in page


def test_records_tell_both_sides(generator):
  step = next(r for r in programs.records(generator) if r['kind'] == 'step')
  both = {'loss', 'grad_norm', 'learning_rate', 'discriminator_loss', 'real_logit', 'fake_logit'}
  assert set(step) == {'kind', 'step', 'epoch', *both}
  train = next(r for r in programs.records(generator) if r['kind'] == 'train')
  assert train['spread'] > 0


def test_loading_offers_to_draw(generator):
  run = lesionjax.load(str(generator))
  names = names_of(generator)
  images = run.generate([0, names[1], 2], seed=3)
  assert images.shape == (3, 16, 16, 3)
  assert images.dtype == np.uint8
  np.testing.assert_array_equal(run.generate([names[1], 2], seed=3, start=1), images[1:])
  assert (run.generate([0, 1, 2], seed=4) != images).any()
  with pytest.raises(UserError, match=r"generates the classes .*, and no class 'wart'"):
    run.generate(['wart'])
  with pytest.raises(UserError, match='no class 99'):
    run.generate([99])


def test_pixels_are_rounded_and_clipped():
  image = jnp.array([-2.0, -1.0, 0.0, 1.0, 1.5])
  assert to_pixels(image).tolist() == [0, 0, 128, 255, 255]


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(generator_config, generator, tmp_path):
  workdir = tmp_path / 'killed'
  programs.finish(programs.start(generator_config, workdir, 'step', 6), -9)
  assert 'began with step' in programs.finish(programs.start(generator_config, workdir))
  last = max(r['step'] for r in programs.records(generator))
  programs.assert_identical(programs.saved(workdir, last), programs.saved(generator, last))
  assert programs.records(workdir) == programs.records(generator)


def test_a_judge_measures_every_epoch_and_selects(generator_config, run, tmp_path):
  generator_config.gan.judge = str(run)
  generator_config.gan.judge_images = 20
  generator_config.select.metric = 'fid'
  generator_config.train.epochs = 1
  workdir = tmp_path / 'judged'
  experiment.train(generator_config, str(workdir))
  record = next(r for r in programs.records(workdir) if r['kind'] == 'validation')
  assert record['fid'] > 0
  assert 0 <= record['judge_recall'] <= 1
  metrics = json.loads((workdir / 'metrics.json').read_text())['test']
  assert {'kid', 'judge_ratio', 'manifold_precision', 'memorised', 'real_memorised'} <= set(metrics)
  assert f'kid/{names_of(workdir)[0]}' in metrics
  assert (workdir / 'samples' / 'nearest.png').exists()
  page = (workdir / 'report.html').read_text()
  for words in ('Does it copy training images?', 'Class by class', 'as often as in real images'):
    assert words in page
  # Again from the stored weights: what the judge sees is features of what the generator draws.
  made = lesionjax.load(str(workdir))
  judge = lesionjax.load(str(run))
  split = experiment.run_data.open_data(generator_config, 'test')
  real = judge.predict(np.stack([split.decode(row, 16) for row in range(len(split))])).pre_logits
  drawn = judge.predict(made.generate(split.labels, 0, 2_000_000)).pre_logits
  assert metrics['fid']['value'] == pytest.approx(fid(real, drawn), rel=1e-3)


def test_a_judge_must_be_able_to_judge(generator_config, generator, run, tmp_path):
  generator_config.gan.judge = str(generator)
  with pytest.raises(UserError, match='must be the run of a classifier'):
    experiment.train(generator_config, str(tmp_path / 'run'))
  copy = tmp_path / 'copy'
  shutil.copytree(run, copy)
  generator_config.gan.judge = str(copy)
  data = json.loads((copy / 'data.json').read_text())
  (copy / 'data.json').write_text(json.dumps({**data, 'class_names': ['wart', 'mole']}))
  with pytest.raises(UserError, match='tells the classes wart, mole apart'):
    experiment.train(generator_config, str(tmp_path / 'run'))
  (copy / 'data.json').write_text(json.dumps(data))
  split = experiment.run_data.open_data(generator_config, 'test')
  seen = {'groups': [str(split.group_ids[0])], 'images': []}
  (copy / 'seen.json').write_text(json.dumps(seen))
  with pytest.raises(UserError, match=r'gan.judge=.* was trained on \d+ of the \d+ images'):
    experiment.train(generator_config, str(tmp_path / 'run'))
  # It, or the run that it started from, trained on generated images.
  (copy / 'seen.json').write_text(json.dumps({'groups': [], 'images': ['generated-a-nv-0-1']}))
  with pytest.raises(UserError, match=r'has trained on generated images \(generated-a-nv-0-1\)'):
    experiment.train(generator_config, str(tmp_path / 'run'))
  (copy / 'seen.json').write_text(json.dumps({'groups': [], 'images': []}))
  config = json.loads((copy / 'config.json').read_text())
  config['data']['synthetic'] = 'data/generated'
  (copy / 'config.json').write_text(json.dumps(config))
  with pytest.raises(UserError, match=r'has trained on generated images \(data/generated\)'):
    experiment.train(generator_config, str(tmp_path / 'run'))
  assert not (tmp_path / 'run').exists()


def test_a_generator_is_measured_on_its_own_data(generator):
  with pytest.raises(UserError, match='is a generator, which is measured against its own data'):
    experiment.evaluate(str(generator), 'synthetic_dermoscopy')


def test_divergence_is_told_and_the_run_is_kept(generator_config, tmp_path):
  generator_config.optimiser.name = 'sgd'
  generator_config.gan.discriminator_learning_rate = 1e30
  advice = (
    r'lower config\.optimiser\.learning_rate \(of the gen.*\) or config\.gan\.discriminator_l'
  )
  with pytest.raises(UserError, match=rf'the loss is .* its gradient norm .*; {advice}'):
    experiment.train(generator_config, str(tmp_path / 'run'))
  assert (tmp_path / 'run' / 'config.json').exists()


def test_a_collapsed_discriminator_is_told(generator_config, monkeypatch, tmp_path):
  monkeypatch.setattr(adversarial, 'LOWEST_SPREAD', 1e9)
  with pytest.raises(UserError, match='discriminator has collapsed, for it says the same') as told:
    experiment.train(generator_config, str(tmp_path / 'run'))
  assert '\n' not in str(told.value)
  assert '(the checkpoint before is kept)' in str(told.value)
  # What was saved within the epoch is there to carry on from.
  assert list((tmp_path / 'run' / 'checkpoints').glob('3'))
  generator_config.checkpoint.every_steps = 0
  with pytest.raises(UserError, match=r'has collapsed, .* \(there is no checkpoint yet\); lower'):
    experiment.train(generator_config, str(tmp_path / 'none'))


def test_logits_of_validation_that_are_no_numbers_are_told(generator_config, monkeypatch, tmp_path):
  monkeypatch.setattr(generating, 'logit_metrics', lambda *_: {'loss': float('nan')})
  with pytest.raises(UserError, match='logits of the discriminator on validation are not finite;'):
    experiment.train(generator_config, str(tmp_path / 'run'))


def test_a_class_without_training_images_is_told(generator_config, monkeypatch):
  def without(config):
    split = run_data.open_training_data(config)
    return split.take(split.labels != 3)

  monkeypatch.setattr(pieces, 'open_training_data', without)
  name = run_data.open_data(generator_config, 'train').class_names[3]
  message = f"config.task='generate' needs training images .* none of {name}: .* such a class\\.$"
  with pytest.raises(UserError, match=message):
    pieces.Pieces.of(generator_config)


MISTAKES = {
  'model': (
    {'model.name': 'projektion'},
    "unknown generator 'projektion': did you mean projection",
  ),
  'size': ({'data.size_px': 24}, 'a power of two, 16 or more, not 24'),
  'metric': ({'select.metric': 'fid'}, "select.metric='fid' is measured by a judge: name the run"),
  'colours': ({'normalise.std': (1.0, 1.0, 1.0)}, r'generated colours lie in \[-1, 1\]'),
  'loss': ({'train.loss': 'bce'}, r"train.loss='bce' has no effect with config.task='generate'"),
  'gan loss': ({'gan.loss': 'wasserstein'}, "gan.loss='wasserstein' is not one of 'hinge', 'bce'"),
  'augment': ({'gan.augment': ('colour', 'blur')}, "'blur' is not one of 'colour', 'translation'"),
  'parts': ({'gan.discriminator_steps': 3}, 'must be a multiple of config.gan.discriminator_steps'),
  'rate': ({'gan.discriminator_learning_rate': 0.0}, 'must be above 0'),
  'plateau': ({'schedule.name': 'plateau'}, 'means nothing of a generator'),
  'phases': ({'phases': ({'trainable': 'head'},)}, 'config.phases and .* are for networks with a'),
  'height': ({'data.height_px': 32}, 'generated images are squares'),
}


@pytest.mark.parametrize('case', MISTAKES)
def test_mistakes_are_told_before_a_directory_is_made(case, generator_config, tmp_path):
  changes, sentence = MISTAKES[case]
  generator_config.update_from_flattened_dict(changes)
  with pytest.raises(UserError, match=sentence) as caught:
    experiment.train(generator_config, str(tmp_path / 'run'))
  assert '\n' not in str(caught.value)
  assert not (tmp_path / 'run').exists()


def test_recall_of_a_judge_by_hand():
  seen = Seen(np.zeros((4, 2)), np.array([0, 1, 1, 0]), np.array([0, 0, 1, 1]))
  assert seen.recall().tolist() == [0.5, 0.5]


def test_a_grid_shows_every_image_beside_its_class():
  images = np.arange(2 * 3, dtype=np.uint8).reshape(2, 3, 1, 1, 1)
  images = np.broadcast_to(images * 20, (2, 3, 32, 32, 3))
  grid = generating.draw_grid(images, ('nv', 'melanoma'))
  assert grid.shape[0] == 2 * 68 + 4
  tops, right = (4, 72), grid.shape[1]
  for row, top in enumerate(tops):
    for column in range(3):
      left = right - (3 - column) * 68
      assert (grid[top : top + 64, left : left + 64] == 20 * (3 * row + column)).all()


def test_samples_do_not_depend_on_how_many_are_drawn_at_once(generator):
  run = lesionjax.load(str(generator))
  labels = np.arange(7) % 2
  whole = Sampler(run.model, 7)(run.weights, labels, 1)
  parts = Sampler(run.model, 3)(run.weights, labels, 1)
  np.testing.assert_allclose(whole.astype(int), parts.astype(int), atol=1)
  # Half of the seeds are above what a signed number of 32 bits holds.
  assert (Sampler(run.model, 7)(run.weights, labels, 2**32 - 1) != whole).any()
