"""What is known after a reply of AWS was lost, against a loopback server that plays ECS."""

import asyncio

import pytest
from aiohttp import web
from botocore.config import Config

from bot.clients.aws import Aws
from bot.errors import OutcomeUnknown, Throttled, Unavailable

HASTY = Config(
    retries={"mode": "standard", "total_max_attempts": 2},
    connect_timeout=0.3,
    read_timeout=0.6,
    proxies={},
)


@pytest.fixture
async def ecs(serve, monkeypatch):
    """Builds a way to AWS where each answer is played once, in order, and the last one for ever."""
    made = []

    async def start(*answers):
        queue = list(answers)

        async def handler(request):
            await request.read()
            answer = queue.pop(0) if len(queue) > 1 else queue[0]
            return await answer(request)

        monkeypatch.setenv("AWS_ENDPOINT_URL", await serve(handler))
        made.append(Aws("us-east-1", config=HASTY))
        return made[-1]

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    yield start
    for aws in made:
        await aws.close()


def failing(status, code):
    async def handler(_request):
        return web.json_response({"__type": code, "message": "because of the moon"}, status=status)

    return handler


async def fine(_request):
    return web.json_response({"service": {"serviceName": "blue"}, "services": [], "failures": []})


async def hang_up(request):
    request.transport.abort()
    return web.Response()


throttling = failing(400, "ThrottlingException")
broken = failing(500, "ServerException")


def write(aws):
    return aws.call("ecs", "update_service", service="blue", desiredCount=1)


def read(aws):
    return aws.call("ecs", "describe_services", services=["blue"])


async def test_a_write_whose_reply_never_came_may_have_taken_effect(ecs, hang):
    with pytest.raises(OutcomeUnknown, match="ecs update_service may or may not have taken effect"):
        await write(await ecs(hang))


async def test_a_write_whose_connection_broke_may_have_taken_effect(ecs):
    with pytest.raises(OutcomeUnknown):
        await write(await ecs(hang_up))


async def test_a_write_that_broke_aws_may_have_taken_effect(ecs):
    with pytest.raises(OutcomeUnknown) as caught:
        await write(await ecs(broken))
    assert caught.value.facts["aws_code"] == "ServerException"


async def test_a_throttle_after_a_lost_reply_does_not_make_the_first_try_undone(ecs, hang):
    with pytest.raises(OutcomeUnknown):
        await write(await ecs(hang, throttling))


async def test_a_lost_reply_does_not_shadow_the_next_call(ecs, hang):
    aws = await ecs(hang, hang, throttling)
    with pytest.raises(OutcomeUnknown):
        await write(aws)
    with pytest.raises(Throttled):
        await write(aws)


async def test_a_throttled_write_has_not_happened(ecs):
    with pytest.raises(Throttled) as caught:
        await write(await ecs(throttling))
    assert not isinstance(caught.value, OutcomeUnknown)


@pytest.mark.parametrize("trouble", [hang_up, broken, throttling])
async def test_one_bad_reply_is_tried_again_without_a_word(ecs, trouble):
    assert (await write(await ecs(trouble, fine)))["service"]["serviceName"] == "blue"


async def test_a_read_without_a_reply_changed_nothing(ecs, hang):
    with pytest.raises(Unavailable, match="describe_services got no answer") as caught:
        await read(await ecs(hang))
    assert not isinstance(caught.value, OutcomeUnknown)


async def test_a_reply_that_is_not_from_aws_is_no_answer(ecs):
    async def page(_request):
        return web.Response(text="<html>", content_type="text/html", status=502)

    with pytest.raises(Unavailable):
        await read(await ecs(page))


@pytest.mark.parametrize("status", [200, 502, 504])
async def test_a_page_from_between_aws_and_us_is_no_answer_and_leaves_a_write_open(ecs, status):
    """Load balancers and proxies answer text where ELB's protocol is XML; botocore's parser breaks on it."""

    async def gateway(_request):
        return web.Response(status=status, text="upstream request timeout")

    aws = await ecs(gateway)
    with pytest.raises(Unavailable, match="elbv2 describe_rules got no answer") as read:
        await aws.call("elbv2", "describe_rules", RuleArns=["r"])
    assert not isinstance(read.value, OutcomeUnknown)
    with pytest.raises(OutcomeUnknown, match="may or may not have taken effect"):
        await aws.call("elbv2", "modify_rule", RuleArn="r", Actions=[])


async def test_a_write_to_a_closed_port_has_not_happened(closed_port, monkeypatch, ecs):
    aws = await ecs(fine)
    monkeypatch.setenv("AWS_ENDPOINT_URL", closed_port)
    with pytest.raises(Unavailable, match="check the way to AWS") as caught:
        await write(aws)
    assert not isinstance(caught.value, OutcomeUnknown)


async def test_slow_calls_leave_the_event_loop_free_and_run_side_by_side(ecs):
    async def slow(request):
        await asyncio.sleep(0.15)
        return await fine(request)

    aws = await ecs(slow)
    await read(aws)
    async with asyncio.timeout(2):
        await asyncio.gather(*(read(aws) for _ in range(16)))


async def test_a_closed_door_takes_no_calls(ecs):
    aws = await ecs(fine)
    await read(aws)
    await aws.close()
    with pytest.raises(RuntimeError):
        await read(aws)
