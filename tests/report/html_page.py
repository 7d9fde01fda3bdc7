"""A page as a test sees it."""

from __future__ import annotations

import html.parser


class Page(html.parser.HTMLParser):
  """Tags, ids, links and text of a page; complains about tags that do not nest."""

  _VOID = ('meta', 'link', 'img', 'br')

  def __init__(self, text):
    super().__init__()
    self.open, self.tags, self.ids, self.links, self.alts, self.words = [], [], [], [], [], []
    self.sources = []
    self.feed(text)
    assert self.open == []
    self.text = ' '.join(' '.join(self.words).split())

  def handle_starttag(self, tag, attrs):
    values = dict(attrs)
    self.tags.append(tag)
    self.ids += [values['id']] if 'id' in values else []
    self.links += [values['href']] if 'href' in values else []
    self.sources += [values['src']] if 'src' in values else []
    self.alts += [values.get('alt')] if tag == 'img' else []
    if tag not in self._VOID:
      self.open.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    if self.open and self.open[-1] not in ('style', 'title'):
      self.words.append(data)
