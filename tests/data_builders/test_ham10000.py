"""HAM10000 as it is read back, and every way in which its files can be wrong."""

from __future__ import annotations

import os
import pathlib
import re
import resource
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from data_builders import build, configs, tables
from data_builders.errors import UserError
from data_builders.ham10000 import ham10000_dataset_builder as ham10000

from . import ham_fixture, reading

SPLITS = ('train', 'validation', 'test')


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  """Returns a data directory with both configs of the tiny HAM10000."""
  root = tmp_path_factory.mktemp('ham')
  manual_dir = ham_fixture.write(root / 'manual')
  for config in ('grouped', 'random'):
    build.prepare(f'ham10000/{config}', root / 'data', manual_dir, progress=False)
  return root / 'data'


@pytest.fixture(scope='module')
def grouped(data_dir):
  """Returns the encoded records of the grouped config."""
  return reading.records(build.make_builder('ham10000', data_dir))


def test_image_bytes_are_untouched(grouped):
  assert {name: record['image'] for name, record in grouped.items()} == ham_fixture.jpegs()


def test_masks_decode_to_0_and_255_whatever_their_palette(grouped):
  for index, row in enumerate(ham_fixture.rows()):
    png = np.frombuffer(grouped[row['image_id']]['mask'], np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(png, cv2.IMREAD_UNCHANGED), ham_fixture.disc(index))


def test_features_are_those_of_the_table(grouped):
  for row in ham_fixture.rows():
    record = grouped[row['image_id']]
    assert ham10000.CLASS_NAMES[record['label']] == row['dx']
    np.testing.assert_equal(float(record['age']), float(row['age'] or 'nan'))
    expected = {
      'lesion_id': row['lesion_id'],
      'sex': '' if row['sex'] == 'unknown' else row['sex'],
      'site': row['localization'],
      'confirmation': row['dx_type'],
      'source': row['dataset'],
      'patient_id': '',
    }
    assert {name: record[name].decode() for name in expected} == expected


def test_decoded_as_documented(data_dir):
  builder = build.make_builder('ham10000', data_dir)
  record = builder.as_data_source('train')[0]

  assert record['image'].shape == (ham_fixture.HEIGHT_PX, ham_fixture.WIDTH_PX, 3)
  assert record['mask'].shape == (ham_fixture.HEIGHT_PX, ham_fixture.WIDTH_PX, 1)
  assert record['image'].dtype == record['mask'].dtype == np.uint8
  assert builder.info.features['fold'].np_dtype == np.int32
  assert builder.info.features['age'].np_dtype == np.float32


def test_a_group_is_a_lesion_or_lesions_joined_by_near_duplicates(grouped):
  one, other = (grouped[name] for name in ham_fixture.NEAR_DUPLICATES)
  assert one['lesion_id'] != other['lesion_id']
  # The name that the shipped table gives them.
  assert one['group_id'] == other['group_id'] == b'HAM_0002903'
  joined = {one['lesion_id'], other['lesion_id']}
  for record in grouped.values():
    if record['lesion_id'] not in joined:
      assert record['group_id'] == record['lesion_id']


def test_a_group_is_in_one_split_and_one_fold(grouped):
  places = {
    (record['group_id'], record['split'], int(record['fold'])) for record in grouped.values()
  }
  assert len(places) == len({group for group, _, _ in places})
  for _, split, fold in places:
    assert (fold < 7) == (split == 'train')


def test_every_class_is_in_train_and_the_shares_are_right(grouped):
  splits = [record['split'] for record in grouped.values()]
  assert {split: splits.count(split) for split in SPLITS} == pytest.approx(
    {'train': 42, 'validation': 9, 'test': 9}, abs=4
  )
  in_train = {int(r['label']) for r in grouped.values() if r['split'] == 'train'}
  assert in_train == set(range(7))


def test_random_splits_images_and_keeps_the_groups(data_dir, grouped):
  records = reading.records(build.make_builder('ham10000/random', data_dir))
  assert records.keys() == grouped.keys()
  places = {(record['group_id'], int(record['fold'])) for record in records.values()}
  assert len(places) > len({group for group, _ in places})
  for name, record in records.items():
    assert record['group_id'] == grouped[name]['group_id']
    assert record['image'] == grouped[name]['image']


def test_building_again_gives_the_same_bytes_in_the_same_order(data_dir, tmp_path):
  # In another process: within one, TFDS would order a record's features alike.
  code = 'import sys; from data_builders import build; build.prepare(*sys.argv[1:], progress=False)'
  arguments = ['ham10000', str(tmp_path), str(data_dir.parent / 'manual')]
  subprocess.run([sys.executable, '-c', code, *arguments], check=True)

  again = reading.raw_records(build.make_builder('ham10000', tmp_path))
  assert again == reading.raw_records(build.make_builder('ham10000', data_dir))


