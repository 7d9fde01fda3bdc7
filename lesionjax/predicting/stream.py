"""Files to judged rows, a batch at a time: threads decode while the network computes.

What is held at any time is bounded: `_AHEAD` batches of prepared images, whatever their number.
"""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from data_builders.errors import UserError
from lesionjax.data.decode import DecodeError
from lesionjax.predicting import panels
from lesionjax.predicting.fitted import Fitted
from lesionjax.predicting.network import Ensemble, Views
from lesionjax.predicting.outlines import FindLesion
from lesionjax.predicting.reading import read_photograph
from lesionjax.predicting.rows import Row, judge, printable

_AHEAD = 3
_FLAT = 4  # levels of 256; what differs less is no photograph


class Prepared(NamedTuple):
  """What a thread makes of a file; of one with an error nothing but that.

  Attributes:
    index: place among the images.
    name: path within the folder.
    views: what every member of the ensemble sees.
    picture: uint8 [h, w, 3], the photograph with its outline, where panels are wanted.
    note: how the file was read, where that is not plain.
    doubt: why the network cannot have seen what it was trained to judge; ''.
    error: why there is nothing to predict; ''.
  """

  index: int
  name: str
  views: Views = ()
  picture: np.ndarray | None = None
  note: str = ''
  doubt: str = ''
  error: str = ''


Explain = Callable[[Sequence[Prepared], Sequence[Row]], None]


class Preparer:
  """Reads, decodes and preprocesses a file."""

  def __init__(
    self, folder: str, ensemble: Ensemble, find_lesion: FindLesion | None, pictures: bool
  ):
    self._folder = folder
    self._ensemble = ensemble
    self._find_lesion = find_lesion
    self._pictures = pictures

  def __call__(self, index: int, name: str) -> Prepared:
    """Never raises: whatever a file does to a decoder or to a step of preprocessing is its row."""
    try:
      return self._prepare(index, name)
    except (DecodeError, UserError) as error:
      return Prepared(index, name, error=str(error))
    except Exception as error:  # a defect in one file must not end the others
      words = ' '.join(str(error).split())[:200]
      return Prepared(
        index, name, error=f'cannot be preprocessed ({type(error).__name__}: {words})'
      )

  def _prepare(self, index: int, name: str) -> Prepared:
    photograph = read_photograph(os.path.join(self._folder, name))
    notes, mask, picture, doubt = list(photograph.header.notes), None, None, ''
    if self._find_lesion is not None:
      whole = photograph.pixels()
      mask = self._find_lesion(whole)
      if not mask.any():
        notes.append('no lesion found')
        if any(member.looks for member in self._ensemble.members):
          notes[-1] += ', seen whole'
          doubt = 'no lesion found'
      if self._pictures:
        picture = panels.outlined(whole, mask)
    views = self._ensemble.see(photograph, mask)
    if all(np.ptp(view, (0, 1)).max() < _FLAT for view in views):
      doubt = 'shows one colour only'
    return Prepared(index, name, views, picture, '; '.join(notes), doubt)


def predict_rows(
  names: Sequence[str],
  prepare: Preparer,
  ensemble: Ensemble,
  fitted: Fitted,
  batch_size: int,
  explain: Explain | None = None,
) -> Iterator[Row]:
  """Yields the rows of all images, in their order.

  Args:
    names: paths within the folder.
    prepare: makes an image of each.
    ensemble: the network or networks.
    fitted: threshold and sets.
    batch_size: images at a time; the last batch is filled up.
    explain: is given every batch with its rows.
  """
  threads = os.cpu_count() or 1
  waiting: collections.deque[Future[Prepared]] = collections.deque()
  places = iter(enumerate(names))
  with ThreadPoolExecutor(threads) as pool:
    try:
      before = None
      while True:
        for _ in range(_AHEAD * batch_size - len(waiting)):
          if (place := next(places, None)) is None:
            break
          waiting.append(pool.submit(prepare, *place))
        batch = [waiting.popleft().result() for _ in range(min(batch_size, len(waiting)))]
        images = [each.views for each in batch if not each.error]
        started = ensemble.start(images, batch_size) if images else []
        # The batch before is read while this one is computed.
        if before is not None:
          yield from _finish(*before, ensemble, fitted, explain)
        if not batch:
          return
        before = batch, started
    finally:
      pool.shutdown(wait=False, cancel_futures=True)


def _finish(
  batch: Sequence[Prepared],
  started: Sequence,
  ensemble: Ensemble,
  fitted: Fitted,
  explain: Explain | None,
) -> list[Row]:
  good = [each for each in batch if not each.error]
  raw, calibrated = ensemble.finish(started, len(good)) if good else ((), ())
  judged = [
    judge(
      each.index,
      printable(each.name),
      each.note,
      one,
      two,
      fitted,
      ensemble.class_names,
      each.doubt,
    )
    for each, one, two in zip(good, raw, calibrated, strict=True)
  ]
  if explain is not None and good:
    explain(good, judged)
  by_place = {row.index: row for row in judged}
  return [
    by_place.get(each.index) or Row(each.index, printable(each.name), error=each.error)
    for each in batch
  ]
