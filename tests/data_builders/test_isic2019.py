"""ISIC 2019 as it is read back, with and without its official test set, and its bad input."""

from __future__ import annotations

import os

import numpy as np
import pytest

from data_builders import build, configs, tables
from data_builders.errors import UserError
from data_builders.isic2019 import isic2019_dataset_builder as isic2019

from . import isic_fixture, reading, refusal


@pytest.fixture(scope='module')
def manual_dir(tmp_path_factory):
  """Returns a complete tiny manual directory."""
  return isic_fixture.write_2019(tmp_path_factory.mktemp('isic') / 'manual', test=True)


@pytest.fixture(scope='module')
def builder(manual_dir, tmp_path_factory):
  """Returns the default configuration, prepared."""
  return build.prepare('isic2019', tmp_path_factory.mktemp('data'), manual_dir, progress=False)


def test_records_are_those_of_the_tables(builder):
  records = reading.records(builder)
  truth = isic_fixture.truth_2019()
  members = isic_fixture.jpegs([row['image'] for row in truth])
  for row, meta in zip(truth, isic_fixture.metadata_2019(), strict=True):
    record = records[row['image']]
    name = next(name for name in isic_fixture.CLASSES if row[name] == '1.0')
    assert isic2019.CLASS_NAMES[record['label']] == name.lower()
    assert record['image'] == members[row['image']]
    np.testing.assert_equal(float(record['age']), float(meta['age_approx'] or 'nan'))
    expected = {
      'sex': meta['sex'],
      'site': meta['anatom_site_general'],
      'lesion_id': meta['lesion_id'],
      'source': 'bcn20000' if meta['lesion_id'] else '',
      'group_id': meta['lesion_id'] or row['image'],
      'confirmation': '',
    }
    assert {key: record[key].decode() for key in expected} == expected


def test_groups_are_in_one_split_and_one_fold(builder):
  records = reading.records(builder).values()
  training = [record for record in records if record['split'] != 'official_test']
  places = {(record['group_id'], record['split'], int(record['fold'])) for record in training}
  assert len(places) == len({group for group, _, _ in places}) == 15 + 10
  assert all((fold < 7) == (split == 'train') for _, split, fold in places)


def test_the_official_test_set_has_the_unknown_class_and_no_fold(builder):
  records = reading.records(builder)
  official = {name: r for name, r in records.items() if r['split'] == 'official_test'}
  assert len(official) == 18
  assert {int(record['fold']) for record in official.values()} == {-1}
  assert all(record['group_id'].decode() == name for name, record in official.items())
  names = [isic2019.CLASS_NAMES[record['label']] for record in official.values()]
  assert names.count('unk') == 2
  assert 'unk' not in {
    isic2019.CLASS_NAMES[r['label']] for r in records.values() if r['split'] != 'official_test'
  }


def test_binary_labels_follow_the_mapping_and_leave_the_unknown_without(manual_dir, tmp_path):
  builder = build.prepare('isic2019/grouped-binary', tmp_path, manual_dir, progress=False)
  assert builder.info.features['label'].names == ['benign', 'malignant']
  records = reading.records(builder)
  rows = isic_fixture.truth_2019() + isic_fixture.truth_2019(18, first=1000, unknown=True)
  for row in rows:
    name = next(name for name in isic_fixture.CLASSES if row[name] == '1.0')
    expected = {'UNK': -1}.get(name, int(name in ('MEL', 'BCC', 'AK', 'SCC')))
    assert int(records[row['image']]['label']) == expected


def test_without_the_test_archive_there_is_no_official_test(tmp_path):
  # Its tables alone are no reason to ask for the archive.
  manual_dir = isic_fixture.write_2019(tmp_path / 'manual', test=True)
  (manual_dir / 'ISIC_2019_Test_Input.zip').unlink()
  builder = build.prepare('isic2019', tmp_path / 'data', manual_dir, progress=False)
  assert sorted(builder.info.splits) == ['test', 'train', 'validation']