def test_the_row_order_and_small_shards_do_not_change_a_split(
  data_dir, tmp_path, grouped, monkeypatch
):
  monkeypatch.setattr('data_builders.sharded.MAX_SHARD_BYTES', 5000)
  shuffled = ham_fixture.table(ham_fixture.rows()[::-1])
  manual_dir = ham_fixture.write(tmp_path / 'manual', metadata=shuffled)
  builder = build.prepare('ham10000', tmp_path / 'data', manual_dir, progress=False)

  assert builder.info.splits['train'].num_shards > 3
  records = reading.records(builder)
  assert list(records) == list(grouped)
  assert all(records[name]['fold'] == grouped[name]['fold'] for name in grouped)


def test_a_table_without_sources_and_other_names_are_accepted(tmp_path):
  without = ham_fixture.table(columns=ham_fixture.COLUMNS[:-1])
  manual_dir = ham_fixture.write(
    tmp_path / 'manual', metadata=b'\xef\xbb\xbf' + without, metadata_name='HAM10000_metadata'
  )
  builder = build.prepare('ham10000', tmp_path / 'data', manual_dir, progress=False)

  assert {record['source'] for record in reading.records(builder).values()} == {b''}


def changed(index: int, **values: str) -> list[ham_fixture.Row]:
  """Returns the fixture's rows, one of them changed."""
  rows = ham_fixture.rows()
  rows[index] = rows[index] | values
  return rows


def without(members: dict[str, bytes], image_id: str) -> dict[str, bytes]:
  """Returns all members but one."""
  return {name: data for name, data in members.items() if name != image_id}


