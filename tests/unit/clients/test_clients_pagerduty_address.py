import pytest

from bot.clients.pagerduty import PagerDuty
from bot.errors import Misconfigured, Refused


@pytest.mark.parametrize(
    "url", ["http://events.pagerduty.com", "http://127.0.0.1.evil.example", "ftp://127.0.0.1", "events.pagerduty.com"]
)
def test_only_loopback_may_be_spoken_to_without_encryption(url):
    with pytest.raises(Misconfigured, match="https://"):
        PagerDuty("key", events_url=url)


@pytest.mark.parametrize("url", ["https://events.pagerduty.com", "http://127.0.0.1:8700/", "http://localhost:8700"])
async def test_the_vendors_client_neither_retries_nor_waits(url):
    pager = PagerDuty("key", events_url=url)
    client = pager._client
    assert (client.retry, client.max_http_attempts, client.max_network_attempts) == ({429: 1}, -1, 0)
    assert client.timeout == 5.0
    await pager.close()


@pytest.mark.parametrize(
    "event",
    [{"event_action": "explode", "dedup_key": "k"}, {"event_action": "resolve"}, {"event_action": "acknowledge"}],
)
async def test_an_event_that_pagerduty_cannot_take_is_refused_unsent(event):
    pager = PagerDuty("key", events_url="https://events.pagerduty.com")
    with pytest.raises(Refused, match="correct the event"):
        await pager.send_event(event)
    await pager.close()
