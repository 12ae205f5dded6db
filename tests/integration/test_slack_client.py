"""Every failure of Slack becomes one of our errors, and no call is made twice."""

import asyncio
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from slack_server import no, ok

from bot import blocks
from bot.clients.slack import Slack, SlackGroup, SlackUser
from bot.errors import NotFound, OutcomeUnknown, Refused, Throttled, Unavailable

OLDEST = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


async def test_a_post_carries_its_card_and_unfurls_nothing(server, slack):
    server.answers["chat.postMessage"] = ok(ts="1.5")
    layout = [blocks.section("hello")]
    ts = await slack.post(
        "CHOME", "hello", layout, thread="1.0", metadata={"card_id": "dep_1", "rev": 3}, broadcast=True
    )
    assert ts == "1.5"
    assert server.called("chat.postMessage") == [
        {
            "channel": "CHOME",
            "text": "hello",
            "blocks": layout,
            "thread_ts": "1.0",
            "reply_broadcast": True,
            "metadata": {"event_type": "opsbot_card", "event_payload": {"card_id": "dep_1", "rev": 3}},
            "unfurl_links": False,
            "unfurl_media": False,
        }
    ]


async def test_update_whisper_and_form_send_what_they_are_given(server, slack):
    await slack.update("CHOME", "1.5", "now", [])
    await slack.whisper("CHOME", "UJANE", "psst", [blocks.divider()], thread="1.0")
    await slack.open_view("1.2.3", blocks.modal("form", "Form", []))
    assert server.called("chat.update") == [{"channel": "CHOME", "ts": "1.5", "text": "now", "blocks": []}]
    assert server.called("chat.postEphemeral")[0]["user"] == "UJANE"
    assert server.called("views.open")[0]["trigger_id"] == "1.2.3"


async def test_a_posted_card_is_found_again_on_a_later_page(server, slack):
    card = {"ts": "7.7", "metadata": {"event_type": "opsbot_card", "event_payload": {"card_id": "dep_1", "rev": 1}}}
    pages = {
        "": ok(messages=[{"ts": "9.9"}, {"ts": "8.8", "metadata": {"event_payload": {"card_id": "x"}}}], response_metadata={"next_cursor": "two"}),
        "two": ok(messages=[card], response_metadata={"next_cursor": ""}),
    }  # fmt: skip
    server.answers["conversations.history"] = lambda arguments: pages.pop(arguments.get("cursor", ""))
    assert await slack.find_post("CHOME", "dep_1", OLDEST) == "7.7"
    first = server.called("conversations.history")[0]
    assert first["oldest"] == "1795435200.000000"
    assert first["include_all_metadata"] == "1"


async def test_a_card_that_was_never_posted_is_not_found(server, slack):
    server.answers["conversations.history"] = ok(messages=[{"ts": "9.9"}])
    assert await slack.find_post("CHOME", "dep_1", OLDEST) is None


async def test_people_and_groups_are_read(server, slack):
    profile = {"display_name": "", "real_name": "Jane Doe", "email": "jane@x.io"}
    user = {"id": "UJANE", "name": "jane", "deleted": True, "profile": profile}
    server.answers["users.info"] = ok(user=user)
    server.answers["users.lookupByEmail"] = lambda _: ok(user=user)
    expected = SlackUser(id="UJANE", name="Jane Doe", email="jane@x.io", active=False)
    assert await slack.user("UJANE") == expected
    assert await slack.user_by_email("jane@x.io") == expected
    assert await slack.groups() == (SlackGroup(id="SAPP", handle="obs-approvers", members=("UBOB",)),)
    assert server.called("usergroups.list")[0]["include_users"] == "1"


async def test_members_are_asked_for_where_slack_does_not_include_them(server, slack):
    server.answers["usergroups.list"] = lambda _: ok(usergroups=[{"id": "SAPP", "handle": "obs-approvers"}])
    server.answers["usergroups.users.list"] = lambda arguments: ok(users=["UBOB", arguments["usergroup"]])
    for name in ("obs-approvers", "@obs-approvers", "SAPP"):
        assert await slack.group_members(name) == ("UBOB", "SAPP")
    with pytest.raises(NotFound, match="nobody"):
        await slack.group_members("nobody")


async def test_a_channel_is_found_by_name_once_and_an_id_needs_no_search(server, slack):
    assert await slack.channel_id("#llm-observatory-alerts") == "CHOME"
    assert await slack.channel_id("llm-observatory-alerts") == "CHOME"
    assert await slack.channel_id("C0123ABC") == "C0123ABC"
    assert len(server.called("conversations.list")) == 1
    with pytest.raises(NotFound, match="/invite"):
        await slack.channel_id("elsewhere")


