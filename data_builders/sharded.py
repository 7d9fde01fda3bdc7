"""What the builders of image archives share: checked records, written shard by shard.

TFDS's usual generator keeps up to 1 GB of a split in memory to shuffle it, and beyond that asks
for TensorFlow. Here the order (by a hash of the id) is known before an image is read, so records
stream in that order, memory stays small, and every machine writes the same records - with threads,
with processes, or on Apache Beam, where a shard is a unit of work.
"""

from __future__ import annotations

import abc
import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import importlib.util
import pathlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils import tqdm_utils
from tensorflow_datasets.proto import tf_example_pb2

from data_builders import archives, configs, downloads, images, pool
from data_builders.cleaning import pipeline
from data_builders.errors import UserError

MAX_SHARD_BYTES = 64 * 2**20
"""Encoded images of one shard; TFDS holds a shard's records in memory while it writes it."""


_In = TypeVar('_In')
_Out = TypeVar('_Out')


@dataclasses.dataclass(frozen=True)
class Plan:
  """All that is decided before the first image is read."""

  splits: Mapping[str, Sequence[str]]
  """Split name -> image ids."""
  records: Mapping[str, dict[str, Any]]
  """Image id -> its features without pixels."""
  images: archives.ZippedImages
  masks: archives.ZippedImages | None = None
  missing: Sequence[str] = ()
  """Image ids of the tables that the archives lack."""

  def pixels(self, image_id: str) -> Pixels:
    """Reads the encoded image and mask of one record. Thread-safe."""
    jpeg, where = self.images.read(image_id), self.images.where(image_id)
    if self.masks is None:
      return Pixels(jpeg, where)
    return Pixels(jpeg, where, self.masks.read(image_id), self.masks.where(image_id))


@dataclasses.dataclass(frozen=True)
class Pixels:
  """An encoded image and its mask as the archives hold them, with their names for messages."""

  jpeg: bytes
  where: str
  mask: bytes | None = None
  mask_where: str = ''


@dataclasses.dataclass(frozen=True)
class Source:
  """What a plan is made of; small, so that it can be sent to another machine."""

  read: Callable[[Source, contextlib.ExitStack], Plan]
  """Reads the tables, checks them against the archives and decides on splits."""
  config: configs.DermoscopyConfig
  paths: Mapping[str, pathlib.Path]
  """Official file name -> path."""
  allow_missing: bool = False


