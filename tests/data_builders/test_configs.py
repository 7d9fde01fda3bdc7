"""Names of configurations: what they say is what is done, and anything else is refused."""

from __future__ import annotations

import pytest
import tensorflow_datasets as tfds

from data_builders import build, configs, labels
from data_builders.errors import UserError

from . import isic_fixture


def test_a_name_says_split_classes_and_preprocessing_in_this_order():
  config = configs.parse('random-binary-stretch256-hair-clahe')
  assert (config.by_image, config.preprocessing) == (True, 'stretch256-hair-clahe')
  names = labels.SCHEMES['isic9']
  assert config.class_names(names) == ('benign', 'malignant')
  assert [config.label(name, names) for name in ('ak', 'nv', 'unk')] == [1, 0, -1]


@pytest.mark.parametrize(
  ('name', 'sentence'),
  [
    ('', "begins with ''"),
    ('binary', 'it must begin with grouped or random'),
    ('grouped-hair-binary', "'binary' in the preprocessing"),
    ('grouped-stretch4', 'sizes from 8'),
    ('grouped-', 'empty part'),
  ],
)
def test_other_names_are_refused(name, sentence):
  with pytest.raises(UserError, match=sentence):
    configs.parse(name)


def test_an_own_mapping_makes_an_own_configuration(tmp_path):
  from data_builders.isic2019.isic2019_dataset_builder import Builder

  mapping = dict.fromkeys(labels.SCHEMES['isic9'], 'rest') | {'mel': 'melanoma'}
  config = configs.DermoscopyConfig(name='melanoma', class_map=mapping)
  manual_dir = isic_fixture.write_2019(tmp_path / 'manual')
  builder = Builder(data_dir=tmp_path / 'data', config=config)
  builder.download_and_prepare(
    file_format='array_record',
    download_config=tfds.download.DownloadConfig(manual_dir=manual_dir),
    download_dir=tmp_path / 'downloads',
  )
  assert builder.info.features['label'].names == ['melanoma', 'rest']
  found = sum(int(r['label']) == 0 for s in builder.info.splits for r in builder.as_data_source(s))
  assert found == 6


def test_a_configuration_that_is_not_listed_is_found_by_its_name(tmp_path):
  manual_dir = isic_fixture.write_2019(tmp_path / 'manual')
  name = 'isic2019/grouped-binary-crop16-grey'
  build.prepare(name, tmp_path / 'data', manual_dir, progress=False, num_workers=1)
  source = tfds.data_source(name, split='train', data_dir=tmp_path / 'data')
  assert source[0]['image'].shape == (16, 16, 3)
