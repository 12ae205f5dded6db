"""The only reader of the environment and of the TOML file; every duration is divided by the time scale here, once."""

import os
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from annotated_types import Gt
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.contract import Role
from bot.errors import Misconfigured

Strategy = Literal["blue-green", "canary", "rolling"]
Colour = Literal["blue", "green"]
COLOURS: tuple[Colour, ...] = get_args(Colour)
RUNBOOK_CHANNEL = "llm-observatory-alerts"

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_span(value: object) -> object:
    """Turn `90s`, `15m`, `24h` into a span; anything else is left to pydantic."""
    if isinstance(value, timedelta) or (isinstance(value, str) and value.startswith("P")):
        return value  # ISO 8601, as records are stored
    if not isinstance(value, str):
        raise ValueError(f"{value!r} has no unit; write a span such as 30s, 15m or 24h")  # noqa: TRY004 - pydantic's
    for unit in ("ms", "s", "m", "h", "d"):
        number = value.removesuffix(unit)
        if number != value and number.replace(".", "", 1).isdigit():
            return timedelta(seconds=float(number) * _UNITS[unit])
    raise ValueError(f"{value!r} is not a span such as 30s, 15m or 24h")


Span = Annotated[timedelta, BeforeValidator(parse_span)]
Wait = Annotated[timedelta, BeforeValidator(parse_span), Gt(timedelta(0))]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A part of the TOML file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ColourSettings(Section):
    """One of the two sides of an environment."""

    service: str = Field(description="ECS service")
    target_group: str = Field(description="ARN of the target group in the production rule")
    selector: str = Field(description='label matchers of its series, such as color="blue"')
    container: str = Field(default="storage", description="container of the task definition that holds the image")


class Environment(Section):
    """Where a deployment goes."""

    strategy: Strategy = "blue-green"
    approvals: int = Field(default=1, ge=0, le=5, description="people other than the asker who must approve")
    region: str = "us-east-1"
    cluster: str
    repository: str = Field(description="ECR repository name")
    listener_rule: str = Field(description="ARN of the rule that holds both target groups")
    url: str = Field(description="address of the load balancer, such as https://api.llm-observatory.io")
    test_header: str = Field(default="X-Storage-Colour", description="header of the test rule that reaches a colour")
    prometheus_url: str | None = None
    database_url_variable: str | None = Field(default=None, description="environment variable with the target's URL")
    blue: ColourSettings
    green: ColourSettings

    def colour(self, name: Colour) -> ColourSettings:
        """Return the settings of one side."""
        return self.blue if name == "blue" else self.green


class Durations(Section):
    """Every wait of the runbook (facts: deploy.md section 5); divided by the time scale when read."""

    approval: Wait = Field(default=timedelta(minutes=30), description="an unanswered request expires")
    prepare: Wait = Field(default=timedelta(minutes=10), description="the idle colour must be stable by then")
    prepare_poll: Wait = timedelta(seconds=5)
    verify: Wait = Field(default=timedelta(seconds=300), description="runbook: --timeout 300")
    verify_poll: Wait = timedelta(seconds=15)
    observe: Wait = Field(default=timedelta(seconds=120), description="traffic must follow the weights by then")
    observe_poll: Wait = timedelta(seconds=5)
    observe_window: Wait = timedelta(seconds=20)
    bake: Wait = Field(default=timedelta(minutes=15), description="watch after the switch")
    tick: Wait = Field(default=timedelta(seconds=30), description="one look at the metrics; at least 2 scrapes")
    hard_window: Wait = timedelta(minutes=2)
    evaluate_window: Wait = timedelta(minutes=5)
    baseline_window: Wait = timedelta(hours=1)
    answer: Wait = Field(default=timedelta(minutes=10), description="an unanswered question rolls back")
    blind: Wait = Field(default=timedelta(minutes=10), description="blind for so long: ask")
    no_data: Wait = Field(default=timedelta(minutes=5), description="no traffic for so long: ask")
    unhealthy: Wait = Field(default=timedelta(seconds=60), description="healthy < desired for so long: harm")
    drain: Wait = Field(default=timedelta(seconds=300), description="runbook: 5 minutes")
    drain_poll: Wait = timedelta(seconds=10)
    hold: Wait = Field(default=timedelta(hours=24), description="runbook: keep blue 24 hours")
    card_gap: Wait = Field(
        default=timedelta(seconds=2),
        description="between two updates of one card: Slack allows about 50 a minute; never scaled",
    )


class Thresholds(Section):
    """The runbook's limits (runbook.md `When to Rollback`, facts deploy.md section 4.3)."""

    error_rate_harm: Amount = Field(default=0.01, description="share of requests; immediate rollback above it")
    error_rate_evaluate: Amount = Field(default=0.005, description="share of requests; evaluate above it")
    latency_ratio_harm: Amount = Field(default=2.0, description="P95 against the baseline; immediate rollback")
    latency_ratio_evaluate: Amount = Field(default=1.5, description="P95 against the baseline; evaluate")
    latency_floor_seconds: Amount = Field(default=0.5, description="P95 below it never counts as harm")
    harm_min_errors: Count = 5
    harm_min_requests: Count = 50
    harm_ticks: Count = 2
    evaluate_min_errors: Count = 3
    evaluate_min_requests: Count = 200
    evaluate_ticks: Count = 3
    latency_min_requests: Count = 300
    latency_ticks: Count = 3
    provider_errors: Count = Field(default=4, description="consecutive failed queries before the watch counts as blind")
    write_seconds: Amount = Field(default=0.1, description="runbook: write < 100 ms")
    read_seconds: Amount = Field(default=0.2, description="runbook: query < 200 ms")
    probe_requests: Count = Field(default=20, description="requests of the error probe through the test rule")
    traffic_tolerance: Amount = Field(default=0.02, description="share of traffic that may differ from the weight")


