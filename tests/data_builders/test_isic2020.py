"""ISIC 2020 as it is read back: patients together, duplicates removed, two kinds of label."""

from __future__ import annotations

import numpy as np
import pytest

from data_builders import build, configs, tables
from data_builders.isic2020 import isic2020_dataset_builder as isic2020

from . import isic_fixture, reading, refusal

REMOVED = {isic_fixture.image_id(other) for _, other in isic_fixture.DUPLICATES_2020}


@pytest.fixture(scope='module')
def manual_dir(tmp_path_factory):
  """Returns a complete tiny manual directory."""
  return isic_fixture.write_2020(tmp_path_factory.mktemp('isic') / 'manual')


def test_records_are_those_of_the_table_without_the_duplicates(manual_dir, tmp_path):
  builder = build.prepare('isic2020', tmp_path, manual_dir, progress=False)
  records = reading.records(builder)
  rows = isic_fixture.rows_2020()
  assert records.keys() == {row['image_name'] for row in rows} - REMOVED
  members = isic_fixture.jpegs([row['image_name'] for row in rows])
  for index, row in enumerate(rows):
    if row['image_name'] in REMOVED:
      continue
    record = records[row['image_name']]
    assert record['image'] == members[row['image_name']]
    assert isic2020.CLASS_NAMES[record['label']] == row['benign_malignant']
    assert isic2020.DIAGNOSES[record['diagnosis']] == row['diagnosis']
    np.testing.assert_equal(float(record['age']), float(row['age_approx'] or 'nan'))
    expected = {
      'patient_id': row['patient_id'],
      'group_id': row['patient_id'],
      'lesion_id': '' if index == 7 else row['lesion_id'],
      'sex': row['sex'],
      'site': row['anatom_site_general_challenge'],
    }
    assert {key: record[key].decode() for key in expected} == expected
  places = {(r['group_id'], r['split'], int(r['fold'])) for r in records.values()}
  assert len(places) == 20


def test_random_splits_images_whatever_their_patient(manual_dir, tmp_path):
  records = reading.records(
    build.prepare('isic2020/random', tmp_path, manual_dir, progress=False)
  ).values()
  places = {(record['group_id'], int(record['fold'])) for record in records}
  assert len(places) > len({group for group, _ in places}) == 20


def test_the_first_version_of_the_table_has_no_lesions(tmp_path):
  columns = [name for name in isic_fixture.rows_2020()[0] if name != 'lesion_id']
  manual_dir = isic_fixture.write_2020(
    tmp_path / 'manual', columns=columns, name='ISIC_2020_Training_GroundTruth.csv'
  )
  builder = build.prepare('isic2020', tmp_path / 'data', manual_dir, progress=False)
  assert {record['lesion_id'] for record in reading.records(builder).values()} == {b''}


ROWS = isic_fixture.rows_2020()
BAD = {
  'diagnosis': ({'rows': [ROWS[0] | {'diagnosis': 'wart'}, *ROWS[1:]]}, "unknown class 'wart'"),
  'target': ({'rows': [ROWS[0] | {'target': '0'}, *ROWS[1:]]}, "target '0' but is malignant"),
  'label': (
    {'rows': [ROWS[0] | {'benign_malignant': '1'}, *ROWS[1:]]},
    "line 2 has the unknown class '1'",
  ),
  'stranger': ({'pairs': [(1, 999)]}, 'Duplicates.csv line 2 names ISIC_8000999, which is not in'),
  'itself': ({'pairs': [(1, 1)]}, 'keeps ISIC_8000001, which the same list removes'),
  'both': ({'pairs': [(1, 2), (2, 1)]}, 'which the same list removes'),
  'benign melanoma': (
    {'rows': [*ROWS[:1], ROWS[1] | {'diagnosis': 'melanoma'}, *ROWS[2:]]},
    'line 3 is benign with the diagnosis melanoma',
  ),
  'no patient': (
    {'rows': [ROWS[0] | {'patient_id': 'unknown'}, *ROWS[1:]]},
    'line 2 has no patient_id',
  ),
  'two labels': ({'pairs': [(0, 1)]}, 'whose benign_malignant differs'),
  'two patients': ({'pairs': [(1, 4)]}, 'whose patient_id differs'),
  'no image': (
    {'images': isic_fixture.jpegs([row['image_name'] for row in ROWS[1:]])},
    r'1 of the 58 rows of .* have no image .*\(ISIC_8000000\)',
  ),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_input_is_named_and_leaves_nothing(case, tmp_path):
  change, sentence = BAD[case]
  manual_dir = isic_fixture.write_2020(tmp_path / 'manual', **change)
  refusal.refused('isic2020', manual_dir, sentence)


def test_archives_without_the_removed_images_are_complete(tmp_path):
  kept = [row['image_name'] for row in ROWS if row['image_name'] not in REMOVED]
  manual_dir = isic_fixture.write_2020(tmp_path / 'manual', images=isic_fixture.jpegs(kept))
  builder = build.prepare('isic2020', tmp_path / 'data', manual_dir, progress=False)
  assert builder.info.splits.total_num_examples == 58


@pytest.mark.realdata
def test_counts_of_the_real_tables(shared_data):
  folder = shared_data / 'isic2020'
  truth = tables.read_table(folder / 'ISIC_2020_Training_GroundTruth_v2.csv', (), 'image_name')
  pairs = tables.read_table(folder / 'ISIC_2020_Training_Duplicates.csv', (), 'image_name_2')
  removed = isic2020.duplicates_to_remove(truth, pairs)
  records, splits = isic2020.read_records(truth, removed, configs.parse('grouped'))

  assert (len(truth.rows), len(removed), len(records)) == (33_126, 425, 32_701)
  labels = [record['label'] for record in records.values()]
  assert (labels.count(0), labels.count(1)) == (32_120, 581)
  diagnoses = [record['diagnosis'] for record in records.values()]
  assert {name: diagnoses.count(name) for name in isic2020.DIAGNOSES} == {
    'atypical melanocytic proliferation': 1, 'cafe-au-lait macule': 1, 'lentigo NOS': 44,
    'lichenoid keratosis': 35, 'melanoma': 581, 'nevus': 5191, 'seborrheic keratosis': 135,
    'solar lentigo': 7, 'unknown': 26_706,
  }  # fmt: skip
  assert len({record['patient_id'] for record in records.values()}) == 2056
  split_of = {name: split for split, members in splits.items() for name in members}
  places = {(record['patient_id'], split_of[name]) for name, record in records.items()}
  assert len(places) == 2056

  # The first version of the table, whose ages are written 45.0, tells the same but lesions.
  first = tables.read_table(folder / 'ISIC_2020_Training_GroundTruth.csv', (), 'image_name')
  others, _ = isic2020.read_records(first, removed, configs.parse('grouped'))
  np.testing.assert_equal(
    {name: record | {'lesion_id': ''} for name, record in records.items()}, others
  )
