"""Records written for `tfds.load`; runs where TensorFlow (extra `tf`) is installed."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import tensorflow_datasets as tfds

from data_builders import build

from . import isic_fixture, reading

pytestmark = [
  pytest.mark.skipif(
    importlib.util.find_spec('tensorflow') is None, reason='the extra tf is not installed'
  ),
  pytest.mark.filterwarnings('default'),  # TensorFlow's own
]


def test_tfds_load_reads_what_data_source_reads(tmp_path):
  manual_dir = isic_fixture.write_2019(tmp_path / 'manual')
  array = build.prepare('isic2019', tmp_path / 'array', manual_dir, progress=False)
  build.prepare('isic2019', tmp_path / 'tf', manual_dir, file_format='tfrecord', progress=False)

  expected = reading.records(array, decode=('image',))
  found = 0
  for split in array.info.splits:
    for record in tfds.load('isic2019', split=split, data_dir=tmp_path / 'tf').as_numpy_iterator():
      other = expected[record['image_id'].decode()]
      assert other['split'] == split
      for key, value in record.items():
        if key == 'image':  # TensorFlow's JPEG decoder rounds in its own way.
          assert np.abs(value.astype(int) - other[key]).mean() < 3
        else:
          np.testing.assert_equal(value, other[key])
      found += 1
  assert found == len(expected) == 40
