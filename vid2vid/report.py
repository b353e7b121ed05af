"""A page that shows rendered clips beside their sources. It needs no server, no script and nothing from the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

_STYLE = """
:root { color-scheme: light dark; --back: #fafaf8; --text: #1d1d1f; --soft: #63636b; --card: #fff; --line: #dcdce0; }
@media (prefers-color-scheme: dark) {
  :root { --back: #141416; --text: #ececee; --soft: #a0a0a8; --card: #1e1e22; --line: #34343a; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 2rem 1rem; background: var(--back); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 0; }
.soft { color: var(--soft); }
article { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.25rem;
  margin-top: 1.5rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
figure { margin: 1rem 0 0; } figcaption { color: var(--soft); font-size: .875rem; margin-top: .25rem; }
video { display: block; width: 100%; height: auto; border-radius: .5rem; background: #000; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .125rem 1rem; margin: 1rem 0 0; font-size: .9rem; }
dt { color: var(--soft); } dd { margin: 0; }
ul { margin: .75rem 0 0; padding-left: 1.2rem; font-size: .9rem; }
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One render on the page. File names are relative to the page."""

    title: str
    task: str
    summary: str
    """What the task does, in one line."""
    source: str
    result: str
    comparison: str
    facts: Mapping[str, str]
    """Name and value of what was measured."""
    report: str
    """The render's report, a JSON file."""
    notes: Sequence[str]
    """What the viewer should know about the result."""
    attribution: str
    licence: str


def demo_page(entries: Sequence[Entry]) -> str:
    """Gives the HTML of a page that shows each entry's source, result and side-by-side clip."""
    articles = "\n".join(_article(entry) for entry in entries)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>vid2vid demo</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>vid2vid demo</h1>
<p class="soft">The clips that come with the package, rendered on this machine. Sources are left, results right.</p>
</header>
{articles}
</body>
</html>
"""


def _article(entry: Entry) -> str:
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in entry.facts.items())
    notes = "".join(f"<li>{escape(note)}</li>" for note in entry.notes)
    report = f'<dt>report</dt><dd><a href="{_link(entry.report)}">{escape(entry.report)}</a></dd>'
    return f"""<article>
<h2>{escape(entry.title)} &rarr; {escape(entry.task)}</h2>
<p class="soft">{escape(entry.summary)}</p>
<div class="pair">
{_figure(entry.source, "Source")}
{_figure(entry.result, "Result")}
</div>
{_figure(entry.comparison, "Side by side")}
<dl>{facts}{report}<dt>clip</dt><dd>{escape(entry.attribution)} ({escape(entry.licence)})</dd></dl>
{f"<ul>{notes}</ul>" if notes else ""}
</article>"""


def _figure(name: str, caption: str) -> str:
    video = f'<video src="{_link(name)}" controls loop muted playsinline preload="metadata"></video>'
    return f"<figure>{video}<figcaption>{escape(caption)}</figcaption></figure>"


def _link(name: str) -> str:
    """A file name as a relative address; `./` keeps a colon within it from being read as a scheme."""
    return "./" + quote(name)
