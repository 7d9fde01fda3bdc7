"""Several data sets as one: every image once, classes in common, one fold for a lesion."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from data_builders import build, identity
from data_builders.cleaning import pipeline
from data_builders.errors import UserError
from lesionjax.data.datasets import names_of, open_split, preprocessing_of, provenance
from lesionjax.data.decode import decode_image
from tests.data_builders import ham_fixture, isic_fixture

SPLITS = ('train', 'validation', 'test')
ISIC_NAMES = ('ak', 'bcc', 'bkl', 'df', 'mel', 'nv', 'scc', 'vasc')


def ham_rows() -> list[dict[str, str]]:
  """Returns the tiny HAM10000 under ids that the shipped table knows: only those share folds."""
  known = [name for name in identity.table() if 'ISIC_0024306' <= name <= 'ISIC_0024400']
  rows = ham_fixture.rows()
  return [
    row | {'image_id': name, 'lesion_id': identity.table()[name][0]}
    for row, name in zip(rows, known, strict=False)
  ]


def isic_rows() -> tuple[list[dict[str, str]], list[dict[str, str]]]:
  """Returns ISIC 2019 tables of 40 images of their own and all but two of the tiny HAM10000's."""
  truth, metadata = isic_fixture.truth_2019(), isic_fixture.metadata_2019()
  for index, row in enumerate(ham_rows()[2:]):
    name = {'akiec': 'AK' if index % 2 else 'SCC'}.get(row['dx'], row['dx'].upper())
    truth.append(
      {'image': row['image_id']} | {c: str(float(c == name)) for c in isic_fixture.CLASSES}
    )
    metadata.append(
      dict.fromkeys(metadata[0], '') | {'image': row['image_id'], 'lesion_id': row['lesion_id']}
    )
  return truth, metadata


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  """Returns a data directory with a tiny HAM10000 and an ISIC 2019 that contains most of it."""
  root = tmp_path_factory.mktemp('pooled')
  jpegs, masks = (draw(ham_rows()) for draw in (ham_fixture.jpegs, ham_fixture.masks))
  manual_dir = ham_fixture.write(root / 'ham', ham_fixture.table(ham_rows()), jpegs, masks)
  truth, metadata = isic_rows()
  # Other pixels than in HAM10000, so that it shows which copy was taken.
  isic_fixture.write_2019(root / 'isic', truth, metadata, test=True)
  for name, folder in (('ham10000', manual_dir), ('isic2019', root / 'isic')):
    build.prepare(name, root / 'data', folder, progress=False)
  return str(root / 'data')


def rows(split) -> dict[str, tuple[str, str, int]]:
  """Returns image id -> class name, group and fold."""
  columns = (split.image_ids, split.labels, split.group_ids, split.folds)
  return {
    str(name): (split.class_names[label] if label >= 0 else '', str(group), int(fold))
    for name, label, group, fold in zip(*columns, strict=True)
  }


def test_every_image_is_there_once_with_a_common_class(data_dir):
  pooled = [open_split(('ham10000', 'isic2019'), name, data_dir) for name in SPLITS]
  names = np.concatenate([split.image_ids for split in pooled])
  assert len(names) == len(set(names.tolist())) == 60 + 40
  assert {split.class_names for split in pooled} == {
    ('akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc')
  }
  expected = {row['image_id']: row['dx'] for row in ham_rows()}
  for row in isic_fixture.truth_2019():
    name = next(c for c in isic_fixture.CLASSES if row[c] == '1.0').lower()
    expected[row['image']] = {'ak': 'akiec', 'scc': 'akiec'}.get(name, name)
  found = {}
  for split in pooled:
    found |= {name: entry[0] for name, entry in rows(split).items()}
  assert found == expected


def test_the_order_of_the_data_sets_decides_whose_copy_is_read(data_dir):
  first = open_split(('ham10000', 'isic2019'), 'train', data_dir)
  second = open_split(['isic2019', 'ham10000'], 'train', data_dir)
  assert set(first.image_ids.tolist()) == set(second.image_ids.tolist())
  jpegs = ham_fixture.jpegs(ham_rows())
  shared = [row['image_id'] for row in ham_rows()[2:]]
  checked = 0
  for split, own in ((first, True), (second, False)):
    for row, name in enumerate(split.image_ids.tolist()):
      if name in shared:
        assert (split.encoded(row) == jpegs[name]) == own
        checked += 1
  assert checked > 60


