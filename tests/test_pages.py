"""The project's pages lead to one another: no link is broken, and the README leads to all of them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS, *sorted((ROOT / "edge/models").glob("*.md"))]


def links(page: Path) -> list[tuple[Path, str]]:
    """File and heading that each link to a place in the project names."""
    found = [t.partition("#") for t in re.findall(r"\]\(([^)\s]+)\)", page.read_text()) if "://" not in t]
    return [((page.parent / file).resolve() if file else page, heading) for file, _, heading in found]


def headings(page: Path) -> set[str]:
    """As links name them: small letters, hyphens for spaces, no other signs."""
    found = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for place, heading in links(page):
        assert place.exists(), place
        assert not heading or heading in headings(place), f"{place} has no heading {heading}"


def test_the_readme_leads_to_every_page():
    reached = {place for place, _ in links(ROOT / "README.md")}
    assert {page for page in DOCS if page.parent.name != "report"} <= reached
