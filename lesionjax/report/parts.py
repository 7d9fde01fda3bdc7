"""The sections of a classifier's page that have a module and a template of their own."""

from __future__ import annotations

from typing import Any

from lesionjax.report import (
  averaged,
  calibration,
  card,
  explanations,
  feature_space,
  operating,
  subgroups,
  toning,
  unknown,
)
from lesionjax.report.figures import Plot
from lesionjax.report.run_files import Run

# name of module, template, section and figures' place -> (module, how the contents call it), in the
# order of the page
PARTS: dict[str, tuple[Any, str]] = {
  'averaged': (averaged, 'The average'),
  'operating': (operating, 'Operating points'),
  'calibration': (calibration, 'Calibration and referral'),
  'subgroups': (subgroups, 'Subgroups'),
  'toning': (toning, 'The same lesions on other skin'),
  'explanations': (explanations, 'What it looked at'),
  'unknown': (unknown, 'Unknown classes'),
  'feature_space': (feature_space, 'Feature space'),
  'card': (card, 'Model card'),
}


def plots(run: Run) -> dict[str, list[Plot]]:
  """Figures by section; to be called within `figures.style()`."""
  return {name: module.plots(run) for name, (module, _) in PARTS.items()}


def contexts(run: Run) -> dict[str, Any]:
  """What the template of each section shows; None where the run holds nothing for it."""
  return {name: module.context(run) for name, (module, _) in PARTS.items()}


def titles(sections: dict[str, Any]) -> list[tuple[str, str]]:
  """Name and title in the contents of the sections that are there, in the order of the page.

  Args:
    sections: from `contexts`.
  """
  return [(name, title) for name, (_, title) in PARTS.items() if sections[name] is not None]
