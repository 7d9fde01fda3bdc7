"""Claims are judged on what is here in full, and on nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lesionjax.report.data import claim, claims, findings_pixels
from tests.report import fake_table

HAM = {'akiec': 327, 'bcc': 514, 'bkl': 1099, 'df': 115, 'mel': 1113, 'nv': 6705, 'vasc': 142}
ISIC_2019 = {
  'ak': 867, 'bcc': 3323, 'bkl': 2624, 'df': 239, 'mel': 4522, 'nv': 12875, 'scc': 628,
  'vasc': 253, 'unk': 0,
}  # fmt: skip


def full(name, counts, size_px=(8, 6), **more):
  """A table with the published number of images of every class."""
  labels = np.repeat(np.arange(len(counts)), list(counts.values()))
  return fake_table.table(
    labels, class_names=tuple(counts), name=f'{name}/grouped', size_px=size_px, **more
  )


def ham10000(**more):
  """HAM10000's counts; nevi are confirmed by follow-up, and half of them are women's."""
  labels = np.repeat(np.arange(7), list(HAM.values()))
  return full(
    'ham10000',
    HAM,
    mask=True,
    **{
      'size_px': (600, 450),
      'lesion_id': [f'l{index // 2}' for index in range(10_015)],
      'confirmation': np.where(labels == 5, 'follow_up', 'histo'),
      'sex': np.where(labels == 5, np.arange(10_015) % 2, 0).astype(str),
      'site': ['back'] * 10_015,
      'age': np.where(labels == 5, 45, 70),
    }
    | more,
  )


def judged(table, measured=None):
  rows = claims.rows(table, measured or fake_table.sample(mask=table.has_mask is not None))
  return {row['claim']: row for row in rows}


def verdict(rows, words):
  (row,) = (row for claimed, row in rows.items() if words in claimed)
  return row['verdict']


def test_every_claim_has_a_source_and_names_a_data_set():
  assert {one.data for one in claims.CLAIMS} == set(claim.PUBLISHED)
  texts = [(one.data, one.text) for one in claims.CLAIMS]
  assert len(set(texts)) == len(texts)
  assert all(one.source and one.text for one in claims.CLAIMS)


def test_ham10000_in_full_is_judged():
  rows = judged(ham10000())
  assert verdict(rows, '10,015 dermoscopic images') == 'holds'
  assert verdict(rows, '81/19') == 'holds'  # (327 + 514 + 1,113) / 10,015 = 19.5 %
  assert verdict(rows, 'seven cancer types') == 'does not hold'
  assert verdict(rows, '63.6 %') == 'does not hold'  # 6,705 / 10,015 = 66.9 %
  assert verdict(rows, '37,565') == 'holds'  # 7 * .8 * 6,705 = 37,548
  assert verdict(rows, '1,341 are vascular') == 'does not hold'
  assert verdict(rows, '69, 93, 228') == 'holds'
  assert verdict(rows, '600 * 450') == 'holds'
  assert verdict(rows, 'much larger than the actual mole') == 'holds'
  assert verdict(rows, 'Approximately 50%') == 'does not hold'  # 3,310 of 10,015 here
  assert verdict(rows, 'concentration of data points') == 'holds'
  assert verdict(rows, '2000') == 'does not hold'
  assert {row['verdict'] for row in rows.values()} <= {
    'holds', 'partly', 'does not hold', 'cannot be judged',
  }  # fmt: skip


def test_most_images_are_not_most_lesions():
  # Two lesions of one image by consensus, one of three images by histology.
  table = fake_table.table(
    [0] * 5,
    name='ham10000',
    lesion_id=['l', 'l', 'l', 'm', 'n'],
    confirmation=['histo'] * 3 + ['consensus'] * 2,
  )
  (one,) = (c for c in claims.CLAIMS if 'More than 50% of lesions' in c.text)
  finding = one.find(claim.Facts.of(table, fake_table.sample()))
  assert finding.answer == 'partly'
  assert finding.text == '60.0 % of the images, 33.3 % of the lesions'


@pytest.mark.parametrize(
  ('change', 'words', 'reason'),
  [
    ({'size_px': (256, 256)}, '600 * 450', 'all are 256x256 px'),
    ({'size_px': (256, 256)}, 'much larger', 'the published ones are 600x450'),
    ({'facts': {'preprocessing': 'stretch256-hair'}}, '600 * 450', 'stretch256-hair'),
    ({'class_names': tuple('abcdefg')}, '81/19', 'the labels here are a, b, c'),
    ({'site': [''] * 10_015}, 'concentration of data points', 'no metadata'),
  ],
)
def test_what_is_not_as_published_is_not_judged(change, words, reason):
  table = ham10000(**{key: value for key, value in change.items() if key != 'class_names'})
  table = dataclasses.replace(
    table, **{key: value for key, value in change.items() if key == 'class_names'}
  )
  (row,) = (row for text, row in judged(table).items() if words in text)
  assert row['verdict'] == 'cannot be judged'
  assert row['remark'].startswith('on these images: ')
  assert reason in row['remark']


def test_isic_2019_in_full_and_in_part():
  sizes = np.tile([[600, 450], [1024, 768], [1024, 1024]], (8444, 1))[:25_331]
  source = ['ham10000'] * 10_015 + ['bcn20000'] * 15_316
  table = full('isic2019', ISIC_2019, size_px=sizes, source=source)
  rows = judged(table)
  assert verdict(rows, '25,331') == 'holds'
  assert verdict(rows, '53:1') == 'holds'
  assert verdict(rows, '33.4%') == 'holds'
  assert verdict(rows, '600×450') == 'holds'  # noqa: RUF001
  assert verdict(rows, 'histopathology') == 'does not hold'
  assert verdict(rows, '9,012') == 'does not hold'
  assert verdict(rows, 'AKIEC') == 'does not hold'
  assert verdict(rows, 'Red channel') == 'holds'  # in 3 of the 4 measured images
  part = judged(table.where(np.arange(12_000)))
  assert verdict(part, '25,331') == verdict(part, '33.4%') == 'cannot be judged'
  assert verdict(part, 'Red channel') == 'cannot be judged'
  assert verdict(part, 'histopathology') == 'does not hold'


def test_official_test_sets_are_left_out():
  table = fake_table.table(
    [0, 1, 0], ['official_test', 'train', 'train'], name='isic2020', patient_id=['p', 'q', 'q']
  )
  measured = dataclasses.replace(fake_table.sample(2), rows=np.array([1, 2]))
  facts = claim.Facts.of(table, measured)
  assert facts.counts == {'a': 1, 'b': 1}
  assert facts.sample.rows.tolist() == [0, 1]


def test_isic_2020_in_full():
  counts = {'benign': 32_120, 'malignant': 581}
  patients = [f'p{index % 2056}' for index in range(32_701)]
  rows = judged(full('isic2020', counts, patient_id=patients, group_id=patients))
  assert verdict(rows, '32,701') == 'holds'
  assert verdict(rows, '2,000 patients') == 'holds'
  assert verdict(rows, '1.8%') == 'holds'  # 581 / 32,701 = 1.78 %
  assert verdict(rows, '49 times') == 'does not hold'  # 55.3
  assert verdict(rows, '4,734') == 'does not hold'


@pytest.mark.parametrize('name', claim.PUBLISHED)
@pytest.mark.parametrize('class_names', [(), ('benign', 'malignant')])
def test_every_claim_has_an_answer_to_data_without_metadata(name, class_names):
  table = fake_table.table([-1, -1, -1, -1], class_names=class_names, name=f'{name}/random')
  rows = judged(table)
  assert rows
  assert all(row['found'] and row['verdict'] for row in rows.values())
  assert claims.sentence(list(rows.values())).startswith(f'Of {len(rows)} claims ')


def test_pixels_are_told_with_their_threshold():
  facts = claim.Facts.of(fake_table.table([0] * 4, name='isic2019'), fake_table.sample())
  assert 'tuned 50 % (50 %), published 100 % (100 %)' in findings_pixels.hair(facts).text
  # 100, 110, 120, 130: the standard deviation is sqrt(125).
  assert 'standard deviation 11.18 ' in findings_pixels.brightness(facts).text
  assert 'in 75.0 % of 4 images' in findings_pixels.red(facts).text


def test_the_sentence_counts_verdicts():
  rows = [{'verdict': one} for one in ('holds', 'holds', 'partly', 'does not hold')]
  assert claims.sentence(rows) == 'Of 4 claims 2 hold, 1 holds partly, 1 does not hold.'
