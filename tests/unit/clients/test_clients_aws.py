import asyncio
import time

import boto3
import pytest
from botocore.stub import Stubber

from bot.clients.aws import Aws
from bot.errors import Misconfigured, NotFound, Refused, Throttled, Unavailable


@pytest.fixture
async def refusing(aws):
    stub = Stubber(aws._client("ecs"))
    stub.activate()
    yield stub
    stub.deactivate()


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ThrottlingException", 400, Throttled),
        ("Throttling", 400, Throttled),
        ("TooManyRequestsException", 429, Throttled),
        ("RequestLimitExceeded", 503, Throttled),
        ("PriorRequestNotComplete", 429, Throttled),
        ("ServerException", 500, Unavailable),
        ("InternalFailure", 500, Unavailable),
        ("ServiceUnavailable", 503, Unavailable),
        ("ConcurrentUpdateException", 400, Unavailable),
        ("ServiceNotFoundException", 400, NotFound),
        ("RuleNotFound", 400, NotFound),
        ("ServiceNotActiveException", 400, NotFound),
        ("AccessDeniedException", 400, Refused),
        ("ExpiredTokenException", 400, Refused),
        ("InvalidParameterException", 400, Refused),
        ("LimitExceededException", 400, Refused),
    ],
)
async def test_a_failure_of_aws_becomes_a_verdict_that_names_the_call_and_quotes_aws(aws, refusing, code, status, kind):
    refusing.add_client_error("describe_services", code, "because of the moon", status)
    with pytest.raises(kind) as caught:
        await aws.call("ecs", "describe_services", cluster="c", services=["s"])
    assert type(caught.value) is kind
    assert "ecs describe_services" in caught.value.sentence
    assert "because of the moon" in caught.value.sentence
    assert caught.value.facts["aws_code"] == code


async def test_a_throttle_says_how_long_to_wait_only_where_aws_named_it(aws, refusing):
    meta = {"HTTPHeaders": {"retry-after": "7"}}
    refusing.add_client_error("update_service", "ThrottlingException", "slow down", 400, response_meta=meta)
    refusing.add_client_error("update_service", "ThrottlingException", "slow down", 400)
    with pytest.raises(Throttled) as named:
        await aws.call("ecs", "update_service", service="s")
    with pytest.raises(Throttled) as silent:
        await aws.call("ecs", "update_service", service="s")
    assert named.value.facts["retry_after"] == 7.0
    assert "retry_after" not in silent.value.facts


async def test_wrong_arguments_are_refused_before_anything_is_sent(aws):
    with pytest.raises(Refused, match="was not sent"):
        await aws.call("ecs", "describe_services", services="not a list")


async def test_missing_credentials_are_a_matter_of_settings(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    aws = Aws("us-east-1")
    with pytest.raises(Misconfigured, match="credentials"):
        await aws.call("ecs", "list_clusters")
    await aws.close()


async def test_a_list_is_read_to_its_last_page(aws, script):
    script("ecs", "list_tasks", {"cluster": "c"}, {"taskArns": ["1", "2"], "nextToken": "more"})
    script("ecs", "list_tasks", {"cluster": "c", "nextToken": "more"}, {"taskArns": ["3"]})
    assert await aws.pages("ecs", "list_tasks", "taskArns", cluster="c") == ["1", "2", "3"]


async def test_calls_that_start_together_share_one_client_for_each_service(aws, monkeypatch):
    made = []
    original = boto3.session.Session.client

    def counting(self, name, **arguments):
        made.append(name)
        return original(self, name, **arguments)

    monkeypatch.setattr(boto3.session.Session, "client", counting)
    wrong = [aws.call("ecs", "describe_services", services=0) for _ in range(10)]
    await asyncio.gather(*wrong, return_exceptions=True)
    assert made == ["ecs"]


async def test_making_a_client_does_not_hold_the_event_loop(aws, monkeypatch):
    made = aws._made
    monkeypatch.setattr(aws, "_made", lambda service: (time.sleep(0.3), made(service))[1])
    slow = asyncio.create_task(aws.call("ecs", "describe_services", services=0))
    async with asyncio.timeout(0.25):
        for _ in range(10):
            await asyncio.sleep(0.01)
    with pytest.raises(Refused):
        await slow


async def test_the_clients_have_the_documented_limits(aws):
    config = aws._client("ecs").meta.config
    assert (config.connect_timeout, config.read_timeout, config.max_pool_connections) == (3, 10, 32)
    assert config.retries == {"mode": "standard", "total_max_attempts": 5}
