"""What an exported program does not do by itself, in words and parameters."""

from __future__ import annotations

import dataclasses
from typing import Any

from ml_collections import ConfigDict

from data_builders.cleaning import hair
from lesionjax.predicting.network import Member
from lesionjax.runs import run_directory
from lesionjax.runs.predictor import Classifier

_STEPS = {
  'stretch': 'stretch to {0} x {0} px',
  'crop': 'cut out the central square of the short side and resize it to {0} x {0} px',
  'pad': 'fit the long side to {0} px, the image on black, {0} x {0} px',
  'vga': 'stretch to 640 x 480 px, cut out the central 480 x 480 px, resize to {0} x {0} px',
  'frame': 'cut off a black frame, where there is one',
  'hair': 'remove hairs (data_builders.cleaning.hair.remove_hair)',
  'hair17': 'remove hairs (data_builders.cleaning.hair.remove_hair)',
  'clahe': 'raise the local contrast of lightness (data_builders.cleaning.colour.clahe)',
  'grey': 'shades-of-grey colour constancy (data_builders.cleaning.colour.shades_of_grey)',
}
_PARAMETERS: dict[str, dict[str, Any]] = {
  'hair': dataclasses.asdict(hair.DEFAULT),
  'hair17': dataclasses.asdict(hair.PUBLISHED),
}
_LESIONS = {
  'mask': 'set everything outside of the lesion to black',
  'crop': 'cut out the upright rectangle around the lesion, with a margin of {0:g} of its long'
  ' side',
  'mask_crop': 'set everything outside of the lesion to black and cut out the upright rectangle'
  ' around it, with a margin of {0:g} of its long side',
}


def steps(classifier: Classifier) -> list[dict[str, Any]]:
  """What must be done to a photograph before the program sees it, in this order.

  Args:
    classifier: the run.

  Returns:
    {'step': token, 'what': words, and its parameters} of every step.
  """
  found: list[dict[str, Any]] = [
    {'step': 'decode', 'what': '8-bit RGB, an orientation tag ignored', 'channels': 'RGB'}
  ]
  for token in classifier.preprocessing.steps:
    digits = token.lstrip('abcdefghijklmnopqrstuvwxyz')
    name = token if token in _STEPS else token.removesuffix(digits)
    parameters = _PARAMETERS.get(token, {}) if token in _STEPS else {'px': int(digits)}
    found.append({'step': token, 'what': _STEPS[name].format(digits), **parameters})
  data = classifier.config.data
  if data.lesion in _LESIONS:
    words = _LESIONS[data.lesion].format(data.lesion_margin)
    margin = {'margin': data.lesion_margin} if data.lesion != 'mask' else {}
    found.append({'step': f'lesion_{data.lesion}', 'what': words, **margin})
  height, width = classifier.size
  found.append(
    {
      'step': 'resize',
      'what': f'stretch to {width} x {height} px: bilinear up to a factor of two, areas averaged'
      ' beyond (cv2.INTER_LINEAR, cv2.INTER_AREA)',
      'width': width,
      'height': height,
    }
  )
  return found


def inside(config: ConfigDict) -> list[dict[str, Any]]:
  """What the program itself does before the network, and after."""
  mean, std = list(config.normalise.mean), list(config.normalise.std)
  return [
    {'step': 'scale', 'what': 'divide by 255', 'divisor': 255},
    {'step': 'normalise', 'what': '(x - mean) / std of each channel', 'mean': mean, 'std': std},
    {'step': 'network', 'what': config.model.name},
    {'step': 'softmax', 'what': 'softmax(logits / temperature)'},
  ]


def left_out(member: Member) -> list[str]:
  """What the network needs and the program does not hold, in words."""
  if not member.looks:
    return []
  own = member.classifier.segmenter is not None
  by = "the run's own first stage" if own else 'the masks of its data'
  return [
    f'The network saw lesions found by {by}, and the program does not find them: give it the same'
    ' part of every photograph, or its probabilities mean nothing.'
  ]


def licence(run_dir: str) -> str:
  """What the licence of the training data means for the weights."""
  data = run_directory.read_json(run_dir, 'data.json', f'{run_dir} has no data.json')
  name, terms = data.get('name') or 'unknown data', data.get('licence') or 'unknown'
  words = f'Trained on {name} (licence: {terms}).'
  if 'NC' in terms.upper().replace('-', ' ').split() or 'noncommercial' in terms.lower():
    words += ' Weights trained on non-commercial data are not for commercial use.'
  return words


def readme(about: dict[str, Any]) -> str:
  """README.txt beside the program."""
  _, height, width, _ = about['input']['shape']
  # The first step decodes and the last resizes, as the snippet does.
  own = '\n  image = prepared(image)  # yours to write: the steps above between the first and last'
  own = own if len(about['preprocessing']) > 2 else ''
  before = '\n'.join(
    f'  {place}. {step["what"]}' for place, step in enumerate(about['preprocessing'], 1)
  )
  return f"""An image classifier ({about['model']}), exported as StableHLO. Not a medical device.

Before the program, to every photograph:
{before}

Loading it takes jax >= {about['jax']} with flatbuffers, NumPy and OpenCV, not lesionjax:

  import cv2, json, numpy as np
  from jax import export

  about = json.load(open('model.json'))
  program = export.deserialize(bytearray(open('model.stablehlo', 'rb').read()))
  image = cv2.imread('image.jpg', cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)[..., ::-1]{own}
  large = image.shape[0] > 2 * {height} or image.shape[1] > 2 * {width}
  method = cv2.INTER_AREA if large else cv2.INTER_LINEAR
  small = cv2.resize(image, ({width}, {height}), interpolation=method)
  found = program.call(np.ascontiguousarray(small[None]))  # any number of images at a time
  print(dict(zip(about['classes'], np.asarray(found['probabilities'])[0].tolist())))

{' '.join(about['notes'])}
The program was lowered for {', '.join(about['platforms'])} and tested on a CPU only.
Thresholds hold for probabilities without the temperature: softmax(logits), summed over
{', '.join(about['positive']['classes']) or 'no class'}. Conformal sets hold for 'probabilities'.
{about['licence']}
"""
