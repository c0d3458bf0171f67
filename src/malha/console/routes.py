"""The console's routes, as one router for the composition root."""

from litestar import Request, Response, Router, get
from litestar.params import FromPath

from malha.console import assets, order, orders, web
from malha.identity.model import PUBLIC, SIGNED_IN


@get("/", opt={"permission": SIGNED_IN})
async def home() -> Response[bytes]:
    """Lead to the orders, the only page a person starts from until there is a home."""
    return web.see_other("/orders")


@get(f"{assets.PREFIX}/{{digest:str}}/{{path:path}}", opt={"permission": PUBLIC})
async def static_file(request: Request[object, object, object], path: FromPath[str]) -> Response[bytes]:  # type: ignore[type-var]
    """Send a front-end file. Its address names the version, so a browser may keep it for ever."""
    accepts = "gzip" in request.headers.get("accept-encoding", "")
    file = assets.serve(path.lstrip("/"), accepts_gzip=accepts)
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if file.encoding:
        headers["Content-Encoding"] = file.encoding
    return Response(file.body, media_type=file.media_type, headers=headers)


router = Router(
    path="/",
    route_handlers=[
        home,
        static_file,
        orders.order_list,
        orders.order_rows,
        orders.order_counts,
        orders.order_find,
        orders.order_export,
        order.order_peek,
        order.order_show,
    ],
    include_in_schema=False,
)
