"""How good a network's maps of relevance are, in numbers with intervals and levels of chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lesionjax.evaluation.relevance import agreement, artefacts, inside, perturbation
from lesionjax.evaluation.segmentation.summarise import paired_differences, summarise
from lesionjax.explain import maps
from lesionjax.explain.explained import ExplainedRun
from lesionjax.trust.looked_at import Looked

Maps = Mapping[str, np.ndarray]
"""float32 [M, H, W] by method, of the first M images that were looked at."""

# A map is compared with random ones of its own grain: pixels, or an eighth of the image.
CELLS = {'integrated_gradients': 0, 'occlusion': 8, 'gradcam': 8, 'gradcam++': 8}
RANDOM = {0: 'random_pixels', 8: 'random_patches'}
CURVE_STEPS = 8
_EXAMPLES = 5  # images that an alarm names


def localisation(
  found: Maps, looked: Looked, groups: np.ndarray, resamples: int
) -> dict[str, dict[str, Any]]:
  """Share of relevance inside of the lesion and pointing game, by method.

  Args:
    found: the maps.
    looked: the images.
    groups: str [M], lesion or patient.
    resamples: of the bootstrap over groups.

  Returns:
    By method: 'inside', 'area' (what chance gives), 'inside_gain' (the paired difference),
    'pointing', 'pointing_chance', 'pointing_gain', and 'empty', the number of maps without any
    relevance; intervals are None throughout where no image has a lesion that was found.
  """
  report: dict[str, dict[str, Any]] = {}
  for method, all_maps in found.items():
    kept = looked.known[: len(all_maps)]
    relevance, lesion = all_maps[kept], looked.lesion[: len(all_maps)][kept]
    entry: dict[str, Any] = {'empty': int((all_maps.max((1, 2)) <= 0).sum())}
    report[method] = entry | dict.fromkeys(_LOCAL)
    if not len(relevance):
      continue
    hits, chance = inside.pointing_game(relevance, lesion)
    share, area = inside.share_inside(relevance, lesion), inside.area(lesion)
    own = groups[: len(all_maps)][kept]
    values = {'inside': share, 'area': area, 'pointing': hits, 'pointing_chance': chance}
    entry |= summarise(values, own, resamples)
    entry |= paired_differences(
      {'inside_gain': share, 'pointing_gain': hits},
      {'inside_gain': area, 'pointing_gain': chance},
      own,
      resamples,
    )
    report[method] = entry
  return report


_LOCAL = ('inside', 'area', 'inside_gain', 'pointing', 'pointing_chance', 'pointing_gain')


def perturbation_curves(
  run: ExplainedRun,
  found: Maps,
  looked: Looked,
  classes: np.ndarray,
  groups: np.ndarray,
  resamples: int,
) -> dict[str, Any]:
  """Deletion and insertion of every method and of maps that know nothing.

  Args:
    run: the network.
    found: the maps, of the same images for all methods.
    looked: the images.
    classes: int [M], whose probability is followed.
    groups: str [M].
    resamples: of the bootstrap over groups.

  Returns:
    'fractions'; 'curves': mean curves by method or random kind; 'areas': by method 'deletion',
    'insertion' (areas under the curves), 'random' (what it is held against), and 'deletion_gain',
    'insertion_gain': by how much it is better than that.
  """
  count = len(next(iter(found.values())))
  shape = looked.pixels.shape[1:3]
  seen = {name: each[:count] for name, each in found.items()}
  for cells, name in RANDOM.items():
    seen[name] = perturbation.random_maps(count, shape, cells, seed=1)
  curves = {
    name: perturbation.curves(
      lambda images, wanted: maps.probability(run, images, wanted),
      looked.pixels[:count],
      classes[:count],
      each,
      CURVE_STEPS,
    )
    for name, each in seen.items()
  }
  areas = {
    name: {kind: perturbation.area_under(curve) for kind, curve in both.items()}
    for name, both in curves.items()
  }
  own = groups[:count]
  return {
    'images': count,
    'fractions': np.linspace(0, 1, CURVE_STEPS + 1).round(6).tolist(),
    'curves': {
      name: {kind: curve.mean(0).round(6).tolist() for kind, curve in both.items()}
      for name, both in curves.items()
    },
    'areas': {name: _against_random(name, areas, own, resamples) for name in found},
  }


def _against_random(
  name: str, areas: dict[str, dict[str, np.ndarray]], groups: np.ndarray, resamples: int
) -> dict[str, Any]:
  """Areas under the curves of a method, and their gain over random maps of its grain."""
  random = RANDOM[CELLS[name]]
  # Less is better for deletion: a gain is positive for both.
  first = {
    'deletion_gain': areas[random]['deletion'],
    'insertion_gain': areas[name]['insertion'],
  }
  second = {
    'deletion_gain': areas[name]['deletion'],
    'insertion_gain': areas[random]['insertion'],
  }
  return {
    **summarise(areas[name], groups, resamples),
    'random': random,
    **paired_differences(first, second, groups, resamples),
  }


def randomisation(
  run: ExplainedRun,
  found: Maps,
  looked: Looked,
  classes: np.ndarray,
  groups: np.ndarray,
  resamples: int,
  count: int,
) -> dict[str, Any]:
  """How alike maps of trained and of random weights are.

  Args:
    run: the network.
    found: its maps.
    looked: the images.
    classes: int [M], whose map is drawn in both.
    groups: str [M].
    resamples: of the bootstrap over groups.
    count: images that are compared.

  Returns:
    By method, by randomised part ('head', 'all'): 'ssim' and 'rank_correlation' with intervals;
    'undefined' counts maps that are the same everywhere.
  """
  report: dict[str, Any] = {}
  drawn_weights = maps.draw_weights(run)
  for part in ('head', 'all'):
    other = maps.randomised(run, drawn_weights, part)
    for method, trained in found.items():
      size = min(count, len(trained))
      drawn = maps.relevance(other, looked.pixels[:size], classes[:size], method)
      values = {
        'ssim': agreement.ssim(trained[:size], drawn),
        'rank_correlation': agreement.rank_correlation(trained[:size], drawn),
      }
      report.setdefault(method, {})[part] = summarise(values, groups[:size], resamples)
  return report


def alarm_counts(
  found: Maps, looked: Looked, image_ids: np.ndarray, groups: np.ndarray, resamples: int
) -> dict[str, Any]:
  """On how many images relevance sits on frame, ruler or hair.

  Args:
    found: the maps.
    looked: the images.
    image_ids: str [M].
    groups: str [M].
    resamples: of the bootstrap over groups.

  Returns:
    By kind of artefact: 'present' (images that show it, of 'images'), and by method 'images',
    'present', 'flagged', 'share' and 'area' (over images that show it; None where there are none)
    and 'examples', the worst of the flagged.
  """
  report: dict[str, Any] = {}
  for kind, all_regions in looked.artefacts.items():
    shown = inside.area(all_regions) > artefacts.PRESENT
    report[kind] = {'images': len(shown), 'present': int(shown.sum()), 'methods': {}}
    for method, relevance in found.items():
      count = len(relevance)
      region, there = all_regions[:count], shown[:count]
      flags, shares = artefacts.alarms(relevance, region)
      areas = inside.area(region)
      entry: dict[str, Any] = {
        'images': count,
        'present': int(there.sum()),
        'flagged': int(flags.sum()),
        'share': None,
        'area': None,
      }
      if there.any():
        values = {'share': shares[there], 'area': areas[there]}
        entry |= summarise(values, groups[:count][there], resamples)
      worst = np.flatnonzero(flags)
      worst = worst[np.argsort(-shares[worst], kind='stable')][:_EXAMPLES]
      entry['examples'] = [
        {'image_id': str(image_ids[at]), 'share': float(shares[at]), 'area': float(areas[at])}
        for at in worst
      ]
      report[kind]['methods'][method] = entry
  return report