def test_with_the_test_archive_its_tables_are_needed(tmp_path):
  manual_dir = isic_fixture.write_2019(tmp_path / 'manual', test=True)
  (manual_dir / 'ISIC_2019_Test_GroundTruth.csv').unlink()
  with pytest.raises(UserError, match=r'ISIC_2019_Test_GroundTruth\.csv is missing'):
    build.prepare('isic2019', tmp_path / 'data', manual_dir, progress=False)


def test_missing_images_are_counted_and_named_or_left_out(tmp_path, capsys):
  ids = [row['image'] for row in isic_fixture.truth_2019()]
  absent = ids[::3]
  images = {name: data for name, data in isic_fixture.jpegs(ids).items() if name not in absent}
  manual_dir = isic_fixture.write_2019(tmp_path / 'manual', images=images)
  arguments = ['isic2019', f'--manual_dir={manual_dir}', f'--data_dir={tmp_path / "data"}']

  assert build.main(['build', *arguments]) == 1
  error = capsys.readouterr().err
  assert f'14 of the 40 rows of {manual_dir}' in error
  assert ', '.join(absent[:5]) in error
  assert absent[5] not in error
  assert '--allow_missing' in error
  assert os.listdir(tmp_path) == ['manual']

  assert build.main(['build', *arguments, '--allow_missing']) == 0
  assert '14 records of the tables lacked an image or mask' in capsys.readouterr().out
  builder = build.make_builder('isic2019', tmp_path / 'data')
  assert list(builder.info.metadata['missing']) == absent
  records = reading.records(builder)
  assert records.keys() == images.keys()


def test_missing_images_do_not_move_the_others(tmp_path, builder):
  ids = [row['image'] for row in isic_fixture.truth_2019()]
  some = dict(list(isic_fixture.jpegs(ids).items())[5:30])
  manual_dir = isic_fixture.write_2019(tmp_path / 'manual', images=some)
  part = build.prepare('isic2019', tmp_path / 'd', manual_dir, progress=False, allow_missing=True)
  whole = reading.records(builder)
  for name, record in reading.records(part).items():
    assert (record['split'], record['fold']) == (whole[name]['split'], whole[name]['fold'])


def test_no_image_at_all_is_refused_even_so(tmp_path):
  manual_dir = isic_fixture.write_2019(tmp_path / 'manual', images={})
  with pytest.raises(UserError, match='40 of the 40 rows'):
    build.prepare('isic2019', tmp_path / 'd', manual_dir, progress=False, allow_missing=True)


def test_what_was_built_without_some_images_is_not_taken_for_the_whole(tmp_path):
  ids = [row['image'] for row in isic_fixture.truth_2019()]
  images = isic_fixture.jpegs(ids)
  manual_dir = isic_fixture.write_2019(tmp_path / 'm', images=dict(list(images.items())[1:]))
  build.prepare('isic2019', tmp_path / 'd', manual_dir, progress=False, allow_missing=True)

  isic_fixture.write_2019(manual_dir)
  for options in ({}, {'manual_dir': manual_dir}):
    with pytest.raises(UserError, match='without 1 images that its archives lacked; --overwrite'):
      build.prepare('isic2019', tmp_path / 'd', progress=False, **options)
  with pytest.raises(UserError, match=r'from another ISIC_2019_Training_Input\.zip than'):
    build.prepare('isic2019', tmp_path / 'd', manual_dir, progress=False, allow_missing=True)
  # As it is, where the archives are not at hand.
  build.prepare('isic2019', tmp_path / 'd', progress=False, allow_missing=True)
  whole = build.prepare('isic2019', tmp_path / 'd', manual_dir, progress=False, overwrite=True)
  assert whole.info.splits.total_num_examples == 40


def test_a_part_that_came_later_is_noticed(tmp_path):
  manual_dir = isic_fixture.write_2019(tmp_path / 'm')
  build.prepare('isic2019', tmp_path / 'd', manual_dir, progress=False)
  build.prepare('isic2019', tmp_path / 'd', manual_dir, progress=False)
  isic_fixture.write_2019(manual_dir, test=True)
  with pytest.raises(UserError, match=r'without .*ISIC_2019_Test_Input\.zip, which is there now'):
    build.prepare('isic2019', tmp_path / 'd', manual_dir, progress=False)


