"""Where the masks of measured tones come from, and data whose colours are no skin's."""

from __future__ import annotations

import dataclasses

import pytest

from lesionjax.data.datasets import open_split
from lesionjax.trust.tones_of_split import mask_kind, tones_of


@pytest.fixture(scope='module')
def split(tiny_data_dir):
  return open_split('synthetic_dermoscopy/tiny', 'test', str(tiny_data_dir))


def test_without_masks_otsu_finds_the_lesion(split):
  sources = tuple(dataclasses.replace(source, mask_features=None) for source in split.sources)
  bare = dataclasses.replace(split, sources=sources)
  assert mask_kind(bare) == 'otsu'
  found, true = tones_of(bare), tones_of(split)
  assert {tone.mask for tone in found} == {'otsu'}
  both = [
    abs(a.ita_deg - b.ita_deg)
    for a, b in zip(found, true, strict=True)
    if a.ita_deg is not None and b.ita_deg is not None
  ]
  assert len(both) > 0.8 * len(split)
  assert sorted(both)[len(both) // 2] < 2


def test_data_built_with_normalised_colour_have_no_angle(split):
  sources = tuple(
    dataclasses.replace(source, name='ham10000/grouped-stretch256-clahe')
    for source in split.sources
  )
  found = tones_of(dataclasses.replace(split, sources=sources))
  assert len(found) == len(split)
  assert {tone.ita_deg for tone in found} == {None}
  assert "'clahe', which normalises colour" in found[0].reason
