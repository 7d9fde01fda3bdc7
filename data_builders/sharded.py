"""What the builders of image archives share: checked records, written shard by shard.

TFDS's usual generator keeps up to 1 GB of a split in memory to shuffle it, and beyond that asks
for TensorFlow. Here the order (by a hash of the id) is known before an image is read, so records
stream in that order, memory stays small, and every machine writes the same records.
"""

from __future__ import annotations

import abc
import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import os
import pathlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils import tqdm_utils
from tensorflow_datasets.proto import tf_example_pb2

from data_builders import downloads

MAX_SHARD_BYTES = 64 * 2**20
"""Encoded images of one shard; TFDS holds a shard's records in memory while it writes it."""

_In = TypeVar('_In')
_Out = TypeVar('_Out')


@dataclasses.dataclass(frozen=True)
class Plan:
  """All that is decided before the first image is read."""

  splits: Mapping[str, Sequence[str]]
  """Split name -> image ids."""
  num_bytes: Callable[[str], int]
  """Image id -> size of its encoded image."""
  example: Callable[[str], dict[str, Any]]
  """Image id -> its checked example. Called from several threads."""


class ArchiveBuilder(tfds.core.ShardBasedBuilder, skip_registration=True):
  """Base of the builders that read zip archives and tables."""

  FILES: ClassVar[tuple[downloads.OfficialFile, ...]] = ()

  @abc.abstractmethod
  def _plan(self, paths: Mapping[str, pathlib.Path], stack: contextlib.ExitStack) -> Plan:
    """Reads the tables, checks them against the archives and decides on splits.

    Args:
      paths: official file name -> path.
      stack: closes at the end of the build what is opened here.
    """

  def _download_and_prepare(self, dl_manager: Any, download_config: Any = None) -> None:
    with contextlib.ExitStack() as stack:
      self._stack = stack
      super()._download_and_prepare(dl_manager, download_config)

  def _example_writer(self) -> tfds.core.ExampleWriter:
    file_format: Any = self.info.file_format  # Set by the time this is called.
    return _StableWriter(file_format=file_format)

  def _shard_iterators_per_split(
    self, dl_manager: Any
  ) -> Mapping[str, Sequence[Callable[[], Iterator[tuple[str, dict[str, Any]]]]]]:
    paths = downloads.locate(dl_manager, self.FILES)
    plan = self._plan(paths, self._stack)
    # Each `_info` of a subclass must pass a MetadataDict.
    metadata: Any = self.info.metadata
    metadata['sources'] = {
      file.name: downloads.fingerprint(paths[file.name], file) for file in self.FILES
    }
    bar = tqdm_utils.tqdm(
      total=sum(map(len, plan.splits.values())),
      desc=self.info.full_name,
      unit=' images',
      mininterval=1.0,
    )
    self._stack.callback(bar.close)

    def generate(image_ids: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
      for example in ordered_map(plan.example, image_ids):
        bar.update()
        yield example['image_id'], example

    return {
      split: [functools.partial(generate, shard) for shard in _shards(image_ids, plan.num_bytes)]
      for split, image_ids in plan.splits.items()
    }


class _StableWriter(tfds.core.ExampleWriter):
  """Writes the features of a record in the order of their names.

  TFDS leaves their order to chance; so records of two builds can be compared byte for byte.
  """

  def write(self, path: Any, examples: Iterable[tuple[Any, bytes]]) -> Any:
    return super().write(path, ((key, _in_order(record)) for key, record in examples))


def _in_order(record: bytes) -> bytes:
  example_class: Any = tf_example_pb2.Example  # pyright: ignore[reportAttributeAccessIssue]
  return example_class.FromString(record).SerializeToString(deterministic=True)


def ordered_map(
  function: Callable[[_In], _Out], items: Iterable[_In], threads: int | None = None
) -> Iterator[_Out]:
  """Maps with a thread pool, in order, at most a few results ahead of the consumer.

  Args:
    function: called once per item; OpenCV and zlib release the interpreter lock.
    items: what to map.
    threads: size of the pool; default: the cores this process may use.

  Yields:
    The results in the order of the items. An exception surfaces at its item's turn.
  """
  threads = threads or _num_cores()
  pending: deque[concurrent.futures.Future[_Out]] = deque()
  with concurrent.futures.ThreadPoolExecutor(threads) as pool:
    try:
      for item in items:
        pending.append(pool.submit(function, item))
        if len(pending) > 4 * threads:
          yield pending.popleft().result()
      while pending:
        yield pending.popleft().result()
    finally:
      for future in pending:
        future.cancel()


def _num_cores() -> int:
  """Returns the cores that this process may use."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def _shards(image_ids: Sequence[str], num_bytes: Callable[[str], int]) -> list[list[str]]:
  """Orders ids by a hash and cuts them into shards of limited size."""
  shards: list[list[str]] = [[]]
  filled = 0
  for image_id in sorted(image_ids, key=lambda name: hashlib.blake2b(name.encode()).digest()):
    size = num_bytes(image_id)
    if shards[-1] and filled + size > MAX_SHARD_BYTES:
      shards.append([])
      filled = 0
    shards[-1].append(image_id)
    filled += size
  return shards
