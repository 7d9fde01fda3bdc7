"""Generated images join the training split, and nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from data_builders import generated
from data_builders.errors import UserError
from lesionjax.data import synthetic
from lesionjax.data.datasets import open_split

TINY = 'synthetic_dermoscopy/tiny'
HASH = 'ab' * 32


def write(folder, class_names, labels):
  """Writes one 16x16 image a label, whose red value is its number."""

  def shard():
    for seed, label in enumerate(labels):
      pixels = np.full((16, 16, 3), (0, 0, seed), np.uint8)  # blue, green, red
      png = cv2.imencode('.png', pixels)[1].tobytes()
      record = generated.record(png, label, class_names[label], 0, seed, HASH)
      yield record['image_id'], record

  builder = generated.Builder(
    class_names=class_names, shards=[shard], metadata={'run': 'gan'}, data_dir=str(folder)
  )
  builder.download_and_prepare(file_format='array_record')
  return str(folder)


@pytest.fixture(scope='module')
def train(tiny_data_dir):
  return open_split(TINY, 'train', str(tiny_data_dir))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  return write(tmp_path_factory.mktemp('generated'), ('vasc', 'mel'), [0, 1] * 6)


def test_generated_images_follow_the_real_ones(train, folder):
  mixed = synthetic.mix(train, folder)
  count = len(train)
  assert len(mixed) == count + 12
  np.testing.assert_array_equal(mixed.labels[:count], train.labels)
  np.testing.assert_array_equal(synthetic.is_generated(mixed), np.arange(len(mixed)) >= count)
  assert (mixed.folds[count:] == -1).all()
  for row in range(count, len(mixed)):
    seed = int(mixed.image_ids[row].rsplit('-', 1)[1])
    name = ('vasc', 'mel')[seed % 2]
    assert mixed.class_names[mixed.labels[row]] == name
    assert name in mixed.image_ids[row]
    assert (mixed.decode(row, 8) == [seed, 0, 0]).all()
  np.testing.assert_array_equal(mixed.decode(3, 8), train.decode(3, 8))


def test_a_share_is_taken_of_every_class(train, folder):
  half, whole = (synthetic.mix(train, folder, share) for share in (0.5, 1.0))
  added = half.labels[len(train) :]
  assert np.bincount(added)[np.bincount(added) > 0].tolist() == [3, 3]
  assert set(half.image_ids) < set(whole.image_ids)


def test_what_is_remembered(folder):
  told = synthetic.describe(folder)
  assert told == {'images': 12, 'support': {'vasc': 6, 'mel': 6}, 'run': 'gan'}


def test_generated_images_are_no_test_set(train, folder):
  synthetic.refuse(train, 'Evaluation')
  with pytest.raises(
    UserError, match=r'Evaluation: 12 of the \d+ images .* are generated, such as'
  ):
    synthetic.refuse(synthetic.mix(train, folder), 'Evaluation')


def test_mistakes_are_told(train, tmp_path):
  with pytest.raises(UserError, match=r'holds no generated_lesions: give the --out of --mode=gen'):
    synthetic.mix(train, str(tmp_path))
  foreign = write(tmp_path / 'foreign', ('wart', 'mel'), [0, 1])
  with pytest.raises(UserError, match="holds images of the class 'wart', which is not one of the"):
    synthetic.mix(train, foreign)
