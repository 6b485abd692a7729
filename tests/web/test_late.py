"""Pages that are imported late are there when they are asked for."""

from __future__ import annotations

import inspect
import sys

import pytest
from aiohttp import web

from fedcomm.late import Late
from fedcomm.web.late import LatePages, resolve
from fedcomm.web.routes import add_routes


def test_each_route_leads_to_a_handler_that_exists() -> None:
    app = web.Application()
    add_routes(app)
    pages = {route.handler for route in app.router.routes()}
    assert len(pages) > 150
    for page in pages:
        handler = resolve(page)
        assert inspect.iscoroutinefunction(handler), page
        assert list(inspect.signature(handler).parameters) == ["request"], page


def test_a_page_that_does_not_exist_is_found_when_it_is_resolved() -> None:
    with pytest.raises(AttributeError):
        resolve(LatePages("home").nobody)


def test_a_late_module_is_imported_with_its_first_use() -> None:
    module = Late("colorsys")
    sys.modules.pop("colorsys", None)
    assert "colorsys" not in sys.modules
    assert module.rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0)
    assert "colorsys" in sys.modules
