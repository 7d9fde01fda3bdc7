"""thresholds.json of a made-up run, and a page that holds the section on it alone."""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import types

import jinja2
import markupsafe
import numpy as np
from etils import epath

from lesionjax.report import figures, operating, rendering
from lesionjax.report.run_files import read_run

_PAGE = """{% extends 'base.html.j2' %}
{% block title %}points{% endblock %}
{% block scripts %}; script-src {{ script_hash('operating.js') }} {{ allowed }}{% endblock %}
{% block main %}{% include 'operating.html.j2' %}{% endblock %}
"""


def evaluated(directory, protocol='rigorous', splits=('validation', 'test'), positive='malignant'):
  """What an evaluation hands over, from the predictions that a run directory holds."""
  from ml_collections import ConfigDict

  from lesionjax.trust.evaluated import Evaluated

  directory = epath.Path(directory)
  arrays = {name: np.load(directory / f'predictions_{name}.npz') for name in splits}
  names = tuple(arrays[splits[0]]['class_names'].tolist())
  config = ConfigDict(
    {
      'protocol': protocol,
      'data': {'validation_split': 'validation', 'test_split': 'test'},
      'evaluate': {'positive': positive, 'cost_ratio': 10.0, 'resamples': 60},
    }
  )
  records = {
    name: types.SimpleNamespace(
      labels=found['label'], class_names=names, group_ids=found['group_id']
    )
    for name, found in arrays.items()
  }
  outputs = {name: {'logits': found['logits']} for name, found in arrays.items()}
  return Evaluated(config, directory, directory, names, records, outputs)


def write_thresholds(directory, **options):
  from lesionjax.trust import operating as trust_operating

  trust_operating.write(evaluated(directory, **options))
  return json.loads((directory / 'thresholds.json').read_text())


def write_page(directory: pathlib.Path, script: str = '') -> pathlib.Path:
  """Writes points.html; `script` runs behind the section, as the one other that is allowed."""
  run = read_run(directory)
  with figures.style():
    shown = rendering.write_figures(run.directory / 'figures', {'operating': operating.plots(run)})
  environment = rendering.environment()
  loader = environment.loader
  assert loader is not None
  environment.loader = jinja2.ChoiceLoader([loader, jinja2.DictLoader({'points': _PAGE})])
  digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
  page = environment.get_template('points').render(
    operating=operating.context(run),
    plots=shown,
    facts=[],
    allowed=markupsafe.Markup(f"'sha256-{digest}'") if script else '',
  )
  path = directory / 'points.html'
  path.write_text(
    page.replace('</main>', f'</main><script>{script}</script>' if script else '</main>')
  )
  return path
