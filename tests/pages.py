"""What tests of pages in a browser ask of every page."""

DRAWN = (
    "document.querySelectorAll('.plot').length === document.querySelectorAll('[data-drawn]').length"
)


def overflow(page) -> int:
    """By how many pixels the page is wider than its window."""
    return page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )


def hover(page, figure: str) -> None:
    """Put the pointer on the first mark of a figure."""
    point = page.locator(f"#{figure} path.point").first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
