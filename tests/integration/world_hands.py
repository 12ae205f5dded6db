"""The bot's own clients on the sandbox's world, and looks at what AWS would tell."""

import asyncio

from bot import settings
from bot.clients.aws import Aws
from bot.clients.ecr import Ecr
from bot.clients.ecs import Ecs
from bot.clients.elb import Elb
from bot.clients.pagerduty import PagerDuty
from bot.clients.prometheus import Prometheus
from bot.clients.scaling import Scaling
from bot.sandbox import releases

SPEED = 60.0
EVENT = {"event_action": "trigger", "payload": {"summary": "harm", "source": "test", "severity": "critical"}}


class Hands:
    """A person with the bot's clients."""

    def __init__(self, world):
        self.world = world
        self.settings = settings.load()
        self.aws = Aws(releases.REGION)
        self.ecr, self.ecs, self.elb, self.scaling = Ecr(self.aws), Ecs(self.aws), Elb(self.aws), Scaling(self.aws)
        self.prometheus = Prometheus(self.settings.prometheus_url)
        self.pagerduty = PagerDuty(
            self.settings.pagerduty_routing_key.get_secret_value(), events_url=self.settings.pagerduty_events_url
        )

    def place(self, name):
        return self.settings.environment(name)

    def idle(self, name):
        weights = self.world.weights(name)
        return min(weights, key=weights.get)

    async def prepare(self, name, colour, version, desired):
        place = self.place(name)
        digest = await self.ecr.digest(place.repository, version)
        service = await self.ecs.service(place.cluster, place.colour(colour).service)
        base = await self.ecs.image(service.task_definition, "storage")
        image = f"{base.partition('@')[0]}@{digest}"
        definition = await self.ecs.revision_for(service.task_definition, "storage", image)
        await self.ecs.update(place.cluster, place.colour(colour).service, task_definition=definition, desired=desired)
        return digest

    async def service(self, name, colour):
        place = self.place(name)
        return await self.ecs.service(place.cluster, place.colour(colour).service)

    async def switch(self, name, **weights):
        place = self.place(name)
        groups = {place.colour(colour).target_group: weight for colour, weight in weights.items()}
        await self.elb.set_weights(place.listener_rule, groups)

    async def deployed(self, name, version):
        """Bring a version to the idle colour and give it all traffic."""
        colour = self.idle(name)
        other = "green" if colour == "blue" else "blue"
        desired = self.world.colour(name, other).desired
        await self.prepare(name, colour, version, desired)
        await until(lambda: self.world.colour(name, colour).healthy == desired)
        await self.switch(name, **{colour: 100, other: 0})
        return colour

    async def rate(self, name, colour, matcher="", window="400ms"):
        selector = self.place(name).colour(colour).selector
        query = f"sum(rate(http_requests_total{{{selector}{matcher}}}[{window}]))"
        return (await self.prometheus.scalar(query) or 0.0) / SPEED

    async def close(self):
        await self.aws.close()
        await self.prometheus.close()
        await self.pagerduty.close()


async def until(true, *, seconds=10.0):
    """Wait for a condition, plain or awaitable."""
    async with asyncio.timeout(seconds):
        while True:
            answer = true()
            if await answer if asyncio.iscoroutine(answer) else answer:
                return
            await asyncio.sleep(0.05)


async def modify(hands, place, *, blue, green):
    groups = [
        {"TargetGroupArn": place.blue.target_group, "Weight": blue},
        {"TargetGroupArn": place.green.target_group, "Weight": green},
    ]
    actions = [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]
    await hands.aws.call("elbv2", "modify_rule", RuleArn=place.listener_rule, Actions=actions)


async def states(hands, group, *targets):
    asked = {"Targets": list(targets)} if targets else {}
    answer = await hands.aws.call("elbv2", "describe_target_health", TargetGroupArn=group, **asked)
    return {
        (each["TargetHealth"]["State"], each["TargetHealth"].get("Reason"))
        for each in answer["TargetHealthDescriptions"]
    }
