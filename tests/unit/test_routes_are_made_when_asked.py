"""Routes stand at once; how a handler reads its arguments is worked out when it is first asked for."""

import pytest
from litestar import WebSocket, get, post, websocket
from litestar.params import FromPath, FromQuery
from litestar.testing import TestClient

from malha.app import Lean, Routes, bare_app
from malha.platform.settings import Settings


@get("/things/{number:int}", sync_to_thread=False)
def thing(number: FromPath[int], unit: FromQuery[str] = "pieces") -> str:
    return f"{number} {unit}"


@post("/things/{number:int}", sync_to_thread=False, status_code=200)
def change(number: FromPath[int]) -> str:
    return f"changed {number}"


def application(*handlers) -> Lean:
    return Lean(route_handlers=[Routes("/v1", route_handlers=list(handlers))], openapi_config=None, logging_config=None)


def test_every_handler_of_ours_can_be_asked() -> None:
    asked = 0
    for route in bare_app(Settings()).routes:
        for method in list(route.route_handler_map):
            _handler, model = route.route_handler_map[method]
            assert model is not None
            asked += 1
    assert asked > 1_500


def test_only_what_is_asked_for_is_made() -> None:
    app = application(thing, change)
    (route,) = app.routes
    with TestClient(app) as client:
        assert client.get("/v1/things/3?unit=boxes").text == "3 boxes"
        assert client.get("/v1/things/4").text == "4 pieces"
        assert {method for method, (_, model) in route.route_handler_map.items() if model is None} == {
            "POST",
            "OPTIONS",
        }
        assert client.post("/v1/things/5").text == "changed 5"
        assert client.get("/v1/things/five").status_code == 404
        assert client.get("/v1/things/3?unit=a&number=4").status_code == 200
        refused = client.delete("/v1/things/3")
        assert refused.status_code == 405
        assert set(refused.headers["allow"].split(", ")) == {"GET", "POST", "OPTIONS"}
        assert client.options("/v1/things/3").status_code == 204


def test_a_handler_that_cannot_be_asked_is_refused_by_the_test_above() -> None:
    @get("/wrong", sync_to_thread=False)
    def wrong(data: int) -> str:  # a GET has no body
        return str(data)

    (route,) = application(wrong).routes
    with pytest.raises(Exception, match="'data' kwarg is unsupported"):
        route.route_handler_map["GET"]


def test_two_handlers_for_one_method_of_a_path_are_refused() -> None:
    @get("/things/{number:int}", sync_to_thread=False)
    def another(number: FromPath[int]) -> str:
        return str(number)

    with pytest.raises(ValueError, match=r"GET /v1/things/\{number:int\} has two handlers"):
        application(thing, another)


def test_a_web_socket_is_refused() -> None:
    @websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()

    with pytest.raises(ValueError, match="/v1/live is no route for HTTP"):
        application(live)
