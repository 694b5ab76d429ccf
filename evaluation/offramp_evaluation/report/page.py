"""The page: a skeleton, its style, its scripts and the data, all in one file.

The parts lie in the folder `page` beside this module; nothing in them names an address, and the page's own policy
forbids to fetch any.
"""

import html
from pathlib import Path

from offramp_evaluation.report.data import page_data
from offramp_evaluation.report.records import Collection

PARTS = Path(__file__).with_name("page")
SCRIPTS = ("numbers.js", "choice.js", "drawing.js", "charts.js", "timeline.js", "table.js", "main.js")
"""In the order in which they need each other."""


def write_page(collection: Collection, path: Path) -> int:
    """Returns the bytes written."""
    content = make_page(collection).encode("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return len(content)


def make_page(collection: Collection) -> str:
    scripts = "\n".join(_part(name) for name in SCRIPTS)
    filled = {
        "@TITLE@": html.escape(collection.title),
        "@STYLE@": _part("style.css"),
        "@DATA@": escape_json(page_data(collection)),
        "@SCRIPTS@": scripts,
    }
    page = _part("page.html")
    # From the back, so that nothing that was filled in is looked at again.
    for mark, text in sorted(filled.items(), key=lambda item: page.index(item[0]), reverse=True):
        before, _, after = page.partition(mark)
        page = before + text + after
    return page


def escape_json(text: str) -> str:
    """Within a script element: no text of a record can end it or begin a comment."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _part(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")
