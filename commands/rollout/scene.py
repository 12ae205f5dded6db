"""What a step of a deployment works with: the record as it is now, its environment, and the clients that reach it."""

from dataclasses import dataclass

from bot import audit, durable, outbox
from bot.services import Place, Services
from bot.settings import Environment
from commands.rollout import store
from commands.rollout.records import Deployment, Plan

CARD = "deployment"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One deployment, read fresh for one step."""

    services: Services
    deployment: Deployment
    environment: Environment
    place: Place

    @property
    def plan(self) -> Plan:
        """The plan; only steps after planning ask for it."""
        assert self.deployment.plan is not None
        return self.deployment.plan


async def enter(services: Services, deployment_id: str) -> Scene:
    """Read the deployment at the start of a step, and say so when another process has taken it over."""
    async with services.database.transaction() as session:
        deployment = await store.get(session, deployment_id)
        here = durable.executor_id()
        if deployment.executor != here:
            deployment = await store.change(session, deployment_id, executor=here)
            if deployment.progress:
                text = (
                    ":arrows_counterclockwise: Resumed after a restart; every state is read again before it is changed."
                )
                key = f"{deployment_id}:resumed:{here}"
                await outbox.say(session, key=key, card=deployment_id, text=text)
                await audit.record(session, actor="opsbot", action="resumed", subject=deployment_id, executor=here)
    return Scene(
        services=services,
        deployment=deployment,
        environment=services.settings.environment(deployment.environment),
        place=services.places[deployment.environment],
    )


def step_key(deployment: Deployment, what: str) -> str:
    """Return the key of an outgoing message; the same fact of the same deployment is told once."""
    return f"{deployment.id}:{what}"
