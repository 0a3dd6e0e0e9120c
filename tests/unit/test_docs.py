"""Every link from one page of the documentation to a place in this repository leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

FENCED = re.compile(r"^(```+|~~~+).*?^\1", re.MULTILINE | re.DOTALL)
CODE_SPAN = re.compile(r"(`+)(?:(?!\1).)+\1")
INLINE_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^\[[^\]]+\]:\s*<?(\S+?)>?(?:\s|$)", re.MULTILINE)
HTML_LINK = re.compile(r"<(?:a|img)\b[^>]*?\b(?:href|src)=\"([^\"]+)\"")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)
HTML_ANCHOR = re.compile(r"<[a-z0-9]+\b[^>]*?\b(?:id|name)=\"([^\"]+)\"")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)


def links(text: str) -> list[str]:
    """Every target in the prose of a page that stays in the repository."""
    prose = CODE_SPAN.sub("", FENCED.sub("", text))
    found = [hit for form in (INLINE_LINK, REFERENCE, HTML_LINK) for hit in form.findall(prose)]
    return [target for target in found if not ELSEWHERE.match(target)]


def anchors(text: str) -> set[str]:
    """Anchors a page offers, as forges make them: lower case, dashes, numbered twins."""
    prose = FENCED.sub("", text)
    found = set(HTML_ANCHOR.findall(prose))
    for heading in HEADING.findall(prose):
        shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        twins = [slug, *(f"{slug}-{count}" for count in range(1, 100))]
        found.add(next(twin for twin in twins if twin not in found))
    return found


def resolves(page: Path, target: str, root: Path) -> bool:
    """Whether a target names a file under the root and, on a page, an anchor it offers."""
    name, _, anchor = target.partition("#")
    place = (page.parent / name).resolve() if name else page
    if not place.exists() or not place.is_relative_to(root):
        return False
    return not anchor or place.suffix != ".md" or anchor in anchors(place.read_text("utf-8"))


def broken(page: Path, root: Path) -> list[str]:
    """Targets of one page that lead to nothing under the root."""
    return [target for target in links(page.read_text("utf-8")) if not resolves(page, target, root)]


def test_there_is_a_readme() -> None:
    assert ROOT / "README.md" in PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_the_repository_resolve(page: Path) -> None:
    assert broken(page, ROOT) == []


def test_a_broken_file_and_a_broken_anchor_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b` [c](page.md)\n[x](gone.md) [y](#nowhere) [z](#a-b-c)\n", encoding="utf-8"
    )
    assert broken(page, tmp_path) == ["gone.md", "#nowhere"]


def test_code_and_other_sites_are_no_links() -> None:
    text = "`[x](gone.md)`\n```\n[x](gone.md)\n```\n[site](//host/page.md) [m](mailto:someone)\n"
    text += '<a href="here.md">'
    assert links(text) == ["here.md"]


def test_twin_headings_have_numbered_anchors() -> None:
    assert anchors('# Run\n## Run\n<a id="spot"></a>\n') == {"run", "run-1", "spot"}
