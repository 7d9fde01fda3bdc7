"""Generated images join the training split, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from data_builders import generated
from data_builders.cleaning import pipeline
from data_builders.errors import UserError
from data_builders.images import encode_png
from lesionjax.data import synthetic
from lesionjax.data.datasets import open_split

TINY = 'synthetic_dermoscopy/tiny'
HASH = 'ab' * 32


def write(folder, class_names, labels, metadata=None):
  """Writes one 16x16 image a label, whose red value is its number."""

  def shard():
    for seed, label in enumerate(labels):
      pixels = np.full((16, 16, 3), (seed, 0, 0), np.uint8)
      png = encode_png(pixels)
      record = generated.record(png, label, class_names[label], 0, seed, HASH)
      yield record['image_id'], record

  about = {'run': 'gan', 'preprocessing': ''} if metadata is None else metadata
  builder = generated.Builder(
    class_names=class_names, shards=[shard], metadata=about, data_dir=str(folder)
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


def test_a_share_that_leaves_none_of_a_class_is_told(train, tmp_path):
  few = write(tmp_path, ('mel', 'vasc'), [0] * 40 + [1] * 4)
  assert len(synthetic.mix(train, few, 0.25)) == len(train) + 11
  with pytest.raises(
    UserError, match=r"share=0\.1 leaves none of the 4 .*'vasc': use at least 0\.25"
  ):
    synthetic.mix(train, few, 0.1)


@pytest.mark.parametrize(
  ('metadata', 'theirs'),
  [
    ({'preprocessing': 'stretch256-hair', 'size_px': 64}, "preprocessed as 'stretch256-hair', and"),
    ({'preprocessing': ''}, 'preprocessed not at all, and'),
    # As sets were written before they told their preprocessing.
    ({'trained_on': 'ham10000/grouped-stretch64 2.0.0 ab12'}, "preprocessed as 'stretch64', and"),
    ({'trained_on': 'a+b/random-grey+random-grey 1 ab'}, "preprocessed as 'grey', and"),
    ({'run': 'gan'}, 'preprocessed in a way that was not written down, and'),
  ],
)
def test_images_of_another_look_are_refused(tmp_path, metadata, theirs):
  folder = write(tmp_path, ('mel',), [0], metadata)
  with pytest.raises(UserError, match=f"{theirs} those of this run are as 'stretch256'") as caught:
    synthetic.check_alike(folder, pipeline.parse('stretch256'), 64)
  assert str(caught.value).count('. ') == 0


def test_images_of_the_same_look_are_taken_and_enlarging_them_is_told(tmp_path, capsys):
  same = pipeline.parse('stretch256-hair')
  folder = write(tmp_path, ('mel',), [0], {'preprocessing': same.name, 'size_px': 64})
  capsys.readouterr()  # TFDS tells what it writes
  synthetic.check_alike(folder, same, 64)
  assert capsys.readouterr().out == ''
  synthetic.check_alike(folder, same, 96)
  assert 'have 64 px and are enlarged to 96' in capsys.readouterr().out


def test_what_is_remembered(folder):
  told = synthetic.describe(folder)
  counts = {'vasc': 6, 'mel': 6}
  assert told == {'images': 12, 'support': counts, 'run': 'gan', 'preprocessing': ''}


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
