"""The mode `generate`: a data set of images that a trained generator draws."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from etils import epath

from data_builders import generated
from data_builders.errors import UserError
from data_builders.images import encode_png
from lesionjax.data import synthetic
from lesionjax.data.columns import one_line
from lesionjax.data.datasets import names_of
from lesionjax.generation.sampling import Generator, check_seed
from lesionjax.host import environment, files
from lesionjax.runs import run_data, run_directory

FILL = 'fill'
_SHARD = 1000  # images of a shard, which is drawn and encoded in memory


def write(run_dir: str, out: str, per_class: str, seed: int = 0) -> str:
  """Writes the data set `generated_lesions`, which `config.data.synthetic` mixes into training.

  Image i of a class is a function of (weights, seed, i, class) alone: a larger set begins with the
  smaller one.

  Args:
    run_dir: of a finished generator (config.task='generate').
    out: data directory of the set, new or empty, or one with this very set.
    per_class: how many images: 'fill' brings every class to the number of the largest among the
      generator's training images, '200' is for every class, 'df=200,vasc=100' for these.
    seed: of the latent vectors, 0 to 2**32 - 1.

  Returns:
    The directory of the data set.

  Raises:
    UserError: on a mistake in run, folder or counts.
  """
  check_seed(seed, '--latent_seed')
  generator = Generator(run_dir)
  config = generator.config
  counts = parse_counts(per_class, generator.class_names, _support(generator))
  digest = hash_weights(generator.weights)
  about = {
    'generator': digest,
    'run': run_directory.locate(run_dir).name,
    'commit': environment.code_commit(),
    'seed': seed,
    'counts': counts,
    'trained_on': _trained_on(generator),
    # What real images must have gone through to look like these.
    'data': ','.join(names_of(config.data.name)),
    'preprocess': config.data.preprocess,
    'preprocessing': generator.preprocessing.name,
    'size_px': config.data.size_px,
  }
  folder = run_directory.locate(out)
  place = folder / generated.NAME
  if _is_there(folder, about):
    return str(place)
  # First, so that no image is ever without what its generator has seen.
  seen = run_directory.read_json(generator.run_dir, 'seen.json', f'{run_dir} has no seen.json')
  files.write_json(folder / synthetic.SEEN, seen)
  shards = [
    functools.partial(_draw, generator, label, start, stop, seed, digest)
    for label, name in enumerate(generator.class_names)
    for start, stop in _ranges(counts.get(name, 0))
  ]
  builder = generated.Builder(
    class_names=generator.class_names, shards=shards, metadata=about, data_dir=str(folder)
  )
  builder.download_and_prepare(file_format='array_record')
  print(f'{sum(counts.values()):,} images of {len(counts)} classes in {place}.')
  return str(place)


def parse_counts(
  text: str, class_names: Sequence[str], support: Mapping[str, int]
) -> dict[str, int]:
  """Returns how many images of every class are asked for; classes with none are left out.

  Args:
    text: see `write`.
    class_names: that the generator knows.
    support: training images by class.

  Raises:
    UserError: an unknown class, one that the generator has never seen, or what is no number.
  """
  if text == FILL:
    largest = max(support.values())
    counts = {name: largest - support.get(name, 0) for name in class_names}
  elif re.fullmatch(r'\d+', text):
    counts = dict.fromkeys(class_names, int(text))
  else:
    counts = {}
    for part in text.split(','):
      name, equals, number = part.strip().partition('=')
      if not equals or not re.fullmatch(r'\d+', number):
        raise UserError(
          f"--per_class={text}: {part!r} is neither 'fill', a number, nor CLASS=NUMBER; separate"
          ' several by commas.'
        )
      if name in counts:
        raise UserError(f'--per_class={text} names {name!r} twice: give it once.')
      if name not in class_names:
        raise UserError(
          f'--per_class={text}: the generator knows no class {name!r}, only'
          f' {", ".join(class_names)}.'
        )
      counts[name] = int(number)
  counts = {name: count for name, count in counts.items() if count}
  if not counts and text == FILL:
    raise UserError(
      '--per_class=fill asks for no image: all classes have as many training images as the largest;'
      ' give a number.'
    )
  if not counts:
    raise UserError(f'--per_class={text} asks for no image: give a number above 0.')
  unseen = [name for name in counts if not support.get(name)]
  if unseen:
    raise UserError(
      f'--per_class={text} asks for {counts[unseen[0]]:,} images of {unseen[0]!r}, of which the'
      ' generator has seen none in training: name the classes that it knows, as'
      ' --per_class=CLASS=NUMBER,...'
    )
  return counts


def hash_weights(weights: Any) -> str:
  """SHA-256 of all weights, by name, shape and bytes; hexadecimal."""
  digest = hashlib.sha256()
  for path, leaf in sorted(
    jax.tree_util.tree_leaves_with_path(weights), key=lambda item: jax.tree_util.keystr(item[0])
  ):
    array = np.asarray(leaf)
    digest.update(f'{jax.tree_util.keystr(path)}{array.shape}{array.dtype}'.encode())
    digest.update(array.tobytes())
  return digest.hexdigest()


def _support(generator: Generator) -> dict[str, int]:
  """Training images by class, of what the generator was trained on."""
  config = generator.config
  named = _data(generator)['splits'].get(config.data.train_split)
  if named and not config.data.leave_out_folds:
    return named['support']
  # A slice, several splits or a part of the folds: nothing has counted these.
  train = run_data.open_training_data(config)
  counts = np.bincount(train.labels, minlength=len(train.class_names)).tolist()
  return dict(zip(train.class_names, counts, strict=True))


def _trained_on(generator: Generator) -> str:
  data = _data(generator)
  return f'{data["name"]}/{data["config"]} {data["version"]} {data["fingerprint"]}'


def _data(generator: Generator) -> dict[str, Any]:
  return run_directory.read_json(generator.run_dir, 'data.json', f'{generator.run_dir} has no data')


def _is_there(folder: epath.Path, about: Mapping[str, Any]) -> bool:
  """Whether the folder holds the very set; refuses one that holds something else."""
  names = [path.name for path in folder.iterdir()] if folder.exists() else []
  if generated.NAME in names and list((folder / generated.NAME).glob('[0-9]*')):
    before = synthetic.metadata(str(folder))
    keys = ('generator', 'seed', 'counts')
    if all(before.get(key) == about[key] for key in keys):
      _check_whole(folder, sum(about['counts'].values()))
      return True
    raise UserError(
      f'--out={folder} holds other generated images ({before.get("counts")} by'
      f' {before.get("run")}, seed {before.get("seed")}): give another folder.'
    )
  mine = (generated.NAME, synthetic.SEEN, 'downloads')
  foreign = [name for name in names if name not in mine and not name.endswith('.tmp')]
  if foreign:
    raise UserError(f'--out={folder} holds other files, such as {foreign[0]}: give a new folder.')
  return False


def _check_whole(folder: epath.Path, count: int) -> None:
  """Refuses a set that lost files since it was written: it is not drawn over what is left."""
  lost = '' if (folder / synthetic.SEEN).exists() else f'it has no {synthetic.SEEN}'
  if not lost:
    try:
      split = synthetic.open_generated(str(folder))
      found = sum(len(split.encoded(row)) > 0 for row in range(len(split)))
      lost = '' if found == count else f'it holds {found:,} of {count:,} images'
    except (UserError, OSError, RuntimeError, ValueError, IndexError) as error:  # of the records
      lost = one_line(error).rstrip('.')
  if lost:
    raise UserError(
      f'--out={folder} holds these images, but is damaged ({lost}): delete the folder and generate'
      ' them again.'
    )


def _ranges(count: int) -> Iterator[tuple[int, int]]:
  for start in range(0, count, _SHARD):
    yield start, min(start + _SHARD, count)


def _draw(
  generator: Generator, label: int, start: int, stop: int, seed: int, digest: str
) -> Iterator[tuple[str, dict[str, Any]]]:
  name = generator.class_names[label]
  images = generator.generate([label] * (stop - start), seed, start)
  for index, image in enumerate(images, start):
    record = generated.record(encode_png(image), label, name, seed, index, digest)
    yield record['image_id'], record
