import asyncio

import pytest
from aiohttp import web


@pytest.fixture
async def serve():
    """Starts a loopback server that answers everything by one handler; returns its address."""
    runners = []

    async def start(handler):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
def closed_port(unused_tcp_port):
    return f"http://127.0.0.1:{unused_tcp_port}"


@pytest.fixture
def hang():
    """A handler that takes the request and never answers."""

    async def handler(_request):
        await asyncio.sleep(30)
        return web.Response()

    return handler


@pytest.fixture
def drip():
    """A handler that never stops answering, a byte at a time."""

    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(300):
            await response.write(b"x")
            await asyncio.sleep(0.1)
        return response

    return handler
