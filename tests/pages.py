"""What tests of pages in a browser ask of every page."""

DRAWN = (
    "document.querySelectorAll('.plot').length === document.querySelectorAll('[data-drawn]').length"
)


def overflow(page) -> int:
    """By how many pixels the page is wider than its window."""
    return page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