async def test_identity_and_permalink_are_read(server, slack):
    server.answers["chat.getPermalink"] = ok(permalink="https://acme.slack.com/p1")
    assert (await slack.auth()).bot_user_id == "UBOT"
    assert await slack.permalink("CHOME", "1.5") == "https://acme.slack.com/p1"


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (lambda: no("ratelimited", 429), Throttled, "ratelimited"),
        (lambda: no("ratelimited"), Throttled, "ratelimited"),
        (lambda: no("invalid_blocks", response_metadata={"messages": ["[ERROR] no"]}), Refused, "invalid_blocks"),
        (lambda: no("not_in_channel"), Refused, "not_in_channel"),
        (lambda: no("channel_not_found"), NotFound, "channel_not_found"),
        (lambda: no("service_unavailable", 503), OutcomeUnknown, "service_unavailable"),
        (lambda: no("service_unavailable"), Unavailable, "service_unavailable"),
        (lambda: no("internal_error"), OutcomeUnknown, "internal_error"),
        (
            lambda: web.Response(status=502, text="<html>bad gateway</html>", content_type="text/html"),
            OutcomeUnknown,
            "",
        ),
        (lambda: web.Response(status=503, text="upstream down"), OutcomeUnknown, ""),
        (lambda: web.Response(text="hello from a proxy"), OutcomeUnknown, None),
        (lambda: web.Response(text="{broken", content_type="application/json"), OutcomeUnknown, None),
        (lambda: web.json_response([1]), OutcomeUnknown, None),
    ],
)
async def test_a_failed_post_says_whether_it_may_have_happened(server, slack, answer, error, code):
    server.answers["chat.postMessage"] = lambda _: answer()
    with pytest.raises(error) as caught:
        await slack.post("CHOME", "hello", [])
    assert type(caught.value) is error
    assert caught.value.__cause__ is not None
    assert code is None or caught.value.facts["error"] == code
    assert len(server.called("chat.postMessage")) == 1


async def test_slacks_own_wait_and_reasons_are_kept(server, slack):
    server.answers["chat.postMessage"] = lambda _: no("ratelimited", 429)
    with pytest.raises(Throttled) as throttled:
        await slack.post("CHOME", "hello", [])
    assert throttled.value.facts["retry_after"] == 7
    server.answers["chat.update"] = lambda _: no("invalid_blocks", response_metadata={"messages": ["[ERROR] no"]})
    with pytest.raises(Refused) as refused:
        await slack.update("CHOME", "1.5", "x", [])
    assert refused.value.facts["reasons"] == ("[ERROR] no",)


async def test_a_post_without_an_answer_is_unknown_and_a_read_is_just_unavailable(server):
    async def hang(_arguments):
        await asyncio.sleep(1)
        return ok()

    server.answers["chat.postMessage"] = server.answers["users.info"] = hang
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.1)) as session:
        slack = Slack("xoxb-1", base_url=server.url, session=session)
        with pytest.raises(OutcomeUnknown):
            await slack.post("CHOME", "hello", [])
        with pytest.raises(Unavailable) as caught:
            await slack.user("UJANE")
        assert type(caught.value) is Unavailable


async def test_a_connection_that_breaks_after_sending_is_unknown_and_one_that_never_was_is_unavailable(server, slack):
    server.answers["chat.postMessage"] = "hang up"
    with pytest.raises(OutcomeUnknown):
        await slack.post("CHOME", "hello", [])
    nowhere = Slack("xoxb-1", base_url="http://127.0.0.1:9/api/")
    with pytest.raises(Unavailable) as caught:
        await nowhere.post("CHOME", "hello", [])
    assert type(caught.value) is Unavailable
    await nowhere.close()


async def test_a_response_url_gets_an_ephemeral_answer_that_replaces_nothing(server, slack):
    await slack.respond(server.response_url, "done", [blocks.section("done")])
    assert server.said == [
        {"text": "done", "response_type": "ephemeral", "replace_original": False, "blocks": [blocks.section("done")]}
    ]


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        ((404, "expired_url"), Refused, "expired_url"),
        ((404, '{"ok":false,"error":"used_url"}'), Refused, "used_url"),
        ((200, '{"ok": false, "error": "invalid_blocks"}'), Refused, "invalid_blocks"),
        ((429, "slow"), Throttled, "slow"),
        ((500, "<html>"), OutcomeUnknown, ""),
    ],
)
async def test_a_response_url_that_fails_raises_where_bolts_own_stays_silent(server, slack, answer, error, code):
    server.respond_status, server.respond_body = answer
    with pytest.raises(error) as caught:
        await slack.respond(server.response_url, "done", [])
    assert caught.value.facts["error"] == code


async def test_loopback_is_never_sent_through_a_proxy(server, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    slack = Slack("xoxb-1", base_url=server.url)
    assert (await slack.auth()).team == "Acme"
    await slack.respond(server.response_url, "done", [])
    await slack.close()
