"""What a claim about a data set is, and how it is judged."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Literal

import numpy as np

from lesionjax.report.data import statistics
from lesionjax.report.data.sample import Sample
from lesionjax.report.data.table import DataTable

Answer = Literal['holds', 'partly', 'does not hold', 'cannot be judged']
Need = Literal['all images', 'all classes', 'pixels as published', 'metadata']


@dataclasses.dataclass(frozen=True)
class Published:
  """What is known of a data set as published, to tell whether it is here in full.

  Attributes:
    images: number of images, official test sets apart.
    classes: names of its classes.
    size_px: width and height, where all images have one size; None where they differ.
  """

  images: int
  classes: tuple[str, ...] = ()
  size_px: tuple[int, int] | None = None


PUBLISHED = {
  'ham10000': Published(10_015, ('akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc'), (600, 450)),
  'isic2018_task1': Published(2_594),
  'isic2019': Published(25_331, ('ak', 'bcc', 'bkl', 'df', 'mel', 'nv', 'scc', 'vasc', 'unk')),
  'isic2020': Published(32_701, ('benign', 'malignant')),
}


@dataclasses.dataclass(frozen=True)
class Finding:
  """What the data say to a claim."""

  text: str
  answer: Answer
  remark: str = ''


@dataclasses.dataclass(frozen=True)
class Facts:
  """The data that claims are held against: images outside official test sets."""

  table: DataTable
  sample: Sample

  @classmethod
  def of(cls, table: DataTable, sample: Sample) -> Facts:
    """Leaves official test sets out; the sample's rows are made to fit."""
    kept = np.flatnonzero(table.ours)
    if not len(kept):
      return cls(table, sample)
    rows = np.searchsorted(kept, sample.rows)
    hair_rows = np.searchsorted(kept, sample.hair_rows)
    return cls(table.where(kept), dataclasses.replace(sample, rows=rows, hair_rows=hair_rows))

  @functools.cached_property
  def counts(self) -> dict[str, int]:
    """Images of every class that occurs."""
    return statistics.totals(self.table)

  @property
  def labelled(self) -> int:
    """Images with a label."""
    return sum(self.counts.values())

  def share(self, *names: str) -> float:
    """Part of the labelled images that is of some classes, 0..1."""
    return sum(self.counts.get(name, 0) for name in names) / max(self.labelled, 1)

  def text(self, key: str) -> np.ndarray:
    """A text column; all missing where the data set has none."""
    return self.table.texts.get(key, np.full(len(self.table), '', np.str_))

  def lacks(self, need: Need) -> str:
    """Why something that a claim needs is not here; '' where it is."""
    published = PUBLISHED[self.table.base_name]
    if need == 'all images' and len(self.table) < published.images:
      return f'{len(self.table):,} of the {published.images:,} published images are prepared'
    if need == 'all classes' and self.table.class_names != published.classes:
      return f'the labels here are {", ".join(self.table.class_names) or "none"}'
    if need == 'metadata' and not (self.text('site') != '').any():
      return 'no metadata are prepared'
    return self._changed_pixels(published) if need == 'pixels as published' else ''

  def _changed_pixels(self, published: Published) -> str:
    if steps := self.table.facts.get('preprocessing'):
      return f'they were preprocessed when built ({steps})'
    sizes = list(statistics.size_counts(self.table.size_px))
    told = f'{sizes[0][0]}x{sizes[0][1]}'
    if len(sizes) == 1 and len(self.table) > 1 and sizes[0] != published.size_px:
      size_px = published.size_px
      other = f'are {size_px[0]}x{size_px[1]}' if size_px else 'differ in size'
      return f'all are {told} px, while the published ones {other}'
    return ''


@dataclasses.dataclass(frozen=True)
class Claim:
  """A sentence of a publication about a data set.

  Attributes:
    data: the data set.
    text: what is claimed, in the publication's words where short.
    source: publication and place in it.
    find: what the data say to it; pure.
    needs: what must be here for a verdict. What is found is told in any case.
  """

  data: str
  text: str
  source: str
  find: Callable[[Facts], Finding]
  needs: tuple[Need, ...] = ()


def percent(share: float, digits: int = 1) -> str:
  """A share 0..1 as '53.3 %'."""
  return f'{100 * share:.{digits}f} %'


def judge(claim: Claim, facts: Facts) -> Finding:
  """Holds a claim against the data; without what it needs, it is not judged."""
  lacking = [reason for need in claim.needs if (reason := facts.lacks(need))]
  finding = claim.find(facts)
  if 'all classes' in claim.needs and not facts.counts:
    finding = dataclasses.replace(finding, text='no labels here')
  if not lacking:
    return finding
  reason = 'on these images: ' + '; '.join(lacking)
  remark = f'{reason}. {finding.remark}' if finding.remark else f'{reason}.'
  return Finding(finding.text, 'cannot be judged', remark)
