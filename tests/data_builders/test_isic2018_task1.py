"""ISIC 2018 Task 1 as it is read back: images, masks and the official parts."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from data_builders import build, identity

from . import isic_fixture, reading, refusal

IDS = [isic_fixture.image_id(index) for index in range(24)]


def test_images_and_masks_belong_together(tmp_path):
  manual_dir = isic_fixture.write_task1(tmp_path / 'manual')
  builder = build.prepare('isic2018_task1', tmp_path / 'data', manual_dir, progress=False)
  records = reading.records(builder, decode=('mask',))
  assert {name: record['image'] for name, record in records.items()} == isic_fixture.jpegs(IDS)
  for index, name in enumerate(IDS):
    np.testing.assert_array_equal(records[name]['mask'][..., 0], isic_fixture.mask(index))
  assert 'label' not in builder.info.features
  assert sorted(builder.info.splits) == ['test', 'train', 'validation']
  assert all((record['fold'] < 7) == (record['split'] == 'train') for record in records.values())


def test_official_parts_have_no_fold(tmp_path):
  manual_dir = isic_fixture.write_task1(tmp_path / 'manual', official=('Validation', 'Test'))
  builder = build.prepare('isic2018_task1', tmp_path / 'data', manual_dir, progress=False)
  assert builder.info.splits['official_validation'].num_examples == 4
  assert builder.info.splits['official_test'].num_examples == 4
  records = reading.records(builder).values()
  assert {int(r['fold']) for r in records if r['split'].startswith('official')} == {-1}


def test_masks_follow_the_geometry_of_the_preprocessing(tmp_path):
  manual_dir = isic_fixture.write_task1(tmp_path / 'manual')
  name = 'isic2018_task1/grouped-pad40'
  builder = build.prepare(name, tmp_path / 'data', manual_dir, progress=False, num_workers=1)
  records = reading.records(builder, decode=('image', 'mask'))
  for index, image_id in enumerate(IDS):
    padded = cv2.copyMakeBorder(isic_fixture.mask(index), 5, 5, 0, 0, cv2.BORDER_CONSTANT)
    assert records[image_id]['image'].shape == (40, 40, 3)
    np.testing.assert_array_equal(records[image_id]['mask'][..., 0], padded)


def test_lesions_known_from_isic_2019_stay_together(tmp_path):
  # Two images that the shipped table puts into one group, though Task 1 has no table at all.
  by_group: dict[str, list[str]] = {}
  for image_id, (group, _, _) in identity.table().items():
    by_group.setdefault(group, []).append(image_id)
  group, members = next((g, ids) for g, ids in by_group.items() if len(ids) > 2)
  manual_dir = isic_fixture.write_task1(tmp_path / 'manual', ids=[*members, *IDS])
  builder = build.prepare('isic2018_task1', tmp_path / 'data', manual_dir, progress=False)
  records = reading.records(builder)
  assert {records[name]['group_id'].decode() for name in members} == {group}
  assert {int(records[name]['fold']) for name in members} == {identity.table()[members[0]][1] // 2}


GREY = isic_fixture.png(isic_fixture.mask(0) // 2)
SMALL = isic_fixture.png(isic_fixture.mask(0)[:10])
MASKS = {name: isic_fixture.png(isic_fixture.mask(index)) for index, name in enumerate(IDS)}
BAD = {
  'not binary': (MASKS | {IDS[0]: GREY}, r'ISIC_8000000_segmentation\.png is no binary mask'),
  'other size': (MASKS | {IDS[0]: SMALL}, r'has 40x10 pixels where its image has 40x30'),
  'no mask': ({n: MASKS[n] for n in IDS[1:]}, r'1 of the 24 images of .* have no mask'),
  'no image': (MASKS | {'ISIC_9': GREY}, r'1 masks in .* are not in the images of .*\(ISIC_9\)'),
  'no png': (MASKS | {IDS[0]: isic_fixture.jpeg(0)}, r'is not a PNG'),
}


def test_an_archive_without_images_is_refused(tmp_path):
  manual_dir = isic_fixture.write_task1(tmp_path / 'manual', ids=[])
  refusal.refused('isic2018_task1', manual_dir, r'Training_Input\.zip holds no image')


@pytest.mark.parametrize('case', BAD)
def test_bad_masks_are_named_and_leave_nothing(case, tmp_path):
  masks, sentence = BAD[case]
  manual_dir = isic_fixture.write_task1(tmp_path / 'manual', masks=masks)
  refusal.refused('isic2018_task1', manual_dir, sentence)


@pytest.mark.realdata
def test_counts_of_the_real_archives(shared_data, tmp_path):
  folder = shared_data / 'isic2018_task1'
  builder = build.prepare('isic2018_task1', tmp_path, folder, progress=False)
  assert builder.info.splits.total_num_examples == 2594
  records = reading.records(builder)
  assert {name: record['fold'] for name, record in records.items()} == {
    name: identity.table()[name][1] // 2 for name in records
  }