def test_an_image_in_training_and_test_is_refused(tmp_path):
  manual_dir = isic_fixture.write_2019(tmp_path / 'm', test=True)
  rows = isic_fixture.truth_2019(18, first=1000, unknown=True)
  rows[2]['image'] = isic_fixture.image_id(0)
  meta = isic_fixture.metadata_2019(18, first=1000)
  meta[2]['image'] = isic_fixture.image_id(0)
  isic_fixture.write(
    manual_dir,
    {
      'ISIC_2019_Test_GroundTruth.csv': isic_fixture.table(rows),
      'ISIC_2019_Test_Metadata.csv': isic_fixture.table(meta),
    },
  )
  with pytest.raises(UserError, match=r'ISIC_8000000 is in .*Training_GroundTruth.*and in .*Test'):
    build.prepare('isic2019', tmp_path / 'd', manual_dir, progress=False)


def test_prepared_data_that_are_damaged_are_told(tmp_path, capsys):
  manual_dir = isic_fixture.write_2019(tmp_path / 'm')
  arguments = ['isic2019', f'--manual_dir={manual_dir}', f'--data_dir={tmp_path / "d"}']
  assert build.main(['build', *arguments]) == 0
  assert 'Took' in capsys.readouterr().out
  assert build.main(['build', *arguments]) == 0
  assert 'there already; nothing was built' in capsys.readouterr().out

  folder = tmp_path / 'd' / 'isic2019' / 'grouped' / '1.0.0'
  shard = next(folder.glob('*-train.array_record*'))
  shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
  assert build.main(['build', *arguments]) == 1
  assert 'is damaged' in capsys.readouterr().err
  (folder / 'dataset_info.json').unlink()
  assert build.main(['build', *arguments]) == 0
  assert 'Took' in capsys.readouterr().out


def test_preprocessed_when_built(manual_dir, tmp_path, builder):
  name = 'isic2019/grouped-stretch24-hair17-clahe'
  cleaned = build.prepare(name, tmp_path, manual_dir, progress=False, num_workers=1)
  records = reading.records(cleaned, decode=('image',))
  assert {record['image'].shape for record in records.values()} == {(24, 24, 3)}
  untouched = reading.records(builder)
  assert all(records[key]['fold'] == untouched[key]['fold'] for key in untouched)


def test_processes_write_the_records_that_one_writes(manual_dir, tmp_path):
  name = 'isic2019/grouped-hair17-stretch24'
  one, two = (
    build.prepare(name, tmp_path / str(count), manual_dir, progress=False, num_workers=count)
    for count in (1, 2)
  )
  for split in ('train', 'test', 'official_test'):
    assert reading.raw_records(one, split) == reading.raw_records(two, split)


def edited(rows: list[isic_fixture.Row], index: int, **values: str) -> list[isic_fixture.Row]:
  return [row | (values if number == index else {}) for number, row in enumerate(rows)]


