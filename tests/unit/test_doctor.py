"""The doctor shows every setting and no secret."""

from bot import doctor
from bot.settings import Settings


def test_settings_are_shown_and_secrets_are_not():
    settings = Settings(
        slack_bot_token="xoxb-secret",
        slack_signing_secret="signing",
        pagerduty_routing_key="routing",
        database_url="postgresql://opsbot:password@db.internal:5432/opsbot",
        slack_channel="alerts",
    )
    text = "\n".join(doctor.shown(settings))
    for secret in ("xoxb-secret", "signing\n", "= signing", "routing\n", "password"):
        assert secret not in text
    assert "slack_channel = alerts" in text
    assert "database_url = postgresql://***@db.internal:5432/opsbot" in text
    assert "slack_bot_token = ***" in text
    assert "slack_app_token = (not set)" in text
    assert 'thresholds = {"error_rate_harm": 0.01' in text
