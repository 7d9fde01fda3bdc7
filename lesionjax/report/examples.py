"""Example images of a report: confident hits and confident errors, as small inlined JPEGs."""

from __future__ import annotations

from typing import Any

from lesionjax.report import images
from lesionjax.report.figures import class_colour
from lesionjax.report.run_files import Run


def example_groups(run: Run, split: str) -> list[dict[str, Any]]:
  """Hits and errors of a split, each in order of class and falling confidence.

  Returns:
    [{'title', 'figures': [...]}], groups without an image left out.
  """
  examples, predictions = run.examples.get(split), run.predictions.get(split)
  if examples is None or predictions is None:
    return []
  hits, errors = [], []
  for row, image in zip(examples.rows.tolist(), examples.images, strict=True):
    truth, scores = int(predictions.labels[row]), predictions.probabilities[row]
    guess = int(scores.argmax())
    figure = {
      'src': images.data_uri(images.shrink(image)),
      'image_id': str(predictions.image_ids[row]),
      'true': predictions.class_names[truth],
      'true_colour': class_colour(truth),
      'true_probability': f'{scores[truth]:.2f}',
      'predicted': predictions.class_names[guess],
      'predicted_colour': class_colour(guess),
      'probability': f'{scores[guess]:.2f}',
      'width': image.shape[1],
      'height': image.shape[0],
    }
    (hits if guess == truth else errors).append((truth, -float(scores[guess]), figure))
  groups = []
  for title, found in (('Confident hits', hits), ('Confident errors', errors)):
    ordered = [figure for *_, figure in sorted(found, key=lambda item: item[:2])]
    if ordered:
      groups.append({'title': title, 'figures': ordered, 'errors': title.endswith('errors')})
  return groups
