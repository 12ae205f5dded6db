"""Application Auto Scaling: keeps the colour without traffic at full size, or the way back would land on too few tasks.

ECS suspends scale-in only while a deployment is in progress; an idle colour that is held for a day needs this.
"""

from bot.clients.aws import Aws

_DIMENSION = "ecs:service:DesiredCount"


class Scaling:
    """The scalable targets of ECS services in one region. Every method raises what `Aws.call` raises."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    async def suspend_scale_in(self, cluster: str, service: str) -> bool:
        """Stop scaling in, leaving limits and everything else as it is; False when the service is not scaled at all."""
        return await self._set(cluster, service, suspended=True)

    async def resume(self, cluster: str, service: str) -> bool:
        """Allow scaling in again; False when the service is not scaled at all."""
        return await self._set(cluster, service, suspended=False)

    async def _set(self, cluster: str, service: str, *, suspended: bool) -> bool:
        resource = f"service/{cluster.rpartition('/')[2]}/{service.rpartition('/')[2]}"
        answer = await self._aws.call(
            "application-autoscaling",
            "describe_scalable_targets",
            ServiceNamespace="ecs",
            ResourceIds=[resource],
            ScalableDimension=_DIMENSION,
        )
        # register_scalable_target would create one and then needs limits, which are not ours to choose.
        if not answer["ScalableTargets"]:
            return False
        state = answer["ScalableTargets"][0].get("SuspendedState") or {}
        await self._aws.call(
            "application-autoscaling",
            "register_scalable_target",
            ServiceNamespace="ecs",
            ResourceId=resource,
            ScalableDimension=_DIMENSION,
            SuspendedState=state | {"DynamicScalingInSuspended": suspended},
        )
        return True