FIRST = 'ISIC_9030000'
JPEG = ham_fixture.jpegs()[FIRST]
BAD = {
  'unknown class': (
    {'metadata': ham_fixture.table(changed(3, dx='wart'))},
    r"HAM10000_metadata\.csv line 5 has the unknown class 'wart'.*allowed are akiec, bcc",
  ),
  'age': (
    {'metadata': ham_fixture.table(changed(0, age='old'))},
    r"HAM10000_metadata\.csv line 2 has 'old' in column age",
  ),
  'not an age': ({'metadata': ham_fixture.table(changed(0, age='-1'))}, "'-1' in column age"),
  'column': (
    {'metadata': ham_fixture.table().replace(b'dx,', b'diagnosis,', 1)},
    r'HAM10000_metadata\.csv lacks the column dx \(it has lesion_id, image_id, diagnosis',
  ),
  'duplicate id': (
    {'metadata': ham_fixture.table(changed(1, image_id=FIRST))},
    "line 3 repeats image_id 'ISIC_9030000' of line 2",
  ),
  'semicolons': (
    {'metadata': ham_fixture.table().replace(b',', b';')},
    'separated by semicolons',
  ),
  'empty table': ({'metadata': b''}, r'HAM10000_metadata\.csv is empty'),
  'row without image': (
    {'images': without(ham_fixture.jpegs(), FIRST)},
    r'1 of the 60 rows of .*metadata\.csv have no image in .*part_1\.zip.*\(ISIC_9030000\)',
  ),
  'image without row': (
    {'metadata': ham_fixture.table(ham_fixture.rows()[1:])},
    r'1 images in .*part_1\.zip.* are not in the rows of .*metadata\.csv \(ISIC_9030000\)',
  ),
  'mask missing': (
    {'segmentations': without(ham_fixture.masks(), FIRST)},
    r'1 of the 60 rows of .* have no mask in .*tschandl\.zip \(ISIC_9030000\)',
  ),
  'mask size': (
    {
      'segmentations': ham_fixture.masks() | {FIRST: ham_fixture.encode(np.zeros((5, 6), np.uint8))}
    },
    r'ISIC_9030000_segmentation\.png has 6x5 pixels where its image has 48x36',
  ),
  'grey mask': (
    {'segmentations': ham_fixture.masks() | {FIRST: ham_fixture.encode(ham_fixture.disc(0) // 2)}},
    r'ISIC_9030000_segmentation\.png is no binary mask',
  ),
  'truncated image': (
    {'images': ham_fixture.jpegs() | {FIRST: JPEG[:-30]}},
    r'part_1\.zip, member ISIC_9030000\.jpg is a truncated JPEG',
  ),
  'no image': (
    {'images': ham_fixture.jpegs() | {FIRST: b'<html>gone</html>'}},
    r'member ISIC_9030000\.jpg is not a JPEG',
  ),
  'grey image': (
    {'images': ham_fixture.jpegs() | {FIRST: ham_fixture.encode(ham_fixture.disc(0), '.jpg')}},
    r'member ISIC_9030000\.jpg has 1 channel',
  ),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_input_is_named_and_leaves_nothing(case, tmp_path, capsys):
  change, sentence = BAD[case]
  manual_dir = ham_fixture.write(tmp_path / 'manual', **change)
  arguments = [f'--manual_dir={manual_dir}', f'--data_dir={tmp_path / "data"}']

  assert build.main(['build', 'ham10000', *arguments]) == 1

  error = capsys.readouterr().err.splitlines()[-1]
  assert error.startswith('Error: ')
  with pytest.raises(UserError, match=sentence):
    raise UserError(error)
  assert os.listdir(tmp_path) == ['manual']


def test_a_truncated_archive_is_named(tmp_path):
  manual_dir = ham_fixture.write(tmp_path / 'manual')
  archive = manual_dir / 'HAM10000_images_part_2.zip'
  archive.write_bytes(archive.read_bytes()[:-100])

  with pytest.raises(UserError, match=r'part_2\.zip is not a complete zip archive'):
    build.prepare('ham10000', tmp_path / 'data', manual_dir, progress=False)
  assert os.listdir(tmp_path) == ['manual']


@pytest.mark.parametrize('file', ham10000.Builder.FILES, ids=lambda file: file.name)
def test_a_missing_file_says_from_where_to_where(file, tmp_path):
  manual_dir = ham_fixture.write(tmp_path / 'manual')
  (manual_dir / file.name).unlink()

  with pytest.raises(UserError) as caught:
    build.prepare('ham10000', tmp_path / 'data', manual_dir, progress=False)

  assert f'download it from {file.url} to {manual_dir / file.name}' in str(caught.value)
  assert file.url.startswith('https://dataverse.harvard.edu/api/access/datafile/')


@pytest.mark.realdata
def test_counts_of_the_real_table(shared_data):
  table = tables.read_table(shared_data / 'ham10000' / 'HAM10000_metadata.csv', (), 'image_id')
  records, splits = ham10000.read_records(table, configs.parse('grouped'))

  labels = [ham10000.CLASS_NAMES[record['label']] for record in records.values()]
  assert {name: labels.count(name) for name in ham10000.CLASS_NAMES} == {
    'akiec': 327, 'bcc': 514, 'bkl': 1099, 'df': 115, 'mel': 1113, 'nv': 6705, 'vasc': 142,
  }  # fmt: skip
  assert {name: len(members) for name, members in splits.items()} == {
    'train': 7012, 'validation': 1501, 'test': 1502,
  }  # fmt: skip
  assert sum(np.isnan(record['age']) for record in records.values()) == 57
  assert len({record['lesion_id'] for record in records.values()}) == 7470
  split_of = {name: split for split, members in splits.items() for name in members}
  for column in ('group_id', 'lesion_id'):
    pairs = {(record[column], split_of[name]) for name, record in records.items()}
    assert len(pairs) == len({record[column] for record in records.values()})


@pytest.mark.realdata
@pytest.mark.slow
def test_the_real_files_build_within_a_minute_and_a_gigabyte(shared_data, tmp_path):
  command = [sys.executable, '-m', 'data_builders.build', 'ham10000', f'--data_dir={tmp_path}']
  command.append(f'--manual_dir={shared_data / "ham10000"}')
  before = resource.getrusage(resource.RUSAGE_CHILDREN)
  process = subprocess.Popen(command)
  # The system's own count of this one program, read from outside while it runs: getrusage would
  # give the size of whoever started it, here all of the tests.
  peak = 0
  status = pathlib.Path(f'/proc/{process.pid}/status')
  while process.poll() is None:
    found = re.search(r'VmHWM:\s+(\d+) kB', status.read_text()) if status.exists() else None
    peak = max(peak, int(found[1]) if found else 0)
    time.sleep(0.05)
  after = resource.getrusage(resource.RUSAGE_CHILDREN)

  assert process.returncode == 0
  # Processor time: the wall clock would measure what else the machine is doing.
  assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 60
  assert 0 < peak < 2**20
  records = reading.records(build.make_builder('ham10000', tmp_path), decode=('mask',))
  assert len(records) == 10_015
  areas = {name: record['mask'].mean() / 255 for name, record in records.items()}
  assert sum(area == 1 for area in areas.values()) == 5
  # These have an inverted palette: read as indices, two thirds of the image would be lesion.
  inverted = [areas[f'ISIC_{number:07d}'] for number in range(24316, 24718)]
  assert np.mean(inverted) == pytest.approx(np.mean(list(areas.values())), abs=0.05)