def test_images_are_those_of_their_ids(data_dir):
  split = open_split('isic2019,ham10000', 'test', data_dir, preprocess='hair17-clahe')
  truth, _ = isic_rows()
  images = isic_fixture.jpegs([row['image'] for row in truth])
  steps = pipeline.parse('hair17-clahe')
  for row, name in enumerate(split.image_ids.tolist()):
    data = images.get(name) or ham_fixture.jpegs(ham_rows())[name]
    assert split.encoded(row) == data
    np.testing.assert_array_equal(split.decode(row, 16), decode_image(data, 16, steps))
    assert not np.array_equal(split.decode(row, 16), decode_image(data, 16))


def test_a_finer_class_is_taken_from_the_data_set_that_tells_it(data_dir):
  # Two HAM10000 images are not in this ISIC 2019; neither is an AKIEC, so that eight classes fit.
  split = open_split(('ham10000', 'isic2019'), 'train', data_dir, classes='isic8')
  assert split.class_names == ISIC_NAMES
  found = rows(split)
  for index, row in enumerate(ham_rows()[2:]):
    if row['dx'] == 'akiec' and row['image_id'] in found:
      assert found[row['image_id']][0] == ('ak' if index % 2 else 'scc')


def test_a_class_that_cannot_be_split_is_refused_by_name(data_dir):
  with pytest.raises(UserError, match=r"6 images of ham10000/grouped .* of class 'akiec'.*classes"):
    open_split('ham10000', 'train+validation+test', data_dir, classes='isic8')


def test_a_lesion_has_one_fold_in_both_and_no_group_is_divided(data_dir):
  places: dict[str, set] = {}
  for name in SPLITS:
    for _, group, fold in rows(open_split(('ham10000', 'isic2019'), name, data_dir)).values():
      places.setdefault(group, set()).add((name, fold))
  assert all(len(some) == 1 for some in places.values())


def test_unknown_is_no_class_to_train_on_and_has_no_label_in_the_official_test(data_dir):
  assert open_split('isic2019', 'train', data_dir).class_names == ISIC_NAMES
  official = open_split('isic2019', 'official_test', data_dir)
  assert official.class_names == ISIC_NAMES
  assert (official.labels == -1).sum() == 2
  nine = open_split('isic2019', 'official_test', data_dir, classes='isic9')
  assert (nine.labels == 8).sum() == 2
  binary = open_split('isic2019', 'official_test', data_dir, classes='binary')
  assert binary.class_names == ('benign', 'malignant')
  assert (binary.labels == -1).sum() == 2


def test_provenance_of_a_pool_counts_what_is_trained_on(data_dir):
  told = provenance(('ham10000', 'isic2019'), data_dir)
  assert (told['name'], told['version']) == ('ham10000+isic2019', '2.0.0+1.0.0')
  assert sum(split['images'] for split in told['splits'].values()) == 100
  assert sorted(told['splits']) == sorted(SPLITS)
  assert 'Tschandl' in told['citation']
  assert 'Combalia' in told['citation']
  assert told['fingerprint'] != provenance('isic2019', data_dir)['fingerprint']
  alone = provenance('isic2019', data_dir)
  assert sum(alone['splits']['official_test']['support'].values()) == 16


def test_take_keeps_rows_together(data_dir):
  split = open_split(('ham10000', 'isic2019'), 'train', data_dir)
  chosen = np.arange(len(split))[::-3]
  part = split.take(chosen)
  assert [part.encoded(row) for row in range(4)] == [split.encoded(row) for row in chosen[:4]]
  assert dataclasses.replace(part, split='x').image_ids.tolist() == split.image_ids[chosen].tolist()


@pytest.mark.parametrize(
  'name', ['', (), ('ham10000', 'ham10000/random'), 'ham10000,,isic2019', 3, ('ham10000', 3)]
)
def test_names_that_are_none(name):
  with pytest.raises(UserError, match=r'config\.data\.name='):
    names_of(name)


def test_the_preprocessing_is_told_by_the_names():
  assert preprocessing_of('ham10000').steps == ()
  assert preprocessing_of('isic2019/random-binary-crop64-hair', 'grey').name == 'crop64-hair-grey'
  assert preprocessing_of('synthetic_dermoscopy/tiny').steps == ()
  with pytest.raises(UserError, match='different ways'):
    preprocessing_of(('ham10000', 'isic2019/grouped-hair'))


def test_one_assignment_of_splits_for_all(data_dir):
  with pytest.raises(UserError, match=r'split in different ways \(grouped, random\)'):
    open_split(('ham10000', 'isic2019/random'), 'train', data_dir)


def test_a_slice_that_is_none_is_told(data_dir):
  with pytest.raises(UserError, match=r"'train\[:abc\]' of data set 'ham10000/grouped' cannot"):
    open_split('ham10000', 'train[:abc]', data_dir)
