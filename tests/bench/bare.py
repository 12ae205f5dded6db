"""What opsbot's answers are compared with: a Bolt app over signed HTTP that does nothing but acknowledge.

`python -m tests.bench.bare PORT SLACK_API_URL SECRET`
"""

import sys

from aiohttp import web
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient


async def _healthy(_request: web.Request) -> web.Response:
    return web.Response(text="ok")


def main() -> None:
    """Serve `/deploy` on /slack/events."""
    port, slack, secret = sys.argv[1:]
    app = AsyncApp(client=AsyncWebClient("xoxb-sandbox", base_url=slack), signing_secret=secret)

    @app.command("/deploy")
    async def deploy(ack: AsyncAck) -> None:
        await ack("done")

    site = app.web_app(path="/slack/events")
    site.router.add_get("/healthz", _healthy)
    web.run_app(site, host="127.0.0.1", port=int(port), print=None, access_log=None)


if __name__ == "__main__":
    main()
