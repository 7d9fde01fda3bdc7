"""Calibration, unknown classes and other skin of a run, for rows of docs/results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_RATES = ('value', 'low', 'high', 'n')
_CALIBRATION = ('ece', 'brier')
_NOVELTY = {'auroc': 'unknown_auc', 'fpr_at_95': 'unknown_fpr_at_95'}


def extras(
  calibration: Mapping[str, Any], novelty: Mapping[str, Any], toning: Mapping[str, Any]
) -> dict[str, dict[str, dict[str, Any]]]:
  """Gathers intervals under names of their own.

  Args:
    calibration: content of calibration.json; {} where there is none.
    novelty: content of novelty.json; {} where there is none.
    toning: content of toning.json; {} where there is none.

  Returns:
    By split: `ece` and `brier` of the probabilities as stated, `ece_calibrated` and
    `brier_calibrated` of those divided by the temperature; `unknown_auc/SCORE` and
    `unknown_fpr_at_95/SCORE` of all unknown images against the known ones; `toned_sensitivity/TONE`
    and `toned_specificity/TONE` of the recoloured images, TONE a letter, `photographs` or `own`.
  """
  found: dict[str, dict[str, dict[str, Any]]] = {}
  for split, told in calibration.get('splits', {}).items():
    for when, suffix in (('before', ''), ('after', '_calibrated')):
      values = told[when]['values']
      mine = {f'{name}{suffix}': _entry(values[name]) for name in _CALIBRATION}
      found.setdefault(split, {}).update(mine)
  for split, told in novelty.get('splits', {}).items():
    for score, parts in told['scores'].items():
      if 'all' in parts:
        mine = {f'{_NOVELTY[kind]}/{score}': _entry(parts['all'][kind]) for kind in _NOVELTY}
        found.setdefault(split, {}).update(mine)
  if toning:
    skins = {'photographs': toning['original'], 'own': toning['own']}
    skins |= {told['tone']: told for told in toning['tones']}
    mine = {
      f'toned_{rate}/{skin}': _entry(told[rate])
      for skin, told in skins.items()
      for rate in ('sensitivity', 'specificity')
    }
    found.setdefault(toning['split'], {}).update(mine)
  return found


def _entry(interval: Mapping[str, Any]) -> dict[str, Any]:
  return {key: interval.get(key) for key in _RATES}