class ArchiveBuilder(tfds.core.ShardBasedBuilder, skip_registration=True):
  """Base of the builders that read zip archives and tables."""

  FILES: ClassVar[tuple[downloads.OfficialFile, ...]] = ()
  HOMEPAGE: ClassVar[str] = ''
  BINARY: ClassVar[bool] = True
  """Whether configurations may tell the diagnoses as benign or malignant."""

  allow_missing: bool = False
  """Whether to build what is there when the archives lack images of the tables."""
  num_workers: int | None = None
  """Processes that preprocess images; None takes the cores. Records do not depend on it."""

  @staticmethod
  def read_plan(source: Source, stack: contextlib.ExitStack) -> Plan:
    """Reads the tables, checks them against the archives and decides on splits.

    Args:
      source: the files and what to make of them.
      stack: closes at the end of the build what is opened here.
    """
    raise NotImplementedError

  @classmethod
  def parse_config(cls, name: str) -> configs.DermoscopyConfig:
    """Returns the configuration of a name, listed or not.

    Raises:
      UserError: a part of the name is unknown.
    """
    listed = {config.name: config for config in cls.BUILDER_CONFIGS}
    return listed.get(name) or configs.parse(name, cls.BINARY)

  @abc.abstractmethod
  def _features(self) -> tfds.features.FeaturesDict:
    """Returns the features of the configuration."""

  def _info(self) -> tfds.core.DatasetInfo:
    features = self._features()
    return self.dataset_info_from_configs(
      features=features,
      supervised_keys=('image', 'label' if 'label' in features else 'mask'),
      homepage=self.HOMEPAGE,
      license='CC BY-NC 4.0',  # of all archives so far
      metadata=tfds.core.MetadataDict(),
    )

  def download_and_prepare(self, *, file_format: Any = None, **options: Any) -> None:
    """As TFDS's, but writes what can be read here: without TensorFlow array_record."""
    if file_format is None and importlib.util.find_spec('tensorflow') is None:
      file_format = 'array_record'
    super().download_and_prepare(file_format=file_format, **options)

  def _create_builder_config(self, builder_config: Any, version: Any) -> Any:
    if isinstance(builder_config, str):  # A name is enough: it says what to do.
      return self.parse_config(builder_config.partition(':')[0])
    return super()._create_builder_config(builder_config, version)

  @property
  def _config(self) -> configs.DermoscopyConfig:
    config = self.builder_config
    assert isinstance(config, configs.DermoscopyConfig)
    return config

  def _download_and_prepare(self, dl_manager: Any, download_config: Any = None) -> None:
    beam = download_config is not None and download_config.beam_runner is not None
    with contextlib.ExitStack() as stack:
      self._stack, self._on_beam = stack, beam
      super()._download_and_prepare(dl_manager, download_config)

  def _example_writer(self) -> tfds.core.ExampleWriter:
    file_format: Any = self.info.file_format  # Set by the time this is called.
    return StableWriter(file_format=file_format)

  def _shard_iterators_per_split(
    self, dl_manager: Any
  ) -> Mapping[str, Sequence[Callable[[], Iterator[tuple[str, dict[str, Any]]]]]]:
    paths = downloads.locate(dl_manager, self.FILES)
    source = Source(type(self).read_plan, self._config, paths, self.allow_missing)
    plan = source.read(source, self._stack)
    metadata: Any = self.info.metadata
    metadata['sources'] = {
      file.name: downloads.fingerprint(paths[file.name], file)
      for file in self.FILES
      if file.name in paths
    }
    metadata['missing'] = list(plan.missing)
    if self._on_beam:
      make: Any = functools.partial(_Shard, source)
    else:
      make = functools.partial(functools.partial, self._generator(plan))
    return {
      split: [make(tuple(shard)) for shard in _shards(image_ids, plan.images.num_bytes)]
      for split, image_ids in plan.splits.items()
    }

  def _generator(self, plan: Plan) -> Callable[[Sequence[str]], Iterator[tuple[str, Any]]]:
    """Returns what reads records on this machine: threads, or processes where there is work."""
    encode = functools.partial(encode_pixels, pipeline.parse(self._config.preprocessing))
    num_images = sum(map(len, plan.splits.values()))
    if self._config.preprocessing:
      processes = self._stack.enter_context(pool.Processes(self.num_workers))
    bar = tqdm_utils.tqdm(
      total=num_images, desc=self.info.full_name, unit=' images', mininterval=1.0
    )
    self._stack.callback(bar.close)

    def generate(image_ids: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
      if self._config.preprocessing:
        encoded = processes.map(encode, map(plan.pixels, image_ids))
      else:  # OpenCV and zlib release the interpreter lock.
        encoded = ordered_map(lambda name: encode(plan.pixels(name)), image_ids)
      for image_id, pixels in zip(image_ids, encoded, strict=True):
        bar.update()
        yield image_id, {**pixels, **plan.records[image_id]}

    return generate


def encode_pixels(steps: pipeline.Pipeline, pixels: Pixels) -> dict[str, bytes]:
  """Checks an image and its mask and preprocesses them.

  Args:
    steps: what to do; without steps the image's bytes are kept as they are.
    pixels: the encoded image and mask.

  Returns:
    `image` and, where there is one, `mask`, encoded.

  Raises:
    UserError: one of them is damaged or not as published; names archive and member.
  """
  shape = images.check_jpeg(pixels.jpeg, pixels.where)
  mask = pixels.mask
  if mask is not None:
    mask = images.binary_mask_png(mask, shape, pixels.mask_where)
  try:
    jpeg, mask = pipeline.clean_encoded(steps, pixels.jpeg, mask)
  except UserError as error:
    raise UserError(f'{pixels.where}: {error}') from error
  return {'image': jpeg} if mask is None else {'image': jpeg, 'mask': mask}


@dataclasses.dataclass(frozen=True)
class _Shard:
  """Generates the records of one shard on whichever machine Beam runs it."""

  source: Source
  image_ids: tuple[str, ...]

  def __call__(self) -> Iterator[tuple[str, dict[str, Any]]]:
    steps = pipeline.parse(self.source.config.preprocessing)
    with contextlib.ExitStack() as stack:
      # Tables are read again for every shard: seconds, against minutes for its images.
      plan = self.source.read(self.source, stack)
      for image_id in self.image_ids:
        pixels = encode_pixels(steps, plan.pixels(image_id))
        yield image_id, {**pixels, **plan.records[image_id]}


class StableWriter(tfds.core.ExampleWriter):
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
  threads = threads or pool.cores()
  pending: deque[concurrent.futures.Future[_Out]] = deque()
  with concurrent.futures.ThreadPoolExecutor(threads) as executor:
    try:
      for item in items:
        pending.append(executor.submit(function, item))
        if len(pending) > 4 * threads:
          yield pending.popleft().result()
      while pending:
        yield pending.popleft().result()
    finally:
      for future in pending:
        future.cancel()


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
