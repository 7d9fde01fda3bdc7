"""Every claim of the publications about a data set, held against it."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Any

from lesionjax.report.data import claims_ham10000, claims_isic
from lesionjax.report.data.claim import Claim, Facts, judge
from lesionjax.report.data.sample import Sample
from lesionjax.report.data.table import DataTable

CLAIMS: tuple[Claim, ...] = (*claims_ham10000.CLAIMS, *claims_isic.CLAIMS)
_MARKS = {'holds': 'good', 'does not hold': 'bad', 'partly': 'mixed', 'cannot be judged': 'open'}


def rows(table: DataTable, sample: Sample) -> list[dict[str, Any]]:
  """One row a claim about this data set: claim, source, found, verdict, remark, and a CSS class."""
  facts = Facts.of(table, sample)
  found = []
  for claim in CLAIMS:
    if claim.data == table.base_name:
      finding = judge(claim, facts)
      found.append(
        {
          'claim': claim.text,
          'source': claim.source,
          'found': finding.text,
          'verdict': finding.answer,
          'mark': _MARKS[finding.answer],
          'remark': finding.remark,
        }
      )
  return found


def sentence(rows: Sequence[Mapping[str, str]]) -> str:
  """How many claims hold, and how many do not."""
  counts = collections.Counter(row['verdict'] for row in rows)
  words = {
    'holds': ('holds', 'hold'),
    'partly': ('holds partly', 'hold partly'),
    'does not hold': ('does not hold', 'do not hold'),
    'cannot be judged': ('cannot be judged here', 'cannot be judged here'),
  }
  told = [f'{counts[key]} {words[key][counts[key] > 1]}' for key in words if counts[key]]
  return f'Of {len(rows)} claims {", ".join(told)}.'
