"""What a run keeps of its strategy: rows and images that were added, told by hand."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from lesionjax import experiment
from lesionjax.data import memory, synthetic
from lesionjax.data.resample import resample_pixels
from lesionjax.evaluation import projection
from lesionjax.report import figures
from lesionjax.runs import additions, inference, phase_inputs, pieces
from lesionjax.runs.phase_inputs import Inputs
from lesionjax.runs.run_data import open_training_data
from lesionjax.training.mesh import make_mesh
from lesionjax.training.progress import Progress
from tests import unequal
from tests.data.test_synthetic import write as write_generated
from tests.programs import train_here
from tests.unequal import imbalanced

HEAD = {**unequal.HEAD, 'reinit_head': False}


@pytest.fixture
def config(tiny_config, monkeypatch):
  """One epoch on batches of 16; all that reads training data sees the imbalanced part.

  Figures are not drawn.
  """
  blank = figures.Encoded(b'<svg xmlns="http://www.w3.org/2000/svg"/>', b'')
  monkeypatch.setattr(figures, 'encode', lambda plot: blank)
  tiny_config.train.epochs = 1
  tiny_config.train.batch_size = 16
  tiny_config.evaluate.resamples = 10
  monkeypatch.setattr(pieces, 'open_training_data', imbalanced)
  monkeypatch.setattr(additions.run_data, 'open_training_data', imbalanced)
  return tiny_config


def read(path):
  with np.load(path) as arrays:
    return dict(arrays)


def test_a_map_of_the_rows_that_the_last_phase_trained_on(config, tmp_path, monkeypatch):
  config.phases = (HEAD,)
  monkeypatch.setattr(projection, 'MOST', 80)
  given = []
  project = projection.project
  monkeypatch.setattr(projection, 'project', lambda *a: given.append(a) or project(*a))
  fed = []
  features_of = Inputs._feature_batches

  def watched(self, phase, state):
    fed.append((self._features(phase, state, self._pieces.train, self._pixels), phase))
    return features_of(self, phase, state)

  monkeypatch.setattr(Inputs, '_feature_batches', watched)
  asked = []
  restore = inference.restore_best
  monkeypatch.setattr(
    inference, 'restore_best', lambda *a, **k: asked.append(k.get('newest')) or restore(*a, **k)
  )
  run = tmp_path / 'run'
  experiment.train(config, str(run))
  assert True not in asked  # the map is of the weights that are evaluated
  found = read(run / 'resampled.npz')
  labels = imbalanced(config).labels
  counts = np.bincount(labels)
  np.testing.assert_array_equal(found['real_count'], counts)
  np.testing.assert_array_equal(found['added_count'], counts.max() - counts)
  assert (str(found['method']), str(found['space']), int(found['neighbours'])) == (
    'smote', 'features', 3,
  )  # fmt: skip
  # The real rows of the map are features that the phase was fed with.
  (rows, seed), (features, _) = given[0], fed[0]
  assert seed == config.seed
  real = rows[~found['added']]
  assert all((features == row).all(1).any() for row in real)
  assert not any((features == row).all(1).any() for row in rows[found['added']][:5])
  assert found['coordinates'].shape == (len(rows), 2)
  # Classes in equal parts: six images of most are all there, and rows that were added.
  quota = projection.MOST // len(counts)
  for label, count in enumerate(counts):
    mine = found['label'] == label
    assert mine.sum() == quota
    assert (mine & ~found['added']).sum() == (quota if count == counts.max() else min(count, 5))
  before = (run / 'resampled.npz').read_bytes()
  (run / 'resampled.npz').unlink()
  additions.write(run, additions.collect(config, run, make_mesh(1)))
  assert (run / 'resampled.npz').read_bytes() == before
  assert 'Features before and after SMOTE' in (run / 'report.html').read_text()


@pytest.mark.parametrize(('phase', 'newest'), [('any', True), ('last', False)])
def test_the_map_is_of_the_phase_that_resampled(config, tmp_path, monkeypatch, phase, newest):
  config.phases = ({'name': 'whole', 'epochs': 1}, {**HEAD, 'epochs': 2})
  config.select.phase = phase
  scores = iter([0.9, 0.3, 0.2])
  monkeypatch.setattr(
    phase_inputs.scoring,
    'validation_metrics',
    lambda *_: {'loss': 1.0, 'balanced_accuracy': next(scores)},
  )
  progress = train_here(config, tmp_path / 'run', monkeypatch)
  steps = progress.phase_step
  assert progress.best_step == (2 * steps if phase == 'last' else steps)
  with additions.Checkpoints(tmp_path / 'run') as checkpoints:
    assert checkpoints.best_step == progress.best_step
  asked = []
  monkeypatch.setattr(additions, '_map', lambda *a: asked.append(a[-1]) or {})
  additions.collect(config, tmp_path / 'run', make_mesh(1))
  assert asked == [newest]


def test_ghosts_lie_between_their_parents(config, tmp_path, monkeypatch):
  config.data.input = 'ram'
  config.data.resample, config.data.resample_space = 'adasyn', 'pixels'
  config.data.resample_neighbours = 3
  run = tmp_path / 'run'
  experiment.train(config, str(run))
  found = read(run / 'resampled.npz')
  split = imbalanced(config)
  pixels = memory.decode_all(split, 16)
  fed, labels = resample_pixels(pixels, split.labels, split.class_names, 'adasyn', 3, config.seed)
  added = np.bincount(labels[len(split) :], minlength=len(split.class_names))
  np.testing.assert_array_equal(found['added_count'], added)
  np.testing.assert_array_equal(np.bincount(found['label'], minlength=8), np.minimum(added, 6))
  made = {image.tobytes() for image in fed[len(split) :]}
  ids = split.image_ids.tolist()
  for image, first, second, share, label, names in zip(
    *(found[key] for key in ('image', 'first', 'second', 'share', 'label', 'parent_id')),
    strict=True,
  ):
    assert image.tobytes() in made
    rows = [ids.index(name) for name in names.tolist()]
    np.testing.assert_array_equal(first, pixels[rows[0]])
    np.testing.assert_array_equal(second, pixels[rows[1]])
    assert (split.labels[rows] == label).all()
    mixture = first + share * (second.astype(float) - first)
    assert np.abs(mixture - image).max() <= 0.51
  page = (run / 'report.html').read_text()
  assert 'ADASYN on pixels' in page
  assert page.count('the image added') == len(found['label'])


def test_generated_images_beside_real_ones(config, tmp_path, monkeypatch):
  names = open_training_data(config).class_names
  folder = write_generated(tmp_path / 'generated', names[:2], [0] * 8 + [1] * 2)
  config.data.synthetic = folder
  found = additions.collect(config, tmp_path, make_mesh(1))
  (arrays,) = found.values()
  flags, labels = arrays['generated'], arrays['label']
  assert list(found) == ['synthetic_examples.npz']
  assert np.bincount(labels[flags], minlength=8).tolist() == [6, 2, 0, 0, 0, 0, 0, 0]
  assert np.bincount(labels[~flags], minlength=8).tolist() == [6] * 8
  assert arrays['added_count'].tolist() == [8, 2, 0, 0, 0, 0, 0, 0]
  mixed = imbalanced(config)
  real = mixed.labels[~synthetic.is_generated(mixed)]
  np.testing.assert_array_equal(arrays['real_count'], np.bincount(real))
  seeds = [int(name.rsplit('-', 1)[1]) for name in arrays['image_id'][flags]]
  assert (arrays['image'][flags][:, 0, 0] == [[seed, 0, 0] for seed in seeds]).all()
  ids = mixed.image_ids.tolist()
  for name, image in zip(arrays['image_id'][~flags], arrays['image'][~flags], strict=True):
    np.testing.assert_array_equal(image, mixed.decode(ids.index(name), 16))
  # Only training needs the images: a later evaluation goes without, and keeps the file.
  synthetic.open_generated.cache_clear()
  shutil.rmtree(folder)
  assert additions.collect(config, tmp_path, make_mesh(1)) == {}


def test_nothing_is_kept_where_nothing_was_added(config, tmp_path, monkeypatch):
  monkeypatch.setattr(additions.run_data, 'open_training_data', None)  # would be noticed
  assert additions.collect(config, tmp_path, make_mesh(1)) == {}
  # Neither of a phase that has not begun: the run was stopped in the one before.
  monkeypatch.setattr(additions.Checkpoints, 'last_step', 3)
  monkeypatch.setattr(additions.Checkpoints, 'progress', lambda self, step: Progress(phase=0))
  config.phases = ({'name': 'whole', 'epochs': 1}, HEAD)
  assert additions.collect(config, tmp_path, make_mesh(1)) == {}
