"""What the layers of a run see: `python -m lesionjax.predicting.layers RUN --images=... --out=DIR`.

Writes PNG figures into DIR: `channels_NN.png`, channels of an intermediate map of every image;
`gradcam.png`, Grad-CAM of the predicted and, where it is known, of the true class; with `--beside`
`activations.png`, the mean activation of a map without any gradient, in two runs side by side.
`--errors=N` takes the most confident errors of an evaluated split instead of files. `--list` prints
the names of the maps.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import numpy as np

from data_builders.errors import UserError
from lesionjax.explain.explained import METHODS, ExplainedRun
from lesionjax.host import files
from lesionjax.models import names
from lesionjax.predicting import chosen
from lesionjax.predicting.chosen import Chosen
from lesionjax.report import figures, figures_layers, overlays
from lesionjax.report.figures_layers import Cell
from lesionjax.runs.inference import softmax


def main(arguments: Sequence[str]) -> int:
  """Draws what the command line asks for; returns the exit status."""
  options = _parser().parse_args(arguments)
  try:
    run = ExplainedRun(options.run)
    if options.list:
      sys.stdout.write(listed(run.feature_maps()) + '\n')
      return 0
    for path in draw(run, options):
      sys.stdout.write(f'{path}\n')
  except UserError as error:
    sys.stderr.write(f'Error: {error}\n')
    return 1
  return 0


def listed(maps: dict[str, tuple[int, int, int]]) -> str:
  """A line for every map: its name, then height, width and channels."""
  width = max(map(len, maps))
  return '\n'.join(f'{name:<{width}}  {h} x {w} x {c}' for name, (h, w, c) in maps.items())


def draw(run: ExplainedRun, options: argparse.Namespace) -> list[str]:
  """Draws and writes the figures.

  Args:
    run: the network.
    options: of the command line.

  Returns:
    Paths of the files.

  Raises:
    UserError: an unknown layer, no image, or a second run that does not fit.
  """
  if not options.out:
    raise UserError('--out is missing: name the folder that the figures go to.')
  if bool(options.images) == bool(options.errors):
    raise UserError('Give either --images=FILES or --errors=N, which takes records of the run.')
  if options.channels < 1 or options.count < 1 or options.errors < 0:
    raise UserError('--channels, --count and --errors must be at least 1.')
  layer = options.layer or middle(run.feature_maps())
  for name in (layer, options.map):
    names.check_name('feature map', name, run.feature_maps())
  other = ExplainedRun(options.beside) if options.beside else None
  if options.errors:
    images = chosen.from_split(run, options.split, 'errors', options.errors)
  else:
    images = chosen.from_files(run, options.images, options.out, options.count)
  plots = [*channel_plots(run, images, layer, options.channels)]
  plots.append(cam_plot(run, images, options.map, options.method))
  if other is not None:
    seen = _seen_by(other, images, options)
    plots.append(beside_plot((run, other), (images, seen), options.map))
  return [_write(plot, options.out) for plot in plots]


def middle(maps: dict[str, tuple[int, int, int]]) -> str:
  """The map that is shown where none is named: after three halvings, or half way."""
  return 'stride8' if 'stride8' in maps else list(maps)[len(maps) // 2]


def strongest(maps: np.ndarray, count: int) -> list[int]:
  """Channels of maps [N, h, w, C] that vary most over all images, in the order of their numbers."""
  spread = maps.reshape(-1, maps.shape[-1]).std(0)
  return sorted(np.argsort(-spread, kind='stable')[:count].tolist())


def channel_plots(run: ExplainedRun, images: Chosen, layer: str, count: int) -> list[figures.Plot]:
  """A sheet of channels of every image; the same channels of all."""
  maps = run.activations(images.pixels, layer)
  numbers = strongest(maps, count)
  total, (height, width) = maps.shape[-1], maps.shape[1:3]
  caption = f'{len(numbers)} of {total} channels that vary most; {height} x {width} px each'
  plots = []
  with figures.style():
    for index, name in enumerate(images.names):
      title = f'{figures.shorten(name, 40)}: map {layer}'
      plots.append(
        figures_layers.channels(
          f'channels_{index:02d}',
          title,
          images.pixels[index],
          maps[index][..., numbers],
          numbers,
          caption,
        )
      )
  return plots


def cam_plot(run: ExplainedRun, images: Chosen, layer: str, method: str) -> figures.Plot:
  """A row an image: as seen, what speaks for the predicted class, what for the true one."""
  probabilities = softmax(run.logits(images.pixels))
  guess = probabilities.argmax(1)
  found = {'predicted': (guess, run.cam(images.pixels, guess, layer, method))}
  if images.labels is not None:
    found['true'] = images.labels, run.cam(images.pixels, images.labels, layer, method)
  rows = []
  for index, name in enumerate(images.names):
    pixels = images.pixels[index]
    cells = [Cell(pixels, figures.shorten(name, 22))]
    for word, (classes, maps) in found.items():
      k = int(classes[index])
      title = f'{word}: {figures.shorten(run.class_names[k])}\np = {probabilities[index, k]:.2f}'
      cells.append(Cell(overlays.overlay(pixels, maps[index]), title))
    rows.append(cells)
  with figures.style():
    return figures_layers.sheet(
      'gradcam',
      f'{_CALLED[method]} at {layer}',
      'Every image beside a map of what in it speaks for a class.',
      rows,
      f'{images.told}\nDark violet: nothing speaks for the class; yellow: most.',
    )


_CALLED = {'gradcam': 'Grad-CAM', 'gradcam++': 'Grad-CAM++'}


def beside_plot(
  runs: tuple[ExplainedRun, ExplainedRun], images: tuple[Chosen, Chosen], layer: str
) -> figures.Plot:
  """A row an image: as each run sees it, and the mean activation of a map of each."""
  words = [os.path.basename(str(run.classifier.run_dir).rstrip('/')) for run in runs]
  maps = [run.activation(seen.pixels, layer) for run, seen in zip(runs, images, strict=True)]
  rows = []
  for index, name in enumerate(images[0].names):
    cells = []
    for word, seen, found in zip(words, images, maps, strict=True):
      cells.append(Cell(seen.pixels[index], f'{figures.shorten(word, 22)}\n{name[-22:]}'))
      plane = found[index]
      cells.append(Cell(plane, f'activation\n{plane.min():.2g} to {plane.max():.2g}'))
    rows.append(cells)
  with figures.style():
    return figures_layers.sheet(
      'activations',
      f'Mean activation of {layer}, without a gradient',
      'Every image as two networks see it, each beside the mean activation of a map.',
      rows,
      'Colours run from the smallest to the largest value of each picture.',
    )


def _seen_by(other: ExplainedRun, images: Chosen, options: argparse.Namespace) -> Chosen:
  """The same images as a second run sees them."""
  names.check_name('feature map', options.map, other.feature_maps())
  if options.errors:
    return chosen.same_images(other, options.split, images)
  return chosen.from_files(other, options.images, options.out, options.count)


def _write(plot: figures.Plot, out: str) -> str:
  path = os.path.join(out, f'{plot.name}.png')
  with figures.style():
    files.write_bytes(path, figures.encode(plot).png)
  return path


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='python -m lesionjax.predicting.layers',
    description="Feature maps, Grad-CAM and activations of a classifier's run, as PNG figures.",
    allow_abbrev=False,
  )
  parser.add_argument('run', help='directory of a run')
  parser.add_argument('--list', action='store_true', help='print names and shapes of the maps')
  parser.add_argument('--images', default='', help='a folder, a pattern in quotes, or one image')
  parser.add_argument('--errors', type=int, default=0, help='so many confident errors of --split')
  parser.add_argument('--split', default='test', help='evaluated split that errors are taken from')
  parser.add_argument('--count', type=int, default=8, help='at most so many of --images')
  parser.add_argument('--layer', default='', help='map whose channels are drawn (a middle one)')
  parser.add_argument('--channels', type=int, default=16, help='so many channels')
  parser.add_argument('--map', default='last_map', help='map of Grad-CAM and of the activations')
  parser.add_argument('--method', default='gradcam', choices=METHODS)
  parser.add_argument('--beside', default='', help='a second run, its activations side by side')
  parser.add_argument('--out', default='', help='folder of the figures')
  return parser


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
