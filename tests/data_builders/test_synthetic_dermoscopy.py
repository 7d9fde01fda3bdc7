"""The synthetic data set keeps its promises: exact truth, determinism, no short cut by colour."""

import collections
import functools
import subprocess
import sys
import textwrap

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import data_builders  # noqa: F401 (makes the data set known to TFDS)
from data_builders import folds, pool
from data_builders.synthetic_dermoscopy import colour, fields, lesion, photograph, plan, workers

FULL = plan.make_plan(plan.class_counts())
SLOTS = plan.assign_slots(FULL)
SPLITS = folds.split_names(SLOTS)
CLASSES = range(len(plan.CLASS_NAMES))


@functools.cache
def pictures(side_px=128):
  """One photograph of five lesions of each class, with its plan."""
  shots = [shots[0] for shots in plan.by_lesion(FULL)]
  chosen = [shot for label in CLASSES for shot in [s for s in shots if s.label == label][:5]]
  return [(shot, take(shot, side_px)) for shot in chosen]


def take(shot, side_px):
  drawn = lesion.draw_lesion(shot.label, shot.ita_deg, shot.lesion_seed, side_px)
  return photograph.take_photograph(drawn, shot.photograph_seed, side_px)


# The plan


def test_counts_follow_isic_2019_down_to_the_floor():
  counts = plan.class_counts(divisor=12, floor=96)
  assert counts == {
    'ak': 96, 'bcc': 276, 'bkl': 218, 'df': 96, 'mel': 376, 'nv': 1072, 'scc': 96, 'vasc': 96,
  }  # fmt: skip
  drawn = collections.Counter(plan.CLASS_NAMES[shot.label] for shot in FULL)
  assert drawn == counts
  assert len({shot.image_id for shot in FULL}) == len(FULL)


def test_every_class_has_a_dozen_images_in_every_split():
  for split in folds.SPLIT_SLOTS:
    counts = np.bincount([FULL[i].label for i in np.flatnonzero(split == SPLITS)], minlength=8)
    assert counts.min() >= 12, (split, counts)


def test_a_lesion_lies_in_one_split_and_has_one_class_and_tone():
  of_lesion = collections.defaultdict(set)
  for shot, slot in zip(FULL, SLOTS, strict=True):
    of_lesion[shot.lesion_id].add((int(slot), shot.label, shot.ita_deg, shot.lesion_seed))
  assert all(len(facts) == 1 for facts in of_lesion.values())
  sizes = collections.Counter(shot.lesion_id for shot in FULL).values()
  assert set(sizes) == {1, 2, 3, 4}


def test_random_configuration_lets_lesions_leak():
  slots = folds.split_names(plan.assign_slots(FULL, by_image=True))
  splits = collections.defaultdict(set)
  for shot, split in zip(FULL, slots, strict=True):
    splits[shot.lesion_id].add(split)
  assert max(len(found) for found in splits.values()) == 3


def test_tones_are_spread_alike_in_every_class():
  for label in CLASSES:
    tones = np.array([shot.ita_deg for shot in FULL if shot.label == label])
    assert tones.min() < -35
    assert tones.max() > 50
    assert abs(tones.mean() - np.mean(plan.ITA_RANGE_DEG)) < 5


# Colour


def test_lab_agrees_with_opencv_and_inverts():
  rgb = fields.generator(3).uniform(0, 1, (16, 16, 3)).astype(np.float32)
  lab = colour.rgb_to_lab(rgb)
  np.testing.assert_allclose(lab, cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB), atol=0.5)
  np.testing.assert_allclose(colour.lab_to_rgb(lab), rgb, atol=1e-4)


def test_relighting_leaves_the_typology_angle():
  rng = fields.generator(4)
  for tone in (-50.0, -20.0, 10.0, 41.0, 65.0):
    lab = colour.skin_lab(tone, rng)
    for _ in range(5):
      assert colour.typology_angle_deg(colour.relight(lab, rng)) == pytest.approx(tone, abs=1e-6)


# Pictures


def test_tone_is_recovered_from_the_hair_free_image():
  errors = []
  line = (np.arange(128) + 0.5) / 128 - 0.5
  central = np.hypot(line[:, None], line[None, :]) < 0.5
  for shot, picture in pictures():
    near = cv2.dilate(picture.mask, np.ones((31, 31), np.uint8))
    skin = picture.image_without_hair[central & (near == 0)]
    if len(skin) < 200:
      continue
    measured = colour.typology_angle_deg(colour.rgb_to_lab(np.median(skin, axis=0) / 255))
    errors.append(measured - shot.ita_deg)
  assert len(errors) > 20
  assert np.median(np.abs(errors)) < 3
  assert np.max(np.abs(errors)) < 8


def test_hairs_change_the_image_only_where_their_mask_says():
  hairy = 0
  for _, picture in pictures():
    differs = (picture.image != picture.image_without_hair).any(axis=2)
    assert not differs[picture.hair_mask == 0].any()
    if picture.hair_mask.any():
      hairy += 1
      assert differs[picture.hair_mask == 1].mean() > 0.8
  assert 0.4 < hairy / len(pictures()) < 0.9


def test_the_lesion_is_inside_its_mask():
  for shot, picture in pictures():
    assert set(np.unique(picture.mask)) == {0, 1}
    assert 0.04 < picture.mask.mean() < 0.6
    image = picture.image_without_hair.astype(float)
    inside = np.median(image[picture.mask == 1], axis=0)
    ring = cv2.dilate(picture.mask, np.ones((25, 25), np.uint8)) - picture.mask
    outside = np.median(image[ring == 1], axis=0)
    assert np.abs(inside - outside).max() > 3, shot


