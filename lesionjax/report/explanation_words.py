"""What the numbers of explanations.json say, in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lesionjax.report.run_files import number
from lesionjax.report.tables import cell

METHODS = {
  'gradcam': 'Grad-CAM',
  'gradcam++': 'Grad-CAM++',
  'integrated_gradients': 'Integrated gradients',
  'occlusion': 'Occlusion',
  'random_pixels': 'Random pixels',
  'random_patches': 'Random patches',
}
KINDS = {'frame': 'the black frame', 'ruler': 'a ruler', 'hair': 'hair'}
_VIEWS = {
  'mask': ' The network sees black outside of the lesion, so that little else can be relevant.',
  'crop': ' The network sees the rectangle around the lesion alone: chance is high.',
  'mask_crop': ' The network sees the lesion alone, cut out: chance is high.',
}
_INSENSITIVE = 0.5  # rank correlation from which a map is called blind to the weights

Found = Mapping[str, Any]


def kinds(positive: str) -> dict[str, str]:
  """Why an image is shown -> the heading above it.

  Args:
    positive: 'malignant' or the class that must not be missed.
  """
  return {
    'error': 'The most confident errors',
    'miss': f'Missed {positive} lesions, the least suspected first',
    'hit': 'Confident hits',
  }


def title(found: Found) -> str:
  """The verdict: whether relevance lies on the lesion, more than chance would have it."""
  on, off = _methods(found, 1), _methods(found, -1)
  if not on and not off:
    return 'Not shown to look at the lesion more than chance would'
  if not on:
    return 'It looks beside the lesion, more than chance would'
  told = 'It looks at the lesion, more than chance would'
  return told if len(on) == len(found['methods']) else f'{told}, says {_list(on)}'


def _methods(found: Found, sign: int) -> list[str]:
  """Methods whose relevance is surely more (1), or less (-1), inside of the lesion than chance."""
  chosen = []
  for name, entry in found['methods'].items():
    gain = entry.get('inside_gain') or {}
    limit = number(gain.get('low' if sign > 0 else 'high'))
    if limit * sign > 0:
      chosen.append(_name(name))
  return chosen


def sentences(found: Found) -> list[str]:
  """The evidence: share inside and peak, effect of the pixels, random weights."""
  counts, entry = found['images'], found['methods']['gradcam']
  told = []
  if entry.get('inside') is None:
    told.append('No lesion was found in any of the measured images.')
  else:
    shares = [
      f'{_told(each["inside"])} by {_name(name)}' for name, each in found['methods'].items()
    ]
    told.append(
      f'Of the relevance, {_list(shares)} lies inside the lesion, on random images of the'
      f' {found["split"]} split. The lesion has {cell(entry["area"])["value"]} of the image, which'
      f' is what a map that knows nothing would have inside.{_VIEWS.get(str(found["view"]), "")}'
    )
  if entry['empty']:
    told.append(
      f'In {entry["empty"]} of {counts["measured"]} images Grad-CAM shows nothing that speaks for'
      ' the predicted class.'
    )
  return [*told, _cells(found), _matters(found), _sane(found)]


def alarms(found: Found) -> list[str]:
  """Where relevance sits on what is no skin; the first sentence where it does not."""
  rule = found['alarm_rule']
  told = []
  for kind, entry in found['alarms'].items():
    for method, one in entry['methods'].items():
      if one['flagged']:
        names = ', '.join(example['image_id'] for example in one['examples'])
        told.append(
          f'{METHODS[method]} lies on {KINDS[kind]} in {one["flagged"]} of {one["images"]} images'
          f' ({one["present"]} show it), worst {names}.'
        )
  if not told:
    return []
  return [
    *told,
    f'An alarm: more than {100 * rule["share"]:.0f} % of the relevance lies there, and more than'
    f' {rule["ratio"]:g} times its share of the image.',
  ]


def notes(found: Found) -> list[str]:
  """How it was measured, and what it cannot say."""
  counts, present = found['images'], found['alarms']
  side, step = found['occlusion_px']
  shown = ', '.join(
    f'{KINDS[kind]} in {entry["present"]}' for kind, entry in present.items() if entry['present']
  )
  seconds = sum(found['seconds'].values())
  return [
    f'Numbers are of the predicted class on random images of {counts["of"]:,}, not of those shown'
    f' above: {counts["measured"]} for Grad-CAM and Grad-CAM++, the first {counts["costly"]} of'
    f' them for integrated gradients ({found["integrated_gradients_steps"]} steps from the blurred'
    f' image), occlusion ({side} px square, {step} px apart), deletion and insertion.'
    f' Lesions: {found["masks"]}. Intervals: 95 % bootstrap over lesions or patients.',
    'Deletion and insertion: by how much the area under the curve is better than that of a random'
    ' map of the same grain; above 0 the marked pixels matter more than any others. Random weights:'
    ' rank correlation with the map of an untrained network, near 0 for a map that depends on what'
    ' was learnt.',
    f'Found by image processing, with errors: {shown or "no frame, ruler or hair"} (of'
    f' {counts["measured"]}). Relevance shows where the evidence for a class lies, not whether it'
    f' is good evidence. Measured in {seconds:.0f} s.',
    'Sources: Selvaraju 2017, Chattopadhay 2018, Sundararajan 2017, Zeiler and Fergus 2014; Wang'
    ' 2020 (share inside), Zhang 2018 (pointing game), Petsiuk 2018 (deletion, insertion), Adebayo'
    ' 2018 (random weights).',
  ]


def _cells(found: Found) -> str:
  """What Grad-CAM cannot resolve, and where it was taken."""
  rows, columns = found['cells']
  height, width = found['size']
  told = (
    f'Grad-CAM stretches a map of {rows}x{columns} cells over {height}x{width} px: it shows nothing'
    ' finer than a cell.'
  )
  if found['layer'] != 'last_map':
    told += f' The last map would be coarser still: it is taken at {found["layer"]}.'
  return told


def _matters(found: Found) -> str:
  """Whether what is marked moves the score."""
  gains = found['perturbation']['areas']

  def better(name: str, kind: str) -> bool:
    return number(gains[name][f'{kind}_gain'].get('low')) > 0

  both = [_name(name) for name in gains if better(name, 'deletion') and better(name, 'insertion')]
  if not both:
    return (
      'No method marks pixels whose removal lowers, and whose return raises, the probability more'
      ' than random ones do.'
    )
  return (
    f'The pixels marked by {_list(both)} matter: without them the probability falls faster, with'
    ' them alone it rises faster, than with random ones.'
  )


def _sane(found: Found) -> str:
  """Whether the maps depend on what was learnt."""
  drawn = found['randomisation']['gradcam']['all']['rank_correlation']
  value = number(drawn.get('value'))
  if math.isnan(value):
    return 'With random weights the maps of Grad-CAM are empty: there is nothing to compare.'
  told = (
    'those of Grad-CAM with trained and with random weights have a rank correlation of'
    f' {_told(drawn)}'
  )
  if number(drawn.get('low')) > _INSENSITIVE:
    return f'Beware: {told}, so that they show the image more than what was learnt from it.'
  return f'The maps depend on what was learnt: {told}.'


def _told(entry: Any) -> str:
  text = cell(entry)
  return f'{text["value"]} ({text["interval"]})' if text['interval'] else text['value']


def _name(method: str) -> str:
  """A method's name within a sentence."""
  name = METHODS[method]
  return name if 'CAM' in name else name.lower()


def _list(names: list[str]) -> str:
  return names[0] if len(names) == 1 else f'{", ".join(names[:-1])} and {names[-1]}'
