import pytest
from botocore.stub import Stubber

from bot.clients.aws import Aws


@pytest.fixture
async def aws(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    client = Aws("us-east-1")
    yield client
    await client.close()


@pytest.fixture
def script(aws):
    """Answers in the given order, checked both ways against the real service model; every one must be asked for."""
    stubs = {}

    def add(service, operation, asked, answer):
        if service not in stubs:
            stubs[service] = Stubber(aws._client(service))
            stubs[service].activate()
        stubs[service].add_response(operation, answer, asked)

    yield add
    for stub in stubs.values():
        stub.assert_no_pending_responses()
        stub.deactivate()
