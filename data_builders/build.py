"""Prepares a data set: `python -m data_builders.build NAME --manual_dir=... --data_dir=...`."""

from __future__ import annotations

import platform
import resource
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

import cv2
import tensorflow_datasets as tfds
from absl import flags

import data_builders
from data_builders import archives, folds, peak_memory, pool
from data_builders.errors import UserError
from data_builders.preparing import FILE_FORMATS, make_builder, prepare

__all__ = ['class_counts', 'main', 'make_builder', 'prepare']


def class_counts(builder: tfds.core.DatasetBuilder, split: str) -> dict[str, int]:
  """Returns how many records of each class a prepared split holds; none without labels."""
  features: Any = builder.info.features
  if 'label' not in features:
    return {}
  names = features['label'].names
  encoded = [name for name, kind in features.items() if isinstance(kind, tfds.features.Image)]
  reader: Any = builder  # TFDS's decorator hides the arguments from the type checker.
  source = reader.as_data_source(
    split, decoders={name: tfds.decode.SkipDecoding() for name in encoded}
  )
  counts = dict.fromkeys(names, 0)
  try:
    for record in source:
      if (label := int(record['label'])) >= 0:
        counts[names[label]] += 1
  except Exception as error:  # whatever the file format's reader raises
    reason = ' '.join(str(error).split())[:120]
    raise UserError(
      f'{builder.info.full_name} in {builder.data_dir} is damaged ({reason}); build it again with'
      ' --overwrite.'
    ) from error
  return counts


def _define_flags() -> flags.FlagValues:
  values = flags.FlagValues()
  for name, default, text in (
    ('manual_dir', None, 'Where the official files lie; without it they are downloaded.'),
    (
      'data_dir',
      None,
      'Where prepared data are written; default: TFDS_DATA_DIR or ~/tensorflow_datasets.',
    ),
    ('download_dir', None, 'Where downloads are kept; default: DATA_DIR/downloads.'),
  ):
    flags.DEFINE_string(name, default, text, flag_values=values)
  flags.DEFINE_enum(
    'file_format',
    'array_record',
    FILE_FORMATS,
    'array_record for tfds.data_source; tfrecord (needs TensorFlow) for tfds.load.',
    flag_values=values,
  )
  flags.DEFINE_bool(
    'allow_missing',
    False,
    'Build what is there when the archives lack images of the tables; records what was not.',
    flag_values=values,
  )
  flags.DEFINE_integer(
    'num_workers',
    None,
    'Processes that preprocess or draw; default: the cores.',
    flag_values=values,
  )
  flags.DEFINE_bool(
    'beam', False, 'Generate the same records on Apache Beam (extra beam).', flag_values=values
  )
  flags.DEFINE_list(
    'beam_options',
    [],
    'Options of the Beam pipeline: --beam_options=--runner=DataflowRunner,--project=...',
    flag_values=values,
  )
  flags.DEFINE_bool('overwrite', False, 'Build again what is there.', flag_values=values)
  flags.DEFINE_bool('help', False, 'Show this.', short_name='h', flag_values=values)
  return values


def main(argv: Sequence[str]) -> int:
  """Runs the command; returns the exit status.

  Args:
    argv: the program's name, then flags and the name of the data set.
  """
  values = _define_flags()
  usage = 'usage: python -m data_builders.build NAME[/CONFIG] [flags], where NAME is one of '
  usage += ', '.join(data_builders.DATASETS)
  try:
    names = values(argv)[1:]
    if values.help:
      print(f'{usage}\n{values.get_help()}')
      return 0
    if values.num_workers is not None and values.num_workers < 1:
      raise UserError(f'--num_workers={values.num_workers} must be at least 1.')
    if values.beam_options and not values.beam:
      raise UserError('--beam_options go with --beam: give that, too.')
    if len(names) != 1:
      raise UserError(f'Expected the name of one data set, not {len(names)}; {usage}')
    start = time.monotonic()
    place = make_builder(names[0], values.data_dir).data_path / 'dataset_info.json'
    there = place.exists() and not values.overwrite
    builder = prepare(
      names[0],
      data_dir=values.data_dir,
      manual_dir=values.manual_dir,
      download_dir=values.download_dir,
      file_format=values.file_format,
      overwrite=values.overwrite,
      allow_missing=values.allow_missing,
      num_workers=values.num_workers,
      beam_options=values.beam_options if values.beam else None,
    )
    cost = 'It was there already; nothing was built.' if there else _cost(time.monotonic() - start)
    print(_summary(builder, cost))
  except (UserError, flags.Error) as error:
    print(f'Error: {error}', file=sys.stderr)
    return 1
  return 0


def _cost(seconds: float) -> str:
  """Returns what the build took on which machine."""
  unit = 2**20 if sys.platform == 'darwin' else 2**10
  # An upper bound: see peak_memory on what getrusage counts.
  worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit
  return (
    f'Took {seconds:.1f} s, {peak_memory.mib():.0f} MiB here and at most {worker:.0f} MiB a worker,'
    f' on {pool.cores()} cores (Python {platform.python_version()}, OpenCV {cv2.__version__},'
    f' {platform.machine()}).'
  )


def _summary(builder: tfds.core.DatasetBuilder, cost: str) -> str:
  """Returns what was built, how much of it, and under which terms."""
  info: Any = builder.info
  names = info.features['label'].names if 'label' in info.features else []
  width = max([7, *(len(name) + 1 for name in names)])
  lines = [f'{info.full_name} in {builder.data_dir} ({info.dataset_size})', '']
  lines.append(f'{"":19} {"images":>7}' + ''.join(f'{name:>{width}}' for name in names))
  known = [*folds.SPLIT_SLOTS]
  for split in [*known, *(name for name in info.splits if name not in known)]:
    if split in info.splits:
      counts = class_counts(builder, split)
      row = ''.join(f'{counts[name]:>{width}}' for name in names)
      lines.append(f'{split:19} {info.splits[split].num_examples:>7}{row}')
  missing = (info.metadata or {}).get('missing', [])
  if missing:
    lines.append(
      f'{len(missing)} records of the tables lacked an image or mask in the archives and are left'
      f' out ({archives.some(missing)}); the prepared metadata.json lists them.'
    )
  for name, source in (info.metadata or {}).get('sources', {}).items():
    official = {True: 'the published file', False: 'not the published file', None: 'unverified'}
    lines.append(
      f'{name}: {source["bytes"]} bytes, sha256 {source["sha256"]}, {official[source["official"]]}'
    )
  lines.append(cost)
  lines += ['', f'Licence: {info.redistribution_info.license}', 'Cite:', info.citation.strip()]
  return '\n'.join(lines)


def _stop(signal_number: int, _: Any) -> None:
  """Leaves through the exception handlers, so that what is half-written is removed."""
  raise SystemExit(128 + signal_number)


if __name__ == '__main__':
  signal.signal(signal.SIGTERM, _stop)
  try:
    sys.exit(main(sys.argv))
  except KeyboardInterrupt:
    sys.exit(130)
