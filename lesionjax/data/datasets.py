"""Opening prepared data sets: one by name, or several pooled without double images."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import constants

import data_builders  # noqa: F401  registers the project's builders with TFDS
from data_builders import configs
from data_builders import labels as labels_lib
from data_builders.cleaning import pipeline
from data_builders.errors import UserError
from lesionjax.data.columns import COLUMNS, one_line, read_columns, subset
from lesionjax.data.lesion import Lesion
from lesionjax.data.pooling import pool
from lesionjax.data.records import Source, Split

Names = str | Sequence[str]
_LESION = ('lesion',)  # the one class of a data set of masks


def names_of(name: Names) -> tuple[str, ...]:
  """Returns the data sets of `config.data.name`: one, several in a tuple, or joined by commas.

  Raises:
    UserError: it is none of these, or a data set is named twice.
  """
  parts = name.split(',') if isinstance(name, str) else name
  if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
    raise UserError(f"config.data.name={name!r} is neither a data set's name nor a tuple of names.")
  names = tuple(part.strip() for part in parts)
  sets = [part.partition('/')[0] for part in names]
  if not names or '' in names or len(set(sets)) < len(sets):
    raise UserError(
      f'config.data.name={name!r} must name one data set or several different ones; give one'
      ' configuration of each.'
    )
  return names


def open_split(
  name: Names,
  split: str,
  data_dir: str | None = None,
  classes: str = '',
  preprocess: str = '',
  lesion: Lesion | None = None,
  with_masks: bool = False,
) -> Split:
  """Opens one split of prepared data sets; reads the columns once, the images later.

  Args:
    name: data set, with its configuration after a slash where not the default: 'ham10000',
      'ham10000/random'. Several are pooled: an image that occurs in more than one is taken once,
      from the first data set that tells its class finely enough.
    split: name of the split; TFDS slices such as 'train[:10%]' work too.
    data_dir: where data sets were prepared; None is TFDS's default ($TFDS_DATA_DIR or
      ~/tensorflow_datasets).
    classes: a scheme of `data_builders.labels.SCHEMES` that the classes are mapped onto; '' keeps
      the data set's own without `unk`, or takes the finest that all have in common.
    preprocess: what is done to every image when it is read, see `data_builders.cleaning.pipeline`.
    lesion: what of an image is looked at; None is all of it.
    with_masks: whether lesion masks come with the images; a data set without classes is all of
      the class 'lesion' then.

  Returns:
    The split. In splits that begin with 'official', images of no class have the label -1.

  Raises:
    UserError: when a data set or the split is not there, holds other features than the project's
      builders write, or has images of a class that cannot be mapped.
  """
  steps = pipeline.parse(preprocess)
  if classes and classes not in labels_lib.SCHEMES:
    raise UserError(
      f'config.data.classes={classes!r} is not one of {", ".join(labels_lib.SCHEMES)}.'
    )
  preprocessing_of(name)
  builders = [open_builder(one, data_dir) for one in names_of(name)]
  splits = [_read_split(builder, split, steps, with_masks) for builder in builders]
  if with_masks and not all(_has_classes(split) for split in splits):
    splits = [_as_lesions(split) for split in splits]
  pooled = pool(splits, '' if splits[0].class_names == _LESION else classes)
  return dataclasses.replace(pooled, lesion=lesion or Lesion(), with_masks=with_masks)


def preprocessing_of(name: Names, preprocess: str = '') -> pipeline.Pipeline:
  """Returns all that happens to an image on its way from the archive to the resize.

  Args:
    name: as in `open_split`; a configuration's name tells what was done when it was built.
    preprocess: as in `open_split`.

  Raises:
    UserError: data sets that were split or preprocessed in different ways are to be pooled.
  """
  built = []
  ways = []
  for one in names_of(name):
    config = one.partition('/')[2] or 'grouped'
    ways.append(config.split('-')[0])
    # Foreign data sets have other names, and the synthetic one is not preprocessed.
    known = ways[-1] in ('grouped', 'random')
    built.append(configs.parse(config).preprocessing if known else '')
  if 'random' in ways and len(set(ways)) > 1:
    raise UserError(
      f'config.data.name={name!r} pools data sets that are split in different ways'
      f' ({", ".join(ways)}): an image could be on both sides; take all grouped or all random.'
    )
  if len(set(built)) > 1:
    raise UserError(
      f'config.data.name={name!r} pools data sets that were preprocessed in different ways'
      f' ({", ".join(steps or "not at all" for steps in built)}); build them alike.'
    )
  return pipeline.Pipeline(pipeline.parse(built[0]).steps + pipeline.parse(preprocess).steps)


def _has_classes(split: Split) -> bool:
  return split.class_names != _LESION


def _as_lesions(split: Split) -> Split:
  return dataclasses.replace(split, class_names=_LESION, labels=np.zeros_like(split.labels))


def provenance(
  name: Names,
  data_dir: str | None = None,
  classes: str = '',
  preprocess: str = '',
  with_masks: bool = False,
) -> dict[str, Any]:
  """What a run must remember about its data: version, licence, citation, counts, fingerprint.

  The fingerprint is the SHA-256 of the sorted rows (image_id, label, group_id, fold, split), so
  it is the same for every build of one version, whatever the order or the format of its files.

  Args:
    name: as in `open_split`.
    data_dir: as in `open_split`.
    classes: as in `open_split`.
    preprocess: as in `open_split`.
    with_masks: as in `open_split`.

  Returns:
    A JSON-ready dictionary, the contents of a run's `data.json`.
  """
  infos = [open_builder(one, data_dir).info for one in names_of(name)]
  common = set.intersection(*(set(info.splits) for info in infos))
  rows: list[str] = []
  splits = {}
  class_names: tuple[str, ...] = ()
  for split_name in sorted(common):
    split = open_split(name, split_name, data_dir, classes, preprocess, with_masks=with_masks)
    class_names = split.class_names
    counts = np.bincount(split.labels[split.labels >= 0], minlength=len(class_names))
    splits[split_name] = {
      'images': len(split),
      'groups': len(np.unique(split.group_ids)),
      'support': {c: int(n) for c, n in zip(class_names, counts, strict=True)},
    }
    columns = (split.image_ids, split.labels, split.group_ids, split.folds)
    rows += ['\t'.join(map(str, row)) + f'\t{split_name}' for row in zip(*columns, strict=True)]
  return {
    'name': '+'.join(info.name for info in infos),
    'config': '+'.join(info.config_name or '' for info in infos),
    'version': '+'.join(str(info.version) for info in infos),
    'description': '\n\n'.join(info.description for info in infos),
    'citation': '\n\n'.join(dict.fromkeys(info.citation for info in infos)),
    'licence': '; '.join(
      dict.fromkeys(info.as_proto.redistribution_info.license for info in infos)
    ),
    'homepage': ' '.join(info.homepage for info in infos),
    'class_names': list(class_names),
    'splits': splits,
    'missing': sum(len((info.metadata or {}).get('missing', ())) for info in infos),
    'fingerprint': hashlib.sha256('\n'.join(sorted(rows)).encode()).hexdigest(),
  }


def open_builder(name: str, data_dir: str | None = None) -> Any:
  """Returns the TFDS builder of a data set that is prepared as array_record.

  Args:
    name: data set, with its configuration after a slash where not the default.
    data_dir: as in `open_split`.

  Raises:
    UserError: it is several, unknown, not prepared, or stored in another format.
  """
  if ',' in name:
    raise UserError(
      f'{name!r} are several data sets where one is wanted: give one at a time (a folder of masks'
      ' holds those of one).'
    )
  where = data_dir or str(constants.DATA_DIR)
  command = f'python -m data_builders.build {name} --data_dir={where}'
  try:
    builder: Any = tfds.builder(name, data_dir=data_dir, file_format='array_record')
  except UserError as error:
    raise UserError(f'Data set {name!r}: {error}') from error
  except OSError as error:  # TFDS's own is one
    raise UserError(
      f'Data set {name!r} in {where} is damaged ({one_line(error)}): delete it and build it again.'
    ) from error
  except (tfds.core.DatasetNotFoundError, ValueError, RuntimeError) as error:
    raise UserError(
      f'Data set {name!r} is unknown to TFDS and not prepared in {where} ({one_line(error)}); '
      f'check its name and configuration or build it with `{command}`.'
    ) from error
  if not builder.data_path.exists():
    raise UserError(
      f'Data set {name!r} is not prepared: looked in {builder.data_path}; build it with '
      f'`{command}` (and --manual_dir=DIR for files downloaded by hand).'
    )
  if builder.info.file_format != tfds.core.FileFormat.ARRAY_RECORD:
    raise UserError(
      f'Data set {name!r} in {builder.data_path} is stored as {builder.info.file_format.value}, '
      f'but training reads array_record; build it in another directory with `{command}`.'
    )
  return builder


def _read_split(builder: Any, split: str, steps: pipeline.Pipeline, with_masks: bool) -> Split:
  info = builder.info
  name = info.full_name.rsplit('/', 1)[0]
  # A data set of masks alone has no classes.
  needed = tuple(key for key in COLUMNS if key != 'label') if with_masks else COLUMNS
  missing = [key for key in ('image', *needed) if key not in info.features]
  if missing:
    raise UserError(
      f'Data set {name!r} has no feature {missing[0]!r}; the records must hold '
      f"{', '.join(('image', *COLUMNS))}, as the project's builders write them."
    )
  base_name = re.split(r'[\[+]', split)[0]
  if base_name not in info.splits:
    raise UserError(
      f'Data set {name!r} has no split {split!r}; it has {", ".join(sorted(info.splits))}.'
    )
  raw = tfds.decode.DeserializeMethod.RAW_BYTES
  try:
    source = builder.as_data_source(split, deserialize_method=raw)
  except ValueError as error:
    raise UserError(
      f'{split!r} of data set {name!r} cannot be read ({one_line(error)}); give a split such as'
      f" 'train', or a slice such as 'train[:10%]'."
    ) from error
  columns = read_columns(builder, split, source)
  count = len(columns['label'])
  masks = subset(info.features, ('mask',)) if 'mask' in info.features else None
  small = [key for key in info.features if not isinstance(info.features[key], tfds.features.Image)]
  return Split(
    name=name,
    split=split,
    class_names=tuple(info.features['label'].names) if 'label' in info.features else _LESION,
    labels=columns['label'],
    image_ids=columns['image_id'],
    group_ids=columns['group_id'],
    folds=columns['fold'],
    sources=(
      Source(name, source, subset(info.features, ('image',)), masks, subset(info.features, small)),
    ),
    places=np.stack([np.zeros(count, np.int64), np.arange(count)], axis=1),
    preprocessing=steps,
  )
