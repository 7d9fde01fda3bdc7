"""What is recorded of an image is read with it, whichever of the pooled data sets holds it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from data_builders import build
from data_builders.errors import UserError
from lesionjax.data.datasets import open_split
from lesionjax.data.metadata import read_metadata
from tests.data_builders import ham_fixture, isic_fixture


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  root = tmp_path_factory.mktemp('metadata')
  isic = isic_fixture.write_2019(
    root / 'isic', isic_fixture.truth_2019(), isic_fixture.metadata_2019(), test=True
  )
  manual = {'ham10000': ham_fixture.write(root / 'ham'), 'isic2019': isic or root / 'isic'}
  for name, folder in manual.items():
    build.prepare(name, root / 'data', folder, progress=False)
  return str(root / 'data')


def known():
  """Image id -> sex, site, source and age, from the tables."""
  found = {}
  for row in ham_fixture.rows():
    sex, years = row['sex'].replace('unknown', ''), row['age']
    found[row['image_id']] = (sex, row['localization'], row['dataset'], years)
  for row in isic_fixture.metadata_2019():
    source = {'BCN': 'bcn20000', 'HAM': 'ham10000', '': ''}[row['lesion_id'][:3]]
    found[row['image']] = (row['sex'], row['anatom_site_general'], source, row['age_approx'])
  return found


@pytest.mark.parametrize('name', ['ham10000', 'ham10000,isic2019'])
def test_every_image_has_what_its_table_says(data_dir, name):
  expected = known()
  split = open_split(name, 'train', data_dir)
  split = split.take(np.random.default_rng(0).permutation(len(split)))
  found = read_metadata(split)
  assert set(found) == {'sex', 'site', 'source', 'age'}
  for row, image_id in enumerate(split.image_ids.tolist()):
    sex, site, source, years = expected[image_id]
    assert (found['sex'][row], found['site'][row], found['source'][row]) == (sex, site, source)
    age = float(found['age'][row])
    assert math.isnan(age) if years == '' else age == float(years)


def test_what_no_data_set_records_is_absent(tiny_data_dir, data_dir):
  assert read_metadata(open_split('synthetic_dermoscopy/tiny', 'test', str(tiny_data_dir))) == {}
  split = open_split('ham10000', 'test', data_dir)
  broken = dataclasses.replace(
    split.sources[0], records=_Broken([b'no record'] * len(split.sources[0].records))
  )
  with pytest.raises(UserError, match='Records of ham10000/grouped cannot be read'):
    read_metadata(dataclasses.replace(split, sources=(broken,)))


class _Broken(list):
  def __getitems__(self, rows):
    return [self[row] for row in rows]