def test_photographs_of_a_lesion_differ_in_pose_but_show_the_same():
  shots = next(s for s in plan.by_lesion(FULL) if len(s) == 4)
  drawn = lesion.draw_lesion(shots[0].label, shots[0].ita_deg, shots[0].lesion_seed, 96)
  shown = [photograph.take_photograph(drawn, shot.photograph_seed, 96) for shot in shots]
  areas = [picture.mask.mean() for picture in shown]
  assert max(areas) / min(areas) < (1.2 / 0.85) ** 2 * 1.1
  assert not np.array_equal(shown[0].mask, shown[1].mask)


def test_bytes_do_not_depend_on_workers_or_company():
  lesions = plan.by_lesion(FULL)[:20]

  def draw(groups, num_workers):
    with workers.Painters(100, num_workers) as painters:
      return [(shot.image_id, images) for shot, images in painters.draw(groups, 64)]

  alone = draw(lesions, 1)
  assert alone == draw(lesions, 2)
  assert dict(alone)[lesions[7][0].image_id] == draw(lesions[7:8], 1)[0][1]


def test_drawing_goes_on_when_the_workers_die(monkeypatch):
  lesions = plan.by_lesion(FULL)[:2]
  with workers.Painters(100, 2) as painters:

    def broken(*_):
      raise pool.BrokenProcessPool('killed')

    monkeypatch.setattr(painters._processes._executor, 'submit', broken)
    drawn = list(painters.draw(lesions, 64))
  assert [shot for shot, _ in drawn] == [shot for shots in lesions for shot in shots]


def test_colour_does_not_tell_the_class():
  shots = [shot for shots in plan.by_lesion(FULL) for shot in shots[:1]]
  chosen = [s for k in CLASSES for s in [s for s in shots if s.label == k][:40]]
  features = []
  for shot in chosen:
    pixels = take(shot, 48).image.reshape(-1, 3).astype(np.float64)
    levels = np.percentile(pixels, [10, 50, 90], axis=0).ravel()
    features.append(np.concatenate([pixels.mean(axis=0), pixels.std(axis=0), levels]))
  x, y = np.array(features), np.array([shot.label for shot in chosen])
  test = np.arange(len(y)) % 10 >= 7
  model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
  scores = model.fit(x[~test], y[~test]).predict_proba(x[test])
  assert roc_auc_score(y[test], scores, multi_class='ovr', average='macro') <= 0.75


# The data set


@pytest.fixture(scope='module')
def tiny_dir(tmp_path_factory):
  """The tiny configuration, built by a script that has no guard for spawned processes."""
  where = tmp_path_factory.mktemp('tfds')
  script = where / 'script.py'
  script.write_text(
    textwrap.dedent(
      f"""
      import sys
      import data_builders, tensorflow_datasets as tfds
      from data_builders.synthetic_dermoscopy import synthetic_dermoscopy_dataset_builder as module
      print('script started')
      module.Builder.num_workers = 2
      builder = tfds.builder(
        'synthetic_dermoscopy/tiny', data_dir={str(where)!r}, file_format='array_record'
      )
      builder.download_and_prepare()
      assert 'tensorflow' not in sys.modules and 'jax' not in sys.modules
      """
    )
  )
  done = subprocess.run(
    [sys.executable, '-c', f'exec(open({str(script)!r}).read())'],
    capture_output=True,
    text=True,
    timeout=120,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout.count('script started') == 1
  return where


def test_tiny_set_round_trip(tiny_dir):
  decoders = {
    key: tfds.decode.SkipDecoding() for key in ('image', 'image_without_hair', 'mask', 'hair_mask')
  }
  expected = {s.image_id: s for s in plan.make_plan(dict.fromkeys(plan.CLASS_NAMES, 24),
                                                    (1, 1, 1, 1, 2))}  # fmt: skip
  seen = {}
  for split in ('train', 'validation', 'test'):
    source = tfds.data_source(
      'synthetic_dermoscopy/tiny', split=split, data_dir=tiny_dir, decoders=decoders
    )
    records = [source[i] for i in range(len(source))]
    assert {int(record['label']) for record in records} == set(CLASSES)
    assert all((record['fold'] <= 6) == (split == 'train') for record in records)
    for record in records:
      seen[record['image_id'].decode()] = record
  assert seen.keys() == expected.keys()
  for image_id, record in list(seen.items())[:12]:
    shot = expected[image_id]
    picture = take(shot, 64)
    assert record['label'] == shot.label
    assert record['ita_deg'] == np.float32(shot.ita_deg)
    assert record['group_id'].decode() == shot.lesion_id
    for key, truth in (('mask', picture.mask), ('hair_mask', picture.hair_mask)):
      png = cv2.imdecode(np.frombuffer(record[key], np.uint8), cv2.IMREAD_UNCHANGED)
      np.testing.assert_array_equal(png, truth * 255)
    jpeg = cv2.imdecode(np.frombuffer(record['image'], np.uint8), cv2.IMREAD_COLOR)
    difference = jpeg[..., ::-1].astype(int) - picture.image
    assert np.abs(difference).mean() < 6


def test_licence_and_description_are_kept(tiny_dir):
  info = tfds.builder('synthetic_dermoscopy/tiny', data_dir=tiny_dir).info
  assert info.as_proto.redistribution_info.license.startswith('CC0-1.0')
  assert 'typology angle' in info.description
  assert 'lesionjax' in info.citation
  assert info.features['label'].names == list(plan.CLASS_NAMES)
