"""Builds a data set unless it is there: all of it or nothing, one build at a time."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import io
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow_datasets as tfds
from etils import epath

import data_builders
from data_builders import downloads, locks, sharded
from data_builders.errors import UserError

FILE_FORMATS = ('array_record', 'tfrecord', 'parquet', 'riegeli')
# What a format's writer imports, where that is not a dependency of this package.
_FORMAT_NEEDS = {'tfrecord': 'tensorflow', 'parquet': 'pyarrow', 'riegeli': 'riegeli'}
_DISK_ERRORS = (
  'No space left on device',
  'Read-only file system',
  'File too large',
  'Permission denied',
)


def prepare(
  name: str,
  data_dir: str | os.PathLike[str] | None = None,
  manual_dir: str | os.PathLike[str] | None = None,
  download_dir: str | os.PathLike[str] | None = None,
  file_format: str = 'array_record',
  progress: bool = True,
  overwrite: bool = False,
  allow_missing: bool = False,
  num_workers: int | None = None,
  beam_options: Sequence[str] | None = None,
) -> tfds.core.DatasetBuilder:
  """Builds a data set unless it is there already; a failed or killed build leaves nothing.

  Args:
    name: `NAME` or `NAME/CONFIG`, as `ham10000/random` or `isic2019/grouped-stretch256-hair-clahe`
      (see `data_builders.configs.parse`).
    data_dir: where prepared data lie; default: TFDS's, `~/tensorflow_datasets` or the environment
      variable TFDS_DATA_DIR.
    manual_dir: where the official files lie; without it they are downloaded.
    download_dir: where downloads are kept; default `data_dir/downloads`.
    file_format: `array_record` is read by `tfds.data_source`; `tfrecord` by `tfds.load`, and
      needs TensorFlow to be written.
    progress: whether to show progress bars.
    overwrite: whether to build again what is there.
    allow_missing: whether to build what is there when the archives lack images of the tables; the
      others are listed in `builder.info.metadata['missing']`.
    num_workers: processes that preprocess or draw; None takes the cores. Records do not depend on
      it.
    beam_options: generates the same records on Apache Beam with these pipeline options, `[]` for
      none; needs the extra `beam`, and archives and data_dir where its workers see them.

  Returns:
    The builder, prepared.

  Raises:
    UserError: an unknown name, missing or damaged files, or a full or read-only disk.
  """
  builder = make_builder(name, data_dir)
  _check_format(file_format)
  if beam_options is not None:
    _check_beam(builder)
  files: Sequence[downloads.OfficialFile] = getattr(builder, 'FILES', ())
  if not overwrite and _is_prepared(builder, file_format):
    _check_same(builder, manual_dir, files, allow_missing)
    return builder
  if manual_dir is not None and files:
    downloads.manual_paths(manual_dir, files)
  with _told_in_a_sentence(builder), _exclusively(builder):
    # Another process may have built it while this one waited.
    if overwrite or not _is_prepared(make_builder(name, data_dir), file_format):
      config = tfds.download.DownloadConfig(
        manual_dir=epath.Path(manual_dir).expanduser() if manual_dir is not None else None
      )
      if beam_options is not None:
        config = _on_beam(config, beam_options)
      settings = {'allow_missing': allow_missing, 'num_workers': num_workers}
      _build(builder, config, download_dir, file_format, progress, settings)
  return make_builder(name, data_dir)


def make_builder(
  name: str, data_dir: str | os.PathLike[str] | None = None
) -> tfds.core.DatasetBuilder:
  """Returns the builder of `NAME` or `NAME/CONFIG`; nothing is built.

  Raises:
    UserError: no data set or no config of that name; suggests the nearest.
  """
  dataset, _, config = name.partition('/')
  if dataset not in data_builders.DATASETS:
    raise UserError(_unknown('data set', dataset, data_builders.DATASETS))
  module = importlib.import_module(f'data_builders.{dataset}.{dataset}_dataset_builder')
  configs = [known.name for known in module.Builder.BUILDER_CONFIGS]
  if config and config not in configs:
    if not issubclass(module.Builder, sharded.ArchiveBuilder):
      raise UserError(_unknown(f'config of {dataset}', config, configs))
    module.Builder.parse_config(config)
  return module.Builder(
    data_dir=os.path.expanduser(data_dir) if data_dir else None, config=config or None
  )


def _build(
  builder: tfds.core.DatasetBuilder,
  config: tfds.download.DownloadConfig,
  download_dir: str | os.PathLike[str] | None,
  file_format: str,
  progress: bool,
  settings: dict[str, Any],
) -> None:
  """Runs the builder into a directory that does not exist."""
  root = builder.data_dir_root
  download_dir = epath.Path(download_dir or root / 'downloads').expanduser()
  existed = download_dir.exists()
  if not _is_remote(builder):
    locks.set_aside(pathlib.Path(builder.data_dir))
    # The old builder has read the old data's description.
    builder = type(builder)(data_dir=root, config=builder.builder_config_name)
  for name, value in settings.items():
    setattr(builder, name, value)
  (tfds.enable_progress_bar if progress else tfds.disable_progress_bar)()
  try:
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS announces downloads that may not be.
      builder.download_and_prepare(
        download_dir=download_dir, download_config=config, file_format=file_format
      )
  finally:
    if not existed:  # TFDS makes it even where nothing is downloaded.
      locks.remove_if_empty(download_dir / 'extracted')
      locks.remove_if_empty(download_dir)


def _check_beam(builder: tfds.core.DatasetBuilder) -> None:
  if not isinstance(builder, sharded.ArchiveBuilder):
    raise UserError(f'{builder.name} is drawn, not read from archives: build it without --beam.')
  if importlib.util.find_spec('apache_beam') is None:
    raise UserError(
      '--beam needs the package apache-beam, which is not installed; pip install'
      " 'lesionjax[beam]', or build without it."
    )


def _on_beam(
  config: tfds.download.DownloadConfig, options: Sequence[str]
) -> tfds.download.DownloadConfig:
  """Returns the configuration with a Beam runner, the one in this process unless named."""
  from apache_beam.options import pipeline_options

  parsed = pipeline_options.PipelineOptions(list(options))
  runner = parsed.view_as(pipeline_options.StandardOptions).runner or 'DirectRunner'
  return config.replace(beam_runner=runner, beam_options=parsed)


def _is_prepared(builder: tfds.core.DatasetBuilder, file_format: str) -> bool:
  """Returns whether the data are there; raises where they are there in another format."""
  # TFDS writes this file last.
  if not (builder.data_path / 'dataset_info.json').exists():
    return False
  found = builder.info.file_format
  if found is not None and found.value != file_format:
    raise UserError(
      f"{builder.info.full_name} is prepared in {builder.data_dir} as '{found.value}', not as"
      f" '{file_format}'; use another data_dir, or --overwrite to build it again."
    )
  return True


def _check_same(
  builder: tfds.core.DatasetBuilder,
  manual_dir: str | os.PathLike[str] | None,
  files: Sequence[downloads.OfficialFile],
  allow_missing: bool,
) -> None:
  """Refuses prepared data that a build from the given files would not give."""
  metadata: Any = builder.info.metadata or {}
  what, how = f'{builder.info.full_name} is prepared in {builder.data_dir}', '--overwrite builds it'
  if metadata.get('missing') and not allow_missing:
    raise UserError(
      f'{what} without {len(metadata["missing"])} images that its archives lacked; {how} again, or'
      ' --allow_missing takes it as it is.'
    )
  if manual_dir is None or not pathlib.Path(manual_dir).expanduser().is_dir():
    return
  sources = metadata.get('sources', {})
  for name, path in downloads.manual_paths(manual_dir, files).items():
    if name not in sources:
      raise UserError(f'{what} without {path}, which is there now; {how} with it.')
    if not downloads.is_like(path, sources[name]):
      raise UserError(f'{what} from another {name} than {path}; {how} from this one.')


def _check_format(file_format: str) -> None:
  if file_format not in FILE_FORMATS:
    raise UserError(_unknown('file format', file_format, FILE_FORMATS))
  needed = _FORMAT_NEEDS.get(file_format)
  if needed and importlib.util.find_spec(needed) is None:
    raise UserError(
      f"File format '{file_format}' is written with the package {needed}, which is not installed;"
      f" install it (pip install {needed}) or use 'array_record'."
    )


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
  near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
  hint = f"did you mean '{near[0]}'? " if near else ''
  return f"There is no {what} '{name}'; {hint}allowed are {', '.join(known)}."


def _is_remote(builder: tfds.core.DatasetBuilder) -> bool:
  return '://' in str(builder.data_dir)


@contextlib.contextmanager
def _exclusively(builder: tfds.core.DatasetBuilder) -> Iterator[None]:
  """Locks a data set on a local disk; object stores have no locks and TFDS's rename must do."""
  if _is_remote(builder):
    yield
  else:
    target = pathlib.Path(builder.data_dir)
    with locks.building(target, pathlib.Path(builder.data_dir_root) / builder.name):
      yield


@contextlib.contextmanager
def _told_in_a_sentence(builder: tfds.core.DatasetBuilder) -> Iterator[None]:
  """Turns what a full or read-only disk raises, here and in ArrayRecord, into a UserError."""
  failed = f'{builder.info.full_name} could not be written below {builder.data_dir_root}'
  advice = 'nothing was kept; free space there, or choose another writable data_dir.'
  try:
    yield
  except UserError:
    raise
  except OSError as error:
    raise UserError(f'{failed} ({error.strerror or error}); {advice}') from error
  except RuntimeError as error:
    reason = next((reason for reason in _DISK_ERRORS if reason in str(error)), None)
    if reason is None:
      raise
    raise UserError(f'{failed} ({reason}); {advice}') from error