TRUTH, METADATA = isic_fixture.truth_2019(), isic_fixture.metadata_2019()
BAD = {
  'two classes': ({'truth': edited(TRUTH, 3, AK='1.0')}, r'line 5 sets NV and AK'),
  'no class': ({'truth': edited(TRUTH, 3, NV='0.0')}, r'line 5 sets no class'),
  'not one-hot': ({'truth': edited(TRUTH, 3, NV='0.5')}, r"line 5 has '0.5' in column NV"),
  'unknown in training': (
    {'truth': edited(TRUTH, 3, NV='0.0', UNK='1.0')},
    "line 5 has the class 'unk'",
  ),
  'two ids': (
    {
      'truth': edited(TRUTH, 1, image='ISIC_8000000_downsampled'),
      'metadata': edited(METADATA, 1, image='ISIC_8000000_downsampled'),
    },
    'ISIC_8000000 and ISIC_8000000_downsampled are one image under two ids',
  ),
  'odd number': ({'truth': edited(TRUTH, 3, NV='1e0')}, r"line 5 has '1e0' in column NV"),
  'odd age': ({'metadata': edited(METADATA, 0, age_approx='4_5')}, "line 2 has '4_5' in column"),
  'no metadata': ({'metadata': METADATA[1:]}, r'Metadata\.csv has no row of ISIC_8000000'),
  'no truth': ({'truth': TRUTH[1:]}, r'GroundTruth\.csv has no row of ISIC_8000000'),
  'age': ({'metadata': edited(METADATA, 0, age_approx='old')}, "line 2 has 'old' in column age"),
  'sex': ({'metadata': edited(METADATA, 0, sex='x')}, "line 2 has 'x' in column sex"),
  'duplicate': ({'truth': edited(TRUTH, 1, image='ISIC_8000000')}, 'line 3 repeats image'),
  'tabs': (
    {'ISIC_2019_Training_GroundTruth__csv': isic_fixture.table(TRUTH).replace(b',', b'\t')},
    'separated by tabs',
  ),
  'column': (
    {'ISIC_2019_Training_Metadata__csv': b'image,sex\nISIC_8000000,male\n'},
    'lacks the columns age_approx, anatom_site_general, lesion_id',
  ),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_input_is_named_and_leaves_nothing(case, tmp_path):
  change, sentence = BAD[case]
  manual_dir = isic_fixture.write_2019(tmp_path / 'manual', **change)
  refusal.refused('isic2019', manual_dir, sentence)


def test_a_table_with_a_byte_order_mark_and_without_unknown_is_read(tmp_path):
  rows = isic_fixture.table(TRUTH, ['image', *isic_fixture.CLASSES[:-1]])
  manual_dir = isic_fixture.write_2019(
    tmp_path / 'manual', ISIC_2019_Training_GroundTruth__csv=b'\xef\xbb\xbf' + rows
  )
  builder = build.prepare('isic2019', tmp_path / 'data', manual_dir, progress=False)
  assert builder.info.splits.total_num_examples == 40


@pytest.mark.realdata
def test_counts_of_the_real_tables(shared_data):
  folder = shared_data / 'isic2019'
  truth = tables.read_table(folder / 'ISIC_2019_Training_GroundTruth.csv', (), 'image')
  metadata = tables.read_table(folder / 'ISIC_2019_Training_Metadata.csv', (), 'image')
  records, splits = isic2019.read_records(truth, metadata, configs.parse('grouped'))

  labels = [isic2019.CLASS_NAMES[record['label']] for record in records.values()]
  assert {name: labels.count(name) for name in isic2019.CLASS_NAMES} == {
    'ak': 867, 'bcc': 3323, 'bkl': 2624, 'df': 239, 'mel': 4522, 'nv': 12875, 'scc': 628,
    'vasc': 253, 'unk': 0,
  }  # fmt: skip
  assert sum(map(len, splits.values())) == 25_331
  assert sum(not record['lesion_id'] for record in records.values()) == 2084
  assert len({record['lesion_id'] for record in records.values()} - {''}) == 11_847
  sources = [record['source'] for record in records.values()]
  assert {name: sources.count(name) for name in set(sources)} == {
    'bcn20000': 12_413, 'ham10000': 10_015, 'msk': 819, '': 2084,
  }  # fmt: skip
  assert sum(np.isnan(record['age']) for record in records.values()) == 437
  assert sum(record['sex'] == '' for record in records.values()) == 384
  assert sum(record['site'] == '' for record in records.values()) == 2631


@pytest.mark.realdata
def test_the_real_tables_without_most_images_name_five(shared_data, tmp_path):
  folder = tmp_path / 'manual'
  folder.mkdir()
  for path in (shared_data / 'isic2019').glob('*.csv'):
    (folder / path.name).symlink_to(path)
  name = 'ISIC_2019_Training_Input'
  isic_fixture.archive(folder / f'{name}.zip', name, {'ISIC_0000000': isic_fixture.jpeg(0)}, '.jpg')
  with pytest.raises(UserError, match=r'25330 of the 25331 rows of .* have no image'):
    build.prepare('isic2019', tmp_path / 'data', folder, progress=False)
  builder = build.prepare('isic2019', tmp_path / 'data', folder, progress=False, allow_missing=True)
  assert builder.info.splits.total_num_examples == 1
  assert len(builder.info.metadata['missing']) == 25_330