class Metrics(Section):
    """Names of the series that count requests and their duration, per colour selected by its `selector`."""

    requests: str = "http_requests_total"
    errors: str = Field(default='status=~"5.."', description="matcher that makes a request an error")
    duration: str = "http_request_duration_seconds_bucket"


class Level(Section):
    """One step of the ladder."""

    level: int = Field(ge=1, le=4)
    after: Span
    who: str


RUNBOOK_LADDER = (
    Level(level=1, after=timedelta(0), who="on-call engineer"),
    Level(level=2, after=timedelta(minutes=15), who="secondary on-call"),
    Level(level=3, after=timedelta(minutes=30), who="manager or director"),
    Level(level=4, after=timedelta(minutes=60), who="executives"),
)


class Config(Section):
    """The TOML file. Everything has the runbook's number as its default, so a small file suffices."""

    environments: dict[str, Environment] = Field(default_factory=dict)
    roles: dict[Role, tuple[str, ...]] = Field(default_factory=dict)
    durations: Durations = Durations()
    thresholds: Thresholds = Thresholds()
    metrics: Metrics = Metrics()
    ladder: tuple[Level, ...] = Field(default=RUNBOOK_LADDER, min_length=1)


class Settings(BaseSettings):
    """What this process was told: secrets and addresses from the environment, structure from the TOML file."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True, env_ignore_empty=True)

    config_path: Path | None = Field(default=None, validation_alias=AliasChoices("OPSBOT_CONFIG", "config_path"))
    home: Path = Field(default=Path("~/.local/share/opsbot"), validation_alias=AliasChoices("OPSBOT_HOME", "home"))
    time_scale: float = Field(
        default=1.0, gt=0, le=10_000, validation_alias=AliasChoices("OPSBOT_TIME_SCALE", "time_scale")
    )
    database_url: SecretStr | None = None
    slack_bot_token: SecretStr | None = None
    slack_app_token: SecretStr | None = None
    slack_signing_secret: SecretStr | None = None
    slack_api_url: str = "https://slack.com/api/"
    slack_channel: str = RUNBOOK_CHANNEL
    pagerduty_api_key: SecretStr | None = None
    pagerduty_routing_key: SecretStr | None = None
    pagerduty_service_id: str | None = None
    pagerduty_escalation_policy_id: str | None = None
    pagerduty_from: str | None = None
    pagerduty_api_url: str = "https://api.pagerduty.com"
    pagerduty_events_url: str = "https://events.pagerduty.com"
    prometheus_url: str | None = None
    http_host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] | None = None
    config: Config = Config()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.slack_bot_token) and not (self.slack_app_token or self.slack_signing_secret):
            raise ValueError("SLACK_BOT_TOKEN needs SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (HTTP)")
        if self.database_url and not self.database_url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("DATABASE_URL must begin with postgresql://")
        return self

    def environment(self, name: str) -> Environment:
        """Return one environment's settings; the caller has checked the name."""
        return self.config.environments[name]

    def target_database_url(self, environment: str) -> str | None:
        """Return the URL of the environment's own database, or None where it is not configured."""
        variable = self.environment(environment).database_url_variable
        return os.environ.get(variable) if variable else None


def load(**overrides: Any) -> Settings:
    """Read the environment and the TOML file. Raises Misconfigured with one line for each finding."""
    try:
        first = Settings(**overrides)
        return first.model_copy(update={"config": _scaled(_config(first), first.time_scale)})
    except ValidationError as error:
        raise Misconfigured("; ".join(_findings(error))) from error


def _config(settings: Settings) -> Config:
    path = settings.config_path or Path("opsbot.toml")
    if not path.exists():
        if settings.config_path is not None:
            raise Misconfigured(f"OPSBOT_CONFIG names {path}, which does not exist")
        return settings.config
    try:
        return Config.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path} is not valid TOML: {error}") from error
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise Misconfigured(f"{path}: {'; '.join(_findings(error))}") from error


def _findings(error: ValidationError) -> list[str]:
    return [f"{'.'.join(str(part) for part in item['loc']) or 'settings'}: {item['msg']}" for item in error.errors()]


_FASTEST_POLL = timedelta(milliseconds=200)


def _scaled(config: Config, scale: float) -> Config:
    """Divide every span by the scale, but for Slack's own limit; polls keep a floor against busy loops."""
    if scale == 1:
        return config
    spans = {name: getattr(config.durations, name) / scale for name in Durations.model_fields}
    spans["card_gap"] = config.durations.card_gap
    spans |= {name: max(span, _FASTEST_POLL) for name, span in spans.items() if name.endswith("_poll")}
    ladder = tuple(level.model_copy(update={"after": level.after / scale}) for level in config.ladder)
    return config.model_copy(update={"durations": Durations(**spans), "ladder": ladder})
